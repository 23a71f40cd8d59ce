"""Instantaneous temperature, pressure, density and energies of an ASE `Atoms`."""

from dataclasses import astuple, dataclass

import numpy as np
from ase import Atoms, units

from glassml.campaign.units import density_g_cm3

#: Columns of `series.csv`.
SERIES_COLUMNS = (
    "time_fs",
    "stage",
    "temperature_K",
    "pressure_GPa",
    "density_g_cm3",
    "volume_A3",
    "potential_energy_eV",
    "kinetic_energy_eV",
    "total_energy_eV",
)


@dataclass(frozen=True)
class Thermodynamics:
    """One instant: K, GPa (compression positive), g/cm³, Å³, eV."""

    temperature_K: float
    pressure_GPa: float
    density_g_cm3: float
    volume_A3: float
    potential_energy_eV: float
    kinetic_energy_eV: float

    @property
    def total_energy(self) -> float:
        """Potential and kinetic energy in eV."""
        return self.potential_energy_eV + self.kinetic_energy_eV

    def numbers(self) -> tuple[float, ...]:
        """Give the numbers in the order of the constructor."""
        return astuple(self)

    def row(self, time_fs: float, stage: str) -> dict[str, float | str]:
        """Give a row of `series.csv`."""
        return {
            "time_fs": time_fs,
            "stage": stage,
            "temperature_K": self.temperature_K,
            "pressure_GPa": self.pressure_GPa,
            "density_g_cm3": self.density_g_cm3,
            "volume_A3": self.volume_A3,
            "potential_energy_eV": self.potential_energy_eV,
            "kinetic_energy_eV": self.kinetic_energy_eV,
            "total_energy_eV": self.total_energy,
        }


def kinetic_temperature(atoms: Atoms) -> float:
    """Give 2 K / (3 N k): all 3N components count, because the thermostat moves them all."""
    return float(2.0 * atoms.get_kinetic_energy() / (3.0 * len(atoms) * units.kB))


def measure(atoms: Atoms) -> Thermodynamics:
    """Measure an instant of atoms that have a calculator."""
    trace = float(np.sum(atoms.get_stress(voigt=True)[:3]))
    return instant(atoms, float(atoms.get_potential_energy()), trace)


def instant(atoms: Atoms, potential_energy_eV: float, stress_trace: float) -> Thermodynamics:
    """Give an instant; the pressure has the kinetic part, P = (2 K / V - tr σ) / 3.

    Parameters
    ----------
    atoms
        Atoms with momenta.
    potential_energy_eV
        Potential energy in eV.
    stress_trace
        Trace of the potential part of the stress in eV/Å³, tension positive.
    """
    volume = atoms.get_volume()
    kinetic = atoms.get_kinetic_energy()
    return Thermodynamics(
        temperature_K=kinetic_temperature(atoms),
        pressure_GPa=float((2.0 * kinetic / volume - stress_trace) / 3.0 / units.GPa),
        density_g_cm3=density_g_cm3(atoms),
        volume_A3=float(volume),
        potential_energy_eV=potential_energy_eV,
        kinetic_energy_eV=float(kinetic),
    )
