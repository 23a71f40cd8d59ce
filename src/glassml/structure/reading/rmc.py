"""Configurations of RMC programs (version 3 `.cfg`), and cells in comments of SOVA's xyz."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.cell import Cell

from glassml.campaign.errors import StructureError
from glassml.structure.reading.names import ElementNames

RMC_TITLE = "(Version 3 format configuration file)"
_RIGHT = (90.0, 90.0, 90.0)


def read_rmc(path: Path, names: ElementNames) -> list[Atoms]:
    """Read a version 3 configuration file of RMC, RMC++ or RMCA.

    The three defining vectors are half the cell's, coordinates run from -1 to 1 along them, and
    atoms are sorted by type, whose elements the file does not name.

    Raises
    ------
    StructureError
        If the types are not named, or the file has molecules, a truncated box or missing rows.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    vectors_at = next((i for i, line in enumerate(lines) if "Defining vectors" in line), None)
    if vectors_at is None:
        raise StructureError(f"{path}: has no defining vectors")
    if lines[vectors_at - 1].split()[:1] == ["T"]:
        raise StructureError(f"{path}: the box is a truncated octahedron, which is not read here")
    half = np.array([[float(x) for x in line.split()[:3]] for line in lines[vectors_at + 1 :][:3]])
    numbers, last = [], vectors_at + 3
    for index, line in enumerate(lines):
        match = re.match(r"\s*(\d+)\s+molecules of type", line)
        if match:
            numbers.append(int(match[1]))
            sites = int(lines[index + 1].split()[0])
            if sites != 1:
                raise StructureError(f"{path}: type {len(numbers)} is a molecule of {sites} sites")
            last = index + 2
    if len(names.by_type) != len(numbers):
        raise StructureError(
            f"{path}: has {len(numbers)} types of {' and '.join(map(str, numbers))} atoms, whose "
            f"elements an RMC configuration does not tell; name them in order, e.g. --elements Si O"
        )
    rows = [line.split() for line in lines[last + 1 :] if line.strip()]
    if len(rows) < sum(numbers):
        raise StructureError(f"{path}: has {len(rows)} of {sum(numbers)} atoms (truncated?)")
    places = np.array([[float(x) for x in row[:3]] for row in rows[: sum(numbers)]])
    symbols = np.repeat(names.by_type, numbers)
    return [Atoms(list(symbols), (places + 1) @ half, cell=2 * half, pbc=True)]


def comment_cells(path: Path, comments: Sequence[str]) -> list[np.ndarray] | None:
    """Give the cells in the comment lines of an xyz file of SOVA; None where they have none.

    `CUB a`, `TET a c`, `ORT a b c`, `RHO a alpha`, `MON a b c beta`, `TRI a b c alpha beta gamma`
    (Å and degrees), `HEX a c` (a is the side of the hexagon, so that the cell's vectors are √3 a
    long, at 60°), or any of these words before nine components of the vectors.

    Raises
    ------
    StructureError
        If the numbers behind such a word are not as many as they must be.
    """
    cells = []
    for comment in comments:
        word, *values = comment.split() or [""]
        if word not in _LENGTHS:
            return None
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            return None
        cells.append(_cell(path, word, numbers))
    return cells or None


_LENGTHS = {"CUB": 1, "TET": 2, "HEX": 2, "RHO": 2, "ORT": 3, "MON": 4, "TRI": 6}


def _cell(path: Path, word: str, numbers: list[float]) -> np.ndarray:
    if len(numbers) == 9:
        return np.reshape(numbers, (3, 3))
    if len(numbers) != _LENGTHS[word]:
        raise StructureError(
            f"{path}: the comment {word} needs {_LENGTHS[word]} or 9 numbers; it has {len(numbers)}"
        )
    a = numbers[0]
    side = float(np.sqrt(3)) * a
    parameters = {
        "CUB": lambda: (a, a, a, *_RIGHT),
        "TET": lambda: (a, a, numbers[1], *_RIGHT),
        "HEX": lambda: (side, side, numbers[1], 90.0, 90.0, 60.0),
        "RHO": lambda: (a, a, a, *(numbers[1],) * 3),
        "ORT": lambda: (*numbers, *_RIGHT),
        "MON": lambda: (*numbers[:3], 90.0, numbers[3], 90.0),
        "TRI": lambda: tuple(numbers),
    }
    return Cell.new(parameters[word]()).array
