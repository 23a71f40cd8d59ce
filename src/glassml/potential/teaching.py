"""Labels by a potential, from which a smaller and faster one learns: teacher and student.

A student learns from more configurations than DFT can label, and from DFT's own beside them.
(Matin et al., Digital Discovery 2025, doi 10.1039/D5DD00085H, teach otherwise: atomic energies of
the same configurations.) What a teacher says is no DFT: it has `config_type` "taught" and names the
teacher in `REF_code`, and a dataset never judges by it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.io import write
from tqdm import tqdm

from glassml.campaign.defaults import TAUGHT
from glassml.campaign.files import atomic_path, file_sha256
from glassml.campaign.provenance import CODE, XC
from glassml.potential.disagreement import disagreement


def teach(
    frames: Iterable[Atoms],
    teachers: Sequence[Calculator],
    *,
    largest_spread_eV_A: float,
    functional: str,
    code: str,
    first: int = 0,
) -> Iterator[Atoms | None]:
    """Label configurations by the mean of a committee.

    Parameters
    ----------
    frames
        Configurations; `info` may have `config_type`, `family`, `parent` and `config_id`.
    teachers
        Two calculators or more: energies in eV, forces in eV/Å, stress in eV/Å³.
    largest_spread_eV_A
        Where forces differ by more (`glassml.potential.disagreement`), the committee does not know
        what it would teach.
    functional
        Of the labels that the teachers learnt from.
    code
        Who labels: the teachers' hashes.
    first
        Number of the first configuration, of which those without a name get theirs.

    Yields
    ------
    Atoms or None
        For each configuration, with `REF_energy`, `REF_forces`, `REF_stress`, `REF_xc`,
        `REF_code`, `config_type` "taught", and `taught_type`, what it was before; parent and name
        begin with "taught/". None where the spread is too large.
    """
    for number, atoms in enumerate(frames, first):
        said = [_say(atoms, teacher) for teacher in teachers]
        energies, forces, stresses = zip(*said, strict=True)
        if disagreement(forces) > largest_spread_eV_A:
            yield None
            continue
        labelled = Atoms(
            atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=atoms.pbc
        )
        info = atoms.info
        family = str(info.get("family", "configurations"))
        unnamed = f"{family}/{number:06d}"
        labelled.info = {
            "config_type": TAUGHT,
            "taught_type": str(info.get("config_type", "unknown")),
            "family": family,
            "parent": f"{TAUGHT}/{info.get('parent', unnamed)}",
            "config_id": f"{TAUGHT}/{info.get('config_id', unnamed)}",
            "REF_energy": float(np.mean(energies)),
            "REF_stress": np.mean(stresses, axis=0),
            XC: functional,
            CODE: code,
        }
        labelled.arrays["REF_forces"] = np.mean(forces, axis=0)
        yield labelled


def teach_pieces(
    inputs: Mapping[Path, Sequence[Atoms]],
    teachers: Sequence[Calculator],
    folder: Path,
    *,
    largest_spread_eV_A: float,
    functional: str,
    code: str,
) -> list[Path]:
    """Label files of configurations, each into a piece that a later run finds again.

    Parameters
    ----------
    inputs
        Files with what is in them.
    folder
        Of the pieces. What a piece is made of is in its name: another input, teacher or spread is
        another piece.
    teachers, largest_spread_eV_A, functional, code
        As of `teach`.

    Returns
    -------
    list of Path
        The pieces, extxyz, in the order of the inputs; one of which nothing is taught is empty.
    """
    pieces, first = [], 0
    with tqdm(total=sum(map(len, inputs.values())), unit="structure") as bar:
        for path, frames in inputs.items():
            made_of = f"{first}_{file_sha256(path)[:16]}_{code}_{largest_spread_eV_A:g}"
            piece = folder / f"{made_of}.extxyz"
            if not piece.exists():
                said = teach(
                    frames,
                    teachers,
                    largest_spread_eV_A=largest_spread_eV_A,
                    functional=functional,
                    code=code,
                    first=first,
                )
                taught = []
                for atoms in said:
                    if atoms is not None:
                        taught.append(atoms)
                    bar.update()
                with atomic_path(piece) as temporary:
                    if taught:
                        write(temporary, taught, format="extxyz")
            pieces.append(piece)
            first += len(frames)
            bar.update(first - bar.n)
    return pieces


def _say(atoms: Atoms, teacher: Calculator) -> tuple[float, np.ndarray, np.ndarray]:
    asked = atoms.copy()
    asked.calc = teacher
    return asked.get_potential_energy(), asked.get_forces(), asked.get_stress()
