"""Two time steps: a pair potential moves the atoms, a network corrects it once in several steps.

The reversible reference system propagator (r-RESPA) of Tuckerman, Berne and Martyna, J. Chem. Phys.
97, 1990 (1992): what is stiff in a network's forces is in a pair potential's too, which cost a
hundredth. A time step is half a kick by the difference of the two forces, some steps with the pair
potential alone (BAOAB and the barostat, as ever), and the other half of the kick. The difference of
the stresses kicks the barostat likewise. What is sampled is the network's, and so is the ensemble,
up to terms that vanish with the square of the time step.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ase import Atoms, units

from glassml.campaign.errors import GlassmlError
from glassml.md.engines.torchmd import Batch, Model, RampedBatch, TorchEngine
from glassml.md.protocol import Coupling, Stage
from glassml.potential.edges import volumes
from glassml.potential.kernels import Kernel

logger = logging.getLogger(__name__)

#: Energy may drift by this much without a thermostat, in meV/atom/ps: with one of 100 fs glasses
#: are 4 K hotter then than it.
MOST_DRIFT = 10.0
#: Time steps without a thermostat that are made to see it.
DRIFT_STEPS = 100


def kicked(
    momenta: torch.Tensor,
    forces: torch.Tensor,
    inner_forces: torch.Tensor,
    strain_momenta: torch.Tensor,
    cells: torch.Tensor,
    stress: torch.Tensor,
    inner_stress: torch.Tensor,
    half: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Let the difference of two forces act on atoms, and that of two stresses on boxes.

    Parameters
    ----------
    momenta, forces, inner_forces
        Of the atoms, shape (atoms, 3).
    strain_momenta, cells, stress, inner_stress
        Of the boxes; stresses in eV/Å³, tension positive.
    half
        Half a time step, a number.

    Returns
    -------
    momenta, strain_momenta
    """
    trace = (stress - inner_stress).diagonal(dim1=1, dim2=2).sum(dim=1)
    return (
        momenta + half * (forces - inner_forces),
        strain_momenta - half * volumes(cells) * trace,
    )


class TwoTimeSteps:
    """Integrates one stage for all glasses of a batch, as `RampedBatch`, with two time steps.

    Parameters
    ----------
    batch
        Whose model is the inner, fast one; moved in place.
    model
        The outer one: what the atoms feel on the whole.
    stage, coupling
        What to do, in time steps of the outer model.
    substeps
        Steps of the inner model in one of the outer.
    """

    def __init__(
        self, batch: Batch, model: Model, stage: Stage, coupling: Coupling, substeps: int
    ) -> None:
        self.batch, self.model, self.stage, self.substeps = batch, model, stage, substeps
        self._coupling = coupling
        inner = replace(
            stage, steps=substeps * stage.steps, timestep_fs=stage.timestep_fs / substeps
        )
        self.inner = RampedBatch(batch, inner, coupling)
        half = 0.5 * stage.timestep_fs * units.fs
        self._half = torch.tensor(half, dtype=torch.float64, device=batch.cells.device)
        self._kicked = Kernel(kicked, batch.cells.device)
        self._evaluate()

    @property
    def step(self) -> int:
        """Steps of the outer model that were made."""
        return self.inner.step // self.substeps

    def _evaluate(self) -> None:
        found = self.model(self.batch.positions, self.batch.cells)
        self.energy, self.forces, self.stress = found["energy"], found["forces"], found["stress"]

    def _kick(self) -> None:
        batch, inner = self.batch, self.inner
        momenta, strain_momenta = self._kicked(
            batch.momenta,
            self.forces,
            batch.forces,
            inner.strain_momenta,
            batch.cells,
            self.stress,
            batch.stress,
            self._half,
        )
        batch.momenta = momenta
        if inner.npt:
            inner.strain_momenta = strain_momenta

    def advance(self, count: int = 1) -> None:
        """Make steps towards the targets of each.

        Raises
        ------
        GlassmlError
            If energy is not conserved where the stage begins.
        """
        if self.step == 0:
            self._check()
        self._advance(count)

    def _check(self) -> None:
        """Look at the drift of the energy without a thermostat, and go back to where that began."""
        # copies: on a CPU arrays are views of what moves
        begin = {name: np.array(value) for name, value in self.arrays().items()}
        stage = replace(
            self.stage, ensemble="nve", steps=DRIFT_STEPS, temperature_K=None, pressure_GPa=None
        )
        free = TwoTimeSteps(self.batch, self.model, stage, self._coupling, self.substeps)
        drift = free.drift()
        self.restore(begin)
        logger.info("%s: energy drifts by %.2g meV/atom/ps in NVE", self.stage.name, drift)
        if not abs(drift) < MOST_DRIFT:
            raise GlassmlError(
                f"{self.stage.name}: with steps of {self.stage.timestep_fs:g} fs, each of "
                f"{self.substeps} inner ones, energy drifts by {drift:.2g} meV/atom/ps without a "
                f"thermostat, {MOST_DRIFT:g} are allowed: shorten timestep_fs, or leave out respa"
            )

    def drift(self) -> float:
        """Make all steps of the stage; give the slope of the total energy, in meV/atom/ps."""
        energies = []
        for _ in range(self.stage.steps):
            self._advance(1)
            kinetic = 0.5 * (self.batch.momenta**2).sum(dim=1) / self.batch.masses
            energies.append(self.energy.sum() + kinetic.sum())
        per_atom = 1e3 * torch.stack(energies).cpu().numpy() / len(self.batch.masses)
        times_ps = 1e-3 * self.stage.timestep_fs * np.arange(len(per_atom))
        return float(np.polyfit(times_ps, per_atom, 1)[0])

    def _advance(self, count: int) -> None:
        for _ in range(count):
            self._kick()
            self.inner.advance(self.substeps)
            self._evaluate()
            self._kick()

    _OWN = ("energy", "forces", "stress")

    def arrays(self) -> dict[str, object]:
        """Give all that the next step depends on."""
        arrays: dict[str, object] = {
            f"inner_{name}": value for name, value in self.inner.arrays().items()
        }
        arrays |= {name: getattr(self, name).cpu().numpy() for name in self._OWN}
        arrays |= self.model.kept()
        return arrays | {"step": self.step, "capacity": self.model.capacity}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take up what `arrays` gave, of the same stage and glasses."""
        begin = "inner_"
        inner = {name: arrays[name] for name in arrays if name.startswith(begin)}
        self.inner.restore({name.removeprefix(begin): inner[name] for name in inner})
        for name in self._OWN:
            setattr(self, name, self.batch.tensor(arrays[name]))
        self.model.reserve(int(arrays["capacity"]))
        self.model.take_up(arrays)

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""
        stay = self.batch.system != index
        others = torch.arange(len(self.energy), device=stay.device) != index
        self.forces = self.forces[stay]
        self.energy, self.stress = self.energy[others], self.stress[others]
        self.inner.remove(index)
        self.model.place(self.batch.glasses)


class RespaEngine(TorchEngine):
    """What `glassml.md.engines.batch` needs of an engine, with two time steps.

    Parameters
    ----------
    model, committee
        As in `TorchEngine`.
    inner
        The fast model of the inner steps.
    substeps
        Its steps in a time step.
    """

    def __init__(
        self, model: Model, inner: Model, substeps: int, committee: Sequence[Model] = ()
    ) -> None:
        super().__init__(model, committee)
        self.inner, self.substeps = inner, substeps

    def begin(self, glasses: Sequence[Atoms], seed: int) -> None:
        """Take up the glasses, as if the models had moved none before."""
        for model in (self.model, self.inner):
            model.reserve(0)
        self.model.place(glasses)
        self.batch = Batch(glasses, self.inner, seed)
        self.committee.place(glasses)

    def begin_stage(self, stage: Stage, coupling: Coupling) -> None:
        """Make the integrator of a stage."""
        self.integrator = TwoTimeSteps(self.batch, self.model, stage, coupling, self.substeps)
