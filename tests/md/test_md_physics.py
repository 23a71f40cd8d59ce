"""Thermostat, barostat and integrator against results that are known exactly.

Statistical tests compare with a known number within four standard errors, and the standard error
is that of block averages; the seeds are fixed, so that they pass always or never.
"""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from matscipy.calculators.pair_potential import LennardJonesCut, PairPotential
from scipy import stats

from glassml.campaign.units import density_g_cm3
from glassml.md.engines.integrator import RampedLangevin
from glassml.md.protocol import Coupling, Stage
from glassml.md.start import maxwell_boltzmann
from glassml.md.thermodynamics import kinetic_temperature, measure


class VolumeSpring(Calculator):
    """Atoms that feel nothing but the volume: E = K V0 (V / V0 - 1)² / 2; K = 0 is an ideal gas."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, bulk_modulus, volume):
        super().__init__()
        self.bulk_modulus, self.volume = bulk_modulus, volume

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        strain = atoms.get_volume() / self.volume - 1.0
        pull = self.bulk_modulus * strain
        self.results = {
            "energy": 0.5 * self.bulk_modulus * self.volume * strain**2,
            "forces": np.zeros((len(atoms), 3)),
            "stress": np.array([pull, pull, pull, 0.0, 0.0, 0.0]),
        }


class Einstein(Calculator):
    """Each atom on a spring of its own: E = k Σ (r - r0)² / 2."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, sites, stiffness):
        super().__init__()
        self.sites, self.stiffness = sites.copy(), stiffness

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        away = atoms.positions - self.sites
        self.results = {
            "energy": 0.5 * self.stiffness * float((away**2).sum()),
            "forces": -self.stiffness * away,
            "stress": np.zeros(6),
        }


def gas(number, edge, temperature):
    rng = np.random.default_rng(5)
    atoms = Atoms(f"Ar{number}", rng.random((number, 3)) * edge, cell=[edge] * 3, pbc=True)
    maxwell_boltzmann(atoms, temperature, rng)
    return atoms


def stage(ensemble, steps, timestep, temperature=None, pressure=None):
    ends = [None if value is None else (value, value) for value in (temperature, pressure)]
    return Stage("test", ensemble, steps, timestep, ends[0], ends[1], 1, 1)


def run(atoms, protocol, coupling, observe, skip):
    integrator = RampedLangevin(atoms, protocol, coupling, np.random.default_rng(11))
    values = []
    for step in range(protocol.steps):
        integrator.advance()
        if step >= skip:
            values.append(observe(atoms))
    return np.array(values)


def mean_and_error(values, blocks=20):
    means = np.array([block.mean() for block in np.array_split(values, blocks)])
    return values.mean(), means.std(ddof=1) / np.sqrt(blocks)


def assert_equals(values, expected, tolerance):
    mean, error = mean_and_error(values)
    assert error < tolerance * abs(expected), "too short a run to tell"
    assert abs(mean - expected) < 4.0 * error


def volume_moments(number, temperature, pressure, bulk_modulus, volume):
    """Integrate V^N exp(-(E + P V) / kT) for mean and variance of the volume."""
    beta = 1.0 / (units.kB * temperature)
    centre = (number + 1) / (beta * pressure) if bulk_modulus == 0.0 else volume
    V = np.linspace(0.02 * centre, 4.0 * centre, 400_001)
    energy = 0.5 * bulk_modulus * volume * (V / volume - 1.0) ** 2 + pressure * V
    weight = number * np.log(V) - beta * energy
    weight = np.exp(weight - weight.max())
    mean = float((weight * V).sum() / weight.sum())
    return mean, float((weight * (V - mean) ** 2).sum() / weight.sum())


@pytest.mark.parametrize(
    ("bulk_modulus_GPa", "pressure_GPa"),
    [(0.0, 0.05), (2.0, 0.0), (2.0, 0.3)],
    ids=["ideal gas", "solid at no pressure", "solid under pressure"],
)
def test_volume_has_the_exact_mean_and_fluctuations(bulk_modulus_GPa, pressure_GPa):
    number, temperature = 48, 400.0
    bulk_modulus, pressure = bulk_modulus_GPa * units.GPa, pressure_GPa * units.GPa
    volume = 6000.0
    mean, variance = volume_moments(number, temperature, pressure, bulk_modulus, volume)
    atoms = gas(number, mean ** (1 / 3), temperature)
    atoms.calc = VolumeSpring(bulk_modulus, volume)
    stiffness = bulk_modulus_GPa + pressure_GPa + 0.01
    volumes = run(
        atoms,
        stage("npt", 8_000, 4.0, temperature, pressure_GPa),
        Coupling(50.0, 100.0, stiffness),
        Atoms.get_volume,
        skip=500,
    )
    assert_equals(volumes, mean, 0.02)
    assert_equals((volumes - mean) ** 2, variance, 0.25)


def test_pressure_of_an_ideal_gas_is_all_kinetic():
    atoms = gas(30, 25.0, 500.0)
    atoms.calc = VolumeSpring(0.0, 1.0)
    now = measure(atoms)
    expected = 30 * units.kB * kinetic_temperature(atoms) / 25.0**3 / units.GPa
    assert now.pressure_GPa == pytest.approx(expected, rel=1e-12)
    assert now.density_g_cm3 == pytest.approx(30 * 39.948 / 6.02214076e23 / 25.0**3 * 1e24, 1e-6)


@pytest.fixture(scope="module")
def crystal_samples():
    atoms = bulk("Ar", cubic=True, a=5.3) * (2, 2, 2)
    atoms.calc = Einstein(atoms.positions, 2.0)
    maxwell_boltzmann(atoms, 300.0, np.random.default_rng(1))
    sites = atoms.positions.copy()
    return run(
        atoms,
        stage("nvt", 9_000, 4.0, 300.0),
        Coupling(50.0, 500.0, 37.0),
        lambda a: (kinetic_temperature(a), ((a.positions - sites) ** 2).mean()),
        skip=1000,
    )


def test_kinetic_energy_is_that_of_the_thermostat(crystal_samples):
    assert_equals(crystal_samples[:, 0], 300.0, 0.015)


def test_kinetic_energy_fluctuates_as_in_the_canonical_ensemble(crystal_samples):
    # var K / <K>² = 2 / (3 N)
    temperatures = crystal_samples[:, 0]
    assert_equals((temperatures / 300.0 - 1.0) ** 2, 2.0 / (3 * 32), 0.1)


def test_each_spring_holds_half_a_thermal_energy(crystal_samples):
    assert_equals(crystal_samples[:, 1], units.kB * 300.0 / 2.0, 0.02)


def test_velocities_are_maxwellian_for_each_element():
    rng = np.random.default_rng(3)
    edge = 20.0
    atoms = Atoms("Si20O40", rng.random((60, 3)) * edge, cell=[edge] * 3, pbc=True)
    atoms.calc = VolumeSpring(0.0, 1.0)
    maxwell_boltzmann(atoms, 100.0, rng)
    # Far from the start and far apart in time, samples are independent.
    velocities = run(
        atoms,
        stage("nvt", 6000, 2.0, 1000.0),
        Coupling(20.0, 500.0, 37.0),
        lambda a: a.get_velocities(),
        skip=500,
    )[::100]
    for symbol in ("Si", "O"):
        chosen = atoms.symbols == symbol
        width = np.sqrt(units.kB * 1000.0 / atoms.get_masses()[chosen][0])
        scaled = velocities[:, chosen].ravel() / width
        assert stats.kstest(scaled, "norm").pvalue > 1e-3


def argon(temperature, repeat=3):
    atoms = bulk("Ar", cubic=True, a=5.3) * ((repeat,) * 3)
    atoms.calc = PairPotential({(18, 18): LennardJonesCut(0.0104, 3.4, 7.0)})
    maxwell_boltzmann(atoms, temperature, np.random.default_rng(2))
    return atoms


def energies_of_nve(timestep, length):
    atoms = argon(60.0, repeat=2)
    steps = round(length / timestep)
    return run(
        atoms,
        stage("nve", steps, timestep),
        Coupling(100.0, 500.0, 3.0),
        lambda a: measure(a).total_energy / len(a),
        skip=0,
    )


def test_nve_keeps_its_energy_to_second_order():
    fine, coarse = energies_of_nve(4.0, 2000.0), energies_of_nve(8.0, 2000.0)
    assert fine.std() < 1e-5
    assert coarse.std() / fine.std() == pytest.approx(4.0, rel=0.25)
    drift = np.polyfit(np.arange(len(fine)) * 0.004, fine, 1)[0]
    assert abs(drift) < 1e-5  # eV per atom and ps


def test_momentum_is_kept_without_a_thermostat():
    atoms = argon(60.0, repeat=2)
    run(atoms, stage("nve", 50, 4.0), Coupling(100.0, 500.0, 3.0), len, skip=0)
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-10


def test_random_start_has_its_temperature_and_no_drift():
    atoms = argon(60.0)
    assert kinetic_temperature(atoms) == pytest.approx(60.0, rel=0.15)
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-10


def test_barostat_oscillates_with_its_period():
    # A cold box on a spring, let go: the volume swings with the period that was asked for,
    # within what the barostat's own damping (a decay over one period) shifts it.
    atoms = gas(48, 18.0, 1.0)
    volume = atoms.get_volume()
    atoms.calc = VolumeSpring(37.0 * units.GPa, volume)
    atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
    volumes = run(
        atoms,
        stage("npt", 1000, 1.0, 1.0, 0.0),
        Coupling(1e5, 500.0, 37.0),
        Atoms.get_volume,
        skip=0,
    )
    crossings = np.flatnonzero(np.diff(np.sign(volumes - volume)))
    assert 2.0 * np.diff(crossings[:2])[0] == pytest.approx(500.0, rel=0.05)


def test_ramp_of_pressure_is_followed():
    atoms = gas(48, 18.0, 300.0)
    atoms.calc = VolumeSpring(20.0 * units.GPa, atoms.get_volume())
    ramp = Stage("ramp", "npt", 2000, 4.0, (300.0, 300.0), (0.0, 2.0), 1, 1)
    pressures = run(
        atoms, ramp, Coupling(100.0, 200.0, 20.0), lambda a: measure(a).pressure_GPa, skip=0
    )
    middle = pressures[750:1250].mean()
    assert middle == pytest.approx(1.0, abs=0.1)


def test_density_of_silica_glass():
    # 2.2 g/cm³ is 72 atoms in 1088 Å³.
    atoms = Atoms("Si24O48", cell=[1088.4 ** (1 / 3)] * 3, pbc=True)
    assert density_g_cm3(atoms) == pytest.approx(2.2, rel=1e-3)
