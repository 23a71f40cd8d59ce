"""Relaxations side by side: each asks for one label at a time, and the store remembers them."""

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from tqdm import tqdm

from glassml.campaign.errors import GlassmlError
from glassml.campaign.store import LabelRecord

Label = Callable[[Sequence[Atoms]], Sequence[LabelRecord]]


class RelaxationError(GlassmlError):
    """Structures did not come to rest, or rest where no minimum is."""


class Relaxation:
    """Positions and cell within the space group, by BFGS.

    The space group is kept exactly, and so is the volume unless it is set free, so that equations
    of state are of one phase. The same labels give the same steps: a relaxation that was stopped
    walks through the store to where it was.

    Parameters
    ----------
    atoms
        Where it starts; its space group (found to 0.01 Å) is kept.
    fmax_eV_A
        At rest when no force is larger; strains count as forces along their displacement of the
        cell's atoms, so that 0.02 eV/Å is a shear stress of about 0.07 GPa in quartz.
    constant_volume
        False lets the cell relax to no pressure, by the stress of the labels.
    """

    def __init__(self, atoms: Atoms, fmax_eV_A: float, *, constant_volume: bool = True) -> None:
        self.atoms = atoms.copy()
        self.atoms.set_constraint(FixSymmetry(self.atoms))
        self.fmax = fmax_eV_A
        self.record: LabelRecord = {}
        self.steps = 0
        self.at_rest = False
        self.reason = ""  # why it was given up
        self.largest_force = float("inf")
        # A strain counts for as much as a quarter of the atoms: it is then about as stiff as they.
        factor = max(1.0, len(atoms) / 4)
        cell = FrechetCellFilter(
            self.atoms, constant_volume=constant_volume, exp_cell_factor=factor
        )
        self._cell = cell
        self._optimizer = BFGS(cell, logfile=None)  # type: ignore[arg-type]

    @property
    def moves(self) -> bool:
        """Tell whether it needs another label."""
        return not (self.at_rest or self.reason)

    def tell(self, record: LabelRecord) -> None:
        """Take the label of the structure as it is; step on unless it is at rest."""
        self.record = record
        self.atoms.calc = SinglePointCalculator(
            self.atoms,
            energy=record["energy"],
            forces=np.array(record["forces"]),
            stress=np.array(record["stress"]),
        )
        self.largest_force = float(np.linalg.norm(self._cell.get_forces(), axis=1).max())
        if self.largest_force < self.fmax:
            self.at_rest = True
        else:
            self._optimizer.step()
            self.steps += 1

    def result(self) -> Atoms:
        """Give the structure at rest, without constraint and calculator."""
        atoms = self.atoms.copy()
        atoms.set_constraint()
        return atoms


def relax_together(
    structures: Sequence[Atoms],
    label: Label,
    *,
    fmax_eV_A: float,
    max_steps: int = 60,
    constant_volume: bool = True,
) -> list[Relaxation]:
    """Relax structures side by side: in each round, all that move are labelled at once.

    What cannot be labelled, or is not at rest after `max_steps`, is set aside with its `reason`.

    Parameters
    ----------
    structures
        Where they start.
    label
        Labels many structures, which have the `info` of their starts; gives a record of the store
        for each.
    fmax_eV_A, constant_volume
        As for `Relaxation`.
    max_steps
        When a relaxation is given up.
    """
    relaxations = [
        Relaxation(atoms, fmax_eV_A, constant_volume=constant_volume) for atoms in structures
    ]
    with tqdm(total=len(relaxations), desc="relaxations", unit="cell") as progress:
        while moving := [item for item in relaxations if item.moves]:
            for item, record in zip(moving, label([it.atoms for it in moving]), strict=True):
                if record["status"] != "converged":
                    item.reason = f"{record['status']}: {record['reason']}"
                    continue
                item.tell(record)
                if item.steps > max_steps:
                    item.reason = f"not at rest after {max_steps} steps"
            progress.update(sum(not item.moves for item in relaxations) - progress.n)
            progress.set_postfix(steps=max(item.steps for item in relaxations))
    return relaxations
