"""Which reader a file needs, by what is in it rather than by what it is called."""

import bz2
import gzip
import lzma
import re
from pathlib import Path
from typing import IO

from ase.io.formats import UnknownFileTypeError, filetype, ioformats

from glassml.campaign.errors import StructureError
from glassml.structure.reading.rmc import RMC_TITLE

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# Files that MDAnalysis reads, and that hold no elements.
TRAJECTORIES = {".xtc", ".trr", ".dcd", ".ncdf", ".nc", ".h5md", ".h5", ".trj", ".crd", ".inpcrd"}
OWN_FORMATS = ("lammps-data", "lammps-dump-text", "rmc-cfg", "cif")
HEAD = 8192
# Text of atoms shrinks to a third or a tenth; a file that grows more than this is a bomb.
MAX_GROWTH = 500
HARMLESS_BYTES = 100_000_000


def check_format(name: str) -> str:
    """Refuse a `--format` that nothing here reads.

    Raises
    ------
    StructureError
        With where the names are.
    """
    if name not in ioformats and name not in OWN_FORMATS:
        raise StructureError(
            f"--format {name}: is not one of ASE's formats (`ase info --formats` lists them) nor "
            f"of {', '.join(OWN_FORMATS)}"
        )
    return name


def recognise(path: Path) -> str:
    """Name the format of a file.

    Returns
    -------
    str
        One of ASE's names, "rmc-cfg", or "trajectory" for what MDAnalysis reads with a topology.

    Raises
    ------
    StructureError
        If it cannot be told.
    """
    if path.suffix.lower() in TRAJECTORIES:
        return "trajectory"
    head = read_head(path)
    for name, pattern in _BY_CONTENT:
        if re.search(pattern, head, re.MULTILINE):
            return name
    stem = path.name.removesuffix(path.suffix) if path.suffix in OPENERS else path.name
    if stem.lower().endswith((".exyz", ".extxyz", ".xyz")):
        return "extxyz"
    try:
        name = filetype(str(path), guess=True)
    except (UnknownFileTypeError, OSError, UnicodeDecodeError):
        name = ""
    if name not in ioformats:  # ASE takes an unknown suffix for a format
        raise StructureError(
            f"{path}: the format cannot be told from name or content; name it with --format "
            f"(`ase info --formats` lists those of ASE)"
        )
    return name


_BY_CONTENT = (
    ("lammps-dump-text", r"\A(ITEM: UNITS\s+\S+\s+)?(ITEM: TIME\s+\S+\s+)?ITEM: TIMESTEP"),
    ("lammps-data", r"^\s*\d+\s+atoms\s*$(.|\n)*^\s*\S+\s+\S+\s+xlo\s+xhi"),
    ("rmc-cfg", r"\A\s*" + re.escape(RMC_TITLE)),
    ("vasp-xml", r"\A(<\?xml[^>]*>)?\s*<modeling>"),
    ("vasp-out", r"\A\s*vasp\.\d"),
    ("dlp-history", r"\A.*\n(\s*\d+){3,5}\s*\n\s*timestep\s"),
    ("cif", r"^\s*_(cell_length_a|cell\.length_a)\s"),
)


def read_head(path: Path) -> str:
    """Give the first text of a file, decompressed, with plain line ends."""
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise StructureError(f"{path}: cannot be read: {error}") from None
    return head.decode("utf-8", errors="replace").replace("\r\n", "\n")


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed."""
    return OPENERS.get(path.suffix, open)(path, "rb")  # type: ignore[operator,no-any-return]


def check_growth(path: Path) -> None:
    """Refuse a compressed file that would fill the memory: it grows more than 500 times.

    Raises
    ------
    StructureError
        With the sizes.
    """
    if path.suffix not in OPENERS:
        return
    packed, size = path.stat().st_size, 0
    try:
        with open_bytes(path) as file:
            while block := file.read(1 << 20):
                size += len(block)
                if size > max(MAX_GROWTH * packed, HARMLESS_BYTES):
                    raise StructureError(
                        f"{path}: {packed} bytes hold more than {size}, {MAX_GROWTH} times as "
                        f"many: that is no file of atoms (decompress it to insist)"
                    )
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise StructureError(f"{path}: cannot be decompressed: {error}") from None
