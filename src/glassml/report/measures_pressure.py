"""What the rows of the acceptance table about compressed glasses measure: in situ, cold, hot."""

import numpy as np
import pandas as pd

from glassml.campaign.names import KING
from glassml.report.equal_density import at_equal_density, interpolated_text
from glassml.report.evidence import DENSITY_TOLERANCE_g_cm3, Evidence, Value
from glassml.report.measures import (
    SIGMAS,
    Measure,
    difference,
    exceeds,
    holds,
    listed,
    relative_percent,
)
from glassml.report.pairs import (
    OfGlass,
    centre_height,
    centres_near,
    paired_difference,
    peak_height,
    ring_slope,
)
from glassml.report.results import AbsentError, by_name
from glassml.report.states import State

SIZES = (5, 6, 7, 8)
HOT_FROM_GPa = 7.7
HOT_FROM_K, HOT_TO_K = 1373.0, 1800.0  # about 1200 °C


# ---- compression at 300 K ----


def bulk_modulus(evidence: Evidence, which: str) -> Value:
    """K = ρ dP/dρ by differences of the states in situ (row 15)."""
    path = evidence.cold_states()
    if len(path) < 2 or (path[1].pressure_GPa or 0.0) > 3.0:
        raise AbsentError("no state at 300 K below 3 GPa: the difference would be too coarse")
    pressures = [state.pressure_GPa or 0.0 for state in path]
    densities = [evidence.scalar(state, "density_g_cm3") for state in path]
    moduli = []
    for k in range(len(path) - 1):
        one, other = densities[k], densities[k + 1]
        mean = (one.mean + other.mean) / 2
        change = difference(other, one)
        modulus = mean * (pressures[k + 1] - pressures[k]) / change.mean
        error = None if change.error is None else abs(modulus / change.mean) * change.error
        moduli.append(((pressures[k] + pressures[k + 1]) / 2, modulus, error))
    if which == "ambient":
        return Value(moduli[0][1], moduli[0][2], f"between 0 and {pressures[1]:g} GPa")
    if len(moduli) < 3:
        raise AbsentError("a minimum needs at least four pressures")
    return Value(min(moduli, key=lambda item: item[1])[0])


def density_in_situ(evidence: Evidence, pressure: str) -> Value:
    """Density under pressure at 300 K (row 16)."""
    return evidence.scalar(evidence.in_situ(float(pressure), float(pressure)), "density_g_cm3")


def fsdp_monotonic(evidence: Evidence, up_to: str) -> Value:
    """Q1 rises and S(Q1) falls from each pressure to the next (row 17)."""
    path = evidence.cold_path(float(up_to))
    if len(path) < 3:
        raise AbsentError("monotony needs at least three pressures")
    positions = [evidence.peak(state, "position").mean for state in path]
    heights = [evidence.peak(state, "height").mean for state in path]
    good = bool(np.all(np.diff(positions) > 0) and np.all(np.diff(heights) < 0))
    return holds(good, f"Q1 {listed(positions)} Å⁻¹; S(Q1) {listed(heights)}")


def fsdp_shift(evidence: Evidence, up_to: str) -> Value:
    """Shift of Q1 from ambient to a pressure (row 17)."""
    state = evidence.in_situ(float(up_to), float(up_to))
    before = evidence.origin(state)
    return difference(evidence.peak(state, "position"), evidence.peak(before, "position"))


def fifth_neighbour(evidence: Evidence, up_to: str) -> Value:
    """Share of Si with z below 1.9 Å grows with pressure (row 18)."""
    state = evidence.in_situ(float(up_to), float(up_to))
    before = evidence.origin(state)
    shares = [evidence.share_below("kono_z", item, 1.9) for item in (before, state)]
    return holds(shares[1] > shares[0], f"{100 * shares[0]:.1f} % → {100 * shares[1]:.1f} %")


def coordination_in_situ(evidence: Evidence, arguments: str) -> Value:
    """Mean coordination of Si under pressure (row 19)."""
    low, high = map(float, arguments.split())
    return evidence.scalar(evidence.in_situ(low, high), "coordination_Si_mean")


# ---- recovered glasses: cold against hot ----


def densification(evidence: Evidence, peak: str) -> Value:
    """Residual change of density after a cold cycle, in percent (row 20)."""
    state = evidence.recovered("cold", float(peak))[0]
    return relative_percent(
        evidence.scalar(state, "density_g_cm3"),
        evidence.scalar(evidence.origin(state), "density_g_cm3"),
    )


def hot_density(evidence: Evidence, arguments: str) -> Value:
    """Density after a hot cycle from 7.7 GPa and about 1200 °C (row 21)."""
    del arguments
    states = [
        state
        for state in evidence.recovered("hot", HOT_FROM_GPa)
        if HOT_FROM_K <= state.anneal_temperature_K <= HOT_TO_K
    ]
    if not states:
        raise AbsentError(f"no anneal between {HOT_FROM_K:.0f} and {HOT_TO_K:.0f} K")
    value = evidence.scalar(states[0], "density_g_cm3")
    return Value(value.mean, value.error, f"annealed at {states[0].anneal_temperature_K:.0f} K")


def hot_above_cold(evidence: Evidence, arguments: str) -> Value:
    """FSDP of a hot recovered glass is higher than of a cold one of equal density (row 22).

    By a pair of states of equal density; where there is none, by interpolation along the cold
    series, which else is in the remark.
    """
    del arguments
    try:
        hot, cold = equally_dense(evidence)
    except AbsentError as reason:
        change = _densest_interpolated(evidence, reason)
        return holds(change.mean > SIGMAS * change.sigma(), change.remark)
    high, low = (evidence.peak(state, "height") for state in (hot, cold))
    remark = f"{hot.name} {high.mean:.3f}, {cold.name} {low.mean:.3f}"
    value = _larger(evidence, (hot, cold), (high, low), peak_height, remark)
    try:
        compared = at_equal_density(evidence, hot, peak_height)
    except AbsentError:
        return value
    return Value(value.mean, value.error, f"{value.remark}; {interpolated_text(compared)}")


def _densest_interpolated(evidence: Evidence, reason: AbsentError) -> Value:
    """Compare the densest hot recovered state that the cold series reaches.

    Raises
    ------
    AbsentError
        If it reaches none, with both reasons.
    """
    found, reasons = [], [str(reason)]
    for hot in evidence.find("hot recovered"):
        try:
            found.append((at_equal_density(evidence, hot, peak_height), hot))
        except AbsentError as error:
            reasons.append(f"{hot.name}: {error}")
    if not found:
        raise AbsentError("; ".join(reasons))
    compared, hot = max(found, key=lambda each: each[0].density)
    change = compared.difference
    return Value(change.mean, change.error, f"{hot.name}: {interpolated_text(compared)}")


def _larger(
    evidence: Evidence,
    states: tuple[State, State],
    values: tuple[Value, Value],
    of_glass: OfGlass,
    remark: str,
) -> Value:
    """Tell whether the first is larger by more than 3 σ: of pairs of glasses, where there are any.

    Parameters
    ----------
    states, values
        What is compared, and its means over glasses.
    of_glass
        The same of a single glass.
    remark
        What the means are.
    """
    try:
        change = paired_difference(evidence, *states, of_glass)
    except AbsentError as error:
        remark += f"; as independent glasses: {error}"
        return holds(exceeds(*values), remark)
    return holds(change.mean > SIGMAS * change.sigma(), f"{remark}; {change.remark}")


def equally_dense(evidence: Evidence) -> tuple[State, State]:
    """Give the most densified pair of a hot and a cold recovered state of equal density.

    Densities are equal within the tolerance. Not the closest pair is taken: that may be of two
    glasses that compression has hardly changed, of which nothing is claimed.

    Raises
    ------
    AbsentError
        If there are none, or the closest differ by more than the tolerance.
    """
    hot = evidence.find("hot recovered")
    cold = evidence.find("cold recovered")
    if not hot or not cold:
        raise AbsentError("the campaign has no hot and cold recovered states to compare")
    density = {state: evidence.scalar(state, "density_g_cm3").mean for state in (*hot, *cold)}
    gaps = {(one, other): abs(density[one] - density[other]) for one in hot for other in cold}
    equal = [pair for pair, gap in gaps.items() if gap <= DENSITY_TOLERANCE_g_cm3]
    if not equal:
        raise AbsentError(
            "the densities of hot and cold recovered glasses differ by "
            f"{min(gaps.values()):.2f} g/cm³ at least; equal means within "
            f"{DENSITY_TOLERANCE_g_cm3:g}"
        )
    return max(equal, key=lambda pair: density[pair[0]] + density[pair[1]])


def _anneals(evidence: Evidence) -> list[State]:
    cold = evidence.recovered("cold", HOT_FROM_GPa)[:1]
    states = cold + evidence.recovered("hot", HOT_FROM_GPa)
    if len(states) < 3:
        raise AbsentError("a trend needs at least two anneal temperatures beside the cold cycle")
    return states


def anneal_height(evidence: Evidence, arguments: str) -> Value:
    """S(Q1) rises with the anneal temperature (row 23)."""
    del arguments
    states = _anneals(evidence)
    heights = [evidence.peak(state, "height").mean for state in states]
    remark = listed(heights)
    try:
        change = paired_difference(evidence, states[-1], states[0], peak_height)
    except AbsentError as error:
        remark += f"; the hottest and the cold cycle are no pair: {error}"
    else:
        remark += f"; hottest minus cold {change.remark}"
    return holds(bool(np.all(np.diff(heights) > 0)), remark)


def anneal_position(evidence: Evidence, arguments: str) -> Value:
    """Q1 after the hottest anneal (row 23)."""
    del arguments
    return evidence.peak(evidence.recovered("hot", HOT_FROM_GPa)[-1], "position")


def cold_aspect(evidence: Evidence, arguments: str) -> Value:
    """Cold compression lowers l2/l3 for all ring sizes (row 24)."""
    del arguments
    states = evidence.find("cold in situ")
    if not states:
        raise AbsentError("the campaign has no state at 300 K under pressure")
    state = states[-1]
    ambient = evidence.origin(state)
    changes = [
        difference(
            evidence.ring_shape(state, KING, size, "aspect_ratio"),
            evidence.ring_shape(ambient, KING, size, "aspect_ratio"),
        ).mean
        for size in SIZES
    ]
    text = ", ".join(
        f"n = {size}: {change:+.3f}" for size, change in zip(SIZES, changes, strict=True)
    )
    return holds(all(change < 0 for change in changes), f"{state.name}: {text}")


def hot_slope(evidence: Evidence, arguments: str) -> Value:
    """Hot compression lowers the slope of l2 by more than 3 σ (row 24)."""
    del arguments
    states = evidence.find("hot recovered") or evidence.find("hot in situ")
    if not states:
        raise AbsentError("the campaign has no hot state")
    pair = (evidence.origin(states[-1]), states[-1])
    ambient, hot = (evidence.ring_slope(state, KING) for state in pair)
    remark = f"{ambient.mean:.3f} → {hot.mean:.3f} Å"
    return _larger(evidence, pair, (ambient, hot), ring_slope, remark)


def histogram_small(evidence: Evidence, arguments: str) -> Value:
    """Ring-size histogram changes by less than l2/l3, both relative (row 25).

    Compared are half the summed absolute change of shares, and the mean relative change of l2/l3.
    """
    del arguments
    states = evidence.find("cold recovered", "hot recovered")
    if not states:
        raise AbsentError("the campaign has no recovered state")
    worst, remarks = True, []
    for state in states:
        ambient = evidence.origin(state)
        one = evidence.rings(ambient, KING).set_index("size").fraction
        other = evidence.rings(state, KING).set_index("size").fraction
        moved = float(one.sub(other, fill_value=0.0).abs().sum() / 2)
        ratios = [
            evidence.ring_shape(state, KING, size, "aspect_ratio").mean
            / evidence.ring_shape(ambient, KING, size, "aspect_ratio").mean
            for size in SIZES
        ]
        bent = float(np.mean(np.abs(np.array(ratios) - 1.0)))
        worst &= moved < bent
        remarks.append(f"{state.name}: sizes {100 * moved:.1f} %, shape {100 * bent:.1f} %")
    return holds(worst, "; ".join(remarks))


def centre_peak(evidence: Evidence, arguments: str) -> Value:
    """S(Q) of ring centres is higher near Q1 in the hot glass than in the cold one (row 26)."""
    del arguments
    heights = []
    pair = equally_dense(evidence)
    for state in pair:
        q1 = evidence.peak(state, "position").mean
        near = centres_near(evidence.summary("ring_centre_sq", state), q1)
        if near.empty:
            raise AbsentError(f"{state.name} has no S(Q) of ring centres near {q1:.2f} Å⁻¹")
        errors = pd.to_numeric(near["centre-centre_error"])
        spread = float(np.sqrt(np.mean(errors**2))) if errors.notna().all() else None
        mean = np.average(near["centre-centre"], weights=near.counts)
        heights.append(Value(float(mean), spread))
    hot, cold = heights
    remark = f"hot {hot.mean:.3f}, cold {cold.mean:.3f}"
    return _larger(evidence, pair, (hot, cold), centre_height, remark)


def young_modulus(evidence: Evidence, arguments: str) -> Value:
    """Rise of Young's modulus by a hot cycle (row 27)."""
    del evidence, arguments
    raise AbsentError("the campaign has no elastic constants of the glasses")


def fsdp_error(evidence: Evidence, arguments: str) -> Value:
    """Largest standard error of S(Q1) over all states at 300 K (row 28).

    Pressure may take the peak away: a state in situ without one is not compared.
    """
    del arguments
    errors, without = {}, []
    for state in evidence.states:
        if state.kind == "liquid":
            continue
        try:
            errors[state.name] = evidence.peak(state, "height").sigma()
        except AbsentError as error:
            if not (state.kind.endswith("in situ") and "has no Q1" in str(error)):
                raise
            without.append(state.name)
    if not errors:
        raise AbsentError("the campaign has no state at 300 K")
    name = max(errors, key=lambda item: errors[item])
    remark = f"largest in {name}"
    if without:
        remark += f"; no peak, and so not compared: {', '.join(without)}"
    return Value(errors[name], None, remark)


MEASURES: dict[str, Measure] = by_name(
    bulk_modulus,
    density_in_situ,
    fsdp_monotonic,
    fsdp_shift,
    fifth_neighbour,
    coordination_in_situ,
    densification,
    hot_density,
    hot_above_cold,
    anneal_height,
    anneal_position,
    cold_aspect,
    hot_slope,
    histogram_small,
    centre_peak,
    young_modulus,
    fsdp_error,
)
