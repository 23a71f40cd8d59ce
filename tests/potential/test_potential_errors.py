"""Errors of predictions that are off by known amounts."""

import numpy as np
import pytest
from ase.calculators.calculator import Calculator

from glassml.campaign.units import GPA_PER_EV_A3
from glassml.potential.errors import error_rows, parity_rows
from silica_labels import ISOLATED, make_labels, silica_calculator


class Off(Calculator):
    """The labels' own potential, off by given amounts."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, energy_per_atom=0.0, force=0.0, pressure=0.0, shear=0.0):
        super().__init__()
        self.exact = silica_calculator()
        self.off = energy_per_atom, force, pressure, shear

    def calculate(self, atoms=None, properties=(), system_changes=()):
        self.exact.calculate(atoms, properties, system_changes)
        energy, force, pressure, shear = self.off
        lone = sum(ISOLATED[symbol] for symbol in atoms.symbols)
        self.results = {
            "energy": self.exact.results["energy"] + lone + energy * len(atoms),
            "forces": self.exact.results["forces"] + force,
            "stress": self.exact.results["stress"]
            + np.array([-pressure] * 3 + [shear] * 3) / GPA_PER_EV_A3,
        }


def _errors(calculator, count=3):
    rows = parity_rows(make_labels(count, seed=1), calculator, "test")
    return {(r["group"], r["name"], r["quantity"]): r for r in error_rows(rows)}


def test_exact_predictions_have_no_error():
    for row in _errors(Off()).values():
        assert row["max"] < 1e-6


def test_known_offsets_are_found_in_their_units():
    errors = _errors(Off(energy_per_atom=0.002, force=0.1, pressure=3.0))
    energy, force, stress = (errors["all", "all", q] for q in ("energy", "force", "stress"))
    assert (energy["mae"], energy["rmse"], energy["unit"]) == (
        pytest.approx(2.0),
        pytest.approx(2.0),
        "meV/atom",
    )
    assert (force["mae"], force["unit"]) == (pytest.approx(0.1), "eV/Å")
    # three of nine components are off by 3 GPa
    assert stress["mae"] == pytest.approx(1.0)
    assert stress["rmse"] == pytest.approx(np.sqrt(3.0))
    assert stress["max"] == pytest.approx(3.0)


def test_shear_components_count_twice():
    assert _errors(Off(shear=3.0))["all", "all", "stress"]["mae"] == pytest.approx(2.0)


def test_groups_and_counts():
    errors = _errors(Off())
    assert errors["all", "all", "energy"]["values"] == 3
    assert errors["all", "all", "force"]["values"] == 3 * (9 + 12 + 6)
    assert errors["species", "Si", "force"]["values"] == 3 * (3 + 4 + 2)
    assert errors["config_type", "strained", "stress"]["values"] == 9 * 3
    assert ("species", "Si", "energy") not in errors
