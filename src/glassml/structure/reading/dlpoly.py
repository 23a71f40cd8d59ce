"""Frames of a DL_POLY HISTORY, wherever they begin: ASE's own search needs padded lines."""

from collections import deque
from pathlib import Path

from ase import Atoms
from ase.io.dlp4 import read_single_image

from glassml.campaign.errors import StructureError


def read_history(path: Path, last: int | None) -> list[Atoms]:
    """Read the last frames of a HISTORY, with the cell as it is.

    Parameters
    ----------
    last
        How many; None for all.
    """
    starts: deque[int] = deque(maxlen=last)
    with path.open(encoding="utf-8", errors="replace") as file:
        file.readline()
        level, boundary, atoms = (int(word) for word in file.readline().split()[:3])
        while line := file.readline():
            if line.split()[:1] == ["timestep"]:
                starts.append(file.tell())
        if not starts:
            raise StructureError(f"{path}: holds no frame")
        frames = []
        for start in starts:
            file.seek(start)
            frames.append(read_single_image(file, level, boundary, atoms, is_trajectory=True))
    return frames
