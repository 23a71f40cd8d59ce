"""What the rows of the acceptance table about recovered glasses measure: cold against hot."""

from collections.abc import Iterable
from statistics import fmean

import numpy as np
import pandas as pd

from glassml.campaign.names import KING
from glassml.report.equal_density import at_equal_density, interpolated_text
from glassml.report.evidence import DENSITY_TOLERANCE_g_cm3, Evidence, Value
from glassml.report.measures import (
    SIGMAS,
    Measure,
    exceeds,
    holds,
    listed,
    relative_percent,
)
from glassml.report.measures_pressure import SIZES
from glassml.report.pairs import (
    OfGlass,
    centre_height,
    fit_centres,
    height_difference,
    paired_difference,
    peak_height,
    ring_slope,
)
from glassml.report.results import AbsentError, by_name
from glassml.report.states import Kind, State
from glassml.structure.statistics import mean_and_error

HOT_FROM_GPa = 7.7
HOT_FROM_K, HOT_TO_K = 1373.0, 1800.0  # about 1200 °C
#: An anneal that leaves more of the bonds has not made the network anew.
MOST_KEPT = 0.8
NEAR_Q1_PER_A = 0.2
#: A glass that is denser than at rest by less is that glass again.
DENSER = 1.02
#: Mean number of O at Si up to which its network is one of tetrahedra.
MOST_COORDINATION = 4.1


def densification(evidence: Evidence, peak: str) -> Value:
    """Residual change of density after a cold cycle, in percent (row 20)."""
    state = evidence.recovered("cold", float(peak))[0]
    return relative_percent(
        evidence.scalar(state, "density_g_cm3"),
        evidence.scalar(evidence.origin(state), "density_g_cm3"),
    )


def _like_the_furnace(evidence: Evidence) -> tuple[State, str]:
    """Give the recovered state of a hot cycle from 7.7 GPa and about 1200 °C, and how it was made.

    In a furnace the glass becomes a liquid in equilibrium. Where no glass was annealed there, or so
    shortly that it kept its bonds, a melt quenched under that pressure stands for it: of a liquid
    in equilibrium it is frozen, too.

    Raises
    ------
    AbsentError
        If the campaign has none.
    """
    states = evidence.recovered("hot", HOT_FROM_GPa)
    annealed = [s for s in states if HOT_FROM_K <= s.anneal_temperature_K <= HOT_TO_K]
    changed = [s for s in annealed if _bonds_kept(evidence, s) <= MOST_KEPT]
    melts = [s for s in states if s.from_melt]
    if not annealed and not melts:
        raise AbsentError(
            f"no anneal between {HOT_FROM_K:.0f} and {HOT_TO_K:.0f} K, and no melt under that "
            "pressure"
        )
    state = (changed + melts + annealed)[0]
    if not state.from_melt:
        return state, _annealed_at(state)
    short = [
        f"; {_annealed_at(s)} {100 * _bonds_kept(evidence, s):.1f} % of the bonds are as before"
        for s in annealed
    ]
    return state, "quenched from the melt" + "".join(short)


def _annealed_at(state: State) -> str:
    return f"annealed at {state.anneal_temperature_K:.0f} K"


def _bonds_kept(evidence: Evidence, recovered: State) -> float:
    """Give the share of its bonds that a glass kept in the hot state from which it was released.

    Zero where bonds were not compared: nothing is known against the anneal.
    """
    ancestors = evidence.results.config.md.lineage(recovered.name)
    hot = [state for state in evidence.find("hot in situ") if state.name in ancestors]
    try:
        return evidence.scalar(hot[-1], "bonds_kept").mean
    except (AbsentError, IndexError):
        return 0.0


def hot_density(evidence: Evidence, arguments: str) -> Value:
    """Density after a hot cycle from 7.7 GPa and about 1200 °C (row 21)."""
    del arguments
    state, how = _like_the_furnace(evidence)
    value = evidence.scalar(state, "density_g_cm3")
    return Value(value.mean, value.error, how)


def hot_above_cold(evidence: Evidence, arguments: str) -> Value:
    """FSDP of a hot recovered glass is higher than of a cold one of equal density (row 22).

    By a pair of states of equal density; where there is none, by interpolation along the cold
    series, which else is in the remark; and where that does not reach so far, by a hot glass that
    is denser than all cold ones.
    """
    del arguments
    try:
        hot, cold = equally_dense(evidence)
    except AbsentError as reason:
        try:
            change = _densest_interpolated(evidence, reason)
        except AbsentError as absent:
            return _denser_and_higher(evidence, absent)
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


def _denser_and_higher(evidence: Evidence, reason: AbsentError) -> Value:
    """Compare the densest hot recovered state with the densest cold one, which is less dense.

    Where density lowers the FSDP of the cold glasses, a cold one as dense as the hot one would have
    a lower one still: what holds here holds at equal density all the more.

    Raises
    ------
    AbsentError
        If the cold one is denser, has not lost in height by more than 3 σ, or the hot one is not
        higher by as many: of equal density nothing can be said then.
    """
    hot = _densest(evidence, "hot recovered", reason)
    cold = _densest(evidence, "cold recovered", reason)
    dense = [evidence.scalar(state, "density_g_cm3").mean for state in (hot, cold)]
    fallen = paired_difference(evidence, evidence.origin(cold), cold, peak_height)
    rise, _ = height_difference(evidence, hot, cold)
    sure = all(change.mean > SIGMAS * change.sigma() for change in (fallen, rise))
    if not (sure and dense[0] > dense[1]):
        raise reason
    return holds(
        True,
        f"{hot.name} ({dense[0]:.3f} g/cm³) is denser than {cold.name} ({dense[1]:.3f}), "
        f"and higher by {rise.mean:.3f} ± {rise.sigma():.3f} all the same, while cold compression "
        f"lowered it by {fallen.mean:.3f} ± {fallen.sigma():.3f}",
    )


def _densest(evidence: Evidence, kind: Kind, reason: AbsentError) -> State:
    """Give the densest state of a kind; if there is none, raise the reason."""
    if not (states := evidence.find(kind)):
        raise reason
    return max(states, key=lambda state: evidence.scalar(state, "density_g_cm3").mean)


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
    density = _densities(evidence, (*hot, *cold))
    gaps = {(one, other): abs(density[one] - density[other]) for one in hot for other in cold}
    equal = [pair for pair, gap in gaps.items() if gap <= DENSITY_TOLERANCE_g_cm3]
    if not equal:
        raise AbsentError(
            "the densities of hot and cold recovered glasses differ by "
            f"{min(gaps.values()):.2f} g/cm³ at least; equal means within "
            f"{DENSITY_TOLERANCE_g_cm3:g}"
        )
    return max(equal, key=lambda pair: density[pair[0]] + density[pair[1]])


def _densities(evidence: Evidence, states: Iterable[State]) -> dict[State, float]:
    return {state: evidence.scalar(state, "density_g_cm3").mean for state in states}


def most_densified_pair(evidence: Evidence) -> tuple[State, State]:
    """Give `equally_dense`, unless heat made a denser glass that lies between cold ones.

    That one says more of what heat does: it is compared by interpolation.

    Raises
    ------
    AbsentError
        If there is no pair, or such a denser glass.
    """
    hot, cold = equally_dense(evidence)
    heated = _densities(evidence, evidence.find("hot recovered"))
    densest_cold = max(_densities(evidence, evidence.find("cold recovered")).values())
    for state, density in heated.items():
        if heated[hot] + DENSITY_TOLERANCE_g_cm3 < density <= densest_cold:
            raise AbsentError(f"{state.name} is denser than the pair {hot.name}, {cold.name}")
    return hot, cold


def chosen_states(evidence: Evidence) -> dict[str, State]:
    """Choose what stands for rest, cold and hot.

    Cold and hot are the densest pair of recovered glasses of equal density; where there is none, or
    a hot glass between cold ones is denser, the last recovered glass of each kind, or else the last
    in situ.

    Raises
    ------
    AbsentError
        If the campaign has no ambient state.
    """
    try:
        hot, cold = most_densified_pair(evidence)
    except AbsentError:
        found = {
            way: evidence.find(f"{way} recovered") or evidence.find(f"{way} in situ")  # type: ignore[arg-type]
            for way in ("cold", "hot")
        }
        pair = {way: states[-1] for way, states in found.items() if states}
    else:
        pair = {"cold": cold, "hot": hot}
    rest = evidence.origin(pair["hot"]) if "hot" in pair else evidence.ambient()
    return {"rest": rest, **pair}


def _annealed(evidence: Evidence) -> list[State]:
    """Give the recovered states of anneals at 7.7 GPa by temperature; a melt is none of them."""
    states = [s for s in evidence.recovered("hot", HOT_FROM_GPa) if not s.from_melt]
    if not states:
        raise AbsentError(f"no glass was annealed at {HOT_FROM_GPa:g} GPa")
    return states


def _anneals(evidence: Evidence) -> list[State]:
    states = evidence.recovered("cold", HOT_FROM_GPa)[:1] + _annealed(evidence)
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
    return evidence.peak(_annealed(evidence)[-1], "position")


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
    """Sizes of King rings change less than their shapes, both against the glass at rest (row 25).

    Compared is the share of rings that would have to change: half the summed absolute difference of
    two distributions, of sizes, and of l2/l3 as a mean over sizes. Looked at are states, in situ
    and recovered, that are denser than at rest and whose Si has four O: else it is another network.
    """
    del arguments
    less, remarks = True, []
    for state in evidence.find("cold in situ", "cold recovered", "hot in situ", "hot recovered"):
        ambient = evidence.origin(state)
        before, after = (evidence.scalar(s, "density_g_cm3").mean for s in (ambient, state))
        coordination = evidence.scalar(state, "coordination_Si_mean").mean
        if after / before < DENSER or coordination > MOST_COORDINATION:
            continue
        moved = apart(*(_shares(evidence, each) for each in (state, ambient)))
        bent = fmean(
            apart(*(_aspects(evidence, each, size) for each in (state, ambient))) for size in SIZES
        )
        less &= moved < bent
        remarks.append(f"{state.name}: sizes {100 * moved:.1f} %, shapes {100 * bent:.1f} %")
    if not remarks:
        raise AbsentError(f"no state with fourfold Si is denser than at rest by {DENSER - 1:.0%}")
    return holds(less, "; ".join(remarks))


def _shares(evidence: Evidence, state: State) -> pd.Series:
    """Give the share of each size of King rings."""
    return evidence.rings(state, KING).set_index("size").fraction


def _aspects(evidence: Evidence, state: State, size: int) -> pd.Series:
    """Give the share of King rings of a size in each interval of l2/l3."""
    rows = evidence.summary("ring_aspect", state, criterion=KING, size=size)
    densities = rows.set_index("aspect_ratio").density
    if not densities.sum() > 0:
        raise AbsentError(f"{state.name} has no King rings of {size} Si")
    return densities / densities.sum()


def apart(one: pd.Series, other: pd.Series) -> float:
    """Give the share that would have to move to make one distribution the other."""
    return float(one.sub(other, fill_value=0.0).abs().sum() / 2)


def centre_peak(evidence: Evidence, arguments: str) -> Value:
    """S(Q) of ring centres has its peak near Q1, higher in the hot glass than in the cold (row 26).

    Near means within 0.2 Å⁻¹.
    """
    del arguments
    pair = equally_dense(evidence)
    heights, near, places = [], True, []
    for state in pair:
        q1 = evidence.peak(state, "position").mean
        peak = fit_centres(evidence.summary("ring_centre_sq", state), state.name)
        several = int(evidence.summary("states", state).glasses.iloc[0]) > 1
        heights.append(Value(peak.height, peak.height_error if several else None))
        near &= abs(peak.position - q1) <= NEAR_Q1_PER_A
        places.append(f"{peak.height:.3f} at {peak.position:.2f} Å⁻¹ (Q1 {q1:.2f})")
    hot, cold = heights
    remark = f"hot {places[0]}, cold {places[1]}"
    larger = _larger(evidence, pair, (hot, cold), centre_height, remark)
    return holds(near and bool(larger.mean), larger.remark)


def young_modulus(evidence: Evidence, arguments: str) -> Value:
    """Rise of Young's modulus by a hot cycle, in percent, glass by glass (row 27)."""
    del arguments
    hot, how = _like_the_furnace(evidence)
    ambient = evidence.origin(hot)
    rises = []
    for glass in evidence.results.config.md.glass_names():
        files = [f"md/{state.name}/{glass}/moduli.json" for state in (hot, ambient)]
        try:
            after, before = (evidence.results.json(name)["young_GPa"] for name in files)
        except AbsentError:
            continue
        rises.append(100 * (after / before - 1))
    if not rises:
        raise AbsentError(
            f"no glass has its moduli in {hot.name} and in {ambient.name}: `glassml md moduli` "
            "calculates them, to moduli.json beside final.extxyz"
        )
    mean, error = mean_and_error(rises)
    each = ", ".join(f"{rise:+.0f}" for rise in rises)
    remark = f"{how}; at 0 K, by glass {each} %"
    return Value(float(mean or 0.0), error, remark)


MEASURES: dict[str, Measure] = by_name(
    densification,
    hot_density,
    hot_above_cold,
    anneal_height,
    anneal_position,
    hot_slope,
    histogram_small,
    centre_peak,
    young_modulus,
)
