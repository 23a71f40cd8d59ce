"""Crystals along a soft rotation: a potential against its own labels, and against wrong ones."""

import numpy as np
import pandas as pd
import pytest
from ase.calculators.calculator import Calculator
from ase.io import write

from glassml.campaign.config.potential import Gates, Potential, Rotations
from glassml.potential import PotentialError, committee
from glassml.potential.gates import rotation_gate
from glassml.potential.glasses import mean_angle
from glassml.potential.labels import read_labels
from glassml.potential.rotations import read_rotations, rotation_points
from silica_labels import label, silica, silica_calculator

THRESHOLDS = Rotations()
NAME = "alpha_cristobalite: energy along the rotation"


class Wrong(Calculator):
    """The potential of the labels, with an error in eV per atom for cells of some angle."""

    implemented_properties = ("energy",)

    def __init__(self, error):
        super().__init__()
        self.error = error

    def calculate(self, atoms, properties, system_changes):
        super().calculate(atoms, properties, system_changes)
        error = len(atoms) * self.error(mean_angle(atoms))
        self.results = {"energy": silica_calculator().get_potential_energy(atoms) + error}


def turned(turn, index, crystal="alpha_cristobalite"):
    """Give cristobalite between alpha (0) and the ideal beta form, with straight bridges (1)."""
    alpha = np.array([0.3003, 0.2392, 0.1044, 0.1787])
    beta = np.array([0.25, 0.25, 0.0, 0.125])
    u, *oxygen = alpha + turn * (beta - alpha)
    cell = [4.9709, 4.9709, 6.9278, 90, 90, 90]
    atoms = silica((u, u, 0), oxygen, 92, cell)
    atoms.info = {
        "config_type": "strained",
        "family": "rotations",
        "parent": f"rotations/{crystal}",
        "config_id": f"rotations/{index:06d}",
    }
    return label(atoms, silica_calculator())


@pytest.fixture(scope="module")
def frames():
    """Cells along a rotation; the lowest is neither the first nor the last of them."""
    return [turned(turn, index) for index, turn in enumerate((0.3, 0.15, 0.0, -0.15, -0.3))]


@pytest.fixture
def path(frames, tmp_path):
    write(tmp_path / "rotations.extxyz", frames)
    return tmp_path / "rotations.extxyz"


def points_of(error, frames, member="m0"):
    return rotation_points(Wrong(error), frames, member)


def at(frames, index, size):
    """Give an error of one cell."""
    angle = mean_angle(frames[index])
    return lambda found: size if abs(found - angle) < 1e-6 else 0.0


def only(points):
    (result,) = rotation_gate(points, THRESHOLDS, 2.0)
    return result


def lowest(frames):
    return int(np.argmin([atoms.info["REF_energy"] for atoms in frames]))


def test_a_potential_agrees_with_its_own_labels(frames):
    points = rotation_points(silica_calculator(), frames, "m0")
    assert list(points.crystal.unique()) == ["alpha_cristobalite"]
    assert points.angle_deg.tolist() == [mean_angle(atoms) for atoms in frames]
    assert np.ptp(points.label_eV) > 0.01  # the energies differ
    result = only(points)
    assert (result.name, result.status) == (NAME, "green")
    assert result.value == pytest.approx(0.0, abs=1e-9)
    low, high = points.angle_deg.min(), points.angle_deg.max()
    assert result.note == f"5 labels, mean Si-O-Si angle {low:.1f}° to {high:.1f}°"


def test_what_is_called_zero_does_not_matter(frames):
    assert only(points_of(lambda _: 3.7, frames)).value == pytest.approx(0.0, abs=1e-9)
    tilted = only(points_of(lambda angle: 1e-4 * angle, frames))
    shifted = only(points_of(lambda angle: 1e-4 * angle - 3.7, frames))
    assert tilted.value > 0.1
    assert shifted.value == pytest.approx(tilted.value, abs=1e-9)


@pytest.mark.parametrize("size", [0.0015, -0.0015, 0.004])
def test_an_error_at_one_configuration_is_found_with_its_size(size, frames):
    first = only(points_of(at(frames, 0, size), frames))
    assert first.value == pytest.approx(1e3 * abs(size), abs=1e-6)
    assert first.status == ("amber" if abs(size) < 0.002 else "red")
    # where the energies are taken from, it is an error of all others
    zero = only(points_of(at(frames, lowest(frames), size), frames))
    assert zero.value == pytest.approx(1e3 * abs(size), abs=1e-6)


def test_energies_are_above_the_lowest_label_and_not_the_lowest_prediction(frames):
    assert lowest(frames) == 1
    low, high = at(frames, 0, -1.0), at(frames, 2, 0.5)
    points = points_of(lambda angle: low(angle) + high(angle), frames)
    assert points.prediction_eV.idxmin() == 0
    assert only(points).value == pytest.approx(1000.0)  # above the first it would be 1500


def test_the_worst_member_is_judged_and_each_parent_by_itself(frames):
    others = [atoms.copy() for atoms in frames]
    for atoms in others:
        atoms.info["parent"] = "rotations/beta_cristobalite/turned"
        atoms.info["REF_energy"] -= 5.0
    parts = [
        points_of(lambda _: 0.0, frames, "m0"),
        points_of(at(frames, 1, 0.003), frames, "m1"),
        points_of(lambda _: 0.0, others, "m0"),
        points_of(lambda _: 1.0, others, "m1"),
    ]
    first, second = rotation_gate(pd.concat(parts, ignore_index=True), THRESHOLDS, 2.0)
    assert first.value == pytest.approx(3.0, abs=1e-6)
    assert second.name.startswith("beta_cristobalite")
    assert second.value == pytest.approx(0.0, abs=1e-9)


def test_two_labels_are_not_judged(frames):
    result = only(points_of(at(frames, 0, 1.0), frames[:2]))
    assert (result.value, result.status) == (None, "unknown")
    assert result.note.startswith("2 labels")


def test_an_energy_that_is_not_a_number_is_red(frames):
    right = points_of(lambda _: 0.0, frames, "m0")
    for index in (0, lowest(frames)):
        wrong = points_of(at(frames, index, np.nan), frames, "m1")
        both = pd.concat([right, wrong], ignore_index=True)
        assert only(both).status == "red"


def test_labels_without_a_bridge_are_judged_all_the_same(frames):
    points = points_of(at(frames, 0, 0.004), frames)
    points.loc[0, "angle_deg"] = np.nan
    low, high = points.angle_deg[1:].min(), points.angle_deg[1:].max()
    assert only(points).note == f"5 labels, mean Si-O-Si angle {low:.1f}° to {high:.1f}°"
    points["angle_deg"] = np.nan
    assert only(points).note == "5 labels"
    assert only(points).status == "red"


def test_labels_are_read_back(path, frames):
    found = read_rotations(path)
    assert [atoms.info["config_id"] for atoms in found] == [
        atoms.info["config_id"] for atoms in frames
    ]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("config_type", "glass", "rotations/000001: its config_type is glass, not strained"),
        ("parent", "rotations", "its parent is 'rotations'"),
        ("parent", None, "its parent is ''"),
        ("REF_energy", None, "its REF_energy is missing"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(key, value, reason, path):
    frames = read_labels(path)
    frames[1].info[key] = value
    if value is None:
        del frames[1].info[key]
    write(path, frames)
    with pytest.raises(PotentialError) as refused:
        read_rotations(path)
    assert str(refused.value).startswith(f"{path}: not labelled crystals along a rotation")
    assert reason in str(refused.value)


def test_an_empty_file_and_none_are_refused_by_their_names(tmp_path):
    path = tmp_path / "rotations.extxyz"
    with pytest.raises(PotentialError, match=r"rotations\.extxyz: cannot be read"):
        read_rotations(path)
    path.touch()
    with pytest.raises(PotentialError, match=r"rotations\.extxyz: .*it is empty"):
        read_rotations(path)


def test_the_gate_asks_each_member_for_the_labels_of_its_file(path, frames, monkeypatch):
    errors = {"m0": 0.0, "m1": 0.0015}
    monkeypatch.setattr(
        committee,
        "load_calculator",
        lambda package, *_: Wrong(at(frames, 0, errors[package.parent.name])),
    )
    folders = [path.with_name(name) for name in errors]
    members = committee.Committee(folders, [], "cpu", [path])
    (result,), table = committee.run_gate("rotations", members, Gates(), 1)
    assert (result.gate, result.name, result.status) == ("rotations", NAME, "amber")
    assert result.value == pytest.approx(1.5, abs=1e-4)
    assert len(table) == 2 * len(frames)
    assert list(table.columns) == [
        "parent",
        "crystal",
        "member",
        "angle_deg",
        "label_eV",
        "prediction_eV",
    ]


def test_the_gate_is_there_where_labels_are_named():
    section = Potential.model_validate({"gates": {"rotations": {"labels": "x.extxyz"}}})
    assert "rotations" in section.gate_names()
    assert "rotations" not in Potential().gate_names()
