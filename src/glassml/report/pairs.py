"""Two states of the same glasses, compared glass by glass.

Glasses differ more from each other than compression changes them. Where two states descend from
the same ambient state, glass k of the one and glass k of the other were the same glass once: the
mean of their differences is free of what sets glasses apart, and its standard error is over them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
from scipy import stats

from glassml.campaign.names import KING
from glassml.report.evidence import Evidence, Value
from glassml.report.measures import difference
from glassml.report.results import AbsentError
from glassml.report.states import State
from glassml.structure.fsdp import PEAK_RANGES, NoPeakError, Peak, fit_peak

OfGlass = Callable[[Evidence, State, str], float]
OfState = Callable[[Evidence, State], Value]
NEAR_PER_A = 0.1  # half the width in which S(Q) of ring centres is averaged
SMOOTHED_PER_A = 0.2


def peak_of(weighting: str, quantity: str) -> OfGlass:
    """Give a function for the height or position of the FSDP of a single glass.

    It raises `AbsentError` if the glass was not analysed, or has no peak.
    """

    def of_glass(evidence: Evidence, state: State, glass: str) -> float:
        peak = evidence.results.json(f"structure/{state.name}/{glass}/fsdp.json")[weighting]["Q1"]
        if peak.get("position") is None:
            raise AbsentError(f"{state.name}/{glass} has no Q1: {peak.get('reason')}")
        return float(peak[quantity])

    return of_glass


peak_height = peak_of("neutron", "height")


def peak_of_state(weighting: str, quantity: str) -> OfState:
    """Give a function for the height or position of the FSDP of a state, over its glasses."""
    return lambda evidence, state: evidence.peak(state, quantity, weighting=weighting)


def scalar_of(observable: str) -> OfGlass:
    """Give a function for an observable of the network of a single glass.

    It raises `AbsentError` if the glass was not analysed, or has no such observable.
    """

    def of_glass(evidence: Evidence, state: State, glass: str) -> float:
        document = evidence.results.json(f"structure/{state.name}/{glass}/network.json")
        if document["status"] != "analysed":
            raise AbsentError(f"{state.name}/{glass} was set aside: {document['reason']}")
        if observable not in document["observables"]:
            raise AbsentError(f"{state.name}/{glass} has no {observable}: analyse it again")
        return float(document["observables"][observable]["mean"])

    return of_glass


def ring_slope(evidence: Evidence, state: State, glass: str) -> float:
    """Give d l2/dn of the King rings of a single glass, in Å.

    Raises
    ------
    AbsentError
        If it was not analysed, or has too few rings.
    """
    rows = evidence.results.table(f"structure/{state.name}/{glass}/ring_slope.csv")
    slopes = rows[(rows.criterion == KING) & (rows.atoms == "Si+O")].slope_A.dropna()
    if slopes.empty:
        raise AbsentError(f"{state.name}/{glass} has no slope of its King rings")
    return float(slopes.iloc[0])


def centre_height(evidence: Evidence, state: State, glass: str) -> float:
    """Give the mean S(Q) of a glass's ring centres within 0.1 Å⁻¹ of the peak that its state has.

    A single glass has too few Q vectors for a peak of its own.

    Raises
    ------
    AbsentError
        If it was not analysed, the state has no such peak, or no Q vector lies there.
    """
    place = fit_centres(evidence.summary("ring_centre_sq", state), state.name).position
    rows = evidence.results.table(f"structure/{state.name}/{glass}/ring_centre_sq.csv")
    rows = _of_all_sizes(rows)
    rows = rows[rows.q_per_A.sub(place).abs() < NEAR_PER_A]
    if rows.empty:
        raise AbsentError(f"{state.name}/{glass} has no S(Q) of ring centres near {place:.2f} Å⁻¹")
    return float(np.average(rows["centre-centre"], weights=rows.counts))


def _of_all_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose the rows of the centres of all rings at which there are Q vectors."""
    rows = rows[(rows["size"].astype(str) == "all") & rows["centre-centre"].notna()]
    return rows[rows.counts > 0]


def fit_centres(rows: pd.DataFrame, name: str) -> Peak:
    """Fit the peak of S(Q) of the centres of all rings as the FSDP is fitted.

    Each |ρ|² scatters as much as its mean, so that a bin has the standard error S/√counts, with S
    smoothed over 0.2 Å⁻¹.

    Parameters
    ----------
    rows
        Of a table of S(Q) of ring centres, of one glass or one state.
    name
        Whose they are, for the message.

    Raises
    ------
    AbsentError
        If there is no peak, with the reason.
    """
    rows = _of_all_sizes(rows)
    q, s, counts = (rows[c].to_numpy(float) for c in ("q_per_A", "centre-centre", "counts"))
    near = np.abs(q[:, None] - q) < SMOOTHED_PER_A / 2
    smooth = near @ (s * counts) / np.maximum(near @ counts, 1.0)
    try:
        return fit_peak(q, s, smooth / np.sqrt(counts), PEAK_RANGES["Q1"])
    except NoPeakError as error:
        raise AbsentError(f"{name} has no peak of ring centres: {error}") from None


def paired_difference(evidence: Evidence, one: State, other: State, of_glass: OfGlass) -> Value:
    """Give the mean over glasses of `one` minus `other`, with its standard error.

    Parameters
    ----------
    one, other
        States that descend from the same ambient state, or of which one is that state.
    of_glass
        What is compared, of a single glass.

    Returns
    -------
    Value
        Its remark has the difference of each glass, and the probability of a difference as far
        from zero by chance, by Student's t: with few glasses it says more than their number of
        standard errors.

    Raises
    ------
    AbsentError
        If the states have no common parent, or fewer than two glasses have both.
    """
    if not _same_glasses(evidence, one, other):
        raise AbsentError(f"{one.name} and {other.name} do not come from the same glasses")
    return difference_over_glasses(
        evidence, lambda glass: of_glass(evidence, one, glass) - of_glass(evidence, other, glass)
    )


def difference_over_glasses(evidence: Evidence, of_glass: Callable[[str], float]) -> Value:
    """Give the mean of a difference over the glasses that have it, with its standard error.

    Raises
    ------
    AbsentError
        If fewer than two have it.
    """
    differences = []
    for glass in evidence.results.config.md.glass_names():
        with suppress(AbsentError):
            differences.append(of_glass(glass))
    return mean_difference(differences)


def compared(
    evidence: Evidence, one: State, other: State, of_glass: OfGlass, of_state: OfState
) -> tuple[Value, str]:
    """Give `one` minus `other`, and how they were compared.

    Glass by glass where they descend from the same ambient state, else as independent glasses.

    Parameters
    ----------
    of_glass, of_state
        What is compared, of a single glass and over the glasses of a state.

    Raises
    ------
    AbsentError
        If a state does not have it.
    """
    try:
        return paired_difference(evidence, one, other, of_glass), "glass by glass"
    except AbsentError:
        values = (of_state(evidence, state) for state in (one, other))
        return difference(*values), "as independent glasses"


def height_difference(
    evidence: Evidence, one: State, other: State, weighting: str = "neutron"
) -> tuple[Value, str]:
    """Give how much higher the FSDP of `one` is than that of `other`, and how it was compared.

    Glass by glass where they descend from the same ambient state, else as independent glasses.

    Raises
    ------
    AbsentError
        If a state has no peak.
    """
    of_state = peak_of_state(weighting, "height")
    return compared(evidence, one, other, peak_of(weighting, "height"), of_state)


def _same_glasses(evidence: Evidence, one: State, other: State) -> bool:
    """Tell whether two states descend from the same ambient state, or one from the other.

    A melt that was quenched under pressure never was one of the ambient glasses.
    """
    md = evidence.results.config.md
    common = set(md.lineage(one.name)) & set(md.lineage(other.name))
    return any(state.name in common for state in evidence.find("ambient"))


def mean_difference(differences: Sequence[float]) -> Value:
    """Give the mean of differences of glasses with its standard error, in words too.

    Raises
    ------
    AbsentError
        If there are fewer than two.
    """
    if len(differences) < 2:
        raise AbsentError("a comparison by pairs needs two glasses that have both states")
    mean = float(np.mean(differences))
    error = float(np.std(differences, ddof=1) / np.sqrt(len(differences)))
    each = ", ".join(f"{value:+.3f}" for value in differences)
    text = f"{mean:+.3f} ± {error:.3f} by pairs of {len(differences)} glasses ({each})"
    if error > 0.0:
        text += f", by chance with p = {chance(Value(mean, error), len(differences)):.2g}"
    return Value(mean, error, text)


def chance(difference: Value, glasses: int) -> float:
    """Give the probability of a mean difference as far from zero by chance, by Student's t."""
    if difference.mean == 0.0:
        return 1.0
    error = difference.sigma()
    return float(2 * stats.t.sf(abs(difference.mean) / error, glasses - 1)) if error else 0.0
