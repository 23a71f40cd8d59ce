"""Langevin dynamics of a batch of glasses with torch, on a CPU or a GPU.

The same scheme as in the ASE engine (`glassml.md.integrator`), for all glasses at once: BAOAB
with the stochastic isotropic barostat of Quigley and Probert, J. Chem. Phys. 120, 11432 (2004).
Positions, momenta and boxes are in double precision and ASE's units, whatever the network's are.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from ase import Atoms, units

from glassml.md.integrator import barostat_mass
from glassml.md.protocol import Coupling, Stage
from glassml.potential.edges import volumes
from glassml.potential.exploration import worst_force
from glassml.potential.padded import Result


class Model(Protocol):
    """What computes energy, forces and stress of a batch; see `glassml.potential.padded`."""

    device: torch.device
    capacity: int

    def reserve(self, capacity: int) -> None:
        """Take up the capacity of a run that goes on: sums come out the same, bit for bit."""

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch."""

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
        self.positions = self._tensor(np.concatenate([atoms.positions for atoms in glasses]))
        self.momenta = self._tensor(np.concatenate([atoms.get_momenta() for atoms in glasses]))
        self.masses = self._tensor(np.concatenate([atoms.get_masses() for atoms in glasses]))
        self.cells = self._tensor(np.array([atoms.cell.array for atoms in glasses]))
        self._count()
        self.evaluate()

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float64).to(self.model.device)

    def _count(self) -> None:
        self.counts = [len(atoms) for atoms in self.glasses]
        sizes = torch.tensor(self.counts, device=self.model.device)
        self.sizes = sizes.to(torch.float64)
        self.system = torch.repeat_interleave(
            torch.arange(len(sizes), device=self.model.device), sizes
        )
        self.model.place(self.glasses)

    def evaluate(self) -> None:
        """Compute energy, forces and stress where the atoms are."""
        found = self.model(self.positions, self.cells)
        self.energy, self.forces, self.stress = found["energy"], found["forces"], found["stress"]

    def twice_kinetic(self) -> torch.Tensor:
        """Give twice the kinetic energy of each glass in eV."""
        each = (self.momenta**2).sum(dim=1) / self.masses
        return torch.zeros_like(self.sizes).index_add_(0, self.system, each)

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
        self.dt = stage.timestep_fs * units.fs
        self.rate = 1.0 / (coupling.thermostat_fs * units.fs)
        self.barostat_rate = 1.0 / (coupling.barostat_fs * units.fs)
        self.npt = stage.ensemble == "npt"
        boxes = volumes(batch.cells).tolist()
        self.barostat_masses = torch.tensor(
            [barostat_mass(volume, coupling) for volume in boxes],
            dtype=torch.float64,
            device=batch.cells.device,
        )
        self.strain_momenta = torch.zeros_like(self.barostat_masses)
        self.strain_forces = self._strain_forces(0)

    def _strain_forces(self, step: int) -> torch.Tensor:
        """Give the force on the logarithm of the box's edge, in eV."""
        batch = self.batch
        twice_kinetic, volume = batch.twice_kinetic(), volumes(batch.cells)
        trace = batch.stress.diagonal(dim1=1, dim2=2).sum(dim=1)
        internal = twice_kinetic - volume * trace
        external = 3.0 * volume * (self.stage.pressure_at(step) or 0.0) * units.GPa
        return internal - external + twice_kinetic / batch.sizes

    def advance(self) -> None:
        """Make one step towards the targets of that step."""
        step, batch, dt = self.step + 1, self.batch, self.dt
        if self.npt:
            self.strain_momenta += 0.5 * dt * self.strain_forces
        batch.momenta += 0.5 * dt * batch.forces
        self._scale()
        self._drift()
        self._random(step)
        self._drift()
        self._scale()
        batch.evaluate()
        if self.npt:
            self.strain_forces = self._strain_forces(step)
        batch.momenta += 0.5 * dt * batch.forces
        if self.npt:
            self.strain_momenta += 0.5 * dt * self.strain_forces
        self.step = step

    def _scale(self) -> None:
        """Scale boxes and positions over half a step."""
        if self.npt:
            factor = torch.exp(0.5 * self.dt * self.strain_momenta / self.barostat_masses)
            self.batch.cells = self.batch.cells * factor[:, None, None]
            self.batch.positions = self.batch.positions * factor[self.batch.system, None]

    def _drift(self) -> None:
        batch = self.batch
        batch.positions = batch.positions + 0.5 * self.dt * batch.momenta / batch.masses[:, None]

    def _random(self, step: int) -> None:
        """Friction and random forces of thermostat and barostat over a step."""
        temperature = self.stage.temperature_at(step)
        if temperature is None:
            return
        batch, thermal = self.batch, units.kB * temperature
        friction = torch.full_like(self.strain_momenta, self.rate)
        if self.npt:
            friction += (1.0 + 1.0 / batch.sizes) * self.strain_momenta / self.barostat_masses
        batch.momenta *= torch.exp(-friction * self.dt)[batch.system, None]
        width = (thermal * (1.0 - np.exp(-2.0 * self.rate * self.dt))) ** 0.5
        batch.momenta += width * batch.masses[:, None].sqrt() * batch.normal(len(batch.masses), 3)
        if self.npt:
            width = (thermal * (1.0 - np.exp(-2.0 * self.barostat_rate * self.dt))) ** 0.5
            self.strain_momenta *= np.exp(-self.barostat_rate * self.dt)
            noise = batch.normal(len(self.strain_momenta))
            self.strain_momenta += width * self.barostat_masses.sqrt() * noise

    _OF_BATCH = ("positions", "momenta", "cells", "energy", "forces", "stress")
    _OWN = ("barostat_masses", "strain_momenta", "strain_forces")

    def arrays(self) -> dict[str, Any]:
        """Give all that the next step depends on."""
        arrays: dict[str, Any] = {
            f"batch_{name}": getattr(self.batch, name).cpu().numpy() for name in self._OF_BATCH
        }
        arrays |= {name: getattr(self, name).cpu().numpy() for name in self._OWN}
        arrays["batch_random"] = self.batch.generator.get_state().cpu().numpy()
        return arrays | {"step": self.step, "capacity": self.batch.model.capacity}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take up what `arrays` gave, of the same stage and glasses."""
        for name in self._OF_BATCH:
            setattr(self.batch, name, self.batch._tensor(arrays[f"batch_{name}"]))  # noqa: SLF001
        for name in self._OWN:
            setattr(self, name, self.batch._tensor(arrays[name]))  # noqa: SLF001
        self.batch.generator.set_state(torch.as_tensor(arrays["batch_random"]))
        self.batch.model.reserve(int(arrays["capacity"]))
        self.step = int(arrays["step"])

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""
        stay = torch.arange(len(self.strain_momenta), device=self.strain_momenta.device) != index
        for name in self._OWN:
            setattr(self, name, getattr(self, name)[stay])
        self.batch.remove(index)


class TorchEngine:
    """What `glassml.md.batch` needs of an engine, with torch alone.

    Parameters
    ----------
    model
        What moves the glasses.
    committee
        Further members, which are asked for their forces from time to time.
    """

    def __init__(self, model: Model, committee: Sequence[Model] = ()) -> None:
        self.model, self.committee = model, list(committee)
        self.integrator: RampedBatch

    def begin(self, glasses: Sequence[Atoms], seed: int) -> None:
        """Take up the glasses."""
        self.batch = Batch(glasses, self.model, seed)
        for member in self.committee:
            member.place(glasses)

    def begin_stage(self, stage: Stage, coupling: Coupling) -> None:
        """Make the integrator of a stage."""
        self.integrator = RampedBatch(self.batch, stage, coupling)

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""
        self.integrator.remove(index)
        for member in self.committee:
            member.place(self.batch.glasses)

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
        return self.batch.energy.cpu().numpy(), self.batch.stress.cpu().numpy()

    def force_spreads(self) -> list[tuple[float, int]]:
        """Give the committee's disagreement about each glass in eV/Å, and the glass's atom."""
        if not self.committee:
            return []
        batch = self.batch
        forces = [batch.forces.cpu().numpy()]
        forces += [
            member(batch.positions, batch.cells)["forces"].cpu().numpy()
            for member in self.committee
        ]
        ends = np.cumsum(batch.counts)
        return [
            worst_force([each[end - count : end] for each in forces])
            for count, end in zip(batch.counts, ends, strict=True)
        ]
