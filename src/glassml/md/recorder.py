"""Samples of one glass on its way: rows, frames, guards, and the last sample that was good."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from ase import Atoms

from glassml.md.checkpoint import ANGSTROM_PER_PS, Samples
from glassml.md.guards import Limits, check_sample
from glassml.md.thermodynamics import Thermodynamics


class FrameJson(TypedDict):
    """A frame as JSON-ready values; what is not a number is null.

    Attributes
    ----------
    atom
        Index of the atom that is to blame for it, if one is.
    """

    atom: int | None
    symbols: list[str]
    positions_A: list[list[float | None]]
    cell_A: list[list[float | None]]
    velocities_A_per_ps: list[list[float | None]]


class Recorder:
    """Takes the samples of one glass, whichever engine moves it.

    Parameters
    ----------
    atoms
        Where the glass begins.
    limits
        The guards' limits.

    Attributes
    ----------
    samples
        Rows and frames that wait for the next checkpoint.
    good
        The last sample that passed the guards; at first the start.
    """

    def __init__(self, atoms: Atoms, limits: Limits) -> None:
        self.limits = limits
        self.samples = Samples()
        self.good = atoms.copy()
        self._last: Thermodynamics | None = None

    def sample(self, time_fs: float, stage: int, atoms: Atoms, instant: Thermodynamics) -> None:
        """Check a sample and keep it.

        Raises
        ------
        GuardTripped
            If it does not pass; then it is not kept.
        """
        check_sample(atoms, self.limits, instant, self._last)
        self.samples.add_row(time_fs, stage, instant)
        self._last = instant
        self.good = atoms.copy()

    def state(self) -> dict[str, np.ndarray]:
        """Give what a continued run needs of this, for the checkpoint."""
        state = {
            "good_cell": self.good.cell.array,
            "good_positions": self.good.positions,
            "good_momenta": self.good.get_momenta(),
        }
        if self._last is not None:
            state["last"] = np.array(self._last.numbers())
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up what `state` gave."""
        self.good.set_cell(state["good_cell"])
        self.good.positions[:] = state["good_positions"]
        self.good.set_momenta(state["good_momenta"])
        if "last" in state:
            self._last = Thermodynamics(*(float(number) for number in state["last"]))


def frame_json(atoms: Atoms, atom: int | None = None) -> FrameJson:
    """Give a frame as JSON-ready values; what is not a number becomes null.

    Parameters
    ----------
    atoms
        The frame.
    atom
        Index of the atom that is to blame for it, if one is.
    """
    return {
        "atom": atom,
        "symbols": atoms.get_chemical_symbols(),
        "positions_A": _nested(atoms.positions),
        "cell_A": _nested(atoms.cell.array),
        "velocities_A_per_ps": _nested(atoms.get_velocities() * ANGSTROM_PER_PS),
    }


def _nested(array: np.ndarray) -> list[list[float | None]]:
    return [[float(x) if np.isfinite(x) else None for x in row] for row in array]
