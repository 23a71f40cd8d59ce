"""Curves made fit to be looked at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from glassml.report.evidence import Evidence
from glassml.report.figures import COLOURS
from glassml.report.results import AbsentError
from glassml.report.states import State


def coarser(rows: pd.DataFrame, column: str, width: float) -> pd.DataFrame:
    """Join bins of Q to a width, weighted by their numbers of Q vectors, for quieter curves.

    Parameters
    ----------
    rows
        With ``state``, ``q_per_A``, ``counts``, `column` and its error.
    column
        What is averaged.
    width
        In 1/Å. Bins that are wider stay as they are.
    """
    usable = rows[rows[column].notna() & (rows.counts > 0)]
    error = f"{column}_error"
    weighted = pd.DataFrame(
        {
            "state": usable.state,
            "bin": np.floor(usable.q_per_A / width),
            "counts": usable.counts,
            "q_per_A": usable.counts * usable.q_per_A,
            column: usable.counts * usable[column],
            # Neighbouring bins have different Q vectors, so their noise is independent.
            error: (usable.counts * usable[error]) ** 2,
        }
    )
    joined = weighted.groupby(["state", "bin"], sort=False).agg(
        {"counts": "sum", "q_per_A": "sum", column: "sum", error: _sum_of_known}
    )
    return pd.DataFrame(
        {
            "state": joined.index.get_level_values("state"),
            "q_per_A": (joined.q_per_A / joined.counts).to_numpy(),
            column: (joined[column] / joined.counts).to_numpy(),
            error: (np.sqrt(joined[error]) / joined.counts).to_numpy(),
        }
    )


def _sum_of_known(values: pd.Series) -> float:
    """Add up, and give NaN if one is unknown."""
    return float(values.sum(skipna=False))


def coloured(states: Sequence[State]) -> list[tuple[State, str]]:
    """Give each state its colour, the same in all figures."""
    return list(zip(states, COLOURS, strict=False))


def state_rows(
    evidence: Evidence, table: str, states: Sequence[State], columns: Sequence[str]
) -> pd.DataFrame:
    """Give columns of a summary table for those states that have it.

    Raises
    ------
    AbsentError
        If no state has it.
    """
    frames, reasons = [], []
    for state in states:
        try:
            frames.append(evidence.summary(table, state)[["state", *columns]])
        except AbsentError as error:
            reasons.append(str(error))
    if not frames:
        raise AbsentError("; ".join(dict.fromkeys(reasons)) or "there are no states")
    return pd.concat(frames, ignore_index=True)


def with_errors(*columns: str) -> list[str]:
    """Give columns, each followed by that of its standard error."""
    return [name for column in columns for name in (column, f"{column}_error")]


def plot_band(axis: Any, rows: pd.DataFrame, x: str, y: str, colour: str, **options: Any) -> None:
    """Plot a curve and the band of its standard error."""
    offset = options.pop("offset", 0.0)
    axis.plot(rows[x], rows[y] + offset, color=colour, **options)
    error = rows[f"{y}_error"]
    if error.notna().any():
        low, high = rows[y] - error + offset, rows[y] + error + offset
        axis.fill_between(rows[x], low, high, color=colour, alpha=0.22, lw=0)
