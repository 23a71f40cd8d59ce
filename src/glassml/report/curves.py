"""Curves made fit to be looked at."""

import numpy as np
import pandas as pd


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
