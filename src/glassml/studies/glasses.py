"""What variants of the size search make of the glass: density, first peak, ring sizes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from glassml.campaign.names import KING
from glassml.structure.binning import coarser

SUMMARY = Path("structure", "summary")  # of a variant that made glasses
GLASS_COLUMNS = (
    "glasses",
    "density_g_cm3",
    "density_error",
    "Q1_per_A",
    "Q1_error",
    "S_Q1",
    "S_Q1_error",
    "ring_size",
    "ring_size_error",
    "ring_size_sd",
    "ring_size_sd_error",
)
CURVES = ("neutron S(Q)", "King rings")
CURVES_COLUMNS = ("variant", "curve", "x", "value", "error")
Q_RANGE_PER_A = (0.5, 4.0)
Q_BIN_PER_A = 0.06  # a box has few Q vectors around the first peak


def glass_columns(summary: Path, glasses: Sequence[Path]) -> dict[str, object]:
    """Read the density, the first peak and the ring sizes of a variant's glasses.

    Parameters
    ----------
    summary
        Folder of the means over glasses of one state.
    glasses
        Folders of the structure of each.

    Returns
    -------
    dict
        Columns `GLASS_COLUMNS`: neutron S(Q), King rings, standard errors over glasses (the
        peak's are those of the fit with fewer than three). What is not known is left out: other
        errors of a single glass, all of glasses that were set aside.
    """
    states = pd.read_csv(summary / "states.csv")
    density = states.set_index("observable").reindex(["density_g_cm3"]).iloc[0]
    fsdp = pd.read_csv(summary / "fsdp.csv")
    peak = fsdp[(fsdp["weighting"] == "neutron") & (fsdp["peak"] == "Q1")].iloc[0]
    rings = pd.DataFrame([ring_moments(folder / "rings.csv") for folder in glasses])
    values = (
        states["glasses"].iloc[0],
        *density[["mean", "error"]],
        *peak[["position", "position_error", "height", "height_error"]],
        *(number for _, sizes in rings.items() for number in (sizes.mean(), sizes.sem())),
    )
    return _known(zip(GLASS_COLUMNS, values, strict=True))


def ring_moments(table: Path) -> tuple[float, float]:
    """Give the mean size of a glass's King rings and its standard deviation over rings.

    Parameters
    ----------
    table
        Its `rings.csv`.

    Returns
    -------
    tuple of float
        In Si atoms; NaN without such rings.
    """
    rows = pd.read_csv(table)
    rows = rows[rows["criterion"] == KING]
    if rows.empty:
        return np.nan, np.nan
    mean = np.average(rows["size"], weights=rows["fraction"])
    variance = np.average((rows["size"] - mean) ** 2, weights=rows["fraction"])
    return float(mean), float(np.sqrt(variance))


def glass_curves(summaries: Mapping[str, Path]) -> list[dict[str, object]]:
    """Read S(Q) around the first peak and the ring sizes of variants that made glasses.

    Parameters
    ----------
    summaries
        Folders of the means over glasses, by variant.

    Returns
    -------
    list of dict
        Columns `CURVES_COLUMNS`: the curve's name (`CURVES`); `x` is Q in Å⁻¹, or the size in Si
        atoms; `value` is S(Q), or a share of all rings; `error` is the standard error over
        glasses, left out where it is not known.
    """
    rows: list[dict[str, object]] = []
    for variant, summary in summaries.items():
        rings = pd.read_csv(summary / "rings.csv")
        rings = rings[rings["criterion"] == KING]
        sizes = rings[["size", "fraction", "fraction_error"]]
        curves = (_coarser(pd.read_csv(summary / "sq.csv")), sizes)
        rows += [
            _known(zip(CURVES_COLUMNS, (variant, curve, *point), strict=True))
            for curve, points in zip(CURVES, curves, strict=True)
            for point in points.itertuples(index=False)
        ]
    return rows


def _coarser(sq: pd.DataFrame) -> pd.DataFrame:
    """Give Q, neutron S(Q) and its standard error in wider bins."""
    joined = coarser(sq[sq["q_per_A"].between(*Q_RANGE_PER_A)], "neutron", Q_BIN_PER_A)
    return joined[["q_per_A", "neutron", "neutron_error"]]


def _known(items: Iterable[tuple[str, float | str]]) -> dict[str, object]:
    """Leave out what is not known, so that its field is empty."""
    return {name: value for name, value in items if pd.notna(value)}
