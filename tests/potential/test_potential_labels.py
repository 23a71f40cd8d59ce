"""Labels with planted faults are refused before any training."""

import numpy as np
import pytest
from ase.io import read, write
from ase.stress import voigt_6_to_full_3x3_stress

from glassml.potential import PotentialError
from glassml.potential.labels import check_labels, read_labels, stress_voigt
from silica_labels import make_labels


@pytest.fixture
def labels():
    return make_labels(18, seed=5)


def test_true_labels_pass(labels):
    found = check_labels(labels)
    assert found["forces"] == found["stress"] == "right"
    assert 0.5 < found["force_slope"] < 1.5
    assert 0.5 < found["stress_slope"] < 1.5


def test_small_displacements_give_slopes_of_one():
    labels = make_labels(24, seed=7, scales=(0.99, 1.01), strain=0.002, rattle=(0.003, 0.01))
    found = check_labels(labels)
    assert found["force_slope"] == pytest.approx(1.0, abs=0.03)
    assert found["stress_slope"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("count", [8, 12, 18, 40])
def test_flipped_virial_is_refused(count):
    labels = make_labels(count, seed=11)
    check_labels(labels)
    for atoms in labels:
        atoms.info["REF_stress"] = -atoms.info["REF_stress"]
    with pytest.raises(PotentialError, match="signs or units are wrong"):
        check_labels(labels)


def _virial(atoms):
    atoms.info["REF_stress"] = -atoms.info["REF_stress"] * atoms.get_volume()


def _gigapascal(atoms):
    atoms.info["REF_stress"] = atoms.info["REF_stress"] * 160.2


def _pressure(atoms):
    atoms.info["REF_stress"] = -atoms.info["REF_stress"] * 160.2


def _gradient(atoms):
    atoms.arrays["REF_forces"] = -atoms.arrays["REF_forces"]


def _atomic_units(atoms):
    atoms.arrays["REF_forces"] = atoms.arrays["REF_forces"] / 51.42


def _hartree(atoms):
    atoms.info["REF_energy"] = atoms.info["REF_energy"] / 27.2114


@pytest.mark.parametrize(
    "fault", [_virial, _gigapascal, _pressure, _gradient, _atomic_units, _hartree]
)
def test_wrong_sign_or_unit_is_refused(labels, fault):
    for atoms in labels:
        fault(atoms)
    with pytest.raises(PotentialError, match="labels are refused"):
        check_labels(labels)


def test_missing_forces_are_named(labels):
    del labels[3].arrays["REF_forces"]
    with pytest.raises(PotentialError, match=r"quartz/000003: REF_forces missing"):
        check_labels(labels)


def test_keys_that_ase_moves_away_are_named(labels, tmp_path):
    for atoms in labels:
        atoms.info["energy"] = atoms.info.pop("REF_energy")
    write(tmp_path / "labels.extxyz", labels)
    with pytest.raises(PotentialError, match="without REF_ are not read"):
        check_labels(read(tmp_path / "labels.extxyz", ":"))


def test_missing_stress_matters_only_with_periodic_boundaries(labels):
    del labels[0].info["REF_stress"]
    with pytest.raises(PotentialError, match="REF_stress missing"):
        check_labels(labels)
    labels[0].pbc = False
    check_labels(labels)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_is_refused(labels, value):
    labels[2].arrays["REF_forces"][0, 0] = value
    with pytest.raises(PotentialError, match="not finite"):
        check_labels(labels)


def test_net_force_is_refused(labels):
    labels[1].arrays["REF_forces"][:, 0] += 1.0
    with pytest.raises(PotentialError, match="not to zero"):
        check_labels(labels)


def test_many_mistakes_are_counted(labels):
    for atoms in labels:
        del atoms.info["REF_energy"]
    with pytest.raises(PotentialError, match="8 more"):
        check_labels(labels)


def test_too_few_labels_are_not_judged():
    found = check_labels(make_labels(1, seed=1))
    assert found["stress"] == "unknown"


def test_stress_as_matrix_and_voigt_are_the_same(labels):
    voigt = labels[0].info["REF_stress"]
    expected = np.array(voigt)
    labels[0].info["REF_stress"] = voigt_6_to_full_3x3_stress(voigt)
    np.testing.assert_allclose(stress_voigt(labels[0]), expected)


def test_empty_set_and_broken_file(tmp_path):
    (tmp_path / "empty.extxyz").touch()
    assert read_labels(tmp_path / "empty.extxyz") == []
    (tmp_path / "broken.extxyz").write_text("12\nnothing\n")
    with pytest.raises(PotentialError, match="cannot be read"):
        read_labels(tmp_path / "broken.extxyz")


@pytest.mark.parametrize("family", ["quartz", "cristobalite", "stishovite"])
def test_one_wrong_family_among_right_ones_is_named(family):
    frames = make_labels(36, seed=5)
    for atoms in frames:
        if atoms.info["family"] == family:
            atoms.info["REF_stress"] = -atoms.info["REF_stress"]
    with pytest.raises(PotentialError, match=r"signs or units") as caught:
        check_labels(frames)
    assert family in str(caught.value) or "GPa" in str(caught.value)
