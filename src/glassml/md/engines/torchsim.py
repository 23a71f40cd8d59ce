"""Langevin dynamics of a batch of glasses by torch-sim, on a CPU or a GPU.

torch-sim needs Python 3.12 or later, so this module is imported only where that engine is asked
for. Thermostat: Langevin, BAOAB, as in the ASE engine. Barostat: torch-sim's isotropic Langevin
barostat in the logarithmic strain (Grønbech-Jensen and Farago, J. Chem. Phys. 141, 194108 (2014)),
with the same mass as in the ASE engine and the same friction.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_sim as ts
from ase import Atoms, units
from nequip.data._nl import NEIGHBORLIST_BACKEND_ALCHEMIOPS
from nequip.integrations.torchsim import NequIPTorchSimCalc
from torch_sim.integrators.md import MDState
from torch_sim.integrators.npt import npt_langevin_isotropic_init, npt_langevin_isotropic_step
from torch_sim.integrators.nve import nve_step
from torch_sim.integrators.nvt import nvt_langevin_step
from torch_sim.models.interface import ModelInterface

from glassml.campaign.files import file_sha256
from glassml.campaign.trust import require
from glassml.md.engines.integrator import barostat_mass
from glassml.md.protocol import Coupling, Stage
from glassml.potential.packages import choose_device

logger = logging.getLogger(__name__)


def load_model(
    package: Path, device: str | None = None
) -> tuple[ModelInterface, dict[str, object]]:
    """Load a NequIP package as a torch-sim model; arguments and results as of `load_network`."""
    device = choose_device(device)
    require(package)
    model = NequIPTorchSimCalc._from_saved_model(  # noqa: SLF001
        package,
        device=device,
        chemical_species_to_atom_type_map=True,
        neighborlist_backend=NEIGHBORLIST_BACKEND_ALCHEMIOPS,
    )
    description: dict[str, object] = {
        "path": str(package),
        "sha256": file_sha256(package),
        "backend": "eager",
        "device": device,
    }
    return model, description


class Remembering:
    """A model that keeps its last output: torch-sim's NVT and NVE states have no stress."""

    def __init__(self, model: ModelInterface) -> None:
        self.model, self.device, self.dtype = model, model.device, model.dtype
        self.last: dict[str, torch.Tensor] = {}

    def __call__(self, state: ts.SimState) -> dict[str, torch.Tensor]:
        """Compute energy, forces and stress."""
        self.last = self.model(state)
        return self.last


class BatchedLangevin:
    """Integrates one stage for all glasses of a batch.

    Parameters
    ----------
    state
        Positions, momenta and boxes.
    model
        What computes energy, forces and stress.
    stage, coupling
        What to do.
    """

    def __init__(
        self, state: MDState, model: Remembering, stage: Stage, coupling: Coupling
    ) -> None:
        self.stage, self.model = stage, model
        self.step = 0
        self.dt = stage.timestep_fs * units.fs
        self.friction = 1.0 / (coupling.thermostat_fs * units.fs)
        if stage.ensemble == "npt":
            volumes = torch.linalg.det(state.cell).tolist()
            self.masses = torch.tensor(
                [barostat_mass(abs(volume), coupling) for volume in volumes],
                dtype=model.dtype,
                device=model.device,
            )
            mean_mass = state.masses.mean()
            self.state: Any = npt_langevin_isotropic_init(
                state,
                model,
                kT=self._thermal_energy(0),
                dt=self.dt,
                alpha=self.friction * mean_mass,  # torch-sim's friction is a rate times a mass
                cell_alpha=self.masses / (coupling.barostat_fs * units.fs),
            )
        else:
            output = model(state)
            self.state = MDState.from_state(
                state, momenta=state.momenta, energy=output["energy"], forces=output["forces"]
            )

    def _thermal_energy(self, step: int) -> float:
        return units.kB * (self.stage.temperature_at(step) or 0.0)

    def advance(self, count: int = 1) -> None:
        """Make steps towards the targets of each."""
        for _ in range(count):
            self._advance()

    def _advance(self) -> None:
        step = self.step + 1
        if self.stage.ensemble == "npt":
            # torch-sim's mass is (N + 1) kT τ²; this τ keeps it what it is along a ramp.
            count = self.state.n_atoms_per_system + 1
            self.state.b_tau = torch.sqrt(self.masses / (count * self._thermal_energy(step)))
            pressure = (self.stage.pressure_at(step) or 0.0) * units.GPa
            self.state = npt_langevin_isotropic_step(
                self.state,
                self.model,
                dt=self.dt,
                kT=self._thermal_energy(step),
                external_pressure=pressure,
            )
        elif self.stage.ensemble == "nvt":
            self.state = nvt_langevin_step(
                self.state,
                self.model,
                dt=self.dt,
                kT=self._thermal_energy(step),
                gamma=self.friction,
            )
        else:
            self.state = nve_step(self.state, self.model, dt=self.dt)
        self.step = step

    def arrays(self) -> dict[str, object]:
        """Give all that the next step depends on."""
        arrays: dict[str, object] = {
            f"batch_{name}": value.cpu().numpy()
            for name, value in self.state.attributes.items()
            if isinstance(value, torch.Tensor)
        }
        arrays["batch_random"] = self.state.rng.get_state().cpu().numpy()
        if self.stage.ensemble == "npt":
            arrays["barostat_masses"] = self.masses.cpu().numpy()
        return arrays | {"step": self.step}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take up what `arrays` gave, of the same stage and glasses."""
        for name, value in self.state.attributes.items():
            if isinstance(value, torch.Tensor):
                setattr(self.state, name, torch.as_tensor(arrays[f"batch_{name}"]).to(value))
        self.state.rng.set_state(torch.as_tensor(arrays["batch_random"]))
        if self.stage.ensemble == "npt":
            self.masses = torch.as_tensor(arrays["barostat_masses"]).to(self.masses)
        self.step = int(arrays["step"])

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""
        self.state.pop([index])
        if self.stage.ensemble == "npt":
            keep = torch.arange(len(self.masses), device=self.masses.device) != index
            self.masses = self.masses[keep]


def batch_state(glasses: Sequence[Atoms], model: ModelInterface, seed: int) -> MDState:
    """Put glasses with momenta into one torch-sim state.

    Parameters
    ----------
    glasses
        Atoms with momenta.
    model
        Its device and number type are those of the state.
    seed
        Of the batch's random numbers.
    """
    state = ts.initialize_state(list(glasses), model.device, model.dtype)
    momenta = np.concatenate([atoms.get_momenta() for atoms in glasses])
    zeros = torch.zeros_like(state.positions)
    batch = MDState.from_state(
        state,
        momenta=torch.as_tensor(momenta).to(state.positions),
        energy=torch.zeros(len(glasses), dtype=model.dtype, device=model.device),
        forces=zeros,
    )
    batch.rng = seed
    return batch


class TorchSimEngine:
    """What `glassml.md.engines.batch` needs of an engine, with torch-sim.

    Parameters
    ----------
    model
        A torch-sim model with stress.
    """

    def __init__(self, model: ModelInterface) -> None:
        self.model = Remembering(model)
        self.integrator: Any = None

    def begin(self, glasses: Sequence[Atoms], seed: int) -> None:
        """Take up the glasses."""
        self._state = batch_state(glasses, self.model.model, seed)
        self.integrator = None

    def begin_stage(self, stage: Stage, coupling: Coupling) -> None:
        """Make the integrator of a stage."""
        state = self._state if self.integrator is None else self.integrator.state
        self.integrator = BatchedLangevin(state, self.model, stage, coupling)

    def remove(self, index: int) -> None:
        """Take a glass out of the batch."""
        self.integrator.remove(index)

    def positions_momenta_cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copy them from the device."""
        state = self.integrator.state
        return (
            state.positions.cpu().numpy(),
            state.momenta.cpu().numpy(),
            state.row_vector_cell.cpu().numpy(),
        )

    def energies_stresses(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy potential energies in eV and stresses in eV/Å³ from the device."""
        return self.integrator.state.energy.cpu().numpy(), self.model.last["stress"].cpu().numpy()

    def ask_committee(self) -> None:
        """Do nothing: this engine has no committee."""

    def force_spreads(self) -> list[tuple[float, int]]:
        """Give nothing: this engine has no committee."""
        return []
