"""Frames of MDAnalysis with the cell's orientation, which its lengths and angles do not hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.cell import Cell

from glassml.campaign.errors import StructureError
from glassml.campaign.h5md import box_edges

if TYPE_CHECKING:
    from MDAnalysis import Universe
    from MDAnalysis.coordinates.base import ReaderBase
    from MDAnalysis.coordinates.timestep import Timestep
    from MDAnalysis.core.groups import AtomGroup

# Their definition puts the first vector along x and the second into the plane of x and y.
STANDARD = {"XTC", "TRR", "GRO", "LAMMPSDUMP", "LAMMPS", "MEMORY"}
SAME_DEGREES = 0.05
SAME_LENGTH = 0.05  # relative: a cell of the same trajectory, at another pressure


def open_universe(template: Atoms, path: str | Path) -> "Universe":
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
        if "units" in str(error):
            raise StructureError(
                f"{path}: does not say its units of length; set the attribute `unit` of positions "
                f"and edges, e.g. to Angstrom ({error})"
            ) from None
        raise StructureError(
            f"{path}: cannot be read as a trajectory of {len(template)} atoms (truncated, damaged, "
            f"or of another structure): {type(error).__name__}: {error}"
        ) from None
    return universe


def read_trajectory(
    universe: "Universe", path: Path, template: Atoms, frames: range
) -> Iterator[tuple[int, Atoms]]:
    """Read frames of a trajectory whose elements, and orientation, are those of a structure.

    Parameters
    ----------
    universe
        From `open_universe`.
    path
        The trajectory, for messages.
    template
        The structure.
    frames
        Numbers of the frames.

    Raises
    ------
    StructureError
        If a frame cannot be read, or the orientation of its cell cannot be told.
    """
    turned = template.cell.rank == 3 and not is_standard(template.cell.array)
    for number in frames:
        try:
            frame = universe.trajectory[number]
        except Exception as error:  # noqa: BLE001 - as above, for MDAnalysis and HDF5
            raise StructureError(f"{path}: frame {number} cannot be read: {error}") from None
        if turned and not _has_edges(universe.trajectory) and _same_shape(frame, template):
            raise StructureError(
                f"{path}: the format holds lengths and angles of the cell alone, and the topology's"
                f" cell is turned from the standard orientation (a along x, b in the plane of x "
                f"and y): turn the topology, or write the trajectory as H5MD or extxyz"
            )
        trusted = template.cell.rank == 3
        yield number, frame_atoms(universe.atoms, standard=trusted)


def frame_atoms(group: "AtomGroup", standard: bool = False) -> Atoms:
    """Turn the current frame of a group of atoms into ASE atoms (lengths in Å).

    Parameters
    ----------
    group
        An MDAnalysis `AtomGroup` with elements.
    standard
        Whether a format that holds lengths and angles alone is known to mean the standard
        orientation: a along x, b in the plane of x and y.

    Raises
    ------
    StructureError
        If the orientation of a skewed cell cannot be told.
    """
    trajectory = group.universe.trajectory
    frame = trajectory.ts
    cell = frame.triclinic_dimensions
    if cell is not None and _has_edges(trajectory):
        cell = box_edges(trajectory)
    elif cell is not None and not standard:
        names = trajectory.format
        names = {names} if isinstance(names, str) else set(names)
        skewed = np.any(np.abs(frame.dimensions[3:] - 90.0) > SAME_DEGREES)
        if names & {"HISTORY", "CONFIG"} or (skewed and not {n.upper() for n in names} & STANDARD):
            raise StructureError(
                f"{', '.join(sorted(names))}: MDAnalysis keeps lengths and angles of the cell, not "
                f"its orientation: give a topology with a cell to `read_frames`, or H5MD"
            )
    return Atoms(
        list(group.elements),
        group.positions.astype(float),
        cell=None if cell is None else np.asarray(cell, float),
        pbc=cell is not None,
    )


def is_standard(cell: np.ndarray) -> bool:
    """Whether a cell (3, 3) has a along x and b in the plane of x and y."""
    return bool(np.allclose(cell, Cell.new(Cell(cell).cellpar()).array, atol=1e-3))


def _same_shape(frame: "Timestep", template: Atoms) -> bool:
    own, other = frame.dimensions, template.cell.cellpar()
    if own is None:
        return False
    lengths = np.allclose(own[:3], other[:3], rtol=SAME_LENGTH)
    return lengths and np.allclose(own[3:], other[3:], atol=3.0)


def _has_edges(trajectory: "ReaderBase") -> bool:
    return "H5MD" in np.atleast_1d(trajectory.format)
