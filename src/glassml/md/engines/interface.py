"""What moves a batch of glasses: torch alone (`torchmd`), or torch-sim (`torchsim`)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from glassml.md.protocol import Coupling, Stage


class Integrator(Protocol):
    """Moves a batch through a stage."""

    stage: Stage

    @property
    def step(self) -> int:
        """Steps that were made."""

    def advance(self, count: int = 1) -> None:
        """Make steps."""

    def arrays(self) -> dict[str, object]:
        """Give all that the next step depends on."""

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take up what `arrays` gave."""


class BatchEngine(Protocol):
    """Moves a batch of glasses.

    Attributes
    ----------
    model
        What computes forces; it has a `device`.
    """

    model: Any

    @property
    def integrator(self) -> Integrator:
        """Of the stage that has begun."""

    def begin(self, glasses: Sequence[Atoms], seed: int) -> None:
        """Take up the glasses."""

    def begin_stage(self, stage: Stage, coupling: Coupling) -> None:
        """Make the integrator of a stage."""

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""

    def positions_momenta_cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copy them from the device, one glass after the other."""

    def energies_stresses(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy potential energies in eV and stresses in eV/Å³ from the device."""

    def ask_committee(self) -> None:
        """Begin to ask the committee about all glasses, if there is one."""

    def force_spreads(self) -> list[tuple[float, int]]:
        """Give its disagreement about each glass in eV/Å, and the glass's atom, once it is known.

        Of what was asked for last; nothing without a committee.
        """
