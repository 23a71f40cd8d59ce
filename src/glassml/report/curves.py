"""Curves made fit to be looked at."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from glassml.report.evidence import Evidence
from glassml.report.figures import COLOURS
from glassml.report.results import AbsentError
from glassml.report.states import State


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


def legend_beside(axis: Axes, *, reverse: bool = False) -> None:
    """Put the legend to the right of an axis, from top to bottom as curves are where reversed."""
    handles, labels = axis.get_legend_handles_labels()
    order = slice(None, None, -1 if reverse else 1)
    axis.legend(handles[order], labels[order], loc="center left", bbox_to_anchor=(1.0, 0.5))


def plot_band(
    axis: Axes, rows: pd.DataFrame, x: str, y: str, colour: str, offset: float = 0.0, **options: Any
) -> None:
    """Plot a curve and the band of its standard error."""
    axis.plot(rows[x], rows[y] + offset, color=colour, **options)
    error = rows[f"{y}_error"]
    if error.notna().any():
        low, high = rows[y] - error + offset, rows[y] + error + offset
        axis.fill_between(rows[x], low, high, color=colour, alpha=0.22, lw=0)


def plot_measured(
    axis: Axes,
    x: pd.Series,
    y: pd.Series,
    error: pd.Series | None = None,
    *,
    label: str,
    ms: float = 3.5,
) -> None:
    """Plot measured points, with bars where their errors are known."""
    bars = error if error is not None and error.notna().any() else None
    axis.errorbar(
        x,
        y,
        yerr=bars,
        fmt="o",
        ms=ms,
        mfc="none",
        mew=0.8,
        elinewidth=0.5,
        color="k",
        label=label,
    )


def mark_peak(
    axis: Axes,
    evidence: Evidence,
    state: State,
    weighting: str,
    colour: str,
    vague_per_A: float = float("inf"),
) -> None:
    """Mark the fitted peak of a state, if it has one.

    Parameters
    ----------
    weighting
        ``neutron`` or ``xray``.
    vague_per_A
        A peak whose position is less sure, in Å⁻¹, is not marked.
    """
    try:
        place, height = (
            evidence.peak(state, name, weighting=weighting) for name in ("position", "height")
        )
    except AbsentError:
        return
    if place.error is not None and place.error > vague_per_A:
        return
    look: dict[str, Any] = {"fmt": "s", "ms": 5, "mec": "white", "capsize": 2, "zorder": 5}
    axis.errorbar(
        place.mean, height.mean, xerr=place.error, yerr=height.error, color=colour, **look
    )
