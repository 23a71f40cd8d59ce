"""Plain and extended xyz: frames counted before they are parsed, names of sites, SOVA's cells."""

import re
from collections import deque
from collections.abc import Sequence
from io import StringIO, TextIOWrapper
from itertools import islice
from pathlib import Path

from ase import Atoms
from ase.io import iread

from glassml.campaign.errors import StructureError
from glassml.structure.reading.names import ElementNames, element_of
from glassml.structure.reading.recognise import open_bytes
from glassml.structure.reading.rmc import comment_cells


def read_xyz(path: Path, names: ElementNames, last: int | None) -> list[Atoms]:
    """Read the last frames of an xyz file.

    Parameters
    ----------
    last
        How many; None for all.

    Raises
    ------
    StructureError
        If a frame has not the atoms that it says, or a site is of no element.
    """
    texts = frame_texts(path, last)
    try:
        frames = _parsed(texts)
    except KeyError:  # a name that is no element
        frames = _parsed(_with_elements(texts, names))
    if any(atoms.cell.rank == 0 for atoms in frames):
        cells = comment_cells(path, [text.split("\n", 2)[1] for text in texts])
        if cells is not None:
            for atoms, cell in zip(frames, cells, strict=True):
                atoms.set_cell(cell)
                atoms.pbc = True
    return frames


def frame_texts(path: Path, last: int | None) -> list[str]:
    """Give the text of the last frames: a number of atoms that is not there is never looped over.

    Raises
    ------
    StructureError
        If a frame does not begin with a number of atoms, or has fewer.
    """
    kept: deque[str] = deque(maxlen=last)
    number = 0
    with TextIOWrapper(open_bytes(path), encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            if not line.strip().isdecimal():
                raise StructureError(
                    f"{path}: frame {number} begins with {line.strip()[:40]!r}, not with a number "
                    f"of atoms"
                )
            rows = list(islice(file, int(line) + 1))
            if len(rows) <= int(line):
                raise StructureError(
                    f"{path}: frame {number} has {max(len(rows) - 1, 0)} of {line.strip()[:20]} "
                    f"atoms (truncated?)"
                )
            kept.append(line.strip() + "\n" + "".join(rows))
            number += 1
    return list(kept)


def _parsed(texts: Sequence[str]) -> list[Atoms]:
    return list(iread(StringIO("".join(texts)), index=":", format="extxyz")) if texts else []


def _with_elements(texts: Sequence[str], names: ElementNames) -> list[str]:
    """Rewrite frames with elements in place of the names of their sites."""
    by_type = {str(number): symbol for number, symbol in enumerate(names.by_type, 1)}
    known: dict[str, str] = {}
    rewritten = []
    for text in texts:
        count, comment, *rows = text.splitlines()
        column = _species_column(comment)
        for number, row in enumerate(rows):
            words = row.split()
            name = words[column]
            if name not in known:
                known[name] = by_type.get(name) or element_of(name, names)
            words[column] = known[name]
            rows[number] = " ".join(words)
        rewritten.append("\n".join([count, comment, *rows]) + "\n")
    return rewritten


def _species_column(comment: str) -> int:
    """Column of the species in rows of extended xyz; 0 in plain xyz."""
    match = re.search(r'Properties="?([^\s"]+)', comment)
    column = 0
    if match:
        fields = match[1].split(":")
        for name, _, width in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            if name == "species":
                break
            column += int(width)
    return column
