"""Potentials that are wrong in known ways are refused; right ones pass."""

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from ase.io import read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glassml.campaign.config.potential import Verification
from glassml.potential import verification
from glassml.potential.verification import as_record, choose_frames, slope_checks, verify
from silica_labels import make_labels, quartz, silica_calculator

BOUNDS = Verification()


@pytest.fixture(autouse=True)
def short_drift(monkeypatch):
    monkeypatch.setattr(verification, "DRIFT_STEPS", 10)


class Faulty(Calculator):
    """A right potential with a fault planted into its results."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, fault):
        super().__init__()
        self.exact = silica_calculator()
        self.fault = fault

    def calculate(self, atoms=None, properties=(), system_changes=()):
        self.exact.calculate(atoms, properties, system_changes)
        self.results = {key: self.exact.results[key] for key in self.implemented_properties}
        self.fault(atoms, self.results)
        self.results["free_energy"] = self.results["energy"]


def nothing(atoms, results):
    pass


def scaled_forces(atoms, results):
    results["forces"] = 1.01 * results["forces"]


def one_force(atoms, results):
    results["forces"][0] += 0.01


def flipped_virial(atoms, results):
    results["stress"] = -results["stress"]


def pressure(atoms, results):
    results["stress"] = results["stress"] + [1e-3, 1e-3, 1e-3, 0, 0, 0]


def energy_offset(atoms, results):
    results["energy"] += 0.001 * len(atoms)


def not_a_number(atoms, results):
    results["forces"][0, 0] = np.nan


def preferred_direction(atoms, results):
    results["energy"] += 0.01 * atoms.cell[0, 0]


def order_of_atoms(atoms, results):
    results["forces"] = results["forces"] + 1e-3 * np.arange(len(atoms))[:, None]


def place_in_the_cell(atoms, results):
    results["energy"] += 1e-3 * atoms.positions.sum()


def size_of_the_system(atoms, results):
    results["energy"] += 1e-3 * len(atoms) ** 2


def failed(fault, *, same_reference=False):
    calculator = Faulty(fault)
    reference = calculator if same_reference else silica_calculator()
    frames = choose_frames(make_labels(1, seed=3), np.random.default_rng(0))
    checks = verify(reference, calculator, frames, bounds=BOUNDS, rng=np.random.default_rng(1))
    assert as_record(checks, {})["passed"] == all(check.passed for check in checks)
    return {check.name for check in checks if not check.passed}


def test_right_potential_passes():
    assert failed(nothing) == set()


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (scaled_forces, "package: forces"),
        (one_force, "package: forces"),
        (flipped_virial, "package: stress"),
        (pressure, "package: stress"),
        (energy_offset, "package: energy"),
        (not_a_number, "package: forces"),
    ],
)
def test_compiled_model_that_differs_from_its_package_is_refused(fault, check):
    assert check in failed(fault)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (scaled_forces, "slope of the energy: forces"),
        (flipped_virial, "slope of the energy: stress"),
        (scaled_forces, "drift of the total energy"),
        (preferred_direction, "rotation: energy"),
        (order_of_atoms, "permutation: forces"),
        (place_in_the_cell, "translation: energy"),
        (size_of_the_system, "supercell: energy"),
    ],
)
def test_package_that_is_wrong_in_itself_is_refused(fault, check):
    assert check in failed(fault, same_reference=True)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(factor=st.floats(0.5, 1.5))
def test_force_error_is_the_planted_one(factor):
    def scale(atoms, results):
        results["forces"] = factor * results["forces"]

    atoms = quartz()
    atoms.rattle(0.1, seed=1)
    atoms.calc = silica_calculator()
    exact = atoms.get_forces()
    largest = exact[np.argsort(-np.abs(exact).max(axis=1))[:4]]
    rms = [np.sqrt(np.mean(forces**2)) for forces in (largest, exact)]
    force, stress = slope_checks(Faulty(scale), atoms, bound=1.0)
    assert force.value == pytest.approx(
        abs(1 - factor) * rms[0] / (factor * rms[1] + 0.1), rel=0.05, abs=5e-3
    )
    assert stress.value < 5e-3


@pytest.mark.slow
def test_trained_package_passes(trained, dataset):
    from glassml.potential import load_calculator

    calculator = load_calculator(trained / "model.nequip.zip", device="cpu")
    frames = choose_frames(read(dataset / "test.extxyz", ":"), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    checks = verify(calculator, calculator, frames, bounds=BOUNDS, rng=rng)
    assert [check for check in checks if not check.passed] == []
