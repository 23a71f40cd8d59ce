"""Bonds, coordination, angles, Qn, shared bridges, Kono's z, voids: crystals and a glass."""

import numpy as np
import pytest
from ase import Atoms
from matscipy.neighbours import neighbour_list

from glassml.campaign.errors import StructureError
from glassml.campaign.units import density_g_cm3
from glassml.configurations.crystals import polymorph
from glassml.structure.bonds import bonds_kept, find_bonds, find_cutoffs
from glassml.structure.network import (
    bond_angles,
    fractions,
    kono_z,
    q_species,
    shared_bridges,
)
from glassml.structure.voids import cavities, distance_to_atoms, void_statistics


@pytest.mark.parametrize(
    ("name", "si", "o", "shared"),
    [
        ("alpha_quartz", 4, 2, {"1": 2}),
        ("coesite", 4, 2, {"1": 2}),
        # Each octahedron shares 2 edges and 8 corners.
        ("stishovite", 6, 3, {"1": 4, "2": 1}),
    ],
)
def test_crystals(name, si, o, shared):
    atoms = polymorph(name)
    bonds = find_bonds(atoms)
    assert fractions(bonds.coordination[atoms.numbers == 14]) == {str(si): 1.0}
    assert fractions(bonds.coordination[atoms.numbers == 8]) == {str(o): 1.0}
    assert set(q_species(bonds)) == {si}
    assert shared_bridges(bonds) == pytest.approx(shared)


def test_angles_of_beta_cristobalite():
    """Ideal: tetrahedra and straight bridges."""
    atoms = polymorph("beta_cristobalite")
    bonds = find_bonds(atoms)
    np.testing.assert_allclose(bond_angles(atoms, bonds, 14), np.degrees(np.arccos(-1 / 3)))
    np.testing.assert_allclose(bond_angles(atoms, bonds, 8), 180.0, atol=1e-4)
    assert len(bond_angles(atoms, bonds, 14)) == 6 * 2


def test_density_of_quartz(quartz):
    assert density_g_cm3(quartz) == pytest.approx(2.65, abs=0.01)


def test_a_deformed_crystal_keeps_its_bonds_however_it_is_folded(quartz):
    moved = quartz.copy()
    moved.rattle(0.05, seed=1)
    moved.set_cell(moved.cell * 1.03, scale_atoms=True)
    moved.positions += [3.0, -2.0, 7.0]
    moved.wrap()
    assert bonds_kept(find_bonds(quartz, 2.0), find_bonds(moved, 2.0)) == 1.0


def test_kept_bonds_are_counted_by_hand(quartz):
    """An O that goes takes its two bonds along, from both structures' sides."""
    large = quartz * 2
    bonds = find_bonds(large, 2.0)
    oxygen, silicon = np.flatnonzero(large.numbers == 8), np.flatnonzero(large.numbers == 14)
    moved = large.copy()
    moved.positions[oxygen[0]] = large.positions[silicon[-1]] + [0.3, 0.3, 0.3]
    former = set(bonds.second[bonds.first == oxygen[0]])
    lost = 2 - (silicon[-1] in former)
    kept = bonds_kept(bonds, find_bonds(moved, 1.0 + 1.0))
    assert kept == pytest.approx(1 - lost / (2 * len(oxygen)))
    swapped = large[np.random.default_rng(0).permutation(len(large))]
    with pytest.raises(StructureError, match="same atoms in the same order"):
        bonds_kept(bonds, find_bonds(swapped, 2.0))


def test_cutoff_is_between_the_shells(disordered):
    cutoff = find_cutoffs([disordered])["Si-O"]
    assert 1.95 < cutoff < 2.7


def test_a_gas_has_no_cutoff():
    rng = np.random.default_rng(0)
    atoms = Atoms([14] * 300 + [8] * 600, cell=[24.0] * 3, pbc=True)
    atoms.set_scaled_positions(rng.random((900, 3)))
    with pytest.raises(StructureError, match="give a cutoff"):
        find_cutoffs([atoms])


def test_kono_z_by_brute_force(disordered):
    first, second, distance = neighbour_list("ijd", disordered, 8.0)
    is_si = disordered.numbers == 14
    expected = []
    for i in np.flatnonzero(is_si):
        mine = first == i
        of_si = np.sort(distance[mine & is_si[second]])
        of_o = np.sort(distance[mine & ~is_si[second]])
        expected.append(of_si[4] - of_o[3])
    np.testing.assert_allclose(kono_z(disordered), expected, atol=1e-9)


def test_second_opinion_on_glasses(glass3000, glass999):
    """ASE and numpy on the shared glasses; cutoff 2.2 Å."""
    for atoms, bond, angle_o, angle_si in (
        (glass3000, (1.617, 0.043), (151.8, 12.5), (109.4, 5.9)),
        (glass999, (1.621, 0.078), (146.6, 8.1), (109.6, 6.1)),
    ):
        bonds = find_bonds(atoms, 2.2)
        oxygen, silicon = bond_angles(atoms, bonds, 8), bond_angles(atoms, bonds, 14)
        assert (bonds.length.mean(), bonds.length.std()) == pytest.approx(bond, abs=6e-4)
        assert (oxygen.mean(), oxygen.std()) == pytest.approx(angle_o, abs=0.06)
        assert (silicon.mean(), silicon.std()) == pytest.approx(angle_si, abs=0.06)


def test_distance_to_atoms_in_a_skewed_cell():
    cell = np.array([[6.0, 0, 0], [3, 5, 0], [1, 2, 7]])
    atoms = Atoms("SiO", [[1, 1, 1], [4, 3, 5]], cell=cell, pbc=True)
    distance = distance_to_atoms(atoms, 0.9)
    shape = distance.shape
    shifts = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    images = (atoms.positions[:, None] + shifts @ cell).reshape(-1, 3)
    for index in [(0, 0, 0), (3, 2, 5), (6, 4, 1)]:
        point = np.array(index) / shape @ cell
        expected = np.linalg.norm(images - point, axis=1).min()
        assert distance[index] == pytest.approx(expected)


def test_a_single_cavity_around_the_corner():
    """Everything farther than 2.5 Å from one atom pair is one region through the boundary."""
    atoms = Atoms("SiO", [[5, 5, 5], [6.6, 5, 5]], cell=[10.0] * 3, pbc=True)
    volumes = cavities(atoms, 2.5, 0.2)
    assert len(volumes) == 1
    lens = np.pi * (4 * 2.5 + 1.6) * (2 * 2.5 - 1.6) ** 2 / 12
    expected = 1000 - (2 * 4 / 3 * np.pi * 2.5**3 - lens)
    assert volumes[0] == pytest.approx(expected, rel=0.01)
    assert void_statistics(atoms)["volume_fraction"] == pytest.approx(expected / 1000, rel=0.05)
