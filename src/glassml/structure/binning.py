"""Bins of Q: which one a Q is in, and curves in wider ones."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import pandas as pd


def bin_of(q: ArrayLike, width: float) -> np.ndarray:
    """Give the number of the bin that each Q is in, both in Å⁻¹."""
    return np.floor(np.asarray(q) / width).astype(np.int64)


def coarser(rows: "pd.DataFrame", column: str, width: float) -> "pd.DataFrame":
    """Join bins of Q to a width, weighted by their numbers of Q vectors, for quieter curves.

    Parameters
    ----------
    rows
        With ``state``, ``q_per_A``, ``counts``, `column` and its error.
    column
        What is averaged.
    width
        In 1/Å. Bins that are wider stay as they are.

    Returns
    -------
    DataFrame
        ``state``, ``q_per_A``, `column` and its error, which is NaN if one of a bin is unknown.
    """
    usable = rows[rows[column].notna() & (rows.counts > 0)]
    error = f"{column}_error"
    weighted = usable.assign(
        bin=bin_of(usable.q_per_A, width),
        **{name: usable.counts * usable[name] for name in ("q_per_A", column, error)},
    )
    # Neighbouring bins have different Q vectors, so their noise is independent.
    weighted[error] **= 2
    groups = weighted.groupby(["state", "bin"], sort=False)
    joined = groups[["counts", "q_per_A", column]].sum()
    joined[error] = np.sqrt(groups[error].agg(_sum_of_known))
    for name in ("q_per_A", column, error):
        joined[name] /= joined.counts
    return joined.reset_index()[["state", "q_per_A", column, error]]


def _sum_of_known(values: "pd.Series") -> float:
    """Add up, and give NaN if one is unknown."""
    return float(values.sum(skipna=False))
