"""Reading structures and trajectories, and refusing what cannot be analysed, with the reason."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.io import iread
from ase.units import _amu

from glassml.campaign.errors import StructureError

SILICON, OXYGEN = 14, 8
# More atoms per Å³ than in any condensed matter below a terapascal (diamond: 0.18; silica: 0.07).
MAX_DENSITY_PER_A3 = 0.5
# No two atoms of a real structure are closer (H2: 0.74 Å); an O-Si pair at 1500 K is above 1.3 Å.
MIN_DISTANCE_A = 0.5
LOG = logging.getLogger(__name__)


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
        If there are fewer than two atoms, no Si or no O, no three-dimensional periodic cell,
        a number that is not finite, a density that no matter has, or overlapping atoms.
    """
    if len(atoms) < 2:
        raise StructureError(
            f"{source}: has {len(atoms)} atom(s); at least one Si and one O needed"
        )
    for symbol, number in (("Si", SILICON), ("O", OXYGEN)):
        if not np.any(atoms.numbers == number):
            raise StructureError(
                f"{source}: has no {symbol} ({atoms.get_chemical_formula()}); the network analysed "
                f"here is that of Si-O bonds. If atom types are numbered, name the elements"
            )
    if not np.all(np.isfinite(atoms.positions)):
        index = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise StructureError(f"{source}: the position of atom {index} is not a finite number")
    _check_cell(atoms, source)
    density = len(atoms) / atoms.cell.volume
    if density > MAX_DENSITY_PER_A3:
        raise StructureError(
            f"{source}: {len(atoms)} atoms in {atoms.cell.volume:.4g} Å³ are {density:.3g} per Å³ "
            f"(silica has 0.07): is the cell in Å, and is it that of these atoms?"
        )
    _check_overlaps(atoms, source)


def _check_cell(atoms: Atoms, source: str) -> None:
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


def wrapped(atoms: Atoms) -> Atoms:
    """Copy numbers, cell and positions, the latter folded into the cell (fractions in [0, 1))."""
    fractions = atoms.positions @ np.linalg.inv(atoms.cell.array)
    fractions -= np.floor(fractions)
    fractions[fractions >= 1.0] = 0.0  # -1e-17 folds to 1.0
    return Atoms(atoms.numbers, fractions @ atoms.cell.array, cell=atoms.cell.array, pbc=True)


def density_g_cm3(atoms: Atoms) -> float:
    """Mass density in g/cm³ (ASE's standard atomic masses)."""
    return float(atoms.get_masses().sum() * _amu * 1e3 / (atoms.cell.volume * 1e-24))


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
) -> Iterator[Atoms]:
    """Read the frames of a structure or trajectory, checked.

    Parameters
    ----------
    path
        Anything that ASE reads, or, with `topology`, a trajectory that MDAnalysis reads (H5MD,
        DCD, XTC …).
    topology
        A structure that ASE reads, with the elements in the order of the trajectory.
    cell
        Three lengths in Å, or three lengths and three angles in degrees, where the file has none.
    last, stride
        At most `last` frames, every `stride`-th, counted backwards from the last one.
    start
        First frame that may be used.

    Yields
    ------
    Atoms
        Frames in their order in the file, periodic in three dimensions.

    Raises
    ------
    StructureError
        If a file is missing, broken or of an unknown format, or a frame cannot be analysed.
    """
    path = Path(path)
    if not path.is_file():
        raise StructureError(f"{path}: there is no such file")
    frames = (
        _read_ase(path, last, stride, start)
        if topology is None
        else _read_mdanalysis(path, Path(topology), last, stride, start)
    )
    number = None
    for number, atoms in frames:
        if cell is not None:
            atoms.set_cell(Cell.new(cell))
            atoms.pbc = True
        check_atoms(atoms, f"{path} (frame {number})")
        yield atoms
    if number is None:
        raise StructureError(f"{path}: holds no frame")


def _read_ase(
    path: Path, last: int | None, stride: int, start: int = 0
) -> Iterator[tuple[int, Atoms]]:
    try:
        if last == 1:
            for atoms in iread(path, index=-1):
                yield -1, atoms
            return
        count = sum(1 for _ in iread(path, index=":"))
        chosen = set(select(count, last, stride, start))
        for number, atoms in enumerate(iread(path, index=":")):
            if number in chosen:
                yield number, atoms
    except StructureError:
        raise
    except Exception as error:  # noqa: BLE001 - readers of ASE raise whatever their parsing meets
        raise StructureError(
            f"{path}: cannot be read (truncated, damaged, or of a format that ASE does not know): "
            f"{type(error).__name__}: {error}"
        ) from None


def _read_mdanalysis(
    path: Path, topology: Path, last: int | None, stride: int, start: int
) -> Iterator[tuple[int, Atoms]]:
    template = next(atoms for _, atoms in _read_ase(topology, 1, 1))
    universe = open_universe(template, path)
    for number in select(len(universe.trajectory), last, stride, start):
        try:
            frame = universe.trajectory[number]
        except Exception as error:  # noqa: BLE001 - as above, for MDAnalysis and HDF5
            raise StructureError(f"{path}: frame {number} cannot be read: {error}") from None
        yield number, frame_atoms(universe, frame)


def open_universe(template: Atoms, path: str | Path) -> Any:
    """Open a trajectory as an MDAnalysis `Universe` whose elements are those of `template`.

    Raises
    ------
    StructureError
        If MDAnalysis cannot read the trajectory, or its number of atoms differs.
    """
    import MDAnalysis  # noqa: PLC0415 - takes a second to import, needed for trajectories only

    universe = MDAnalysis.Universe.empty(len(template), trajectory=False)
    symbols = template.get_chemical_symbols()
    for attribute in ("elements", "types", "names"):
        universe.add_TopologyAttr(attribute, symbols)
    try:
        universe.load_new(str(path))
    except Exception as error:  # noqa: BLE001 - readers raise whatever their parsing meets
        raise StructureError(
            f"{path}: cannot be read as a trajectory of {len(template)} atoms (truncated, damaged, "
            f"or of another structure): {type(error).__name__}: {error}"
        ) from None
    return universe


def frame_atoms(universe: Any, frame: Any) -> Atoms:
    """Turn the current frame of a universe into ASE atoms (lengths in Å)."""
    triclinic = frame.triclinic_dimensions
    return Atoms(
        list(universe.atoms.elements),
        frame.positions.astype(float),
        cell=None if triclinic is None else np.asarray(triclinic, float),
        pbc=triclinic is not None,
    )
