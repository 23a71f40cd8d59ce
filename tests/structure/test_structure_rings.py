"""Rings: crystals with known counts, invariances, and random networks against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from brute_force import Network
from brute_force import rings as brute_force_rings
from hypothesis import given, settings
from hypothesis import strategies as st

from glassml.campaign.errors import StructureError
from glassml.campaign.names import CRITERIA
from glassml.configurations.crystals import polymorph
from glassml.structure.bonds import Bonds, find_bonds
from glassml.structure.rings.graph import CoveringGraph, pack
from glassml.structure.rings.known import KNOWN_RINGS
from glassml.structure.rings.nearby import LISTED, nearby_silicon, search_within, within
from glassml.structure.rings.search import find_rings
from glassml.structure.species import Network as ElementPair

SLANTED = np.array([[1, 1, 0], [0, 1, 2], [0, 0, 1]])


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", KNOWN_RINGS)
def test_rings_of_crystals(name, criterion):
    """The primitive cell alone gives the known counts."""
    assert find_rings(polymorph(name), criterion).per_former() == pytest.approx(
        KNOWN_RINGS[name][criterion]
    )


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize(("name", "largest"), [("moganite", 8), ("keatite", 8), ("seifertite", 4)])
def test_second_opinion_on_crystals(name, largest, criterion):
    """Straight from the definitions, where no other source is known."""
    atoms = polymorph(name)
    silicons = np.flatnonzero(atoms.numbers == 14)
    counts = brute_force_rings(find_bonds(atoms), silicons, criterion, largest)
    known = {n: x for n, x in KNOWN_RINGS[name][criterion].items() if n <= largest}
    assert {n: count / len(silicons) for n, count in counts.items()} == pytest.approx(known)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", ["alpha_quartz", "coesite", "stishovite"])
def test_counts_do_not_depend_on_the_description(name, criterion):
    """Supercell, another cell of the same lattice, rotation, order and wrapping change nothing."""
    primitive = polymorph(name)
    rng = np.random.default_rng(7)
    for matrix in (np.diag([2, 1, 3]), SLANTED, np.diag([4, 4, 4])):
        atoms = make_supercell(primitive, matrix)
        atoms.rotate(37.0, (1, 2, 3), rotate_cell=True)
        atoms = atoms[rng.permutation(len(atoms))]
        atoms.positions += rng.integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array + [0.3, 9, -4]
        assert find_rings(atoms, criterion).per_former() == pytest.approx(
            KNOWN_RINGS[name][criterion]
        )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_members_are_bonded_closed_and_unwrapped(criterion):
    atoms = polymorph("coesite")
    rings = find_rings(atoms, criterion)
    steps = np.linalg.norm(np.diff(rings.coordinates, axis=0), axis=1)
    inside = np.ones(len(steps), bool)
    inside[rings.pointer[1:-1] - 1] = False
    assert steps[inside].max() < 1.7  # coesite's longest Si-O bond is 1.62 Å
    closing = rings.coordinates[rings.pointer[:-1]] - rings.coordinates[rings.pointer[1:] - 1]
    assert np.linalg.norm(closing, axis=1).max() < 1.7
    for index in range(len(rings)):
        members, images = rings.ring(index)
        assert len(members) == 2 * rings.size[index]
        assert len({(m, *i) for m, i in zip(members, images.tolist(), strict=True)}) == len(members)
        assert rings.is_former[members[::2]].all()
        assert not rings.is_former[members[1::2]].any()


def test_selecting_a_size_keeps_its_rings(quartz):
    rings = find_rings(quartz)
    eight = rings.of_size(8)
    assert eight.counts() == {8: 15}
    assert len(eight.centres) == 15
    index = int(np.flatnonzero(rings.size == 8)[3])
    np.testing.assert_allclose(eight.centres[3], rings.centres[index])


def test_threads_give_the_same_rings(disordered):
    import numba

    before = numba.get_num_threads()
    results = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        rings = find_rings(disordered, "primitive", 8)
        results.append(sorted(tuple(rings.ring(i)[0]) for i in range(len(rings))))
    numba.set_num_threads(before)
    assert results[0] == results[1]


def made(first, second, shift, positions, cell, n_si):
    """Bonds of a network whose first atoms are Si, the others O."""
    is_si = np.arange(len(positions)) < n_si
    pair = ElementPair(("Si",), ("O",))
    return Bonds(first, second, shift, positions, cell, {"Si-O": 2.0}, pair, is_si, ~is_si)


@st.composite
def random_networks(draw):
    """Bonds of a periodic bipartite network: any degrees, double bonds to other images too."""
    n_si = draw(st.integers(1, 4))
    n_o = draw(st.integers(2, 7))
    shift = st.tuples(*[st.integers(-1, 1)] * 3)
    bond = st.tuples(st.integers(0, n_si - 1), st.integers(n_si, n_si + n_o - 1), shift)
    chosen = draw(st.sets(bond, min_size=2, max_size=10))
    first = [a for a, _, _ in chosen] + [b for _, b, _ in chosen]
    second = [b for _, b, _ in chosen] + [a for a, _, _ in chosen]
    shifts = [s for _, _, s in chosen] + [tuple(-x for x in s) for _, _, s in chosen]
    order = np.argsort(first, kind="stable")
    bonds = made(
        np.array(first)[order],
        np.array(second)[order],
        np.array(shifts)[order],
        np.arange(3.0 * (n_si + n_o)).reshape(-1, 3),
        500.0 * np.eye(3),
        n_si,
    )
    # A huge cell: nothing tells the search in advance that rings will meet their own images.
    atoms = Atoms(
        [14] * n_si + [8] * n_o,
        bonds.positions,
        cell=bonds.cell,
        pbc=True,
    )
    return atoms, bonds


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(max_examples=25)
@given(network=random_networks())
def test_random_networks_against_brute_force(criterion, network):
    atoms, bonds = network
    silicons = np.flatnonzero(atoms.numbers == 14)
    largest = 3 if criterion == "primitive" else 4
    expected = brute_force_rings(bonds, silicons, criterion, largest)
    assert find_rings(atoms, criterion, largest, bonds).counts() == expected


@settings(max_examples=40)
@given(network=random_networks())
def test_nodes_within_a_number_of_bonds(network):
    """By lists or by a search from both sides, the answer is that of a breadth-first search."""
    _, bonds = network
    graph = CoveringGraph.from_bonds(bonds, 24)
    nearby, bits = nearby_silicon(graph), np.array([5, 5, 5])
    arrays = (graph.pointer, graph.neighbour, graph.image)
    entries = graph.n << 15
    queues = [np.zeros((10_000, 2), np.int32) for _ in range(2)]
    marks = (np.zeros(entries, np.int64), np.zeros(entries, np.int32), *queues)
    kept = np.isin(bonds.first, graph.order[np.flatnonzero(np.diff(graph.pointer))])
    kept &= np.isin(bonds.second, graph.order[np.flatnonzero(np.diff(graph.pointer))])
    core = replace(
        bonds, first=bonds.first[kept], second=bonds.second[kept], shift=bonds.shift[kept]
    )
    by_hand, tick = Network(core), 1
    for u in range(graph.n):
        known = by_hand.distances((int(graph.order[u]), (0, 0, 0)), 12)
        for v in range(graph.n):
            for shift in [(0, 0, 0), (1, 0, 0), (0, -1, 1)]:
                if (u, (0, 0, 0)) == (v, shift):
                    continue
                distance = known.get((int(graph.order[v]), shift), 99)
                same_kind = (u < graph.n_si) == (v < graph.n_si)
                for limit in range(2 if same_kind else 1, 13, 2):
                    ends = (u, 0, v, int(pack(shift)), limit)
                    tick += 2
                    searched = search_within(*ends, arrays, bits, marks, tick)
                    assert searched == (distance <= limit)
                    if limit <= LISTED:
                        assert within(*ends, nearby) == (distance <= limit)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_larger_primitive_rings_against_brute_force(seed, quartz):
    """Quartz with some of its O bonded anew: rings of many sizes, shortcuts of many kinds."""
    rng = np.random.default_rng(seed)
    bonds = find_bonds(quartz, 2.0)
    of_o = np.flatnonzero(bonds.first >= 3)
    moved = rng.choice(of_o, 3, replace=False)
    shift, second = bonds.shift.copy(), bonds.second.copy()
    shift[moved] = rng.integers(-1, 2, (3, 3))
    second[moved] = rng.integers(0, 3, 3)
    pairs = {
        (int(o), int(si), tuple(int(x) for x in s))
        for o, si, s in zip(bonds.first[of_o], second[of_o], shift[of_o], strict=True)
    }
    rows = sorted(pairs | {(si, o, tuple(-x for x in s)) for o, si, s in pairs})
    first, second, shift = (np.array(column) for column in zip(*rows, strict=True))
    changed = made(first, second, shift, quartz.positions, quartz.cell.array, 3)
    expected = brute_force_rings(changed, range(3), "primitive", 6)
    assert find_rings(quartz, "primitive", 6, changed).counts() == expected


def test_an_atom_with_too_many_bonds_is_refused(quartz):
    with pytest.raises(StructureError, match="is the cutoff right"):
        find_rings(quartz, bonds=find_bonds(quartz, 7.0))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_dense_random_structure_against_brute_force(criterion):
    rng = np.random.default_rng(3)
    atoms = Atoms([14] * 6 + [8] * 12, cell=[[6.5, 0, 0], [1.5, 6, 0], [-2, 1, 7]], pbc=True)
    atoms.set_scaled_positions(rng.random((18, 3)))
    bonds = find_bonds(atoms, 2.6)
    expected = brute_force_rings(bonds, np.arange(6), criterion, 4)
    assert sum(expected.values()) > 10
    assert find_rings(atoms, criterion, 4, bonds).counts() == expected


def test_a_structure_without_rings():
    atoms = Atoms("SiO2", [[5, 5, 5], [6.6, 5, 5], [3.4, 5, 5]], cell=[10] * 3, pbc=True)
    for criterion in CRITERIA:
        rings = find_rings(atoms, criterion, bonds=find_bonds(atoms, 2.0))
        assert len(rings) == 0
        assert rings.counts() == {}
        assert rings.centres.shape == (0, 3)


def test_unknown_criterion_is_refused(quartz):
    with pytest.raises(StructureError, match="primitive, king, king-shell, guttman"):
        find_rings(quartz, "queen")


@pytest.mark.parametrize(
    ("criterion", "per_si"),
    [
        ("guttman", {3: 0.013, 4: 0.141, 5: 0.423, 6: 0.444, 7: 0.047}),
        ("king", {3: 0.013, 4: 0.141, 5: 0.427, 6: 0.626, 7: 0.864, 8: 0.552, 9: 0.080}),
    ],
)
def test_second_opinion_on_a_glass(glass3000, criterion, per_si):
    """SOVA 0.8.3 on the shared glass of 3000 atoms, cutoff 2.2 Å."""
    rings = find_rings(glass3000, criterion, bonds=find_bonds(glass3000, 2.2))
    assert {n: x for n, x in rings.per_former().items() if n < 10} == pytest.approx(
        per_si, abs=6e-4
    )


def test_primitive_rings_of_a_glass_against_matscipy(glass3000):
    """matscipy counts shortest-path rings on the quotient graph: right in a box of 36 Å."""
    from matscipy.rings import ring_statistics

    symbols = {(14, 8): 2.2}
    expected = ring_statistics(glass3000, symbols, maxlength=21)
    rings = find_rings(glass3000, "primitive", 10, find_bonds(glass3000, 2.2))
    assert rings.counts() == {n: int(c) for n, c in enumerate(expected[::2]) if c}
