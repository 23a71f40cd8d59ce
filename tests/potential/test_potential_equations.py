"""Equations of state: a potential against its own labels, and against wrong ones."""

import numpy as np
import pytest

from glassml.campaign.config.potential import Equations, Potential
from glassml.potential.equations import curves, energy_points, relaxed_energy
from glassml.potential.gates import equation_gate
from silica_labels import quartz, silica_calculator, stishovite

THRESHOLDS = Equations()


@pytest.fixture(scope="module")
def points():
    """Two crystals at volumes around the minimum of the potential that also labels them."""
    calculator = silica_calculator()
    frames = []
    for name, crystal, middle in (("quartz", quartz, 0.99), ("stishovite", stishovite, 1.0)):
        for scale in np.linspace(middle - 0.04, middle + 0.04, 7):
            atoms = crystal()
            atoms.set_cell(atoms.cell * scale, scale_atoms=True)
            atoms.info = {"polymorph": name, "config_id": f"{name}/{scale:.3f}"}
            atoms.info["REF_energy"] = relaxed_energy(calculator, atoms)
            frames.append(atoms)
    return energy_points(calculator, frames, "m0")


def verdicts(points):
    return {result.name: result.status for result in equation_gate(points, THRESHOLDS, 2.0)}


def test_a_potential_agrees_with_its_own_labels(points):
    assert np.allclose(points["label_eV"], points["prediction_eV"], atol=1e-6)
    middle = points[points["config_id"] == "stishovite/1.000"]
    assert middle[["a_A", "c_A"]].to_numpy() == pytest.approx(
        stishovite().cell.lengths()[None, ::2]
    )
    assert set(verdicts(points).values()) == {"green"}
    assert set(verdicts(points)) == {
        f"{name}: {quantity}"
        for name in ("quartz", "stishovite")
        for quantity in ("volume", "bulk modulus")
    } | {"stishovite: energy above quartz"}


def test_wrong_energies_are_found_in_their_quantity(points):
    higher = points.copy()
    higher.loc[higher["polymorph"] == "stishovite", "prediction_eV"] += 3 * 0.0075
    found = verdicts(higher)
    assert found.pop("stishovite: energy above quartz") == "amber"
    assert set(found.values()) == {"green"}


def test_softer_crystals_are_found(points):
    lowest = points.groupby("polymorph")["prediction_eV"].transform("min")
    soft = points.assign(prediction_eV=lowest + 0.8 * (points["prediction_eV"] - lowest))
    results = {r.name: r for r in equation_gate(soft, THRESHOLDS, 2.0)}
    assert results["quartz: bulk modulus"].value == pytest.approx(20, abs=2)
    assert results["quartz: bulk modulus"].status == "red"


def test_a_shifted_volume_is_found(points):
    shifted = points.copy()
    label = curves(points, "label_eV")["quartz"]
    quartz_rows = shifted["polymorph"] == "quartz"
    # E(V) moved by one percent, to first order
    slope = np.gradient(points[quartz_rows]["label_eV"], points[quartz_rows]["volume_A3"])
    shifted.loc[quartz_rows, "prediction_eV"] -= 0.01 * label.volume * slope
    results = {r.name: r for r in equation_gate(shifted, THRESHOLDS, 2.0)}
    assert results["quartz: volume"].value == pytest.approx(1.0, abs=0.3)


def test_no_minimum_is_red(points):
    falling = points.assign(prediction_eV=-points["volume_A3"])
    assert verdicts(falling)["quartz: volume"] == "red"


def test_the_gate_is_there_where_labels_are_named():
    section = Potential.model_validate({"gates": {"equations": {"labels": "x.extxyz"}}})
    assert "equations" in section.gate_names()
