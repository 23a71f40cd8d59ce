"""Ring shape and ring centres: known polygons, crystals, second opinions."""

import numpy as np
import pytest

from glassml.configurations.crystals import polymorph
from glassml.structure.bonds import find_bonds
from glassml.structure.rings.centres import (
    centre_pair_distribution,
    centre_structure_factor,
    contributions,
)
from glassml.structure.rings.search import Rings, find_rings
from glassml.structure.rings.shape import ring_shapes, shape_by_size, slope_of_l2


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


def test_contributions_add_up(disordered):
    rings = find_rings(disordered, "king", 10)
    whole = centre_structure_factor(rings, 4.0, 0.1)
    q, parts = contributions(rings, 4.0, 0.1)
    np.testing.assert_allclose(q, whole.q)
    np.testing.assert_allclose(sum(parts.values()), whole.centre, atol=1e-4)
    assert set(parts) == set(rings.counts())
