"""Relaxations side by side: each asks for one label at a time, and the store remembers them."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from tqdm import tqdm

from glassml.campaign.errors import GlassmlError
from glassml.campaign.store import LabelRecord

Label = Callable[[Sequence[Atoms]], Sequence[LabelRecord]]
Guide = Callable[[Sequence["Relaxation"]], Sequence[Atoms]]

GUIDED_FMAX_SHARE = 0.25  # so that what the guide leaves over does not keep a label from rest
GUIDED_STEPS = 500
GUIDED_REACH_A = 0.3  # farther from its label, a guide is not believed
PATIENCE = 2  # rounds without a new least force, until the guide is left

logger = logging.getLogger(__name__)


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
        self.constant_volume = constant_volume
        self._cell = cell_filter(self.atoms, constant_volume=constant_volume)
        self._optimizer = BFGS(self._cell, logfile=None)  # type: ignore[arg-type]

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
            self._step()
            self.steps += 1

    def _step(self) -> None:
        self._optimizer.step()

    def result(self) -> Atoms:
        """Give the structure at rest, without constraint and calculator."""
        atoms = self.atoms.copy()
        atoms.set_constraint()
        return atoms


class GuidedRelaxation(Relaxation):
    """A relaxation that goes where a potential, shifted onto the last label, comes to rest.

    A potential whose curvatures are nearly right so needs few labels. It rests by labels alone:
    a poor guide costs labels, not truth. Once `PATIENCE` rounds in a row had no new least force,
    it goes back to where the force was least, and on from there by BFGS. The parameters are those
    of `Relaxation`; after `tell`, what is still `guided` and moves must `follow`.
    """

    def __init__(self, atoms: Atoms, fmax_eV_A: float, *, constant_volume: bool = True) -> None:
        super().__init__(atoms, fmax_eV_A, constant_volume=constant_volume)
        self.guided = True
        self._best = self.atoms
        self._least_force = float("inf")
        self._in_vain = 0

    def _step(self) -> None:
        if self.guided:
            self._judge_guide()
        if not self.guided:
            super()._step()

    def _judge_guide(self) -> None:
        """Remember the structure of least force; leave the guide, and go there, if it misleads."""
        if self.largest_force < self._least_force:
            self._best, self._least_force, self._in_vain = self.atoms.copy(), self.largest_force, 0
            self._best.calc = self.atoms.calc
            return
        self._in_vain += 1
        if self._in_vain >= PATIENCE:
            logger.warning(
                "%s: the guide misleads after %d steps: on without it",
                self.atoms.info.get("config_id", "a structure"),
                self.steps,
            )
            self.guided = False
            self.follow(self._best)
            self.atoms.calc = self._best.calc

    def follow(self, atoms: Atoms) -> None:
        """Go where a guide points, with the symmetry that it kept."""
        self.atoms.set_cell(atoms.cell, apply_constraint=False)
        self.atoms.set_positions(atoms.positions, apply_constraint=False)


class Shifted(Calculator):
    """A potential whose forces and stress are shifted onto those of a label.

    The energy is not shifted: BFGS does not look at it.

    Parameters
    ----------
    guide
        The potential.
    labelled
        A structure with the calculator of its label; forces in eV/Å, stress in eV/Å³.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012  (as ASE has it)

    def __init__(self, guide: Calculator, labelled: Atoms) -> None:
        super().__init__()
        self._guide = guide
        self._shifts = {
            name: labelled.calc.get_property(name) - guide.get_property(name, labelled)
            for name in ("forces", "stress")
        }

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate the potential and add the shifts."""
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": self._guide.get_property("energy", atoms)} | {
            name: self._guide.get_property(name, atoms) + shift
            for name, shift in self._shifts.items()
        }


def cell_filter(atoms: Atoms, *, constant_volume: bool) -> FrechetCellFilter:
    """Give positions and cell as one set of coordinates in Å, with forces in eV/Å."""
    # A strain counts for as much as a quarter of the atoms: it is then about as stiff as they.
    factor = max(1.0, len(atoms) / 4)
    return FrechetCellFilter(atoms, constant_volume=constant_volume, exp_cell_factor=factor)


def guided_rest(guide: Calculator, relaxation: Relaxation) -> Atoms:
    """Give where a potential, shifted onto the label of a relaxation, brings it to rest.

    Parameters
    ----------
    guide
        The potential.
    relaxation
        One that was told the label of its structure.

    Returns
    -------
    Atoms
        At rest to a quarter of what the labels are asked for, or on the way there, at most about
        0.3 Å from the label (strains counting as displacements).
    """
    atoms = relaxation.atoms.copy()
    atoms.calc = Shifted(guide, relaxation.atoms)
    cell = cell_filter(atoms, constant_volume=relaxation.constant_volume)
    start = cell.get_positions()
    optimizer = BFGS(cell, logfile=None)  # type: ignore[arg-type]
    for _ in optimizer.irun(GUIDED_FMAX_SHARE * relaxation.fmax, GUIDED_STEPS):
        if np.linalg.norm(cell.get_positions() - start, axis=1).max() > GUIDED_REACH_A:
            break
    atoms.calc = None
    return atoms


def relax_together(
    structures: Sequence[Atoms],
    label: Label,
    *,
    fmax_eV_A: float,
    max_steps: int = 60,
    constant_volume: bool = True,
    guide: Guide | None = None,
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
    guide
        Gives where many relaxations go, by `guided_rest`; without it they step by BFGS alone.
    """
    kind = Relaxation if guide is None else GuidedRelaxation
    relaxations = [kind(atoms, fmax_eV_A, constant_volume=constant_volume) for atoms in structures]
    with tqdm(total=len(relaxations), desc="relaxations", unit="cell") as progress:
        while moving := [item for item in relaxations if item.moves]:
            for item, record in zip(moving, label([it.atoms for it in moving]), strict=True):
                if record["status"] != "converged":
                    item.reason = f"{record['status']}: {record['reason']}"
                    continue
                item.tell(record)
                if item.steps > max_steps:
                    item.reason = f"not at rest after {max_steps} steps"
            if guide is not None:
                _follow(guide, moving)
            progress.update(sum(not item.moves for item in relaxations) - progress.n)
            progress.set_postfix(steps=max(item.steps for item in relaxations))
    return relaxations


def _follow(guide: Guide, relaxations: Sequence[Relaxation]) -> None:
    """Let those that are still guided go where the guide points."""
    asking = [
        item
        for item in relaxations
        if isinstance(item, GuidedRelaxation) and item.guided and item.moves
    ]
    if asking:
        for item, atoms in zip(asking, guide(asking), strict=True):
            item.follow(atoms)
