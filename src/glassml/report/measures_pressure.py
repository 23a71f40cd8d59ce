"""What the rows of the acceptance table about glasses under pressure at 300 K measure."""

import numpy as np

from glassml.campaign.names import KING
from glassml.report.evidence import Evidence, Value
from glassml.report.measures import Measure, difference, holds, listed
from glassml.report.results import AbsentError, by_name

SIZES = (5, 6, 7, 8)


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
            if not (state.where == "in situ" and "has no Q1" in str(error)):
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
    cold_aspect,
    fsdp_error,
)
