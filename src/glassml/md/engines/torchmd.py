"""Langevin dynamics of a batch of glasses with torch, on a CPU or a GPU.

The same scheme as in the ASE engine (`glassml.md.engines.integrator`), for all glasses at once:
BAOAB with the stochastic isotropic barostat of Quigley and Probert, J. Chem. Phys. 120, 11432
(2004). Positions, momenta and boxes are in double precision and ASE's units, whatever the
network's are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from ase import Atoms, units

from glassml.md.engines.baoab import after_forces, before_forces, forces_on_strain
from glassml.md.engines.committee import Committee
from glassml.md.engines.integrator import barostat_mass
from glassml.md.engines.interface import Integrator
from glassml.md.engines.launches import Launched, Launches
from glassml.md.protocol import Coupling, Stage
from glassml.potential.edges import volumes
from glassml.potential.kernels import Kernel
from glassml.potential.padded import Result

#: Targets of a ramp that are brought to the device at once.
TARGETS_AT_ONCE = 4096


class Model(Protocol):
    """What computes energy, forces and stress of a batch; see `glassml.potential.padded`."""

    device: torch.device
    capacity: int

    def reserve(self, capacity: int) -> None:
        """Take up the capacity of a run that goes on: sums come out the same, bit for bit."""

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch."""

    def kept(self) -> Mapping[str, np.ndarray]:
        """Give what a sum depends on besides places and boxes."""

    def take_up(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take up what `kept` gave."""

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3) and `stress` (systems, 3, 3)."""


class Batch:
    """Glasses that move together.

    Parameters
    ----------
    glasses
        With momenta.
    model
        What moves them.
    seed
        Of the batch's random numbers.
    """

    def __init__(self, glasses: Sequence[Atoms], model: Model, seed: int) -> None:
        self.model, self.glasses = model, list(glasses)
        self.generator = torch.Generator(model.device)
        self.generator.manual_seed(seed)
        self.positions = self.tensor(np.concatenate([atoms.positions for atoms in glasses]))
        self.momenta = self.tensor(np.concatenate([atoms.get_momenta() for atoms in glasses]))
        self.masses = self.tensor(np.concatenate([atoms.get_masses() for atoms in glasses]))
        self.cells = self.tensor(np.array([atoms.cell.array for atoms in glasses]))
        self._count()
        self.evaluate()

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Bring numbers to the device."""
        return torch.as_tensor(array, dtype=torch.float64).to(self.model.device)

    def _count(self) -> None:
        self.counts = [len(atoms) for atoms in self.glasses]
        sizes = torch.tensor(self.counts, device=self.model.device)
        self.sizes = sizes.to(torch.float64)
        glasses = torch.arange(len(sizes), device=self.model.device)
        self.system = torch.repeat_interleave(glasses, sizes)
        self.membership = (self.system == glasses[:, None]).to(torch.float64)
        self.model.place(self.glasses)

    def evaluate(self) -> None:
        """Compute energy, forces and stress where the atoms are."""
        found = self.model(self.positions, self.cells)
        self.energy, self.forces, self.stress = found["energy"], found["forces"], found["stress"]

    def normal(self, *shape: int) -> torch.Tensor:
        """Draw normal random numbers."""
        return torch.randn(
            shape, generator=self.generator, dtype=torch.float64, device=self.model.device
        )

    def remove(self, index: int) -> None:
        """Take a glass out."""
        stay = self.system != index
        self.positions, self.momenta = self.positions[stay], self.momenta[stay]
        self.masses, self.forces = self.masses[stay], self.forces[stay]
        others = torch.arange(len(self.counts), device=stay.device) != index
        self.cells, self.energy = self.cells[others], self.energy[others]
        self.stress = self.stress[others]
        del self.glasses[index]
        self._count()


class RampedBatch:
    """Integrates one stage for all glasses of a batch.

    Parameters
    ----------
    batch
        Moved in place.
    stage, coupling
        What to do.
    """

    def __init__(self, batch: Batch, stage: Stage, coupling: Coupling) -> None:
        self.batch, self.stage = batch, stage
        self.step = 0
        self.half = self._number(0.5 * stage.timestep_fs * units.fs)
        self._rates = [
            1.0 / (fs * units.fs) for fs in (coupling.thermostat_fs, coupling.barostat_fs)
        ]
        self._chunk = -1
        self.npt = stage.ensemble == "npt"
        boxes = volumes(batch.cells).tolist()
        self.barostat_masses = self._number([barostat_mass(volume, coupling) for volume in boxes])
        self.strain_momenta = torch.zeros_like(self.barostat_masses)
        self._before = Kernel(before_forces, batch.cells.device)
        self._after = Kernel(after_forces, batch.cells.device)
        self.strain_forces = forces_on_strain(
            batch.momenta,
            batch.masses,
            batch.membership,
            batch.sizes,
            batch.cells,
            batch.stress,
            self.targets(0, 1)[0],
        )
        self._launches = Launches(self) if isinstance(batch.model, Launched) else None

    @property
    def energy(self) -> torch.Tensor:
        """Potential energy of each glass in eV."""
        return self.batch.energy

    @property
    def forces(self) -> torch.Tensor:
        """Forces on the atoms in eV/Å."""
        return self.batch.forces

    @property
    def stress(self) -> torch.Tensor:
        """Stress of each glass in eV/Å³, tension positive."""
        return self.batch.stress

    def _number(self, value: float | Sequence[float] | Sequence[list[float]]) -> torch.Tensor:
        """Put a number on the device: a compiled kernel would be one for each value."""
        return torch.tensor(value, dtype=torch.float64, device=self.batch.cells.device)

    def targets(self, begin: int, count: int) -> torch.Tensor:
        """Give the rates, k T and pressure of steps, shape (count, 4), on the device.

        Those of many steps are brought there at once: at each step it would be made to wait.
        """
        chunk = begin // TARGETS_AT_ONCE
        if chunk != self._chunk:
            first, stage = chunk * TARGETS_AT_ONCE, self.stage
            self._rows = self._number(
                [
                    [
                        *self._rates,
                        (stage.temperature_at(step) or 0.0) * units.kB,
                        (stage.pressure_at(step) or 0.0) * units.GPa,
                    ]
                    for step in range(first, min(first + TARGETS_AT_ONCE, stage.steps + 1))
                ]
            )
            self._chunk = chunk
        inside = begin - chunk * TARGETS_AT_ONCE
        rows = self._rows[inside : inside + count]
        if len(rows) < count:
            return torch.cat([rows, self.targets(begin + len(rows), count - len(rows))])
        return rows

    def noise(self, *steps: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Draw the random numbers of a step, or of so many steps, for atoms and for boxes."""
        noise = strain_noise = None
        if self.stage.temperature_K is not None:
            noise = self.batch.normal(*steps, len(self.batch.masses), 3)
        if self.npt:
            strain_noise = self.batch.normal(*steps, len(self.strain_momenta))
        return noise, strain_noise

    def advance(self, count: int = 1) -> None:
        """Make steps towards the targets of each."""
        if self._launches is not None:
            self._launches.advance(count)
            return
        for step in range(self.step + 1, self.step + count + 1):
            self.move(self.targets(step, 1)[0], *self.noise(), self.batch.model)
            self.step = step

    def move(
        self,
        targets: torch.Tensor,
        noise: torch.Tensor | None,
        strain_noise: torch.Tensor | None,
        model: Callable[[torch.Tensor, torch.Tensor], Result],
    ) -> None:
        """Make a step, for which nothing but `model` waits for the device."""
        batch = self.batch
        batch.positions, batch.momenta, batch.cells, self.strain_momenta = self._before(
            batch.positions,
            batch.momenta,
            batch.cells,
            batch.forces,
            batch.masses,
            batch.system,
            batch.sizes,
            self.strain_momenta,
            self.strain_forces,
            self.barostat_masses,
            self.half,
            targets,
            noise,
            strain_noise,
        )
        found = model(batch.positions, batch.cells)
        batch.energy, batch.forces, batch.stress = found["energy"], found["forces"], found["stress"]
        if not self.npt:
            batch.momenta = batch.momenta + self.half * batch.forces
            return
        batch.momenta, self.strain_momenta, self.strain_forces = self._after(
            batch.momenta,
            batch.forces,
            batch.masses,
            batch.membership,
            batch.sizes,
            batch.cells,
            batch.stress,
            self.strain_momenta,
            self.half,
            targets,
        )

    _OF_BATCH = ("positions", "momenta", "cells", "energy", "forces", "stress")
    _OWN = ("barostat_masses", "strain_momenta", "strain_forces")

    def arrays(self) -> dict[str, object]:
        """Give all that the next step depends on."""
        arrays: dict[str, object] = {
            f"batch_{name}": getattr(self.batch, name).cpu().numpy() for name in self._OF_BATCH
        }
        arrays |= {name: getattr(self, name).cpu().numpy() for name in self._OWN}
        arrays["batch_random"] = self.batch.generator.get_state().cpu().numpy()
        arrays |= self.batch.model.kept()
        return arrays | {"step": self.step, "capacity": self.batch.model.capacity}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take up what `arrays` gave, of the same stage and glasses."""
        for name in self._OF_BATCH:
            setattr(self.batch, name, self.batch.tensor(arrays[f"batch_{name}"]))
        for name in self._OWN:
            setattr(self, name, self.batch.tensor(arrays[name]))
        self.batch.generator.set_state(torch.as_tensor(arrays["batch_random"]))
        self.batch.model.reserve(int(arrays["capacity"]))
        self.batch.model.take_up(arrays)
        self.step = int(arrays["step"])
        self._forget_launches()

    def _forget_launches(self) -> None:
        if self._launches is not None:
            self._launches = Launches(self)

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""
        stay = torch.arange(len(self.strain_momenta), device=self.strain_momenta.device) != index
        for name in self._OWN:
            setattr(self, name, getattr(self, name)[stay])
        self.batch.remove(index)
        self._forget_launches()


class Moving(Integrator, Protocol):
    """An integrator that keeps on the device what its model found last."""

    @property
    def energy(self) -> torch.Tensor:
        """Potential energy of each glass in eV."""

    @property
    def forces(self) -> torch.Tensor:
        """Forces on the atoms in eV/Å."""

    @property
    def stress(self) -> torch.Tensor:
        """Stress of each glass in eV/Å³, tension positive."""

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""


class TorchEngine:
    """What `glassml.md.engines.batch` needs of an engine, with torch alone.

    Parameters
    ----------
    model
        What moves the glasses.
    committee
        Further members, which are asked for their forces from time to time, beside the steps.
    """

    def __init__(self, model: Model, committee: Sequence[Model] = ()) -> None:
        self.model, self.committee = model, Committee(committee)
        self.integrator: Moving

    def begin(self, glasses: Sequence[Atoms], seed: int) -> None:
        """Take up the glasses, as if the model had moved none before."""
        self.model.reserve(0)
        self.batch = Batch(glasses, self.model, seed)
        self.committee.place(glasses)

    def begin_stage(self, stage: Stage, coupling: Coupling) -> None:
        """Make the integrator of a stage."""
        self.integrator = RampedBatch(self.batch, stage, coupling)

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""
        self.integrator.remove(index)
        self.committee.place(self.batch.glasses)

    def positions_momenta_cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copy them from the device."""
        batch = self.batch
        return (
            batch.positions.cpu().numpy(),
            batch.momenta.cpu().numpy(),
            batch.cells.cpu().numpy(),
        )

    def energies_stresses(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy potential energies in eV and stresses in eV/Å³ from the device."""
        return self.integrator.energy.cpu().numpy(), self.integrator.stress.cpu().numpy()

    def ask_committee(self) -> None:
        """Begin to ask the committee about all glasses, if there is one."""
        if len(self.committee):
            batch = self.batch
            forces = self.integrator.forces
            self.committee.ask(batch.positions, batch.cells, forces, batch.counts)

    def force_spreads(self) -> list[tuple[float, int]]:
        """Give what the committee was asked for last: see `Committee`."""
        return self.committee.answer()
