"""Means and standard errors over the independent glasses of each state."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from glassml.campaign.config.structure import Structure
from glassml.campaign.files import read_json, write_csv
from glassml.structure.binning import bin_of
from glassml.structure.fsdp import PEAK_RANGES, NoPeakError, bootstrap_peak, fit_options
from glassml.structure.scattering import WEIGHTINGS
from glassml.structure.statistics import as_field, mean_and_error
from glassml.structure.tables import (
    CENTRE_VALUES,
    CURVES,
    FSDP_COLUMNS,
    SQ_VALUES,
    STATE_COLUMNS,
    ZERO_IF_ABSENT,
    Row,
    read_table,
)

LOG = logging.getLogger(__name__)


def summarise(
    folders: Mapping[str, Sequence[Path]],
    output: str | Path,
    rng: np.random.Generator,
    section: Structure,
) -> None:
    """Write the tables of all states.

    Parameters
    ----------
    folders
        For each state the folders of its glasses, as `write_glass` filled them.
    output
        Folder of the tables (`SUMMARY_TABLES`).
    rng
        Random numbers of the bootstrap.
    section
        Bins of Q, and how peaks are fitted.
    """
    output, q_bin = Path(output), section.q_bin_per_A
    used: dict[str, list[Path]] = {}
    state_rows: list[Row] = []
    for state, glasses in folders.items():
        used[state], rows = _state_rows(state, glasses)
        state_rows += rows
    write_csv(output / "states.csv", state_rows, STATE_COLUMNS)
    for name, (keys, values) in CURVES.items():
        rows = [
            row
            for state, glasses in used.items()
            for row in _average_rows(state, [read_table(g / name) for g in glasses], name)
        ]
        columns = ["state", *keys, "glasses", *(c for v in values for c in (v, f"{v}_error"))]
        write_csv(output / name, rows, columns)
    fsdp_rows: list[Row] = []
    q_tables: dict[str, list[Row]] = {"sq.csv": [], "ring_centre_sq.csv": []}
    for state, glasses in used.items():
        tables = [read_table(g / "sq.csv") for g in glasses]
        q_tables["sq.csv"] += _average_q(state, tables, q_bin, (), SQ_VALUES)
        fsdp_rows += _fsdp_rows(state, tables, rng, section)
        centres = [read_table(g / "ring_centre_sq.csv") for g in glasses]
        q_tables["ring_centre_sq.csv"] += _average_q(
            state, centres, q_bin, ("size",), CENTRE_VALUES
        )
    write_csv(output / "fsdp.csv", fsdp_rows, FSDP_COLUMNS)
    for name, keys, values in (
        ("sq.csv", (), SQ_VALUES),
        ("ring_centre_sq.csv", ("size",), CENTRE_VALUES),
    ):
        columns = ["state", *keys, "q_per_A", "glasses", "counts"]
        columns += [c for v in values for c in (v, f"{v}_error")]
        write_csv(output / name, q_tables[name], columns)


def _state_rows(state: str, glasses: Sequence[Path]) -> tuple[list[Path], list[Row]]:
    """Rows of scalar observables, and the glasses that could be analysed."""
    used, reasons = [], []
    observables: dict[str, list[float]] = {}
    for folder in glasses:
        document = read_json(folder / "network.json")
        if document["status"] != "analysed":
            LOG.warning("%s %s is set aside: %s", state, folder.name, document["reason"])
            reasons.append(f"{folder.name}: {document['reason']}")
            continue
        used.append(folder)
        scalars = {name: item["mean"] for name, item in document["observables"].items()}
        scalars["cutoff_A"] = document["cutoff_A"]
        scalars["void_volume_fraction"] = document["voids"]["volume_fraction"]
        for name, value in scalars.items():
            observables.setdefault(name, []).append(value)
    common = {
        "state": state,
        "glasses": len(used),
        "set_aside": len(reasons),
        "reasons": "; ".join(reasons),
    }
    rows = []
    for name, values in observables.items():
        # A coordination that a glass does not have is a share of zero there.
        mean, error = mean_and_error(values + [0.0] * (len(used) - len(values)))
        rows.append(common | {"observable": name, "mean": as_field(mean), "error": as_field(error)})
    return used, rows or [common | {"observable": "", "mean": "", "error": ""}]


def _average_rows(state: str, tables: list[list[dict[str, str]]], name: str) -> list[Row]:
    """Average the rows that have the same key in each glass."""
    keys, values = CURVES[name]
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for table in tables:
        for item in table:
            groups.setdefault(tuple(item[key] for key in keys), []).append(item)
    averaged: list[Row] = []
    # NPT glasses differ in size, so the longest distances are not in all of them: left out.
    for key, members in groups.items():
        if keys[-1] == "r_A" and len(members) < len(tables):
            continue
        row: Row = {"state": state, **dict(zip(keys, key, strict=True)), "glasses": len(members)}
        for value in values:
            numbers = [float(m[value]) for m in members if m[value] != ""]
            if name in ZERO_IF_ABSENT:
                numbers += [0.0] * (len(tables) - len(numbers))
            mean, error = mean_and_error(numbers)
            row[value], row[f"{value}_error"] = as_field(mean), as_field(error)
        averaged.append(row)
    if "size" in keys:
        averaged.sort(key=lambda row: tuple(_order(str(row[key])) for key in keys))
    return averaged


def _order(value: str) -> tuple[int, float, str]:
    """Sort numbers as numbers, before words."""
    try:
        return (0, float(value), "")
    except ValueError:
        return (1, 0.0, value)


def _average_q(
    state: str,
    tables: list[list[dict[str, str]]],
    q_bin: float,
    keys: tuple[str, ...],
    values: tuple[str, ...],
) -> list[Row]:
    """Average curves of Q by bins: glasses of different size have different Q vectors."""
    groups: dict[tuple, list[dict[str, str]]] = {}
    for table in tables:
        for item in table:
            index = int(bin_of(float(item["q_per_A"]), q_bin))
            groups.setdefault((*(item[key] for key in keys), index), []).append(item)
    averaged: list[Row] = []
    for key, members in sorted(groups.items(), key=lambda item: [_order(str(k)) for k in item[0]]):
        row: Row = {"state": state, **dict(zip(keys, key[:-1], strict=True))}
        row["q_per_A"] = as_field(float(np.mean([float(m["q_per_A"]) for m in members])))
        row["glasses"] = len(members)
        row["counts"] = sum(int(float(m["counts"])) for m in members)
        for value in values:
            mean, error = mean_and_error([float(m[value]) for m in members if m[value] != ""])
            row[value], row[f"{value}_error"] = as_field(mean), as_field(error)
        averaged.append(row)
    return averaged


def _fsdp_rows(
    state: str,
    tables: list[list[dict[str, str]]],
    rng: np.random.Generator,
    section: Structure,
) -> list[Row]:
    """Fit the peaks of all glasses together, with errors by `bootstrap_peak`."""
    rows = []
    for weighting in WEIGHTINGS:
        curves = [_curve(table, weighting) for table in tables]
        for peak in PEAK_RANGES:
            row: Row = dict.fromkeys(FSDP_COLUMNS, "")
            row |= {
                "state": state,
                "glasses": len(tables),
                "weighting": weighting,
                "peak": peak,
            }
            try:
                if not curves:
                    raise NoPeakError("no glass was analysed")  # noqa: TRY301
                fit = bootstrap_peak(
                    curves, rng, section.fsdp.bootstrap, **fit_options(section, peak)
                ).as_dict()
                row |= {
                    name: value if isinstance(value, str) else as_field(value)
                    for name, value in fit.items()
                }
            except NoPeakError as reason:
                row["reason"] = str(reason)
            rows.append(row)
    return rows


def _curve(
    table: list[dict[str, str]], weighting: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Q, S(Q) and the error by the number of Q vectors of a glass."""
    q = np.array([float(row["q_per_A"]) for row in table])
    values = np.array([float(row[weighting]) for row in table])
    error = np.array([float(row[f"{weighting}_error"] or "nan") for row in table])
    return q, values, error if np.isfinite(error).any() else None
