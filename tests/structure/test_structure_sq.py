"""S(Q): against the explicit lattice sum, Bragg peaks, the ideal gas, sum rules, g(r)."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from brute_force import lattice_sum
from hypothesis import given, settings
from hypothesis import strategies as st

from glassml.configurations.crystals import polymorph
from glassml.structure.lattice import lattice_sums
from glassml.structure.scattering import (
    ashcroft_langreth,
    bhatia_thornton,
    form_factor,
    total_structure_factor,
)
from glassml.structure.sq import (
    average,
    broaden,
    structure_factor,
    transform_of_gr,
)


def explicit(atoms, q_max, q_bin, q_min=0.0):
    """Faber-Ziman partials by the explicit sum, binned."""
    is_si = atoms.numbers == 14
    q, a, b = lattice_sum(atoms.positions, atoms.cell.array, is_si, q_max, q_min)
    index = (q / q_bin).astype(int)
    counts = np.bincount(index)
    filled = counts > 0

    def mean(values):
        return np.bincount(index, values)[filled] / counts[filled]

    n, n_a = len(atoms), is_si.sum()
    c_a, c_b = n_a / n, 1 - n_a / n
    return {
        "q": mean(q),
        "counts": counts[filled],
        "Si-Si": 1 + (mean(abs(a) ** 2) / n_a - 1) / c_a,
        "O-O": 1 + (mean(abs(b) ** 2) / (n - n_a) - 1) / c_b,
        "Si-O": 1 + mean((a * b.conj()).real) / (n * c_a * c_b),
    }


def test_partials_are_the_explicit_sum_in_a_triclinic_cell(disordered):
    expected = explicit(disordered, 8.0, 0.02)
    factor = structure_factor(disordered, 8.0, 0.02)
    np.testing.assert_array_equal(factor.counts, expected["counts"])
    np.testing.assert_allclose(factor.q, expected["q"], atol=1e-9)
    for pair in ("Si-Si", "Si-O", "O-O"):
        assert np.abs(factor.partials[pair] - expected[pair]).max() < 1e-4


@pytest.mark.parametrize(("low", "high"), [(0.0, 8.0), (14.0, 14.5), (24.5, 25.0)])
def test_the_lattice_sum_is_exact_to_25(disordered, low, high):
    expected = explicit(disordered[::3], high, 0.02, low)
    factor = structure_factor(disordered[::3], 25.0, 0.02)
    chosen = (factor.q > low) & (factor.q <= high)
    np.testing.assert_array_equal(factor.counts[chosen], expected["counts"])
    for pair in ("Si-Si", "Si-O", "O-O"):
        assert np.abs(factor.partials[pair][chosen] - expected[pair]).max() < 1e-4


def test_beyond_8_the_transform_of_g_of_r_is_the_lattice_sum(glass3000):
    """Mean over 1 1/Å, where the lattice sum's own noise is below 0.007."""
    lattice = structure_factor(glass3000, 25.0, q_lattice=25.0)
    beyond = lattice.q > 8
    transform = transform_of_gr(glass3000, lattice.q[beyond])
    for low in range(8, 25):
        chosen = (lattice.q[beyond] > low) & (lattice.q[beyond] <= low + 1)
        for pair, values in transform.items():
            difference = values[chosen] - lattice.partials[pair][beyond][chosen]
            assert abs(np.average(difference, weights=lattice.counts[beyond][chosen])) < 0.01


def test_a_glass_is_the_explicit_sum(glass999):
    expected = explicit(glass999, 4.0, 0.02)
    factor = structure_factor(glass999, 4.0, 0.02)
    for pair in ("Si-Si", "Si-O", "O-O"):
        assert np.abs(factor.partials[pair] - expected[pair]).max() < 1e-4


@pytest.mark.parametrize("modes", [300, 3000, 10**6])
def test_cosets_make_the_complete_lattice(disordered, modes):
    """However small the transforms are, all cosets together give the same sums."""
    is_si = disordered.numbers == 14
    arguments = (disordered.positions, disordered.cell.array, is_si, 2.0, 0.1)
    whole = lattice_sums(*arguments)
    parts = lattice_sums(*arguments, modes=modes)
    np.testing.assert_array_equal(parts[3], whole[3])
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-2)


def test_sublattices_are_a_sample_of_the_lattice(disordered):
    """Beyond the reach of one transform every 2nd vector along each axis: an eighth of them."""
    is_si = disordered.numbers == 14
    positions = np.random.default_rng(1).random((len(is_si), 3)) @ disordered.cell.array
    arguments = (positions, disordered.cell.array, is_si, 6.0, 0.5)
    whole = lattice_sums(*arguments)
    sample = lattice_sums(*arguments, complete=False, modes=8000)
    assert sample[3, 1] == whole[3, 1]
    assert sample[3, -1] == pytest.approx(whole[3, -1] / 8, rel=0.25)
    ratio = sample[0, -1] / sample[3, -1] / (whole[0, -1] / whole[3, -1])
    assert ratio == pytest.approx(1.0, abs=4 / np.sqrt(sample[3, -1]))


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_invariances(seed):
    """Translation, wrapping, atom order and rotation leave S(Q) as it is."""
    rng = np.random.default_rng(seed)
    cell = 7 * np.eye(3) + rng.uniform(-1, 1, (3, 3))
    atoms = Atoms([14] * 4 + [8] * 8, cell=cell, pbc=True)
    atoms.set_scaled_positions(rng.random((12, 3)))
    before = structure_factor(atoms, 6.0, 0.5)
    other = atoms[rng.permutation(12)]
    other.positions += rng.normal(size=3) + rng.integers(-2, 3, (12, 3)) @ cell
    other.rotate(rng.uniform(0, 360), rng.normal(size=3), rotate_cell=True)
    after = structure_factor(other, 6.0, 0.5)
    # A vector on the edge of two bins may change sides by rounding: sums over all bins do not.
    assert after.counts.sum() == before.counts.sum()
    for pair, values in before.partials.items():
        total = (values * before.counts).sum()
        assert (after.partials[pair] * after.counts).sum() == pytest.approx(total, rel=1e-4)


def test_bragg_peaks_of_quartz():
    atoms = make_supercell(polymorph("alpha_quartz"), np.diag([6, 6, 6]))
    factor = structure_factor(atoms, 4.0, 0.01)
    neutron = factor.total("neutron")
    a, c = 4.9137, 5.4047
    h, k, l = np.array([(1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 0, 2)]).T  # noqa: E741
    expected = 2 * np.pi * np.sqrt(4 / 3 * (h * h + h * k + k * k) / a**2 + (l / c) ** 2)
    peaks = factor.q[neutron > 5]
    for q in expected:
        assert np.abs(peaks - q).min() < 0.01
    # Between Bragg peaks amplitudes vanish, and S = 1 - <b²>/<b>².
    quiet = 1 - (4.1491**2 / 3 + 2 * 5.803**2 / 3) / ((4.1491 + 2 * 5.803) / 3) ** 2
    assert np.median(neutron[factor.q < 1.3]) == pytest.approx(quiet, abs=1e-4)


def test_ideal_gas_is_one():
    rng = np.random.default_rng(5)
    atoms = Atoms([14] * 1000 + [8] * 2000, cell=[35.0] * 3, pbc=True)
    atoms.set_scaled_positions(rng.random((3000, 3)))
    factor = structure_factor(atoms, 10.0, 0.5)
    for weighting in ("neutron", "xray"):
        error = factor.standard_error(weighting)
        deviation = (factor.total(weighting) - 1) / error
        assert np.abs(deviation).max() < 4.5
        assert 0.4 < deviation.std() < 1.6


def test_g_of_r_and_the_lattice_agree_beyond_8(disordered):
    """Where both are valid: broad bins, far from the truncation's ripples."""
    atoms = make_supercell(disordered, np.diag([2, 2, 2]))
    rng = np.random.default_rng(2)
    atoms.positions += rng.normal(0, 0.25, atoms.positions.shape)  # no Bragg peaks beyond 8
    lattice = structure_factor(atoms, 14.0, 0.5, q_lattice=14.0)
    chosen = lattice.q > 8
    transform = transform_of_gr(atoms, lattice.q[chosen])
    for pair, values in transform.items():
        assert np.abs(values - lattice.partials[pair][chosen]).max() < 0.04


def test_large_boxes_continue_with_g_of_r(disordered):
    factor = structure_factor(disordered, 12.0, 0.05, q_lattice=8.0)
    beyond = factor.q > 8.0
    assert (factor.counts[beyond] == 0).all()
    assert (factor.counts[~beyond] > 0).all()
    assert beyond.sum() == 80
    assert np.isnan(factor.standard_error("xray")[beyond]).all()


def test_sum_rules_of_the_weightings(disordered):
    """Equal weights give S_NN; Ashcroft-Langreth partials are not negative; limits at large Q."""
    factor = structure_factor(disordered, 20.0, 0.5)
    mixed = bhatia_thornton(factor.partials, factor.shares)
    c = factor.shares["Si"]
    ones = 1 + c**2 * (factor.partials["Si-Si"] - 1) + (1 - c) ** 2 * (factor.partials["O-O"] - 1)
    ones += 2 * c * (1 - c) * (factor.partials["Si-O"] - 1)
    np.testing.assert_allclose(mixed["NN"], ones)
    al = ashcroft_langreth(factor.partials, factor.shares)
    assert al["Si-Si"].min() > 0
    assert al["O-O"].min() > 0
    assert (al["Si-Si"] * al["O-O"] - al["Si-O"] ** 2).min() > -1e-6
    assert mixed["CC"][-5:].mean() == pytest.approx(c * (1 - c), rel=0.1)
    assert mixed["NC"][-5:].mean() == pytest.approx(0, abs=0.03)


def test_bhatia_thornton_gives_the_neutron_total(disordered):
    """S_N = (<b>² S_NN + 2 <b> Δb S_NC + Δb² (S_CC - c_a c_b)) / <b>²."""
    factor = structure_factor(disordered, 6.0, 0.1)
    mixed = bhatia_thornton(factor.partials, factor.shares)
    b_si, b_o, c = 4.1491, 5.803, factor.shares["Si"]
    mean, difference = c * b_si + (1 - c) * b_o, b_si - b_o
    total = mean**2 * mixed["NN"] + 2 * mean * difference * mixed["NC"]
    total += difference**2 * (mixed["CC"] - c * (1 - c))
    np.testing.assert_allclose(factor.total("neutron"), total / mean**2, atol=1e-10)


def test_form_factors_count_electrons():
    """Electrons of the neutral atoms at Q = 0; Waasmaier-Kirfel fits them to 1e-2."""
    si, o = (form_factor(np.array([0.0, 5.0]), element) for element in ("Si", "O"))
    assert si[0] == pytest.approx(14, abs=0.02)
    assert o[0] == pytest.approx(8, abs=0.01)
    assert si[1] < si[0]


def test_xray_total_with_equal_atoms_is_the_partial():
    q = np.linspace(1, 5, 9)
    partials = {"Si-Si": q, "Si-O": q, "O-O": q}
    for weighting in ("neutron", "xray"):
        np.testing.assert_allclose(
            total_structure_factor(q, partials, {"Si": 1 / 3, "O": 2 / 3}, weighting), q
        )


def test_average_of_equal_frames_is_the_frame(disordered):
    one = structure_factor(disordered, 5.0, 0.1)
    two = average([one, one])
    np.testing.assert_allclose(two.q, one.q)
    np.testing.assert_array_equal(two.counts, one.counts)
    np.testing.assert_allclose(two.partials["Si-O"], one.partials["Si-O"])


def test_broadening_keeps_area_and_adds_widths():
    q = np.arange(0.01, 10, 0.01)
    narrow = np.exp(-0.5 * ((q - 5) / 0.1) ** 2)
    broad = broaden(q, narrow, np.ones(len(q)), fwhm=0.2 * np.sqrt(8 * np.log(2)))
    assert broad.sum() == pytest.approx(narrow.sum(), rel=1e-6)
    variance = ((q - 5) ** 2 * broad).sum() / broad.sum()
    assert np.sqrt(variance) == pytest.approx(np.hypot(0.1, 0.2), rel=1e-3)
