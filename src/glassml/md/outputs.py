"""Writes what a run leaves: H5MD through MDAnalysis, series, final structure, restart, record."""

import csv
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import ase.io
import h5py
import MDAnalysis
import numpy as np
from ase import Atoms
from MDAnalysis.coordinates.H5MD import H5MDWriter

from glassml import __version__
from glassml.campaign.errors import GlassmlError, StructureError
from glassml.campaign.extxyz import read_extxyz
from glassml.campaign.files import atomic_path, reading, require_room
from glassml.md.checkpoint import NUMBERS, Samples
from glassml.md.cutout import can_be_cut, cut_out
from glassml.md.recorder import FrameJson
from glassml.md.thermodynamics import SERIES_COLUMNS

logger = logging.getLogger(__name__)

Segments = Iterable[Mapping[str, np.ndarray]]

HDF5_BYTES = 300_000  # what an H5MD file takes beside its arrays, at most


def write_series(path: Path, segments: Segments, stage_names: Sequence[str]) -> None:
    """Write `series.csv`, one segment in memory at a time.

    Parameters
    ----------
    path
        The file.
    segments
        Arrays of the checkpoint's segments.
    stage_names
        Names that the rows' stage indices stand for.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(SERIES_COLUMNS), lineterminator="\n")
        writer.writeheader()
        for segment in segments:
            for numbers, stage in zip(segment["rows"], segment["row_stages"], strict=True):
                row = dict(zip(NUMBERS, (float(number) for number in numbers), strict=True))
                writer.writerow(row | {"stage": stage_names[int(stage)]})


def write_trajectory(
    path: Path,
    segments: Segments,
    atoms: Atoms,
    metadata: Mapping[str, object],
    *,
    velocities: bool = True,
) -> list[int]:
    """Write `trajectory.h5md` with MDAnalysis's writer, one segment in memory at a time.

    Parameters
    ----------
    path, segments
        As of `write_series`.
    atoms
        Atoms of which there are frames, and the only frame of a run that has none.
    metadata
        JSON-ready values that go to the attribute `json` of the group `parameters/glassml`.
    velocities
        Whether they are known.

    Returns
    -------
    list of int
        The stage index of each frame.
    """
    universe = MDAnalysis.Universe.empty(len(atoms), trajectory=True, velocities=velocities)
    timestep = universe.trajectory.ts
    stages: list[int] = []
    cells: list[np.ndarray] = []
    with atomic_path(path) as temporary:
        writer = H5MDWriter(
            str(temporary),
            len(atoms),
            forces=False,
            velocities=velocities,
            timeunit="ps",
            lengthunit="Angstrom",
            velocityunit="Angstrom/ps",
            creator="glassml",
            creator_version=__version__,
        )
        with writer:
            for segment in _or_one_frame(segments, atoms):
                # HDF5 may crash where it cannot write what it kept in memory
                size = sum(np.asarray(array).nbytes for array in segment.values())
                require_room(path, 2 * size + HDF5_BYTES)
                for index in range(len(segment["frame_step"])):
                    timestep.positions = segment["frame_positions"][index]
                    if velocities:
                        timestep.velocities = segment["frame_velocities"][index]
                    timestep.triclinic_dimensions = segment["frame_cell"][index]
                    timestep.data["time"] = float(segment["frame_time_fs"][index]) / 1000.0
                    timestep.data["step"] = int(segment["frame_step"][index])
                    timestep.data["stage"] = int(segment["frame_stage"][index])
                    stages.append(int(segment["frame_stage"][index]))
                    cells.append(segment["frame_cell"][index])
                    writer.write(universe.atoms)
                if stages:
                    writer.h5md_file.flush()
        with h5py.File(temporary, "r+") as file:
            # The writer turns cells so that a is along x; positions are those of the cell as it is.
            file["particles/trajectory/box/edges/value"][:] = np.array(cells)
            file["particles/trajectory"].create_dataset("species", data=atoms.numbers)
            group = file.create_group("parameters/glassml")
            group.attrs["json"] = json.dumps(metadata, sort_keys=True)
    return stages


def _or_one_frame(segments: Segments, atoms: Atoms) -> Iterator[Mapping[str, np.ndarray]]:
    """Pass the segments on, or one with the frame of `atoms` where no segment has a frame."""
    empty = True
    for segment in segments:
        empty = empty and len(segment["frame_step"]) == 0
        yield segment
    if empty:
        samples = Samples()
        samples.add_frame(0.0, 0, 0, atoms)
        yield samples.arrays()


def read_trajectory(path: Path) -> MDAnalysis.Universe:
    """Open `trajectory.h5md` as a universe with elements, names and types.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    MDAnalysis.Universe
        Å, ps, Å/ps; `trajectory.ts.data["stage"]` is the index of a frame's stage.
    """
    with h5py.File(path, "r") as file:
        numbers = file["particles/trajectory/species"][()]
    symbols = Atoms(numbers=numbers).get_chemical_symbols()
    universe = MDAnalysis.Universe.empty(len(numbers), trajectory=False)
    for attribute in ("elements", "names", "types"):
        universe.add_TopologyAttr(attribute, symbols)
    universe.load_new(str(path), format="H5MD")
    return universe


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what `write_trajectory` was given as metadata."""
    with h5py.File(path, "r") as file:
        return json.loads(file["parameters/glassml"].attrs["json"])


def write_final(path: Path, atoms: Atoms, info: Mapping[str, object]) -> None:
    """Write `final.extxyz`: wrapped positions, momenta, and `info`."""
    final = atoms.copy()
    final.calc = None
    final.wrap()
    final.info = dict(info)
    with atomic_path(path) as temporary:
        ase.io.write(temporary, final, format="extxyz", columns=["symbols", "positions", "momenta"])


def write_offered(path: Path, frame: FrameJson, spread_eV_A: float, state: str, glass: str) -> None:
    """Write `offered.extxyz`: what the committee disagrees about, to be labelled.

    Of a large glass of SiO2 a cell is cut around the atom, as `glassml.md.cutout` does; other
    frames, and those of which no cell can be cut, are written whole.

    Parameters
    ----------
    path
        The file.
    frame
        From `glassml.md.recorder.frame_json`.
    spread_eV_A
        Of the committee's forces; as `error_eV_per_A` it is what explorations are chosen by.
    state, glass
        Where it was met.
    """
    atoms = Atoms(frame["symbols"], positions=frame["positions_A"], cell=frame["cell_A"], pbc=True)
    atoms.wrap()
    if frame["atom"] is not None and can_be_cut(atoms):
        try:
            atoms = cut_out(atoms, frame["atom"])
        except GlassmlError as error:
            logger.warning("%s: the whole glass is offered: %s", path, error)
    atoms.info = {
        "config_type": "explored",
        "family": "md",
        "parent": f"{state}/{glass}",
        "config_id": f"md/{state}/{glass}/000000".replace("//", "/"),
        "error_eV_per_A": spread_eV_A,
    }
    with atomic_path(path) as temporary:
        ase.io.write(temporary, atoms, format="extxyz")


def read_final(path: Path) -> Atoms:
    """Read how a run ended, from its `final.extxyz` or the compressed one that was kept of it."""
    with reading(path, "an extxyz file"):
        return next(read_extxyz(path))


def write_restart(path: Path, atoms: Atoms) -> None:
    """Write `restart.npz`: what the next state begins with, to the last bit."""
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            numbers=atoms.numbers,
            positions=atoms.positions,
            momenta=atoms.get_momenta(),
            cell=atoms.cell.array,
        )


def read_restart(path: Path) -> Atoms:
    """Read `restart.npz`.

    Raises
    ------
    StructureError
        If the file is missing, is not a restart, or has numbers that are none.
    """
    try:
        with np.load(path) as file:
            atoms = Atoms(
                numbers=file["numbers"], positions=file["positions"], cell=file["cell"], pbc=True
            )
            atoms.set_momenta(file["momenta"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        raise StructureError(f"{path}: is not the end of a state: {error}") from None
    for name, array in (
        ("positions", atoms.positions),
        ("momenta", atoms.get_momenta()),
        ("cell", atoms.cell.array),
    ):
        if bad := np.count_nonzero(~np.isfinite(array).all(axis=1)):
            raise StructureError(
                f"{path}: {bad} of {len(array)} rows of its {name} are not numbers: delete the "
                "folder that it lies in, so that this state is run again"
            )
    return atoms
