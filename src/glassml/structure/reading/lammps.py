"""LAMMPS data and dump files: elements from masses, comments or the user, never from numbers."""

import re
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.data import atomic_numbers
from ase.io.lammpsdata import read_lammps_data
from ase.io.lammpsrun import read_lammps_dump_text

from glassml.campaign.errors import StructureError
from glassml.structure.reading.names import ElementNames, element_of_mass

# Columns of the sections Atoms, with and without three image flags.
_STYLES = {5: "atomic", 8: "atomic", 7: "full", 10: "full"}


def read_data(path: Path, names: ElementNames) -> list[Atoms]:
    """Read a data file.

    Raises
    ------
    StructureError
        If the elements or the style of the atoms cannot be told.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    types = _number_of_types(lines)
    elements = names.by_type or _elements_of_masses(lines, types)
    if len(elements) < types:
        raise StructureError(
            f"{path}: has {types} types of atoms without masses; name their elements in order, "
            f"e.g. --elements O Si"
        )
    numbers = {number: atomic_numbers[symbol] for number, symbol in enumerate(elements, 1)}
    with path.open(encoding="utf-8", errors="replace") as file:
        atoms = read_lammps_data(file, Z_of_type=numbers, atom_style=_style(path, lines))
    return [atoms]


def _number_of_types(lines: Sequence[str]) -> int:
    for line in lines[:60]:
        match = re.match(r"\s*(\d+)\s+atom\s+types", line)
        if match:
            return int(match[1])
    return 1


def _section(lines: Sequence[str], name: str) -> tuple[str, list[str]]:
    """Give the comment behind a section's name, and its lines."""
    for start, line in enumerate(lines):
        head, _, comment = line.partition("#")
        if head.strip() == name:
            body = []
            for row in lines[start + 1 :]:
                if row.strip() and row.strip()[0].isalpha():
                    break
                if row.strip():
                    body.append(row)
            return comment.strip(), body
    return "", []


def _elements_of_masses(lines: Sequence[str], types: int) -> tuple[str, ...]:
    """Give the elements of the section Masses: from comments, else from the masses."""
    elements: dict[int, str] = {}
    for row in _section(lines, "Masses")[1][:types]:
        numbers, _, comment = row.partition("#")
        kind, mass = numbers.split()[:2]
        words = comment.split()
        named = words[0] if words and words[0] in atomic_numbers else None
        symbol = named or element_of_mass(float(mass))
        if symbol is None:
            raise StructureError(
                f"the mass {mass} of type {kind} is no element's: name the elements of the types "
                f"in order, e.g. --elements O Si"
            )
        elements[int(kind)] = symbol
    return tuple(elements[kind] for kind in sorted(elements))


def _style(path: Path, lines: Sequence[str]) -> str:
    comment, rows = _section(lines, "Atoms")
    if not rows:
        raise StructureError(f"{path}: has no section Atoms")
    if comment:
        return comment.split()[0]
    columns = [row.partition("#")[0].split() for row in rows[:200]]
    count = len(columns[0])
    if count in {6, 9}:
        # id type q x y z, or id molecule type x y z.
        whole = all(re.fullmatch(r"\d+", row[2]) for row in columns)
        return "molecular" if whole else "charge"
    if count not in _STYLES:
        raise StructureError(
            f"{path}: {count} columns of Atoms are of no style that is known; write it behind the "
            f"section's name, as `Atoms # charge`"
        )
    return _STYLES[count]


def read_dump(path: Path, names: ElementNames, index: slice) -> list[Atoms]:
    """Read frames of a text dump.

    Raises
    ------
    StructureError
        If it has types alone and they are not named.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        columns = next((line for line in file if line.startswith("ITEM: ATOMS")), "").split()[2:]
    if not columns:
        raise StructureError(f"{path}: is a LAMMPS dump without atoms")
    tells = {"element", "mass"} & set(columns)
    if not tells and not names.by_type:
        raise StructureError(
            f"{path}: has types without elements (columns {' '.join(columns)}); name them in "
            f"order, e.g. --elements O Si"
        )
    with path.open(encoding="utf-8", errors="replace") as file:
        frames = read_lammps_dump_text(file, index=index, specorder=list(names.by_type) or None)
    return frames if isinstance(frames, list) else [frames]
