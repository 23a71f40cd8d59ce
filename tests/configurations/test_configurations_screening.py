"""Refusals, fingerprints, duplicates, diversity, rattles."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from glassml.campaign.errors import StructureError
from glassml.configurations.crystals import deform, polymorph, repeat
from glassml.configurations.fingerprint import fingerprints
from glassml.configurations.rattle import gaussian_rattle, monte_carlo_rattle
from glassml.configurations.screening import (
    check_distances,
    check_sanity,
    farthest_points,
    near_duplicates,
    shortest_distances,
)

LIMITS = {("O", "Si"): 1.25, ("O", "O"): 1.7, ("Si", "Si"): 2.0}
SILICA = {"Si", "O"}


def quartz(**changes):
    atoms = polymorph("alpha_quartz")
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


def with_position(value):
    atoms = polymorph("alpha_quartz")
    atoms.positions[3, 1] = value
    return atoms


@pytest.mark.parametrize(
    ("atoms", "reason"),
    [
        (Atoms(), "no atoms"),
        (repeat(polymorph("alpha_quartz"), (5, 5, 5)), "1125 atoms"),
        (Atoms("NaCl", positions=[[0, 0, 0], [2, 2, 2]], cell=[5] * 3, pbc=True), "contains Cl"),
        (with_position(np.nan), "not a finite number"),
        (with_position(np.inf), "not a finite number"),
        (quartz(pbc=False), "no periodic cell"),
        (Atoms("SiO2", positions=np.eye(3)), "no periodic cell"),
        (Atoms("Si", cell=[100, 9, 9], pbc=True), "cell edge"),
        (Atoms("Si", cell=[1.2, 9, 9], pbc=True), "cell edge"),
        (deform(polymorph("alpha_quartz"), -0.9, np.zeros((3, 3))), "cell edge|density"),
    ],
)
def test_impossible_structures_are_refused(atoms, reason):
    with pytest.raises(StructureError, match=reason):
        check_sanity(atoms, SILICA)


def test_close_pairs_are_refused_also_through_the_boundary():
    atoms = Atoms("OO", positions=[[0.2, 2, 2], [4.9, 2, 2]], cell=[5.5, 6, 6], pbc=True)
    assert shortest_distances(atoms)["O", "O"] == pytest.approx(0.8)
    with pytest.raises(StructureError, match=r"O-O distance 0\.800 Å is below 1\.700 Å"):
        check_distances(atoms, LIMITS)


@pytest.mark.parametrize("name", ["alpha_quartz", "stishovite", "beta_cristobalite"])
def test_crystals_pass(name):
    check_sanity(polymorph(name), SILICA)
    check_distances(polymorph(name), LIMITS)


@settings(max_examples=15)
@given(
    angle=st.floats(0, 360),
    axis=st.tuples(*[st.floats(0.1, 1)] * 3),
    shift=st.tuples(*[st.floats(-5, 5)] * 3),
    seed=st.integers(0, 100),
)
def test_fingerprint_does_not_see_rotation_shift_permutation_or_repetition(
    angle, axis, shift, seed
):
    rng = np.random.default_rng(seed)
    atoms = gaussian_rattle(polymorph("stishovite"), 0.05, rng)
    other = repeat(atoms, (1, 2, 1))
    other.rotate(angle, axis, rotate_cell=True)
    other.positions += shift
    other.wrap()
    other = other[rng.permutation(len(other))]
    one, two = fingerprints([atoms, other])
    assert np.linalg.norm(one - two) < 1e-8


def test_fingerprint_grows_with_the_difference():
    atoms = polymorph("coesite")
    zero = np.zeros((3, 3))
    structures = [atoms, *(deform(atoms, change, zero) for change in (0.001, 0.01, 0.1))]
    prints = fingerprints(structures)
    distance = np.linalg.norm(prints - prints[0], axis=1)
    assert 0 < distance[1] < 0.005 < distance[2] < distance[3]


def test_near_duplicates_name_the_first_that_is_kept():
    prints = np.array([[0.0], [5.0], [0.001], [0.002], [np.nan], [np.nan]])
    assert [(i, j) for i, j, _ in near_duplicates(prints, 0.01)] == [(2, 0), (3, 0)]


def test_farthest_points_cover_before_they_refine():
    prints = np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [5.0]])
    assert set(prints[farthest_points(prints, 3), 0]) == {0.0, 10.1, 5.0}
    assert sorted(farthest_points(prints, 99)) == list(range(6))


@settings(max_examples=20)
@given(width=st.floats(0.02, 0.3), seed=st.integers(0, 1000))
def test_monte_carlo_rattle_keeps_the_shortest_distances(width, seed):
    atoms = deform(polymorph("alpha_cristobalite"), -0.1, np.zeros((3, 3)))
    rattled = monte_carlo_rattle(atoms, width, LIMITS, np.random.default_rng(seed))
    check_distances(rattled, LIMITS)


def test_rattles_have_the_width_asked_for():
    atoms = repeat(polymorph("alpha_quartz"), (4, 4, 4))
    rng = np.random.default_rng(0)
    moved = gaussian_rattle(atoms, 0.1, rng).positions - atoms.positions
    assert moved.std() == pytest.approx(0.1, rel=0.06)
    small = repeat(polymorph("alpha_quartz"), (2, 2, 2))
    moved = monte_carlo_rattle(small, 0.05, LIMITS, rng).positions - small.positions
    assert moved.std() == pytest.approx(0.05, rel=0.15)
