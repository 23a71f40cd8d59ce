"""What a glass keeps of the rate of its quench, and what a furnace's rate would leave of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glassml.campaign.config.md import MolecularDynamics
from glassml.campaign.config.states import AMBIENT_GPa
from glassml.campaign.errors import GlassmlError
from glassml.structure.statistics import as_field, mean_and_error
from glassml.studies.glasses import ring_moments

#: The MD stage whose rate is meant.
QUENCH = "quench"
#: 1 K/s in K/ps: a glass that cools in a furnace or in air.
FURNACE_K_PER_PS = 1e-12
RATE_COLUMNS = (
    "state",
    "rate_K_per_ps",
    "glasses",
    "observable",
    "mean",
    "error",
)
RATE_FIT_COLUMNS = (
    "observable",
    "rates",
    "per_decade",
    "per_decade_error",
    "reduced_chi2",
    "at_1_K_per_s",
    "at_1_K_per_s_error",
)
#: Observables and their names in figures.
OBSERVABLES = {
    "density_g_cm3": "density / g/cm³",
    "angle_Si-O-Si_mean_deg": "mean Si-O-Si angle / °",
    "angle_Si-O-Si_sd_deg": "spread of the Si-O-Si angle / °",
    "Q1_per_A": "Q1 / Å⁻¹",
    "S_Q1": "neutron S(Q1)",
    "ring_size": "mean size of King rings / Si",
    "ring_size_sd": "spread of the size of King rings / Si",
}


def quench_rates(md: MolecularDynamics) -> dict[str, float]:
    """Give the rates in K/ps of the states that have an MD stage `QUENCH` that cools by a rate.

    Quenches under pressure make other glasses, and are left out. Where a state's cooling goes on in
    another, which begins by cooling, that one has the rate.

    Parameters
    ----------
    md
        Section of the configuration.
    """
    rates = {}
    for name, state in md.states.items():
        for stage in state.stages:
            start, end = stage.temperature_K or (0.0, 0.0)
            if max(stage.pressure_GPa or (0.0,)) > AMBIENT_GPa:
                continue
            if stage.name == QUENCH and stage.rate_K_per_ps is not None and end < start:
                rates[_cooled(md, name)] = stage.rate_K_per_ps
    return rates


def _cooled(md: MolecularDynamics, name: str) -> str:
    """Give the state where the cooling of a state ends."""
    for child, state in md.states.items():
        start, end = state.stages[0].temperature_K or (0.0, 0.0)
        if state.parent == name and end < start:
            return _cooled(md, child)
    return name


def rate_rows(
    rates: Mapping[str, float], folder: Path, glasses: Sequence[str]
) -> list[dict[str, object]]:
    """Read the observables of each state.

    Parameters
    ----------
    rates
        In K/ps, by state.
    folder
        Of the structure of the campaign.
    glasses
        Names of the glasses.

    Returns
    -------
    list of dict
        Columns `RATE_COLUMNS`; errors are standard errors over glasses.
    """
    states = pd.read_csv(folder / "summary" / "states.csv")
    peaks = pd.read_csv(folder / "summary" / "fsdp.csv")
    peaks = peaks[(peaks["weighting"] == "neutron") & (peaks["peak"] == "Q1")]
    rows: list[dict[str, object]] = []
    for state, rate in sorted(rates.items(), key=lambda each: -each[1]):
        own = states[states["state"] == state]
        values: dict[str, tuple[Any, Any]] = {
            str(row.observable): (row.mean_value, row.error)
            for row in own.rename(columns={"mean": "mean_value"}).itertuples()
            if row.observable in OBSERVABLES
        }
        for _, peak in peaks[peaks["state"] == state].iterrows():
            values["Q1_per_A"] = (peak["position"], peak["position_error"])
            values["S_Q1"] = (peak["height"], peak["height_error"])
        rings = [ring_moments(folder / state / glass / "rings.csv") for glass in glasses]
        for index, name in enumerate(("ring_size", "ring_size_sd")):
            values[name] = mean_and_error([moments[index] for moments in rings])
        rows += [
            {
                "state": state,
                "rate_K_per_ps": rate,
                "glasses": int(own["glasses"].iloc[0]),
                "observable": name,
                "mean": as_field(values[name][0]),
                "error": as_field(values[name][1]),
            }
            for name in OBSERVABLES
            if name in values
        ]
    return rows


def fit_rates(rows: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
    """Fit a line in the logarithm of the rate to each observable, and follow it to a furnace.

    Weighted least squares; errors grow by the root of the reduced χ² where that is above one. A
    line over the simulated decades says nothing about whether it stays one for eleven more.

    Parameters
    ----------
    rows
        From `rate_rows`.

    Returns
    -------
    list of dict
        Columns `RATE_FIT_COLUMNS`; only observables known, with errors, at two rates and more.

    Raises
    ------
    GlassmlError
        If there are fewer than two rates.
    """
    table = pd.DataFrame(rows)
    number = len({row["rate_K_per_ps"] for row in rows})
    if number < 2:
        raise GlassmlError(
            f"md.states: {number} rate of a stage {QUENCH!r}: a fit needs two states or more that "
            f"have a stage {QUENCH!r} with rate_K_per_ps, each with its own"
        )
    fits = []
    for name in OBSERVABLES:
        own = table[table["observable"] == name]
        points = own[["rate_K_per_ps", "mean", "error"]].apply(pd.to_numeric, errors="coerce")
        points = points[(points["error"] > 0.0) & points["mean"].notna()]
        if points["rate_K_per_ps"].nunique() >= 2:
            fits.append({"observable": name, **_line(points)})
    return fits


def _line(points: pd.DataFrame) -> dict[str, float | str]:
    """Fit a line through values with errors."""
    x = np.log10(points["rate_K_per_ps"].to_numpy())
    design = np.column_stack([np.ones_like(x), x])
    weights = 1.0 / points["error"].to_numpy()
    covariance = np.linalg.inv((design * weights[:, None] ** 2).T @ design)
    line = covariance @ (design.T @ (weights**2 * points["mean"].to_numpy()))
    freedom = len(x) - 2
    residuals = weights * (points["mean"].to_numpy() - design @ line)
    chi2 = float(residuals @ residuals) / freedom if freedom else None
    covariance = covariance * max(1.0, chi2 or 1.0)
    furnace = np.array([1.0, np.log10(FURNACE_K_PER_PS)])
    return {
        "rates": len(x),
        "per_decade": as_field(line[1]),
        "per_decade_error": as_field(float(np.sqrt(covariance[1, 1]))),
        "reduced_chi2": as_field(chi2),
        "at_1_K_per_s": as_field(float(furnace @ line)),
        "at_1_K_per_s_error": as_field(float(np.sqrt(furnace @ covariance @ furnace))),
    }
