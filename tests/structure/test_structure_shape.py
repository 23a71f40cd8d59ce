"""Ring shape and ring centres: known polygons, crystals, second opinions."""

import numpy as np
import pytest
from ase import Atoms

from glassml.configurations.crystals import polymorph
from glassml.structure.bonds import find_bonds
from glassml.structure.rings.centres import (
    centre_pair_distribution,
    centre_structure_factor,
    contributions,
    distinct_centres,
)
from glassml.structure.rings.search import Rings, find_rings
from glassml.structure.rings.shape import ring_shapes, shape_by_size, slope_of_l2
from glassml.structure.sq import structure_factor


def polygon(n, long=2.0, short=1.0, lift=0.0):
    """One ring of n Si on an ellipse, every second atom (O) lifted."""
    angle = 2 * np.pi * np.arange(2 * n) / (2 * n)
    z = lift * (-1.0) ** np.arange(2 * n)
    positions = np.column_stack([long * np.cos(angle), short * np.sin(angle), z])
    return Rings(
        size=np.array([n]),
        pointer=np.array([0, 2 * n]),
        members=np.arange(2 * n),
        packed_images=np.zeros(2 * n, np.int32),
        positions=positions,
        cell=50 * np.eye(3),
        is_former=np.arange(2 * n) % 2 == 0,
        is_bridge=np.arange(2 * n) % 2 == 1,
        criterion="primitive",
    )


@pytest.mark.parametrize("atoms", ["Si+O", "Si"])
@pytest.mark.parametrize("n", [3, 6, 9])
def test_ellipses(n, atoms):
    """Points even on an ellipse of half axes a, b have l3 = a/√2, l2 = b/√2, l1 = 0."""
    shapes = ring_shapes(polygon(n), atoms)
    np.testing.assert_allclose(shapes.lengths[0], [0, 1 / np.sqrt(2), np.sqrt(2)], atol=1e-7)
    assert shapes.aspect_ratio[0] == pytest.approx(0.5)
    assert shapes.roughness[0] == pytest.approx(0, abs=1e-6)


def test_a_puckered_ring_is_rough():
    shapes = ring_shapes(polygon(6, 1.0, 1.0, 0.3))
    np.testing.assert_allclose(shapes.lengths[0], [0.3, np.sqrt(0.5), np.sqrt(0.5)])
    assert shapes.roughness[0] == pytest.approx(0.3 / np.sqrt(0.5))
    assert shapes.radius_of_gyration[0] == pytest.approx(np.sqrt(1.09))


def test_shape_does_not_depend_on_wrapping(quartz):
    before = ring_shapes(find_rings(quartz)).lengths
    moved = quartz.copy()
    moved.positions += [1.7, -2.2, 3.1]
    after = ring_shapes(find_rings(moved)).lengths
    np.testing.assert_allclose(np.sort(before, axis=0), np.sort(after, axis=0), atol=1e-9)


def test_slope_is_that_of_a_line():
    rings = [ring_shapes(polygon(n, 5.0, np.sqrt(2) * 0.2 * n)) for n in range(5, 9)]
    from glassml.structure.rings.shape import RingShapes

    together = RingShapes(
        np.concatenate([r.size for r in rings]), np.concatenate([r.lengths for r in rings]), "Si+O"
    )
    assert slope_of_l2(together) == pytest.approx(0.2)
    assert np.isnan(slope_of_l2(rings[0]))


@pytest.mark.parametrize(
    ("criterion", "size", "l1", "l2", "l3", "aspect", "sd", "roughness"),
    [
        ("king", 5, 0.44, 1.50, 1.78, 0.847, 0.066, 0.271),
        ("king", 7, 0.70, 1.74, 2.36, 0.739, 0.098, 0.354),
        ("king", 9, 0.83, 1.99, 2.91, 0.687, 0.114, 0.353),
        ("guttman", 6, 0.57, 1.65, 2.08, 0.794, 0.085, 0.311),
    ],
)
def test_second_opinion(glass3000, criterion, size, l1, l2, l3, aspect, sd, roughness):
    """SOVA 0.8.3's rings of the shared glass, and the tensor by another program."""
    rings = find_rings(glass3000, criterion, bonds=find_bonds(glass3000, 2.2))
    row = shape_by_size(ring_shapes(rings))[size]
    lengths = [row[name]["mean"] for name in ("l1", "l2", "l3")]
    assert lengths == pytest.approx([l1, l2, l3], abs=0.006)
    assert row["aspect_ratio"]["mean"] == pytest.approx(aspect, abs=6e-4)
    assert row["aspect_ratio"]["sd"] == pytest.approx(sd, abs=6e-4)
    assert row["roughness"]["mean"] == pytest.approx(roughness, abs=6e-4)


def test_centres_of_cristobalite_form_its_lattice():
    """Ideal beta-cristobalite: the centres of the 6-rings are the 16 sites (d) of Fd-3m."""
    atoms = polymorph("beta_cristobalite")
    rings = find_rings(atoms)
    fractions = np.linalg.solve(atoms.cell.array.T, rings.centres.T).T % 1
    assert len(np.unique(np.round(fractions, 4) % 1, axis=0)) == 4
    r, g = centre_pair_distribution(rings, r_max=4.0, bin_width=0.02)
    first = r[np.flatnonzero(g["centre-centre"])[0]]
    assert first == pytest.approx(7.126 / np.sqrt(8), abs=0.02)


@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize(
    ("crystal", "criterion", "per_si"),
    [
        ("beta_cristobalite", "primitive", {6: 2}),
        ("alpha_quartz", "king", {6: 1, 8: 7}),
        # Each edge along c is in a triangle with an Si of two of the chains beside it; through a
        # triangle pass two rings, by the one and the other O of the edge.
        ("stishovite", "primitive", {2: 1, 3: 2, 4: 6}),
    ],
)
def test_rings_through_the_same_si_are_one(crystal, criterion, per_si, repeat):
    atoms = polymorph(crystal).repeat(repeat)
    centres = distinct_centres(find_rings(atoms, criterion))
    si = int((atoms.numbers == 14).sum())
    assert {n: (centres.size == n).sum() / si for n in np.unique(centres.size)} == per_si
    assert centres.weight.sum() == pytest.approx(si)
    # All Si are equivalent, so that a ring of n Si weighs n shares.
    shares = centres.weight / centres.size
    np.testing.assert_allclose(shares, 1 / sum(n * count for n, count in per_si.items()))


def test_centres_where_each_ring_weighs_the_same():
    """Cristobalite's rings have no twins and one weight: S(Q) is that of their centres alone."""
    atoms = polymorph("beta_cristobalite").repeat(2)
    rings = find_rings(atoms)
    factor = centre_structure_factor(rings, 3.0, 0.05)
    sites = Atoms("H" * len(rings), rings.centres, cell=rings.cell, pbc=True)
    of_sites = structure_factor(sites, 3.0, 0.05)
    np.testing.assert_allclose(factor.centre, of_sites.partials["H-H"], atol=1e-4)


def test_centres_at_small_q_are_the_silicon():
    """Where the number of rings varies from place to place, S(Q) of the centres does not rise.

    Each Si is moved to the centres of its rings, so that the amplitudes differ by Q times the mean
    way that the Si are moved.
    """
    rng = np.random.default_rng(3)
    atoms = polymorph("stishovite").repeat((8, 8, 12))
    oxygen = np.flatnonzero(atoms.numbers == 8)
    # Half of the box loses every third O, and with it most of its rings.
    holes = [o for o in oxygen if atoms.positions[o, 0] < 17 and rng.random() < 1 / 3]
    del atoms[holes]
    rings = find_rings(atoms, "primitive", 6, find_bonds(atoms, 2.2))
    centres = distinct_centres(rings)
    on_rings = np.unique(rings.members[rings.is_former[rings.members]])
    assert centres.weight.sum() == pytest.approx(len(on_rings))
    q = 2 * np.pi / rings.cell[0, 0]

    def amplitude(points, weights):
        return (weights * np.exp(1j * q * points[:, 0])).sum()

    moved = amplitude(centres.positions, centres.weight)
    silicon = amplitude(rings.positions[on_rings], np.ones(len(on_rings)))
    assert abs(moved - silicon) < q * 0.2 * len(on_rings)  # found: 0.10 Å
    power = (centres.weight**2).sum()
    one_each = np.ones(len(rings))
    assert abs(moved) ** 2 / power < 0.1 * abs(amplitude(rings.centres, one_each)) ** 2 / len(rings)


def test_contributions_add_up(disordered):
    rings = find_rings(disordered, "king", 10)
    whole = centre_structure_factor(rings, 4.0, 0.1)
    q, parts = contributions(rings, 4.0, 0.1)
    np.testing.assert_allclose(q, whole.q)
    np.testing.assert_allclose(sum(parts.values()), whole.centre, atol=1e-4)
    assert set(parts) == set(rings.counts())
