"""Whether anneals under pressure are at their end: how fast the density still rises."""

import numpy as np
import pandas as pd

from glassml.campaign.config.states import Stage
from glassml.report.measures import SIGMAS
from glassml.report.results import AbsentError, Results
from glassml.report.states import State
from glassml.structure.statistics import mean_and_error

STEADY_K = 1.0  # an anneal's temperature does not change by more
FEWEST = 5  # points in half an anneal, for a straight line


def steady_stages(results: Results, state: State) -> list[str]:
    """Give the names of the stages of a hot state at its anneal's temperature; a melt has none."""
    if state.from_melt:
        return []
    return [
        stage.name
        for stage in results.config.md.stages_of(state.name)
        if _steady_at(stage, state.anneal_temperature_K)
    ]


def _steady_at(stage: Stage, temperature_K: float) -> bool:
    heats = stage.temperature_K or ()
    return bool(heats) and all(abs(one - temperature_K) < STEADY_K for one in heats)


def density_slopes(results: Results, states: list[State]) -> pd.DataFrame:
    """Fit straight lines to the density in the second half of the hottest steady stages.

    Parameters
    ----------
    results
        Of the campaign.
    states
        Hot ones in situ; quenched melts were not annealed, and are left out.

    Returns
    -------
    pandas.DataFrame
        A row for a glass of a state: state, glass, temperature_K, picoseconds (the half's length),
        density_g_cm3 (its mean), slope_mg_cm3_ps. Empty where nothing was annealed.
    """
    rows = []
    for state in states:
        stages = steady_stages(results, state)
        for glass in results.config.md.glass_names():
            try:
                series = results.table(f"md/{state.name}/{glass}/series.csv")
            except AbsentError:
                continue
            part = series[series.stage.isin(stages)]
            part = part[part.time_fs > part.time_fs.mean()]
            if len(part) < FEWEST:
                continue
            time_ps = 1e-3 * part.time_fs
            rows.append(
                {
                    "state": state.name,
                    "glass": glass,
                    "temperature_K": state.anneal_temperature_K,
                    "picoseconds": float(np.ptp(time_ps)),
                    "density_g_cm3": part.density_g_cm3.mean(),
                    "slope_mg_cm3_ps": 1e3 * np.polyfit(time_ps, part.density_g_cm3, 1)[0],
                }
            )
    columns = ["state", "glass", "temperature_K", "picoseconds", "density_g_cm3", "slope_mg_cm3_ps"]
    return pd.DataFrame(rows, columns=columns)


def anneals(results: Results, states: list[State]) -> pd.DataFrame:
    """Say of each anneal how fast the density still rises, and whether that is sure.

    Returns
    -------
    pandas.DataFrame
        A row for a state: state, temperature_K, glasses, picoseconds, density_g_cm3,
        slope_mg_cm3_ps with slope_error (a standard error over glasses), and trend: "rises" or
        "falls" where the slope is beyond three of those errors, else "steady"; "unknown" of one
        glass.

    Raises
    ------
    AbsentError
        If nothing was annealed under pressure.
    """
    slopes = density_slopes(results, states)
    if slopes.empty:
        raise AbsentError("no anneal at steady temperature under pressure has a series")
    rows = []
    for state, group in slopes.groupby("state", sort=False):
        mean, error = mean_and_error(group.slope_mg_cm3_ps.to_numpy())
        rows.append(
            {
                "state": state,
                "temperature_K": group.temperature_K.iloc[0],
                "glasses": len(group),
                "picoseconds": group.picoseconds.mean(),
                "density_g_cm3": group.density_g_cm3.mean(),
                "slope_mg_cm3_ps": mean,
                "slope_error": np.nan if error is None else error,
                "trend": _trend(mean, error),
            }
        )
    return pd.DataFrame(rows)


def _trend(slope: float | None, error: float | None) -> str:
    if slope is None or error is None:
        return "unknown"
    if abs(slope) <= SIGMAS * error:
        return "steady"
    return "rises" if slope > 0 else "falls"
