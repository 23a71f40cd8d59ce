"""ASE's Langevin integrator driven along ramps, with a state that can be saved and restored.

`LangevinBAOAB` is the BAOAB splitting of Leimkuhler and Matthews, J. Chem. Phys. 138, 174102
(2013), with the stochastic isotropic barostat of Quigley and Probert, J. Chem. Phys. 120, 11432
(2004). Without a temperature it is velocity Verlet. One integrator serves all ensembles, and
everything that it carries from step to step is in `IntegratorState`.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevinbaoab import LangevinBAOAB

from glassml.md.protocol import Coupling, Stage


def barostat_mass(volume_A3: float, coupling: Coupling) -> float:
    """Give the mass of the barostat in eV·(ASE time)².

    The strain ε of an isotropic barostat obeys W ε̈ = 3 V (P_int - P), and P_int - P = -3 K ε in
    a solid of bulk modulus K, so W = 9 V K (τ / 2π)² makes the volume oscillate with period τ.

    Parameters
    ----------
    volume_A3
        Volume in Å³.
    coupling
        Period and bulk modulus.
    """
    modulus = coupling.bulk_modulus_GPa * units.GPa
    period = coupling.barostat_fs * units.fs
    return 9.0 * volume_A3 * modulus * (period / (2.0 * np.pi)) ** 2


class RampedLangevin:
    """Integrates one stage: before each step the targets move along the ramp.

    Parameters
    ----------
    atoms
        Atoms with a calculator that gives energy, forces and stress; moved in place.
    stage
        What to do.
    coupling
        Time constants of thermostat and barostat.
    rng
        Source of the random forces; its state is part of the checkpoint.
    """

    def __init__(
        self, atoms: Atoms, stage: Stage, coupling: Coupling, rng: np.random.Generator
    ) -> None:
        self.stage = stage
        self.atoms = atoms
        self.rng = rng
        self.step = 0
        npt = stage.ensemble == "npt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of defaults that are all given here
            self._dynamics = LangevinBAOAB(
                atoms,
                timestep=stage.timestep_fs * units.fs,
                temperature_K=stage.temperature_at(0),
                externalstress=-(stage.pressure_at(0) or 0.0) * units.GPa if npt else None,
                hydrostatic=True,
                T_tau=coupling.thermostat_fs * units.fs,
                P_tau=coupling.barostat_fs * units.fs if npt else None,
                P_mass=barostat_mass(atoms.get_volume(), coupling) if npt else None,
                rng=rng,
            )

    def advance(self) -> None:
        """Make one step towards the targets of that step."""
        step = self.step + 1
        temperature = self.stage.temperature_at(step)
        if temperature is not None:
            self._dynamics.set_temperature(temperature)
        pressure = self.stage.pressure_at(step)
        if pressure is not None:
            self._dynamics.externalstress = -pressure * units.GPa
        self._dynamics.step()
        self.step = step

    def is_finite(self) -> bool:
        """Tell whether positions and accelerations are numbers."""
        return bool(
            np.isfinite(self.atoms.positions).all() and np.isfinite(self._dynamics.accel).all()
        )

    def state(self) -> dict[str, object]:
        """Give all that the next step depends on, as arrays and the generator's own state."""
        dynamics = self._dynamics
        state = {
            "step": self.step,
            "positions": self.atoms.positions.copy(),
            "momenta": self.atoms.get_momenta(),
            "cell": self.atoms.cell.array.copy(),
            "acceleration": np.array(dynamics.accel),
            "rng": self.rng.bit_generator.state,
        }
        if dynamics.externalstress is not None:
            state["barostat"] = np.array(
                [dynamics.p_eps, dynamics.force_eps, dynamics.barostat_mass]
            )
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state` gave, of the same stage.

        Accelerations and the barostat's force are taken from the state and not computed again,
        so that the next step is the same bit for bit.
        """
        dynamics = self._dynamics
        self.step = int(state["step"])
        self.atoms.set_cell(state["cell"])
        self.atoms.positions[:] = state["positions"]
        self.atoms.set_momenta(state["momenta"])
        dynamics.accel = np.array(state["acceleration"])
        self.rng.bit_generator.state = state["rng"]
        if dynamics.externalstress is not None:
            p_eps, force_eps, mass = (float(value) for value in state["barostat"])
            dynamics.p_eps, dynamics.force_eps, dynamics.barostat_mass = p_eps, force_eps, mass
