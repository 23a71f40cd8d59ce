"""Means and standard errors over frames and over glasses."""

from collections.abc import Sequence

import numpy as np


def mean_and_error(values: Sequence[float] | np.ndarray) -> tuple[float | None, float | None]:
    """Mean and standard error of independent values; None where there are too few.

    Values that are not finite are left out.
    """
    finite = np.asarray([v for v in values if v is not None and np.isfinite(v)], float)
    if len(finite) == 0:
        return None, None
    error = float(finite.std(ddof=1) / np.sqrt(len(finite))) if len(finite) > 1 else None
    return float(finite.mean()), error


def curve_error(curves: np.ndarray) -> np.ndarray:
    """Give the standard error of the mean of curves (n, points); NaN for a single one."""
    if len(curves) < 2:
        return np.full(curves.shape[1], np.nan)
    return curves.std(axis=0, ddof=1) / np.sqrt(len(curves))


def as_field(value: float | None) -> float | str:
    """Write a number for a CSV: rounded to 8 digits, empty where it is not there."""
    if value is None or not np.isfinite(value):
        return ""
    return float(f"{float(value):.8g}")
