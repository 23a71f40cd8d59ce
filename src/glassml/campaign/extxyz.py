"""Reading extxyz, also compressed, in time that grows with its length."""

import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.io import iread


def read_extxyz(path: str | Path) -> Iterator[Atoms]:
    """Go through the structures of a file.

    ASE goes back to the start of each frame, and within a compressed file that means to unpack it
    anew from its beginning: 1,900 labels took 40 s. So it is unpacked once.

    Parameters
    ----------
    path
        Extended XYZ, compressed by gzip if its name ends in ``.gz``.

    Yields
    ------
    Atoms
        The structures in their order.

    Raises
    ------
    OSError, EOFError, ValueError
        If the file is missing, cut off, or something else.
    """
    path = Path(path)
    if path.suffix == ".gz":
        text = gzip.decompress(path.read_bytes()).decode()
        yield from iread(io.StringIO(text), index=":", format="extxyz")
    else:
        _require_last_line(path)
        yield from iread(path, index=":", format="extxyz")


def _require_last_line(path: Path) -> None:
    """Refuse a file that ends within a line: a number that lost its last digits is a number."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            raise ValueError("its last line does not end: it is cut off")
