"""Checkpoints: one atomic state file, and the samples before it in numbered segments.

The folder holds `state.npz` (the integrator's arrays and a JSON header) and `segment_NNNNNN.npz`
(rows of the series and frames of the trajectory since the previous checkpoint). A segment is
written before the state that counts it, so a kill between the two costs the segment only: it is
written again, the same, by the run that goes on from the older state. A state whose segments are
not all there and whole is not taken up, so that the same command always goes on. One process at a
time has the folder: the lock is asked before each write.
"""

import json
import logging
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from ase import Atoms, units

from glassml.campaign.files import atomic_path
from glassml.campaign.locks import FolderLock
from glassml.md.thermodynamics import SERIES_COLUMNS, Thermodynamics

logger = logging.getLogger(__name__)

#: Columns of a segment's rows: those of the series without the stage, which is an index.
NUMBERS = tuple(column for column in SERIES_COLUMNS if column != "stage")
ANGSTROM_PER_PS = 1000.0 * units.fs
#: Changes when what is in `state.npz` does: older ones are then left.
FORMAT = 1
#: What numpy and json raise on files that are cut off or not theirs.
UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile, zlib.error)


@dataclass
class Samples:
    """Rows and frames that are not yet in a segment."""

    rows: list[list[float]] = field(default_factory=list)
    row_stages: list[int] = field(default_factory=list)
    frames: list[dict[str, np.ndarray | np.generic]] = field(default_factory=list)

    def add_row(self, time_fs: float, stage: int, instant: Thermodynamics) -> None:
        """Add a row of the series."""
        row = instant.row(time_fs, "")
        self.rows.append([float(row[column]) for column in NUMBERS])
        self.row_stages.append(stage)

    def add_frame(self, time_fs: float, step: int, stage: int, atoms: Atoms) -> None:
        """Add a frame: Å, Å/ps, and the box's rows in Å."""
        self.frames.append(
            {
                "time_fs": np.float64(time_fs),
                "step": np.int64(step),
                "stage": np.int64(stage),
                "positions": atoms.positions.astype(np.float32),
                "velocities": (atoms.get_velocities() * ANGSTROM_PER_PS).astype(np.float32),
                "cell": atoms.cell.array.copy(),
            }
        )

    def bytes(self) -> int:
        """Give the memory that the frames take, roughly."""
        return sum(2 * frame["positions"].nbytes for frame in self.frames)

    def arrays(self) -> dict[str, np.ndarray]:
        """Give rows and frames as arrays."""
        arrays = {
            "rows": np.array(self.rows).reshape(-1, len(NUMBERS)),
            "row_stages": np.array(self.row_stages, dtype=np.int64),
        }
        for key in ("time_fs", "step", "stage", "positions", "velocities", "cell"):
            arrays[f"frame_{key}"] = np.array([frame[key] for frame in self.frames])
        return arrays


class Checkpoint:
    """The checkpoint of a run, in a folder of its own.

    Parameters
    ----------
    folder
        Where it lives; made at the first save.
    identity
        Digest of all that the run depends on; a checkpoint of another identity is not taken up.
    lock
        Of the folder above, if several processes may want it.
    """

    def __init__(self, folder: Path, identity: str, lock: FolderLock | None = None) -> None:
        self.folder = folder
        self.identity = identity
        self.lock = lock
        self.segments = 0

    def save(
        self, samples: Samples, state: Mapping[str, object], header: Mapping[str, object]
    ) -> None:
        """Write the samples as a segment and then the state, which counts it.

        Parameters
        ----------
        samples
            What was sampled since the last save.
        state
            The integrator's state: arrays, and JSON-ready values.
        header
            What else the run needs to go on, JSON-ready.
        """
        self.flush(samples)
        arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
        values = {key: value for key, value in state.items() if key not in arrays}
        text = json.dumps(
            {
                "format": FORMAT,
                "identity": self.identity,
                "segments": self.segments,
                "header": header,
                "values": values,
            }
        )
        with atomic_path(self.folder / "state.npz") as path:
            np.savez(path, json=np.array(text), **arrays)  # type: ignore[arg-type]

    def flush(self, samples: Samples) -> None:
        """Write the samples as the next segment, and empty them."""
        if self.lock is not None:
            self.lock.check()
        if not samples.rows and not samples.frames:
            return
        with atomic_path(self._segment(self.segments)) as path:
            np.savez(path, **samples.arrays())  # type: ignore[arg-type]
        self.segments += 1
        samples.rows.clear()
        samples.row_stages.clear()
        samples.frames.clear()

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Give state and header of the last save, or None where there is none to go on from."""
        path = self.folder / "state.npz"
        if not path.exists():
            return None
        try:
            with np.load(path) as file:
                saved = json.loads(str(file["json"]))
                state = {key: file[key] for key in file.files if key != "json"}
            known = (saved.get("format", 1), saved["identity"]) == (FORMAT, self.identity)
        except (
            OSError,
            EOFError,
            ValueError,
            KeyError,
            TypeError,
            BadZipFile,
            zlib.error,
        ) as error:
            logger.warning("%s: cannot be read (%s): beginning anew", path, error)
            return None
        if not known:
            logger.warning("%s: is of another protocol or potential: beginning anew", path)
            return None
        if not self.take(saved["segments"]):
            return None
        return state | saved["values"], saved["header"]

    def take(self, segments: int) -> bool:
        """Go on behind so many segments, if all are there and whole; tell whether they are."""
        for index in range(segments):
            try:
                with zipfile.ZipFile(self._segment(index)) as file:
                    broken = file.testzip()
            except (OSError, BadZipFile) as error:
                broken = str(error)
            if broken is not None:
                logger.warning("%s: %s: beginning anew", self._segment(index), broken)
                return False
        self.segments = segments
        return True

    def read_segments(self) -> Iterator[dict[str, np.ndarray]]:
        """Give the arrays of one segment after the other."""
        for index in range(self.segments):
            with np.load(self._segment(index)) as file:
                yield dict(file)

    def remove(self) -> None:
        """Remove the folder: the run has ended and its outputs are written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _segment(self, index: int) -> Path:
        return self.folder / f"segment_{index:06d}.npz"
