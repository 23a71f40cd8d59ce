"""The tables of a glass and of the summary: their names, columns and rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassml.campaign.errors import StructureError
from glassml.campaign.files import read_rows
from glassml.structure.species import pairs_of
from glassml.structure.statistics import as_field

# The campaign's tables have columns of these.
ELEMENTS = ("Si", "O")
PAIRS = tuple(pairs_of(ELEMENTS))
Row = dict[str, object]

#: Files of a glass that are no tables.
DOCUMENTS = ("network.json", "fsdp.json")
#: Tables of a glass, and their columns.
COLUMNS: dict[str, tuple[str, ...]] = {
    "angles.csv": (
        "angle_deg",
        "O-Si-O_per_deg",
        "O-Si-O_error",
        "Si-O-Si_per_deg",
        "Si-O-Si_error",
    ),
    "gr.csv": (
        "r_A",
        *PAIRS,
        *(f"{pair}_error" for pair in PAIRS),
        "neutron",
        "xray",
        "T_neutron_per_A2",
        "D_neutron_per_A2",
    ),
    "sq.csv": (
        "q_per_A",
        "counts",
        *PAIRS,
        "neutron",
        "neutron_error",
        "xray",
        "xray_error",
        "NN",
        "NC",
        "CC",
    ),
    "rings.csv": ("criterion", "size", "count", "per_si", "per_si_error", "fraction"),
    "ring_shape.csv": (
        "criterion",
        "atoms",
        "size",
        "count",
        *(
            f"{name}_{kind}"
            for name in ("l1_A", "l2_A", "l3_A", "aspect_ratio", "roughness")
            for kind in ("mean", "sd", "error")
        ),
    ),
    "ring_slope.csv": ("criterion", "atoms", "slope_A", "slope_error"),
    "ring_aspect.csv": ("criterion", "size", "aspect_ratio", "density"),
    "ring_centre_sq.csv": (
        "size",
        "q_per_A",
        "counts",
        "centre-centre",
        "centre-Si",
        "centre-O",
        "contribution",
    ),
    "ring_centre_gr.csv": ("size", "r_A", "centre-centre", "centre-Si", "centre-O"),
    "kono_z.csv": ("z_A", "density_per_A", "error"),
    "homology.csv": ("element", "birth_A", "death_A", "loops"),
}

#: Table: what identifies a row in each glass, and the columns that are averaged over glasses.
CURVES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "angles.csv": (("angle_deg",), ("O-Si-O_per_deg", "Si-O-Si_per_deg")),
    "gr.csv": (
        ("r_A",),
        ("Si-Si", "Si-O", "O-O", "neutron", "xray", "T_neutron_per_A2", "D_neutron_per_A2"),
    ),
    "kono_z.csv": (("z_A",), ("density_per_A",)),
    "rings.csv": (("criterion", "size"), ("per_si", "fraction")),
    "ring_shape.csv": (
        ("criterion", "atoms", "size"),
        ("l1_A_mean", "l2_A_mean", "l3_A_mean", "aspect_ratio_mean", "roughness_mean"),
    ),
    "ring_slope.csv": (("criterion", "atoms"), ("slope_A",)),
    "ring_aspect.csv": (("criterion", "size", "aspect_ratio"), ("density",)),
    "ring_centre_gr.csv": (("size", "r_A"), ("centre-centre", "centre-Si", "centre-O")),
    "homology.csv": (("element", "birth_A", "death_A"), ("loops",)),
}
SQ_VALUES = ("Si-Si", "Si-O", "O-O", "neutron", "xray", "NN", "NC", "CC")
CENTRE_VALUES = ("centre-centre", "centre-Si", "centre-O", "contribution")
# A size or loop that a glass does not have counts as none there; a shape that is not there does
# not.
ZERO_IF_ABSENT = ("rings.csv", "homology.csv")
STATE_COLUMNS = ("state", "glasses", "set_aside", "reasons", "observable", "mean", "error")
FSDP_COLUMNS = (
    "state",
    "glasses",
    "weighting",
    "peak",
    *(
        f"{name}{suffix}"
        for name in ("position", "height", "fwhm", "amplitude", "lorentzian_fwhm")
        for suffix in ("", "_error")
    ),
    "definition",
    "reason",
)
#: Tables of the summary.
SUMMARY_TABLES = ("states.csv", "fsdp.csv", "sq.csv", "ring_centre_sq.csv", *CURVES)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV.

    Raises
    ------
    UnreadableError
        If it is cut off, or something else.
    StructureError
        If there is none.
    """
    try:
        return read_rows(path)
    except FileNotFoundError as error:
        raise StructureError(f"{path}: cannot be read: {error.strerror}") from None


def row_of(table: str, values: Sequence[Any]) -> Row:
    """Give a row of a table of `COLUMNS`, its numbers rounded to 8 digits."""
    return {
        column: value if isinstance(value, str | int | np.integer) else as_field(value)
        for column, value in zip(COLUMNS[table], values, strict=True)
    }


def rows_of(table: str, columns: Sequence[Any]) -> list[Row]:
    """Give the rows of a table of `COLUMNS` from its columns."""
    return [row_of(table, values) for values in zip(*columns, strict=True)]
