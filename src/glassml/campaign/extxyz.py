"""Reading extxyz, also compressed, in time that grows with its length."""

import gzip
import io
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
        yield from iread(path, index=":", format="extxyz")
