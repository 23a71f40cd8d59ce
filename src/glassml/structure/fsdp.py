"""The first sharp diffraction peak: position, height and width by a stated fit, with errors."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
from scipy.optimize import curve_fit

from glassml.campaign.config.structure import Structure
from glassml.campaign.defaults import (
    FSDP_BACKGROUND,
    FSDP_HALF_WINDOW_PER_A,
    FSDP_SEARCH_PER_A,
    Q_BIN_PER_A,
)
from glassml.campaign.errors import StructureError

BACKGROUNDS = {"none": 0, "constant": 1, "linear": 2}
SIGNIFICANT = 16.0
# A peak that is there takes ten to fifty.
MAX_EVALUATIONS = 200
# Two glasses have three different draws: too few to tell a scatter. Then the fit's errors stand.
MIN_BOOTSTRAP = 3
# Neighbouring points of S(Q) scatter as their errors say: by 1 to 2 of them, squared, in glasses
# of 300 to 3000 atoms, by 38 and more in crystals of 144 to 2304 atoms.
BRAGG = 8.0
SMOOTHING_PER_A = 0.1  # of the curve whose maximum the fit starts from
# Where each peak's maximum is sought, in Å⁻¹ (silica, ambient to 40 GPa).
PEAK_RANGES = {"Q1": FSDP_SEARCH_PER_A, "Q2": (2.5, 3.6), "Q3": (4.6, 5.9)}


class NoPeakError(StructureError):
    """There is no peak to fit; the message says why."""


@dataclass(frozen=True)
class Peak:
    """A fitted peak of S(Q); errors are standard errors.

    Attributes
    ----------
    position, position_error : float
        Maximum of the fitted curve, in Å⁻¹.
    height, height_error : float
        The fitted curve there, S(Q1).
    fwhm, fwhm_error : float or None
        Full width of the fitted curve at 1 + (height - 1)/2, in Å⁻¹; None if height ≤ 1, or if the
        curve does not fall to that level. The error is None too if the curve only just does.
    amplitude, amplitude_error : float
        Height of the Lorentzian above the background.
    lorentzian_fwhm, lorentzian_fwhm_error : float
        Full width of the Lorentzian at half its own height, in Å⁻¹.
    definition : str
        The fit in words.
    """

    position: float
    position_error: float
    height: float
    height_error: float
    fwhm: float | None
    fwhm_error: float | None
    amplitude: float
    amplitude_error: float
    lorentzian_fwhm: float
    lorentzian_fwhm_error: float
    definition: str

    def as_dict(self) -> dict[str, Any]:
        """Give the attributes as a dictionary for JSON."""
        return asdict(self)


class _Curve:
    """Lorentzian A / (1 + ((Q - Q0)/(Γ/2))²) on a background.

    Parameters are Q0, A, Γ and the background's values: none (it is 1), one, or one at each
    end of the window, with a straight line between.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def background(self, q: np.ndarray, values: Sequence[float]) -> np.ndarray:
        if len(values) == 0:
            return np.ones_like(q)
        left, right = values[0], values[-1]
        return left + (right - left) * (q - self.low) / (self.high - self.low)

    def __call__(self, q: np.ndarray, *parameters: float) -> np.ndarray:
        q0, amplitude, gamma, *background = parameters
        peak = amplitude / (1 + (2 * (q - q0) / gamma) ** 2)
        return peak + self.background(q, background)

    def jacobian(self, q: np.ndarray, *parameters: float) -> np.ndarray:
        """Give the derivatives by the parameters, shape (n, number of parameters)."""
        q0, amplitude, gamma, *background = parameters
        x = 2 * (q - q0) / gamma
        shape = 1 / (1 + x**2)
        by_x = -2 * x * amplitude * shape**2
        columns = [-2 / gamma * by_x, shape, -x / gamma * by_x]
        right = (q - self.low) / (self.high - self.low)
        columns += {0: [], 1: [np.ones_like(q)], 2: [1 - right, right]}[len(background)]
        return np.stack(columns, axis=1)


def _curve_summary(model: _Curve, parameters: np.ndarray) -> np.ndarray:
    """Maximum, its height, and the full width at half of it above 1, of the fitted curve."""
    q0, _, gamma = parameters[:3]
    q = np.linspace(q0 - 3 * gamma, q0 + 3 * gamma, 6001)
    curve = model(q, *parameters)
    near = np.abs(q - q0) <= gamma
    top = np.flatnonzero(near)[np.argmax(curve[near])]
    height = curve[top]
    if height <= 1:
        return np.array([q[top], height, np.nan])
    below = curve < 1 + (height - 1) / 2
    left, right = np.flatnonzero(below[:top]), np.flatnonzero(below[top:])
    if len(left) == 0 or len(right) == 0:
        return np.array([q[top], height, np.nan])
    level = 1 + (height - 1) / 2
    i, j = left[-1], top + right[0]
    rise = np.interp(level, curve[i : i + 2], q[i : i + 2])
    fall = np.interp(level, curve[j - 1 : j + 1][::-1], q[j - 1 : j + 1][::-1])
    return np.array([q[top], height, fall - rise])


class FitOptions(TypedDict, total=False):
    """Options of `fit_peak`."""

    search: tuple[float, float]
    half_window: float
    background: str
    q_bin: float


def fit_options(section: Structure, peak: str) -> FitOptions:
    """Give the options of `fit_peak` for "Q1", "Q2" or "Q3"; the search is the section's for Q1."""
    return {
        "search": section.fsdp.search_per_A if peak == "Q1" else PEAK_RANGES[peak],
        "half_window": section.fsdp.half_window_per_A,
        "background": section.fsdp.background,
        "q_bin": section.q_bin_per_A,
    }


def fit_peak(
    q: np.ndarray,
    s: np.ndarray,
    sigma: np.ndarray | None = None,
    search: tuple[float, float] = PEAK_RANGES["Q1"],
    half_window: float = FSDP_HALF_WINDOW_PER_A,
    background: str = FSDP_BACKGROUND,
    q_bin: float = Q_BIN_PER_A,
) -> Peak:
    """Fit a Lorentzian on a background to a peak of S(Q).

    The highest point of S, smoothed by a Gaussian of 0.1 Å⁻¹ standard deviation, is sought in
    `search`; the fit takes the points within `half_window` of it, weighted by 1/σ².

    Parameters
    ----------
    q, s : (n,)
        Q in Å⁻¹ and S(Q).
    sigma : (n,), optional
        Standard errors of S; without them all points weigh the same.
    search
        Where the maximum is, in Å⁻¹.
    half_window
        Half the range of the fit in Å⁻¹.
    background
        "none" (the peak stands on 1), "constant", or "linear", both between 0 and 2.
    q_bin
        Width of the bins of Q in Å⁻¹: a peak that is narrower is noise.

    Raises
    ------
    NoPeakError
        If there are too few points, no maximum inside `search`, Bragg peaks, the fit does not
        converge, is not significantly better than a straight line, leaves its window, is narrower
        than a bin, or has an error of the height that exceeds the height.
    """
    q, s = np.asarray(q, float), np.asarray(s, float)
    weight = np.ones_like(s) if sigma is None else 1 / np.maximum(sigma, 1e-12) ** 2
    usable = np.isfinite(s) & np.isfinite(weight)
    q, s, weight = q[usable], s[usable], weight[usable]
    centre = _highest(q, s, weight, search)
    inside = np.abs(q - centre) <= half_window
    n_parameters = 3 + BACKGROUNDS[background]
    if inside.sum() < n_parameters + 1:
        raise NoPeakError(
            f"only {inside.sum()} values of Q within {half_window} Å⁻¹ of {centre:.2f} Å⁻¹ for "
            f"{n_parameters} parameters: the box is too small"
        )
    if sigma is not None:
        _check_disorder(q[inside], s[inside], weight[inside])
    model = _Curve(centre - half_window, centre + half_window)
    extra = BACKGROUNDS[background]
    start = [centre, max(float(np.interp(centre, q, s)) - 0.5, 0.1), 0.35] + [0.5] * extra
    # The background is an S(Q), so it is not negative: that keeps it apart from a wide peak.
    lower = [centre - half_window, 0.0, min(0.02, q_bin / 2)] + [0.0] * extra
    upper = [centre + half_window, 50.0, 3.0] + [2.0] * extra
    try:
        best, covariance = curve_fit(
            model,
            q[inside],
            s[inside],
            p0=start,
            sigma=1 / np.sqrt(weight[inside]),
            absolute_sigma=sigma is not None,
            bounds=(lower, upper),
            jac=model.jacobian,
            max_nfev=MAX_EVALUATIONS,
            ftol=1e-7,
            xtol=1e-7,
        )
    except (RuntimeError, ValueError) as error:
        raise NoPeakError(f"the fit near {centre:.2f} Å⁻¹ does not converge: {error}") from None
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    if not np.all(np.isfinite(errors)):
        raise NoPeakError(f"the fit near {centre:.2f} Å⁻¹ does not determine its parameters")
    _check_window(best, centre, half_window)
    if best[2] < q_bin:
        raise NoPeakError(
            f"the fitted peak at {best[0]:.2f} Å⁻¹ is {best[2]:.3f} Å⁻¹ wide, narrower than a bin "
            f"of Q ({q_bin:g} Å⁻¹): it is noise of one bin"
        )
    _check_significance(q[inside], s[inside], weight[inside], model(q[inside], *best))
    summary, summary_error = _propagate(model, best, covariance)
    if summary_error[1] > summary[1]:
        raise NoPeakError(
            f"the height at {summary[0]:.2f} Å⁻¹ is not determined: {summary[1]:.2f} ± "
            f"{summary_error[1]:.2f}"
        )
    if not search[0] <= summary[0] <= search[1]:
        raise NoPeakError(f"the fitted maximum, {summary[0]:.2f} Å⁻¹, is not in {search} Å⁻¹")
    on = "1 as" if background == "none" else f"a {background}"
    return Peak(
        position=float(summary[0]),
        position_error=float(summary_error[0]),
        height=float(summary[1]),
        height_error=float(summary_error[1]),
        fwhm=_known(summary[2]),
        fwhm_error=_known(summary_error[2]),
        amplitude=float(best[1]),
        amplitude_error=float(errors[1]),
        lorentzian_fwhm=float(best[2]),
        lorentzian_fwhm_error=float(errors[2]),
        definition=(
            f"Lorentzian on {on} background, least squares over "
            f"{centre - half_window:.2f}-{centre + half_window:.2f} 1/Å; position and height of the"
            f" fitted curve's maximum, full width at 1 + (height - 1)/2"
        ),
    )


def _known(number: float) -> float | None:
    """Give None for what is not defined: a width; or its error, where the width next to it is."""
    return float(number) if np.isfinite(number) else None


def _highest(
    q: np.ndarray, s: np.ndarray, weight: np.ndarray, search: tuple[float, float]
) -> float:
    """Position of the largest value of the smoothed curve, which must lie inside the range."""
    candidates = np.flatnonzero((q >= search[0]) & (q <= search[1]))
    if len(candidates) < 3:
        raise NoPeakError(
            f"only {len(candidates)} values of Q in {search[0]}-{search[1]} Å⁻¹: the box is too "
            f"small"
        )
    near = (q >= search[0] - 10 * SMOOTHING_PER_A) & (q <= search[1] + 10 * SMOOTHING_PER_A)
    q, s, weight = q[near], s[near], weight[near]
    grid = np.linspace(search[0], search[1], 201)
    kernel = np.exp(-0.5 * ((grid[:, None] - q[None, :]) / SMOOTHING_PER_A) ** 2) * weight
    norm = kernel.sum(axis=1)
    smooth = np.divide(kernel @ s, norm, out=np.full(len(grid), -np.inf), where=norm > 1e-300)
    top = int(np.argmax(smooth))
    if top in (0, len(grid) - 1):
        raise NoPeakError(f"S(Q) has no maximum inside {search[0]}-{search[1]} Å⁻¹")
    return float(grid[top])


def _check_disorder(q: np.ndarray, s: np.ndarray, weight: np.ndarray) -> None:
    """Refuse Bragg peaks: the points scatter far more than those of a disordered system.

    The measure is Σd²/Σvar(d), with d the distance of each point from the line between its
    neighbours, to which the curve's own shape adds little.
    """
    order = np.argsort(q, kind="stable")
    q, s, variance = q[order], s[order], 1 / weight[order]
    width = q[2:] - q[:-2]
    left = np.divide(q[2:] - q[1:-1], width, out=np.full(len(width), 0.5), where=width > 0)
    distance = s[1:-1] - left * s[:-2] - (1 - left) * s[2:]
    expected = variance[1:-1] + left**2 * variance[:-2] + (1 - left) ** 2 * variance[2:]
    scatter = float(np.sum(distance**2) / np.sum(expected))
    if scatter > BRAGG:
        raise NoPeakError(
            f"S(Q) near {q.mean():.2f} Å⁻¹ scatters {scatter:.0f} times as much, squared, as a "
            f"disordered system of this size: these are Bragg peaks of a crystal, not an FSDP"
        )


def _check_window(best: np.ndarray, centre: float, half_window: float) -> None:
    if abs(best[0] - centre) > 0.95 * half_window or best[2] > 4 * half_window:
        raise NoPeakError(
            f"the fit near {centre:.2f} Å⁻¹ leaves its window: position {best[0]:.2f} Å⁻¹, width "
            f"{best[2]:.2f} Å⁻¹"
        )


def _check_significance(
    q: np.ndarray, s: np.ndarray, weight: np.ndarray, curve: np.ndarray
) -> None:
    """Compare the fit with a straight line: the peak must take much off χ² per degree of freedom.

    Three more parameters take off 3 by chance, and 16 with a probability of 0.1 %.
    """
    line = np.polyval(np.polyfit(q, s, 1, w=np.sqrt(weight)), q)
    squares = float(np.sum(weight * (s - curve) ** 2))
    scale = squares / max(len(q) - 5, 1)
    gain = (float(np.sum(weight * (s - line) ** 2)) - squares) / max(scale, 1e-12)
    if gain < SIGNIFICANT:
        raise NoPeakError(
            f"a peak near {q[np.argmax(curve)]:.2f} Å⁻¹ is not significant: it takes only "
            f"{gain:.1f} off χ² of a straight line ({SIGNIFICANT} needed)"
        )


def _propagate(
    model: _Curve, best: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Carry the covariance of the parameters over to position, height and width, to first order."""
    summary = _curve_summary(model, best)
    jacobian = np.zeros((3, len(best)))
    for i, parameter in enumerate(best):
        step = 1e-2 * max(abs(parameter), 0.1)
        shifted = best.copy()
        shifted[i] += step
        jacobian[:, i] = (_curve_summary(model, shifted) - summary) / step
    variance = np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian)
    return summary, np.sqrt(np.maximum(variance, 0.0))


def bootstrap_peak(
    curves: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | None]],
    rng: np.random.Generator,
    samples: int = 200,
    **options: Unpack[FitOptions],
) -> Peak:
    """Fit independent glasses together; standard errors by drawing glasses with replacement.

    Glasses may have different Q vectors, as boxes of different size do. Three glasses can agree by
    chance, so that errors are never smaller than the scatter of fits to S with its own noise drawn
    anew. With fewer than three glasses the errors are those of the fit.

    Parameters
    ----------
    curves
        For each glass Q in Å⁻¹, S(Q), and its standard error or None.
    rng
        Random numbers.
    samples
        Number of draws, of each kind. Draws without a peak are left out; most must have one.
    options
        As of `fit_peak`.

    Raises
    ------
    NoPeakError
        As `fit_peak`, for all glasses; or if fewer than half the draws have a peak.
    """
    pooled = _pool(curves)
    mean = fit_peak(*pooled, **options)
    n = len(curves)
    if n < MIN_BOOTSTRAP:
        return mean
    draws = (_pool([curves[i] for i in rng.integers(n, size=n)]) for _ in range(samples))
    peaks = _fits(draws, options)
    if len(peaks) < samples / 2:
        raise NoPeakError("fewer than half of the bootstrap samples have a peak")
    q, s, sigma = pooled
    noisy: list[Peak] = []
    if sigma is not None:
        noise = np.nan_to_num(sigma)
        again = ((q, s + noise * rng.standard_normal(len(s)), sigma) for _ in range(samples))
        noisy = _fits(again, options)
    values = mean.as_dict()
    for name in ("position", "height", "fwhm", "amplitude", "lorentzian_fwhm"):
        # A draw of n with replacement scatters by (n-1)/n of the variance of the mean.
        error = np.fmax(_scatter(peaks, name) * np.sqrt(n / (n - 1)), _scatter(noisy, name))
        if values[name] is not None and np.isfinite(error):
            values[f"{name}_error"] = float(error)
    return Peak(**values)


def _fits(
    draws: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None]], options: FitOptions
) -> list[Peak]:
    """Fit each draw, and leave out those without a peak."""
    peaks = []
    for draw in draws:
        try:
            peaks.append(fit_peak(*draw, **options))
        except NoPeakError:
            continue
    return peaks


def _scatter(peaks: Sequence[Peak], name: str) -> float:
    """Give the standard deviation of a peak's attribute over fits; NaN with fewer than two."""
    values = [value for peak in peaks if (value := getattr(peak, name)) is not None]
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def _pool(
    curves: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | None]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Put the points of several glasses together; without errors if one has none."""
    errors = [sigma for _, _, sigma in curves if sigma is not None]
    return (
        np.concatenate([q for q, _, _ in curves]),
        np.concatenate([s for _, s, _ in curves]),
        np.concatenate(errors) if len(errors) == len(curves) else None,
    )
