"""Glasses at rest: a potential against its own labels, and against wrong ones."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.units import GPa

from glassml.campaign.config.potential import Glasses, Potential
from glassml.cli import build_parser
from glassml.potential.gates import glass_gate
from glassml.potential.glasses import glass_points, mean_angle, relaxed
from silica_labels import cristobalite, quartz, silica_calculator

THRESHOLDS = Glasses()


class Squeezed(Calculator):
    """The potential of the labels under a pressure that they do not have."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms, properties, system_changes):
        super().calculate(atoms, properties, system_changes)
        true = atoms.copy()
        true.calc = silica_calculator()
        pressure = 3 * GPa
        self.results = {
            "energy": true.get_potential_energy() + pressure * true.get_volume(),
            "forces": true.get_forces(),
            "stress": true.get_stress() + pressure * np.array([1, 1, 1, 0, 0, 0]),
        }


@pytest.fixture(scope="module")
def frames():
    """Two disordered cells at rest by the potential that labels them."""
    found = []
    for number, crystal in enumerate((quartz, cristobalite)):
        atoms = crystal()
        atoms.rattle(0.15, seed=number)
        atoms = relaxed(silica_calculator(), atoms)
        atoms.info = {"config_id": f"glass/{number}"}
        found.append(atoms)
    return found


def verdicts(points):
    return {result.name: result.status for result in glass_gate(points, THRESHOLDS, 2.0)}


def test_the_mean_angle_of_quartz_is_the_published_one():
    # Levien, Prewitt and Weidner, Am. Mineral. 65, 920 (1980): 143.73 degrees
    assert mean_angle(quartz()) == pytest.approx(143.7, abs=0.1)
    assert mean_angle(quartz() * (2, 1, 2)) == pytest.approx(mean_angle(quartz()), abs=1e-9)
    assert np.isnan(mean_angle(Atoms("SiO", [[0, 0, 0], [1.6, 0, 0]], cell=[9, 9, 9], pbc=True)))


def test_a_potential_agrees_with_its_own_labels(frames):
    points = glass_points(silica_calculator(), frames, "m0")
    assert np.allclose(points.angle_deg, points.label_angle_deg, atol=0.05)
    assert np.allclose(points.volume_A3, points.label_volume_A3, rtol=1e-4)
    assert verdicts(points) == {
        f"glass/{number}: {quantity}": "green"
        for quantity in ("mean Si-O-Si angle", "volume")
        for number in (0, 1)
    }


def test_a_potential_that_rests_denser_is_found_by_its_worst_member(frames):
    right = glass_points(silica_calculator(), frames, "m0")
    dense = glass_points(Squeezed(), frames, "m1")
    assert (dense.volume_A3 < 0.985 * dense.label_volume_A3).all()
    both = pd.concat([right, dense], ignore_index=True)
    found = verdicts(both)
    assert {found["glass/0: volume"], found["glass/1: volume"]} == {"red"}
    assert "red" in {found[f"glass/{n}: mean Si-O-Si angle"] for n in (0, 1)}


def test_one_that_does_not_come_to_rest_is_red(frames):
    points = glass_points(silica_calculator(), frames[:1], "m0")
    points["angle_deg"] = points["volume_A3"] = float("nan")
    (angle, volume) = glass_gate(points, THRESHOLDS, 2.0)
    assert (angle.status, volume.status) == ("red", "red")
    assert angle.note == "does not come to rest"


def test_the_gate_is_there_where_labels_are_named():
    section = Potential.model_validate({"gates": {"glasses": {"labels": "x.extxyz"}}})
    assert "glasses" in section.gate_names()
    assert "glasses" not in Potential().gate_names()


def test_every_gate_of_a_configuration_is_one_of_the_command():
    gates = {
        "equations": {"labels": "x.extxyz"},
        "glasses": {"labels": "x.extxyz"},
        "phonons": {"crystals": ["alpha_quartz"]},
        "rotations": {"labels": "x.extxyz"},
    }
    names = Potential.model_validate({"gates": gates}).gate_names()
    assert set(gates) < set(names)
    paths = [f"--{each}=x" for each in ("config", "members", "labels", "output", "table")]
    for name in names:
        assert build_parser().parse_args(["potential", "gate", *paths, name]).name == name
