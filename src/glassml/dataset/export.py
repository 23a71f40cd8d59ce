"""The sets under the names that other trainers read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import iread, write
from ase.stress import voigt_6_to_full_3x3_stress

from glassml.campaign.errors import StructureError
from glassml.campaign.files import atomic_path
from glassml.dataset.split import SETS


def to_mace(frames: Sequence[Atoms], isolated: dict[str, float]) -> list[Atoms]:
    """Keep `REF_*`, which are MACE's default keys, and add isolated atoms as `IsolatedAtom`.

    MACE takes the energies E0 of the elements from frames with `config_type=IsolatedAtom`.
    """
    converted = [_bare(atoms) for atoms in frames]
    for atoms, source in zip(converted, frames, strict=True):
        atoms.info = dict(source.info)
        atoms.arrays["REF_forces"] = source.arrays["REF_forces"]
    for symbol, energy in isolated.items():
        atom = Atoms(symbol, positions=[[10.0, 10.0, 10.0]], cell=[20.0] * 3, pbc=True)
        atom.info = {"config_type": "IsolatedAtom", "REF_energy": energy}
        atom.arrays["REF_forces"] = np.zeros((1, 3))
        converted.append(atom)
    return converted


def to_nep(frames: Sequence[Atoms]) -> list[Atoms]:
    """Name labels as NEP of GPUMD reads them: `energy`, `forces`, `virial` = -stress x volume."""
    converted = []
    for source in frames:
        atoms = _bare(source)
        atoms.info["energy"] = source.info["REF_energy"]
        if "REF_stress" in source.info:
            stress = voigt_6_to_full_3x3_stress(source.info["REF_stress"])
            atoms.info["virial"] = -stress * source.get_volume()
        atoms.info["config_type"] = source.info["config_type"]
        atoms.arrays["forces"] = source.arrays["REF_forces"]
        converted.append(atoms)
    return converted


def to_ace(frames: Sequence[Atoms], isolated: dict[str, float]) -> pd.DataFrame:
    """Make pacemaker's table: `ase_atoms`, `energy`, `energy_corrected`, `forces`.

    Raises
    ------
    StructureError
        If an isolated atom's energy is missing: `energy_corrected` is relative to them.
    """
    missing = {s for a in frames for s in a.get_chemical_symbols()} - set(isolated)
    if missing:
        raise StructureError(
            f"ACE needs energies of isolated {', '.join(sorted(missing))}: add a family with "
            "generator isolated_atom"
        )
    return pd.DataFrame(
        {
            "ase_atoms": [_bare(atoms) for atoms in frames],
            "energy": [atoms.info["REF_energy"] for atoms in frames],
            "energy_corrected": [
                atoms.info["REF_energy"] - sum(isolated[s] for s in atoms.get_chemical_symbols())
                for atoms in frames
            ],
            "forces": [atoms.arrays["REF_forces"] for atoms in frames],
        }
    )


def export_dataset(
    dataset: str | Path, output: str | Path, form: str, isolated: dict[str, float]
) -> list[Path]:
    """Write the three sets of `dataset` to the folder `output` in the form of a trainer.

    Parameters
    ----------
    form
        `mace` (extxyz), `nep` (extxyz named .xyz) or `ace` (gzipped pickle of a data frame).
    isolated
        Energies of isolated atoms in eV by symbol.

    Returns
    -------
    list of Path
        The files.
    """
    written = []
    for name in SETS:
        frames: list[Atoms] = list(iread(Path(dataset) / f"{name}.extxyz"))
        if form == "ace":
            path = Path(output) / f"{name}.pkl.gzip"
            with atomic_path(path) as temporary:
                to_ace(frames, isolated).to_pickle(temporary, compression="gzip", protocol=4)
        elif form == "nep":
            path = Path(output) / f"{name}.xyz"
            _write(path, to_nep(frames))
        else:
            path = Path(output) / f"{name}.extxyz"
            _write(path, to_mace(frames, isolated if name == "train" else {}))
        written.append(path)
    return written


def _write(path: Path, frames: Sequence[Atoms]) -> None:
    with atomic_path(path) as temporary:
        write(temporary, frames, format="extxyz", write_results=False)


def _bare(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=atoms.pbc)
