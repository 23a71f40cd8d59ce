"""FSDP: a known peak is recovered, noise gives its error, and no peak is refused."""

import json

import numpy as np
import pytest

from glassml.structure.fsdp import NoPeakError, _Curve, bootstrap_peak, fit_peak

Q = np.arange(0.3, 6.0, 0.02) + 0.01


def lorentzian(q0=1.53, height=1.0, fwhm=0.45, q=Q):
    return 1 + height / (1 + (2 * (q - q0) / fwhm) ** 2)


@pytest.mark.parametrize("background", ["none", "constant", "linear"])
def test_synthetic_lorentzian(background):
    peak = fit_peak(Q, lorentzian(), background=background)
    assert peak.position == pytest.approx(1.53, abs=0.005)
    assert peak.amplitude == pytest.approx(1.0, abs=0.01)
    assert peak.height == pytest.approx(2.0, abs=0.01)
    assert peak.fwhm == pytest.approx(0.45, abs=0.01)
    assert peak.lorentzian_fwhm == pytest.approx(0.45, abs=0.01)
    assert "Lorentzian" in peak.definition


@pytest.mark.parametrize("q0", [1.3, 1.53, 1.9])
def test_peak_on_a_slope(q0):
    s = lorentzian(q0, 0.9, 0.4) - 0.6 + 0.2 * (Q - q0)
    peak = fit_peak(Q, s)
    assert peak.amplitude == pytest.approx(0.9, abs=0.01)
    assert peak.lorentzian_fwhm == pytest.approx(0.4, abs=0.01)
    assert peak.position == pytest.approx(q0, abs=0.02)


def test_errors_are_the_scatter():
    """The standard errors of fits are the scatter of fits of different noise."""
    rng = np.random.default_rng(3)
    sigma = np.full(len(Q), 0.05)
    fits = [
        fit_peak(Q, lorentzian() + rng.normal(0, 0.05, len(Q)), sigma, background="constant")
        for _ in range(80)
    ]
    for name in ("position", "height", "lorentzian_fwhm"):
        scatter = np.std([getattr(fit, name) for fit in fits])
        error = np.mean([getattr(fit, f"{name}_error") for fit in fits])
        assert error == pytest.approx(scatter, rel=0.35)


def test_bootstrap_over_glasses():
    """Glasses whose heights scatter by 0.2: the mean of 16 has an error of 0.05."""
    rng = np.random.default_rng(4)
    curves = [(Q, lorentzian(height=1 + rng.normal(0, 0.2)), None) for _ in range(16)]
    peak = bootstrap_peak(curves, rng, samples=200)
    scatter = np.std([s.max() for _, s, _ in curves], ddof=1) / 4
    assert peak.height_error == pytest.approx(scatter, rel=0.3)
    assert peak.position == pytest.approx(1.53, abs=0.005)


def test_glasses_that_agree_by_chance_still_have_the_noise_of_each():
    rng = np.random.default_rng(4)
    curves = [(Q, lorentzian(), np.full(len(Q), 0.02))] * 3
    peak = bootstrap_peak(curves, rng)
    single = fit_peak(*curves[0])
    for name in ("position", "height", "fwhm", "amplitude", "lorentzian_fwhm"):
        expected = getattr(single, f"{name}_error") / np.sqrt(3)
        assert getattr(peak, f"{name}_error") == pytest.approx(expected, rel=0.25)


def test_two_glasses_keep_the_errors_of_the_fit():
    rng = np.random.default_rng(4)
    sigma = np.full(len(Q), 0.02)
    shifted = Q + 0.007  # another box has other Q vectors
    curves = [(Q, lorentzian(), sigma), (shifted, lorentzian(q=shifted), sigma)]
    peak = bootstrap_peak(curves, rng)
    single = fit_peak(Q, lorentzian(), sigma)
    assert peak.position == pytest.approx(1.53, abs=0.002)
    assert peak.height_error == pytest.approx(single.height_error / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    ("s", "reason"),
    [
        (1 + 0.2 * Q, "no maximum"),
        (np.where(np.abs(Q - 3) < 2.5, np.nan, 1.0), "box is too small"),
        (1 + 0.05 * np.random.default_rng(8).normal(size=len(Q)), "not significant|leaves|maximum"),
    ],
)
def test_no_peak_is_refused_with_a_reason(s, reason):
    with pytest.raises(NoPeakError, match=reason):
        fit_peak(Q, s, np.full(len(Q), 0.05))


def test_a_peak_below_one_has_no_width_at_half_height():
    peak = fit_peak(Q, lorentzian(height=0.5) - 0.7)
    assert peak.height == pytest.approx(0.8, abs=0.01)
    assert peak.fwhm is None
    assert peak.lorentzian_fwhm == pytest.approx(0.45, abs=0.01)


def test_a_width_that_is_only_just_defined_has_no_error():
    """The slope is so steep that a slightly other fit would not fall to half its height."""
    q = np.arange(4.0, 6.4, 0.02)
    values = 1.02 - 0.42 * (q - 4.7) + 0.5 / (1 + (2 * (q - 5.2) / 0.6) ** 2)
    peak = fit_peak(q, values, np.full_like(q, 0.01), search=(4.6, 5.8))
    assert peak.fwhm == pytest.approx(0.5355, abs=1e-3)
    assert peak.fwhm_error is None
    json.dumps(peak.as_dict(), allow_nan=False)


def test_a_peak_narrower_than_a_bin_is_refused():
    narrow = lorentzian(fwhm=0.06)
    assert fit_peak(Q, narrow).lorentzian_fwhm == pytest.approx(0.06, abs=0.01)
    with pytest.raises(NoPeakError, match="narrower than a bin"):
        fit_peak(Q, narrow, q_bin=0.1)


def test_a_height_that_is_not_determined_is_refused():
    """A few points with large errors: the fit finds a peak of 1.2 ± 9.9."""
    rng = np.random.default_rng(2)
    refused = []
    for _ in range(60):
        q = np.sort(rng.uniform(1.0, 2.3, 7))
        s = lorentzian(1.6, 0.5, 0.05, q) + rng.normal(0, 0.3, 7)
        try:
            peak = fit_peak(q, s, np.full(7, 0.3))
        except NoPeakError as reason:
            refused.append(str(reason))
        else:
            assert peak.height_error <= peak.height
            assert peak.lorentzian_fwhm >= 0.02
    assert any("not determined" in reason for reason in refused)


@pytest.mark.parametrize("background", [(), (0.9,), (0.7, 1.1)])
def test_derivatives_are_those_of_finite_differences(background):
    q = np.linspace(1.0, 2.0, 41)
    curve = _Curve(1.0, 2.0)
    parameters = np.array([1.55, 0.6, 0.4, *background])
    found = curve.jacobian(q, *parameters)
    assert found.shape == (len(q), len(parameters))
    for index in range(len(parameters)):
        step = np.zeros_like(parameters)
        step[index] = 1e-6
        expected = (curve(q, *(parameters + step)) - curve(q, *(parameters - step))) / 2e-6
        np.testing.assert_allclose(found[:, index], expected, atol=1e-8)
