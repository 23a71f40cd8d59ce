"""Shifts, scale and neighbours from labels."""

import numpy as np
import pytest
from ase import Atoms

from glassml.potential import PotentialError
from glassml.potential.members import bootstrap
from glassml.potential.shifts import (
    isolated_shifts,
    least_squares_shifts,
    mean_neighbours,
    rms_force,
)
from silica_labels import ISOLATED, make_labels, quartz


def test_least_squares_finds_energies_of_mixtures():
    frames = []
    for silicon, oxygen in ((1, 2), (2, 1), (3, 5), (1, 0)):
        atoms = Atoms(f"Si{silicon}O{oxygen}" if oxygen else f"Si{silicon}")
        atoms.info["REF_energy"] = -3.5 * silicon - 1.25 * oxygen
        frames.append(atoms)
    shifts = least_squares_shifts(frames, ["O", "Si"])
    assert shifts == pytest.approx({"O": -1.25, "Si": -3.5})


def test_least_squares_of_one_composition_keeps_the_formula_unit():
    frames = make_labels(6, seed=1)
    shifts = least_squares_shifts(frames, ["O", "Si"])
    mean = np.mean([atoms.info["REF_energy"] / len(atoms) for atoms in frames])
    assert (shifts["Si"] + 2 * shifts["O"]) / 3 == pytest.approx(mean)


def test_missing_isolated_atom_is_named():
    assert isolated_shifts(ISOLATED, ["O", "Si"]) == ISOLATED
    with pytest.raises(PotentialError, match="isolated atom of Al"):
        isolated_shifts(ISOLATED, ["Al", "O", "Si"])


def test_neighbours_of_quartz_within_the_first_shell():
    # 4 per Si and 2 per O: (3 x 4 + 6 x 2) / 9
    assert mean_neighbours([quartz()], 2.0) == pytest.approx(24 / 9)


def test_rms_force():
    atoms = Atoms("Si2")
    atoms.arrays["REF_forces"] = np.array([[3.0, 0, 0], [-3.0, 0, 0]])
    assert rms_force([atoms]) == pytest.approx(np.sqrt(3.0))


def test_bootstrap_draws_whole_parents():
    frames = make_labels(36, seed=1)
    drawn = bootstrap(frames, np.random.default_rng(0))
    sizes = {}
    for atoms in frames:
        sizes[atoms.info["parent"]] = sizes.get(atoms.info["parent"], 0) + 1
    counts = {}
    for atoms in drawn:
        counts[atoms.info["parent"]] = counts.get(atoms.info["parent"], 0) + 1
    assert all(count % sizes[parent] == 0 for parent, count in counts.items())
    assert 0 < len(counts) < len(sizes)  # some parents twice, some left out
