"""Reading structures and trajectories, and refusing what cannot be analysed, with the reason."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.cell import Cell

from glassml.campaign.errors import StructureError
from glassml.structure.reading.files import read_file, tail
from glassml.structure.reading.names import ElementNames, parse_elements
from glassml.structure.reading.recognise import check_format, recognise
from glassml.structure.reading.trajectories import open_universe, read_trajectory

# More atoms per Å³ than in any condensed matter below a terapascal (diamond: 0.18; silica: 0.07).
MAX_DENSITY_PER_A3 = 0.5
VACUUM_A = 8.0  # no pore of a glass or zeolite leaves a whole layer empty
FAR_A = 1e7  # unwrapped trajectories stay far below
# No two atoms of a real structure are closer (H2: 0.74 Å); an O-Si pair at 1500 K is above 1.3 Å.
MIN_DISTANCE_A = 0.5


def check_atoms(atoms: Atoms, source: str = "structure") -> None:
    """Refuse a structure whose analysis would be meaningless, would crash, or would not end.

    Parameters
    ----------
    atoms
        What was read.
    source
        Name of the file or frame, for messages.

    Raises
    ------
    StructureError
        If there are fewer than two atoms, types in place of elements, no three-dimensional
        periodic cell, a number that is not finite, a density that no matter has, or overlapping
        atoms.
    """
    if len(atoms) < 2:
        raise StructureError(f"{source}: has {len(atoms)} atom(s); at least two are needed")
    _check_elements(atoms, source)
    if not np.all(np.isfinite(atoms.positions)):
        index = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise StructureError(f"{source}: the position of atom {index} is not a finite number")
    _check_cell(atoms, source)
    far = float(np.abs(atoms.positions).max())
    if far > FAR_A:
        raise StructureError(
            f"{source}: an atom is at {far:.3g} Å, where a double no longer tells bonds apart"
        )
    density = len(atoms) / atoms.cell.volume
    if density > MAX_DENSITY_PER_A3:
        raise StructureError(
            f"{source}: {len(atoms)} atoms in {atoms.cell.volume:.4g} Å³ are {density:.3g} per Å³ "
            f"(silica has 0.07): is the cell in Å, and is it that of these atoms?"
        )
    _check_overlaps(atoms, source)


def _check_elements(atoms: Atoms, source: str) -> None:
    """Refuse placeholders, and types 1, 2 … that were taken for H, He …."""
    numbers = np.unique(atoms.numbers)
    if numbers[0] == 0:
        raise StructureError(
            f"{source}: has atoms without an element (X); name them with --elements"
        )
    if 2 in numbers and numbers[-1] <= len(numbers) + 1:
        raise StructureError(
            f"{source}: has {atoms.get_chemical_formula()}; these are atom types that are "
            f"numbered, it seems: name their elements in order, e.g. --elements O Si"
        )


def _check_cell(atoms: Atoms, source: str = "structure") -> None:
    cell = atoms.cell
    if not np.all(np.isfinite(cell.array)):
        raise StructureError(f"{source}: the cell has a number that is not finite")
    if cell.rank == 0:
        raise StructureError(f"{source}: has no cell; give its lengths in Å (--cell A B C)")
    if cell.rank < 3 or not atoms.pbc.all():
        periodic = "".join(axis for axis, yes in zip("xyz", atoms.pbc, strict=True) if yes)
        raise StructureError(
            f"{source}: is not periodic in three dimensions (cell of rank {cell.rank}, periodic "
            f"along {periodic or 'none'}); bulk observables need a cell of three vectors"
        )
    # Zero to rounding: the product of the lengths is the natural scale of a volume.
    if cell.volume < 1e-6 * np.prod(cell.lengths()):
        raise StructureError(f"{source}: the cell is flat (volume {cell.volume:.3g} Å³)")


def _check_overlaps(atoms: Atoms, source: str) -> None:
    from matscipy.neighbours import neighbour_list  # noqa: PLC0415 - heavy, needed only here

    first, second, distance = neighbour_list("ijd", wrapped(atoms), cutoff=MIN_DISTANCE_A)
    if len(first):
        worst = int(np.argmin(distance))
        raise StructureError(
            f"{source}: {len(first) // 2} pair(s) of atoms overlap; atoms {first[worst]} and "
            f"{second[worst]} are {distance[worst]:.3f} Å apart"
        )


def check_bulk(atoms: Atoms, source: str = "structure") -> None:
    """Refuse a slab, a wire or a cluster in a box: per volume, nothing of it means anything.

    Raises
    ------
    StructureError
        If a layer of more than 8 Å across the cell holds no atom.
    """
    fractions = np.sort((atoms.positions @ np.linalg.inv(atoms.cell.array)) % 1.0, axis=0)
    gaps = np.diff(fractions, axis=0, append=fractions[:1] + 1.0).max(axis=0)
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    widest = int(np.argmax(gaps * heights))
    if gaps[widest] * heights[widest] > VACUUM_A:
        raise StructureError(
            f"{source}: a layer of {gaps[widest] * heights[widest]:.1f} Å across cell vector "
            f"{'abc'[widest]} is empty: density, S(Q) and g(r) of a slab or a cluster in a box are "
            f"not those of a bulk; cut out the bulk"
        )


def periodic_cell(atoms: Atoms) -> np.ndarray:
    """Give the cell (3, 3) of a structure that is periodic in three dimensions.

    Raises
    ------
    StructureError
        If it is not.
    """
    _check_cell(atoms)
    return np.asarray(atoms.cell.array, float)


def wrapped(atoms: Atoms) -> Atoms:
    """Copy numbers, cell and positions, the latter folded into the cell (fractions in [0, 1)).

    Raises
    ------
    StructureError
        If the structure is not periodic in three dimensions.
    """
    cell = periodic_cell(atoms)
    fractions = atoms.positions @ np.linalg.inv(cell)
    fractions -= np.floor(fractions)
    fractions[fractions >= 1.0] = 0.0  # -1e-17 folds to 1.0
    return Atoms(atoms.numbers, fractions @ cell, cell=cell, pbc=True)


def select(count: int, last: int | None = None, stride: int = 1, start: int = 0) -> range:
    """Choose of `count` frames every `stride`-th counted backwards from the end.

    At most `last` of them, none before `start`.
    """
    return range(count - 1, start - 1, -stride)[:last][::-1]


def read_frames(
    path: str | Path,
    topology: str | Path | None = None,
    cell: Sequence[float] | None = None,
    last: int | None = None,
    stride: int = 1,
    start: int = 0,
    file_format: str | None = None,
    elements: Sequence[str] | None = None,
) -> Iterator[Atoms]:
    """Read the frames of a structure or trajectory, checked.

    Parameters
    ----------
    path
        Anything that ASE reads, CIF, LAMMPS data and dumps, RMC configurations; or, with
        `topology`, a trajectory that MDAnalysis reads (H5MD, DCD, XTC …).
    topology
        A structure with the elements in the order of the trajectory.
    cell
        Three lengths in Å, or three lengths and three angles in degrees, where the file has none.
    last, stride
        At most `last` frames, every `stride`-th, counted backwards from the last one.
    start
        First frame of a trajectory that may be used.
    file_format
        ASE's name, "lammps-data", "lammps-dump-text" or "rmc-cfg"; by default by content.
    elements
        Of types, in order (["O", "Si"]), or of names (["T=Si"]).

    Yields
    ------
    Atoms
        Frames in their order in the file, periodic in three dimensions.

    Raises
    ------
    StructureError
        If a file is missing, broken or of an unknown format, or a frame cannot be analysed.
    """
    number = None
    for number, atoms in _numbered(
        Path(path), topology, last, stride, start, file_format, parse_elements(elements)
    ):
        source = f"{path} (frame {number})"
        if cell is not None:
            _give_cell(atoms, cell, source)
        check_atoms(atoms, source)
        yield atoms
    if number is None:
        raise StructureError(f"{path}: holds no frame")


def _numbered(
    path: Path,
    topology: str | Path | None,
    last: int | None,
    stride: int,
    start: int,
    file_format: str | None,
    names: ElementNames,
) -> Iterator[tuple[int, Atoms]]:
    kind = _kind(path, file_format)
    if kind != "trajectory" and topology is None:
        frames = read_file(path, kind, names, None if last is None else last * stride)
        yield from tail(frames, last, stride)
        return
    if topology is None:
        raise StructureError(
            f"{path}: is a trajectory without elements; give a structure that has them, in the "
            f"same order, with --topology"
        )
    topology = Path(topology)
    template = read_file(topology, _kind(topology), names, 1)
    if not template:
        raise StructureError(f"{topology}: holds no frame")
    universe = open_universe(template[-1], path)
    chosen = select(len(universe.trajectory), last, stride, start)
    yield from read_trajectory(universe, path, template[-1], chosen)


def _kind(path: Path, file_format: str | None = None) -> str:
    if path.is_dir():
        raise StructureError(f"{path}: is a folder")
    if not path.is_file():
        raise StructureError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise StructureError(f"{path}: is empty")
    return recognise(path) if file_format is None else check_format(file_format)


def _give_cell(atoms: Atoms, lengths: Sequence[float], source: str) -> None:
    """Give a cell to atoms that have none; their own is never replaced."""
    if not np.all(np.isfinite(lengths)) or min(lengths[:3]) <= 0:
        raise StructureError(f"--cell: {' '.join(map(str, lengths))} are not lengths in Å")
    cell = Cell.new(list(lengths))
    if atoms.cell.rank == 3 and not np.allclose(atoms.cell.array, cell.array, atol=1e-3):
        own = " ".join(f"{x:.4f}" for x in atoms.cell.cellpar())
        raise StructureError(
            f"{source}: has a cell of its own ({own}), which --cell does not replace"
        )
    atoms.set_cell(cell)
    atoms.pbc = True
