"""What heat does to a glass under pressure: hot states against the cold one under the same."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from glassml.campaign.names import KING
from glassml.report.evidence import Evidence, PRESSURE_TOLERANCE_GPa
from glassml.report.pairs import (
    OfGlass,
    OfState,
    compared,
    peak_of,
    peak_of_state,
    ring_slope,
    scalar_of,
)
from glassml.report.results import AbsentError
from glassml.report.states import State

PLACES = ("in situ", "recovered")
#: What is compared: of a single glass, and over the glasses of a state.
QUANTITIES: Mapping[str, tuple[OfGlass, OfState]] = {
    "density, g/cm³": (scalar_of("density_g_cm3"), lambda e, s: e.scalar(s, "density_g_cm3")),
    "S(Q1), neutron": (peak_of("neutron", "height"), peak_of_state("neutron", "height")),
    "S(Q1), X-ray": (peak_of("xray", "height"), peak_of_state("xray", "height")),
    "d l2/dn, Å": (ring_slope, lambda e, s: e.ring_slope(s, KING)),
}
COLUMNS = ["state", "against", "where", "quantity", "compared", "change", "change_error"]


def hot_pressure(evidence: Evidence) -> float | None:
    """Give the pressure under which most hot states are; None without any."""
    hot = [state for state in evidence.find("hot in situ") if evidence.analysed(state)]
    pressures = Counter(state.peak_pressure_GPa for state in hot)
    return pressures.most_common(1)[0][0] if pressures else None


def hot_path(evidence: Evidence, pressure_GPa: float, where: str) -> list[State]:
    """Give the states of a pressure, in situ or recovered, from the cold one to the melt."""
    states = [
        state
        for way in ("cold", "hot")
        for state in evidence.find(f"{way} {where}")  # type: ignore[arg-type]
        if abs(state.peak_pressure_GPa - pressure_GPa) <= PRESSURE_TOLERANCE_GPa
        and evidence.analysed(state)
    ]
    ways = {"cold": 0, "hot": 1}
    return sorted(
        states,
        key=lambda s: (ways[s.kind.split()[0]], s.from_melt, s.anneal_temperature_K),
    )


def heated(evidence: Evidence) -> pd.DataFrame:
    """Compare each hot state with the cold one under its pressure, in situ and released.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`, a row for a state and a quantity that both have.

    Raises
    ------
    AbsentError
        If the campaign has no hot state.
    """
    pressure = hot_pressure(evidence)
    if pressure is None:
        raise AbsentError("the campaign has no hot state")
    rows = []
    for where in PLACES:
        path = hot_path(evidence, pressure, where)
        if not path or not path[0].kind.startswith("cold"):
            continue
        cold = path[0]
        for state in path[1:]:
            for quantity, measures in QUANTITIES.items():
                try:
                    change, way = compared(evidence, state, cold, *measures)
                except AbsentError:
                    continue
                error = np.nan if change.error is None else change.error
                rows.append((state.name, cold.name, where, quantity, way, change.mean, error))
    return pd.DataFrame(rows, columns=COLUMNS)
