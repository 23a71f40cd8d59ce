"""What each row of the acceptance table measures, from a campaign's tables.

A measure takes the evidence and the row's arguments, and gives a value, or raises `AbsentError`
with the reason why the campaign does not reach it. For trends the value is 1 or 0.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from glassml.campaign.names import KING
from glassml.report.evidence import Evidence, Value, disordered_errors
from glassml.report.results import AbsentError, by_name

SIGMAS = 3.0

Measure = Callable[[Evidence, str], Value]


def holds(condition: bool, remark: str) -> Value:
    """Give the value of a trend."""
    return Value(float(condition), None, remark)


def difference(one: Value, other: Value) -> Value:
    """Subtract `other`; errors of independent glasses add in squares."""
    known = one.error is not None and other.error is not None
    error = math.hypot(one.sigma(), other.sigma()) if known else None
    return Value(one.mean - other.mean, error)


def relative_percent(one: Value, other: Value) -> Value:
    """Give how much larger `one` is than `other`, in percent."""
    change = difference(one, other)
    error = None if change.error is None else 100 * change.error / other.mean
    return Value(100 * change.mean / other.mean, error)


def exceeds(one: Value, other: Value, sigmas: float = SIGMAS) -> bool:
    """Tell whether `one` is larger than `other` by more than `sigmas` standard errors."""
    change = difference(one, other)
    return change.mean > sigmas * change.sigma()


def listed(values: Sequence[float]) -> str:
    """Write values one after the other, for a remark."""
    return ", ".join(f"{value:.3f}" for value in values)


# ---- potential ----


def model_error(evidence: Evidence, quantity: str) -> Value:
    """Largest MAE of the committee on held-out liquids and glasses (row 1)."""
    rows = evidence.model_errors()
    disordered = disordered_errors(rows[rows.quantity == quantity])
    mae = (disordered.mae * disordered["values"]).groupby(disordered.member).sum()
    mae /= disordered["values"].groupby(disordered.member).sum()
    count = int(disordered["values"].groupby(disordered.member).sum().max())
    return Value(
        float(mae.max()), None, f"{count} values in {', '.join(sorted(set(disordered.name)))}"
    )


def equation_of_state(evidence: Evidence, quantity: str) -> Value:
    """Largest deviation of the potential's equations of state from DFT's (row 2)."""
    results = [row for row in evidence.gate_results("equations") if quantity in row["name"]]
    if not results:
        raise AbsentError("the potential was not held against equations of state by DFT")
    worst = max(results, key=lambda row: row["value"])
    return Value(worst["value"], None, f"{len(results)} polymorphs, the worst {worst['name']}")


def lattice_parameter(evidence: Evidence, name: str) -> Value:
    """Relaxed lattice parameter of alpha-quartz by DFT (row 3)."""
    try:
        return Value(float(evidence.polymorph("alpha_quartz")[f"{name}_A"]))
    except AbsentError as absent:
        try:
            row = evidence.crystal_at_rest("alpha_quartz")
        except AbsentError:
            raise absent from None
    return Value(float(row[f"{name}_A"]), None, f"label {row.config_id}, given to the gate")


def polymorph_energy(evidence: Evidence, name: str) -> Value:
    """Energy of a polymorph above alpha-quartz, at rest or else the lowest labels (row 4)."""
    try:
        row = evidence.polymorph(name)
        return Value(float(row["energy_above_quartz_eV_per_SiO2"]), None, "both at rest")
    except AbsentError:
        pass
    try:
        high, low = (evidence.crystal_at_rest(one) for one in (name, "alpha_quartz"))
        gap = float(high.label_eV - low.label_eV)
        return Value(gap, None, f"both at rest: labels {high.config_id}, {low.config_id}")
    except AbsentError:
        energies = [evidence.lowest_energy(one) for one in (name, "alpha_quartz")]
    gap = 3 * (energies[0] - energies[1])
    return Value(gap, None, "lowest label of each polymorph; cells are not relaxed")


# ---- the glass at 300 K and 0 GPa ----


def density(evidence: Evidence, arguments: str) -> Value:
    """Density of the quenched glass (row 5)."""
    del arguments
    return evidence.scalar(evidence.ambient(), "density_g_cm3")


def coordination_share(evidence: Evidence, arguments: str) -> Value:
    """Percentage of an element with a coordination number (row 6)."""
    element, number = arguments.split()
    share = evidence.scalar(evidence.ambient(), f"coordination_{element}_{number}")
    return Value(100 * share.mean, None if share.error is None else 100 * share.error)


def first_peak(evidence: Evidence, pair: str) -> Value:
    """Position of the first maximum of a partial g(r), by a parabola through it (row 7)."""
    low, high = {"Si-O": (1.3, 2.2), "O-O": (2.1, 3.2), "Si-Si": (2.6, 3.8)}[pair]
    r, g, _ = evidence.curve("gr", evidence.ambient(), pair)
    position, _ = extremum_of(r, g, low, high, 1.0, span=0.09)
    return Value(position)


def angle(evidence: Evidence, arguments: str) -> Value:
    """Mean or standard deviation of a bond angle (rows 8 and 9)."""
    name, moment = arguments.split()
    return evidence.scalar(evidence.ambient(), f"angle_{name}_{moment}_deg")


def fsdp(evidence: Evidence, quantity: str) -> Value:
    """Position, height or width of the FSDP (row 10)."""
    return evidence.peak(evidence.ambient(), quantity)


def extremum(evidence: Evidence, arguments: str) -> Value:
    """Height of a maximum or minimum of the neutron S(Q) in a range (row 11)."""
    which, low, high = arguments.split()
    q, s, error = evidence.curve("sq", evidence.ambient(), "neutron")
    sign = 1.0 if which == "maximum" else -1.0
    position, height = extremum_of(q, s, float(low), float(high), sign, span=0.25)
    near = np.abs(q - position) < 0.15
    # The parabola averages over the bins that it goes through.
    spread = float(np.sqrt(np.nansum(error[near] ** 2)) / near.sum()) if near.any() else 0.0
    return Value(height, spread or None, f"at {position:.2f} Å⁻¹")


def extremum_of(
    x: np.ndarray, y: np.ndarray, low: float, high: float, sign: float, span: float
) -> tuple[float, float]:
    """Find a maximum (sign 1) or minimum (-1) by a parabola fitted within `span` around it.

    Raises
    ------
    AbsentError
        If the extremum is at an end of the range: then there is none.
    """
    inside = (x >= low) & (x <= high) & np.isfinite(y)
    if inside.sum() < 5:
        raise AbsentError(f"the curve has too few points between {low:g} and {high:g}")
    width = max(round(span / float(np.median(np.diff(x[inside])))), 1)
    kernel = np.ones(width) / width
    smooth = np.convolve(np.pad(sign * y[inside], width // 2, mode="edge"), kernel, "valid")
    highest = float(x[inside][int(np.argmax(smooth[: inside.sum()]))])
    if highest - low < span / 2 or high - highest < span / 2:
        raise AbsentError(f"no extremum between {low:g} and {high:g}")
    near = inside & (np.abs(x - highest) <= span)
    a, b, c = np.polyfit(x[near] - highest, sign * y[near], 2)
    if a >= 0.0:
        raise AbsentError(f"no extremum between {low:g} and {high:g}")
    return highest - b / (2 * a), sign * (c - b * b / (4 * a))


def concentration_peak(evidence: Evidence, arguments: str) -> Value:
    """Height of S_CC's maximum near the FSDP above a straight line, relative to its limit (12).

    The line joins the means in 1.0-1.2 and 1.8-2.0 Å⁻¹; the limit is c_Si c_O.
    """
    del arguments
    # Without a peak in the total, its absence in S_CC says nothing.
    evidence.peak(evidence.ambient(), "height")
    q, s, _ = evidence.curve("sq", evidence.ambient(), "CC")

    def mean(low: float, high: float) -> float:
        chosen = s[(q >= low) & (q <= high)]
        if not len(chosen):
            raise AbsentError("the box is too small for S_CC at 1 Å⁻¹")
        return float(np.nanmean(chosen))

    limit = mean(0.8 * float(q.max()), float(q.max()))
    line = (mean(1.0, 1.2) + mean(1.8, 2.0)) / 2
    return Value((mean(1.4, 1.6) - line) / limit)


def ring_mode(evidence: Evidence, criterion: str) -> Value:
    """Most frequent ring size (row 13)."""
    rows = evidence.rings(evidence.ambient(), criterion)
    return Value(float(rows["size"].iloc[int(np.argmax(rows.fraction))]))


def ring_share(evidence: Evidence, arguments: str) -> Value:
    """Share of a ring size among all rings of a criterion (row 13)."""
    criterion, size = arguments.split()
    rows = evidence.rings(evidence.ambient(), criterion)
    row = rows[rows["size"] == int(size)]
    return Value(float(row.fraction.iloc[0]) if len(row) else 0.0)


def ring_aspect(evidence: Evidence, size: str) -> Value:
    """l2/l3 of King rings of a size (row 14)."""
    return evidence.ring_shape(evidence.ambient(), KING, int(size), "aspect_ratio")


def ring_slope(evidence: Evidence, arguments: str) -> Value:
    """Slope of l2 against ring size (row 14)."""
    del arguments
    return evidence.ring_slope(evidence.ambient(), KING)


MEASURES: dict[str, Measure] = by_name(
    model_error,
    equation_of_state,
    lattice_parameter,
    polymorph_energy,
    density,
    coordination_share,
    first_peak,
    angle,
    fsdp,
    extremum,
    concentration_peak,
    ring_mode,
    ring_share,
    ring_aspect,
    ring_slope,
)
