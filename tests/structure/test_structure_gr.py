"""g(r): exact pair counts in any cell, and their normalisation."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from matscipy.neighbours import neighbour_list

from glassml.structure.gr import count_pairs, pair_distribution


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), r_max=st.floats(1.0, 16.0), n=st.integers(2, 40))
def test_counts_are_all_pairs_of_images(seed, r_max, n):
    """Skewed cells, distances beyond the cell: each pair once."""
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(3, 12, 3)) + rng.uniform(-2, 2, (3, 3))
    positions = rng.random((n, 3)) @ cell + rng.integers(-2, 3, (n, 3)) @ cell
    is_si = rng.random(n) < 0.4
    is_si[:2] = True, False
    width = r_max / 37
    counts = count_pairs(positions, cell, (~is_si).astype(int), 37, width)
    atoms = Atoms(np.where(is_si, 14, 8), positions, cell=cell, pbc=True)
    i, j, d = neighbour_list("ijd", atoms, r_max)
    kinds = np.where(is_si, 0, 1)
    for kind in range(3):
        expected = np.histogram(d[kinds[i] + kinds[j] == kind], 37, (0, r_max))[0] // 2
        # The last digit of a distance may fall on either side of an edge of the bins.
        assert np.abs(np.cumsum(counts[kind]) - np.cumsum(expected)).max() <= 1


def test_ideal_gas_is_one():
    rng = np.random.default_rng(0)
    atoms = Atoms([14] * 700 + [8] * 1300, cell=[[30, 0, 0], [5, 28, 0], [-6, 3, 31]], pbc=True)
    atoms.set_scaled_positions(rng.random((2000, 3)))
    pairs = pair_distribution(atoms, bin_width=1.0)
    for pair, g in pairs.partials.items():
        expected = 1 / np.sqrt(pairs.counts[pair][3:])
        assert (np.abs(g[3:] - 1) < 4.5 * expected).all()


def test_first_shell_counts_neighbours(quartz):
    """4πρ_O ∫ g_SiO r² dr over the first shell is the coordination number, 4."""
    pairs = pair_distribution(quartz, r_max=2.3, bin_width=0.01)
    shell = 4 / 3 * np.pi * np.diff(pairs.edges**3) * pairs.numbers["O"] / pairs.volume
    assert (pairs.partials["Si-O"] * shell).sum() == pytest.approx(4)
    assert pairs.partials["Si-Si"].max() == 0


def test_totals_weigh_partials(disordered):
    pairs = pair_distribution(disordered)
    atoms = sum(pairs.numbers.values())
    ones = pairs.total({"Si": 1.0, "O": 1.0})
    total = sum(pairs.counts.values())
    shells = 4 / 3 * np.pi * np.diff(pairs.edges**3) * pairs.number_density
    np.testing.assert_allclose(ones, 2 * total / atoms / shells)
    np.testing.assert_allclose(pairs.total({"Si": 1.0, "O": 0.0}), pairs.partials["Si-Si"])
    np.testing.assert_allclose(
        pairs.t_of_r(ones) - pairs.d_of_r(ones), 4 * np.pi * pairs.number_density * pairs.r
    )
    assert pairs.numbers["O"] == 2 * pairs.numbers["Si"]


def test_default_range_is_half_the_cell(quartz):
    assert pair_distribution(quartz).edges[-1] == pytest.approx(4.9137 * np.sqrt(3) / 4, abs=0.02)
