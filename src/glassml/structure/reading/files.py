"""Frames of a file that ASE, gemmi or a reader here can read."""

import logging
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import ParseError, iread
from ase.io.vasp import read_vasp

from glassml.campaign.errors import StructureError
from glassml.structure.reading.cif import read_cif
from glassml.structure.reading.dlpoly import read_history
from glassml.structure.reading.lammps import read_data, read_dump
from glassml.structure.reading.names import ElementNames, element_of
from glassml.structure.reading.recognise import check_growth
from glassml.structure.reading.rmc import read_rmc
from glassml.structure.reading.xyz import read_xyz

# Arrays of ASE with the names of sites, by format.
_SITE_NAMES = {"gromacs": "atomtypes", "dlp4": "dlp4_labels", "dlp-history": "dlp4_labels"}
LOG = logging.getLogger(__name__)


def read_file(path: Path, kind: str, names: ElementNames, last: int | None) -> list[Atoms]:
    """Read the last frames of a file.

    Parameters
    ----------
    kind
        From `recognise`.
    names
        What the user says about elements.
    last
        How many; None for all.

    Raises
    ------
    StructureError
        If the file cannot be read, or its elements cannot be told.
    """
    check_growth(path)
    index = slice(None) if last is None else slice(-last, None)
    try:
        frames = _frames(path, kind, names, index)
    except StructureError:
        raise
    except ParseError as error:
        if kind != "vasp":
            raise StructureError(f"{path}: cannot be read as {kind}: {error}") from None
        raise StructureError(
            f"{path}: names no elements (VASP 4); name them in order, e.g. --elements Si O"
        ) from None
    except Exception as error:  # noqa: BLE001 - readers of ASE raise whatever their parsing meets
        raise StructureError(
            f"{path}: cannot be read as {kind} (truncated, damaged, or of another format: see "
            f"--format): {type(error).__name__}: {error}"
        ) from None
    # Masses of files may be of other units; what else they hold is of no use here.
    return [Atoms(a.numbers, a.positions, cell=a.cell.array, pbc=a.pbc) for a in frames]


def _frames(path: Path, kind: str, names: ElementNames, index: slice) -> list[Atoms]:
    if kind in _READERS:
        return _READERS[kind](path, names, index)
    if kind == "vasp" and names.by_type:
        return [_poscar_with_elements(path, names)]
    if kind == "dlp-history":
        frames = read_history(path, None if index.start is None else -index.start)
    else:
        frames = list(iread(path, index=index, format=kind))
    if kind in _SITE_NAMES:
        for atoms in frames:
            _name_sites(atoms, _SITE_NAMES[kind], names)
    return _with_types_named(frames, names)


def _blocks(path: Path, names: ElementNames, index: slice) -> list[Atoms]:
    frames = read_cif(path, names)
    if len(frames) > 1:
        LOG.warning("%s: holds %d structures, which count as frames", path, len(frames))
    return frames[index]


def _xyz(path: Path, names: ElementNames, index: slice) -> list[Atoms]:
    frames = read_xyz(path, names, None if index.start is None else -index.start)
    return _with_types_named(frames, names)


def _models(path: Path, names: ElementNames, index: slice) -> list[Atoms]:
    """Read the models of a PDB, each with the cell that the file states once."""
    frames = [a for a in iread(path, index=slice(None), format="proteindatabank") if len(a)]
    for atoms in frames[1:]:
        if atoms.cell.rank < 3 and frames[0].cell.rank == 3:
            atoms.set_cell(frames[0].cell.array)
            atoms.pbc = True
    return _with_types_named(frames[index], names)


def _poscar_with_elements(path: Path, names: ElementNames) -> Atoms:
    """Read a POSCAR without symbols (VASP 4), with those that the user names."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if lines[5].split()[0].isdigit():
        lines.insert(5, " ".join(names.by_type))
    return read_vasp(StringIO("\n".join(lines) + "\n"))


def _name_sites(atoms: Atoms, array: str, names: ElementNames) -> None:
    """Take the elements from the whole names of sites, of which ASE uses a letter or two."""
    labels = [str(label) for label in atoms.arrays[array]]
    if array == "dlp4_labels":  # what is left of the name behind the element
        labels = [s + label for s, label in zip(atoms.symbols, labels, strict=True)]
    known = {label: element_of(label, names) for label in sorted(set(labels))}
    atoms.set_chemical_symbols([known[label] for label in labels])


def _with_types_named(frames: list[Atoms], names: ElementNames) -> list[Atoms]:
    """Turn "elements" 1, 2, … (H, He) into those that the user names."""
    if not names.by_type:
        return frames
    for atoms in frames:
        if atoms.numbers.max() <= len(names.by_type):
            atoms.set_chemical_symbols([names.by_type[n - 1] for n in atoms.numbers])
    return frames


def tail(frames: list[Atoms], last: int | None, stride: int) -> Iterator[tuple[int, Atoms]]:
    """Choose every `stride`-th of the last frames, numbered from the end (-1, …), in order."""
    numbers = np.arange(-len(frames), 0)
    chosen = numbers[::-1][::stride][:last][::-1]
    for number in chosen.tolist():
        yield number, frames[number]


_READERS: dict[str, Callable[[Path, ElementNames, slice], list[Atoms]]] = {
    "cif": _blocks,
    "rmc-cfg": lambda path, names, index: read_rmc(path, names)[index],
    "lammps-data": lambda path, names, index: read_data(path, names)[index],
    "lammps-dump-text": read_dump,
    "xyz": _xyz,
    "extxyz": _xyz,
    "proteindatabank": _models,
}
