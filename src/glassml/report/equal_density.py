"""Hot glasses against cold ones of the same density, by interpolation along the cold series.

No cold state has just the density of a hot one. So what is compared is read off a line through the
two cold states between which the density of the hot one lies, for each glass of its own.
"""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from glassml.report.evidence import Evidence, Value
from glassml.report.pairs import (
    OfGlass,
    centre_height,
    mean_difference,
    peak_of,
    ring_slope,
    scalar_of,
)
from glassml.report.results import AbsentError
from glassml.report.states import State

#: What is said where nothing can be compared, before the reasons.
FEW = "fewer than two glasses can be compared at equal density: "


@dataclass(frozen=True)
class Quantity:
    """Something that is compared at equal density, of single glasses."""

    name: str
    unit: str
    of_glass: OfGlass


QUANTITIES: Mapping[str, Quantity] = {
    "height_neutron": Quantity("S(Q1), neutron", "", peak_of("neutron", "height")),
    "height_xray": Quantity("S(Q1), X-ray", "", peak_of("xray", "height")),
    "position_neutron": Quantity("Q1, neutron", "Å⁻¹", peak_of("neutron", "position")),
    "ring_slope": Quantity("d l2/dn", "Å", ring_slope),
    "ring_centres": Quantity("peak of ring centres", "", centre_height),
    "loops_si": Quantity("life of Si loops", "Å/Si", scalar_of("homology_Si_persistence_A")),
}
density_of = scalar_of("density_g_cm3")


@dataclass(frozen=True)
class AtEqualDensity:
    """A hot state and what the cold series has at its density.

    Attributes
    ----------
    density, hot, cold
        Means over the glasses that were compared; the density in g/cm³.
    difference
        Mean over glasses of hot minus cold, with its standard error.
    glasses
        Their number.
    between
        The cold states between which was interpolated.
    """

    density: float
    hot: float
    cold: float
    difference: Value
    glasses: int
    between: tuple[str, ...]


def interpolated_text(compared: AtEqualDensity) -> str:
    """Say what was compared between which states, with the difference of each glass."""
    return (
        f"at {compared.density:.3f} g/cm³ by interpolation between "
        f"{' and '.join(compared.between)} {compared.difference.remark}"
    )


def cold_series(evidence: Evidence, hot: State) -> list[State]:
    """Give the cold states that a hot one is compared with: the ambient one, and those alike.

    To a recovered state belong recovered ones, to one in situ those in situ; those that descend
    from its own ambient state.

    Raises
    ------
    AbsentError
        If the campaign has none.
    """
    origin = evidence.origin(hot)
    cold = [
        state
        for state in evidence.find(f"cold {hot.where}")  # type: ignore[arg-type]
        if evidence.origin(state) == origin
    ]
    if not cold:
        raise AbsentError(f"the campaign has no cold state {hot.where} to compare {hot.name} with")
    return [origin, *cold]


def at_equal_density(evidence: Evidence, hot: State, of_glass: OfGlass) -> AtEqualDensity:
    """Compare a hot state with the cold series at its own density.

    Parameters
    ----------
    hot
        A hot state, recovered or in situ.
    of_glass
        What is compared, of a single glass.

    Raises
    ------
    AbsentError
        If fewer than two glasses have a hot state whose density lies between those of cold ones.
    """
    series = cold_series(evidence, hot)
    found, reasons = [], []
    between: dict[str, None] = {}
    for glass in evidence.results.config.md.glass_names():
        try:
            values, names = _of_one(evidence, hot, series, of_glass, glass)
        except AbsentError as error:
            reasons.append(str(error))
            continue
        found.append(values)
        between |= dict.fromkeys(names)
    if len(found) < 2:
        why = "; ".join(dict.fromkeys(reasons)) or "there is one glass"
        raise AbsentError(FEW + why)
    change = mean_difference([value - cold for _, value, cold in found])
    density, value, cold = map(float, np.mean(found, axis=0))
    return AtEqualDensity(density, value, cold, change, len(found), tuple(between))


def hot_minus_cold(
    evidence: Evidence,
    hot: State,
    of_glass: OfGlass,
    glass: str,
    among: Collection[str] | None = None,
) -> float:
    """Give hot minus cold of a single glass at the density of the hot one.

    Parameters
    ----------
    among
        Names of the states that the cold series is taken from; None for all.

    Raises
    ------
    AbsentError
        If its density lies beyond those of cold states, or a state lacks what is compared.
    """
    series = cold_series(evidence, hot)
    if among is not None:
        series = [state for state in series if state.name in among]
    (_, value, cold), _ = _of_one(evidence, hot, series, of_glass, glass)
    return value - cold


def _of_one(
    evidence: Evidence, hot: State, series: list[State], of_glass: OfGlass, glass: str
) -> tuple[tuple[float, float, float], tuple[str, str]]:
    """Give density, hot and cold of a glass, and the states between which cold was read off."""
    density, value = density_of(evidence, hot, glass), of_glass(evidence, hot, glass)
    cold, names = _interpolated(evidence, series, glass, of_glass, density)
    return (density, value, cold), names


def _interpolated(
    evidence: Evidence, series: list[State], glass: str, of_glass: OfGlass, density: float
) -> tuple[float, tuple[str, str]]:
    """Read a quantity of a glass off its cold series at a density, and say between which states."""
    points = []
    for state in series:
        try:
            point = (density_of(evidence, state, glass), of_glass(evidence, state, glass))
        except AbsentError:
            continue
        points.append((*point, state.name))
    points.sort()
    for (low, first, below), (high, second, above) in itertools.pairwise(points):
        if low <= density <= high:
            share = (density - low) / (high - low) if high > low else 0.0
            return first + share * (second - first), (below, above)
    if not points:
        raise AbsentError(f"the cold states of {glass} do not have it")
    raise AbsentError(
        f"{glass} has {density:.2f} g/cm³, beyond its cold {points[0][0]:.2f}-{points[-1][0]:.2f}"
    )
