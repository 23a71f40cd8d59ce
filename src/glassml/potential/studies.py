"""Studies of training: how accuracy depends on the network's size and on the number of labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TARGETS = ("energy", "force", "stress")
ERRORS = {"energy": "meV/atom", "force": "eV/Å", "stress": "GPa"}
ERROR_COLUMNS = ("energy_mae_meV_per_atom", "force_mae_eV_per_A", "stress_mae_GPa")
SEARCH_COLUMNS = (
    "variant",
    "cutoff_A",
    "layers",
    "l_max",
    "features",
    "epochs",
    "training_s",
    *ERROR_COLUMNS,
    "ms_per_atom_step",
    "device",
    "pareto",
)
CURVE_COLUMNS = ("labels", "epochs", "training_s", *ERROR_COLUMNS)
FIT_COLUMNS = ("quantity", "unit", "at_1000_labels", "exponent", "target", "labels_needed")


def held_out_errors(folder: Path) -> dict[str, float]:
    """Read the mean absolute errors of a member on the test labels; NaN without test labels."""
    errors = pd.read_csv(folder / "errors.csv", keep_default_na=False)
    rows = errors[(errors["set"] == "test") & (errors["group"] == "all")]
    values = rows.set_index("quantity")["mae"]
    return {
        column: float(values.get(quantity, np.nan))
        for column, quantity in zip(ERROR_COLUMNS, TARGETS, strict=True)
    }


def training_summary(folder: Path) -> dict[str, float]:
    """Read how many epochs a member was trained, and for how many seconds."""
    history = pd.read_csv(folder / "history.csv")
    if history.empty:
        return {"epochs": 0, "training_s": 0.0}
    last = history.iloc[-1]
    return {"epochs": int(last["epoch"]) + 1, "training_s": float(last["seconds"])}


def on_pareto_front(costs: Sequence[float], errors: Sequence[float]) -> list[bool]:
    """Tell which points no other point beats in one respect without losing in the other."""
    points = list(zip(costs, errors, strict=True))
    return [
        not any(c <= cost and e <= error and (c, e) != (cost, error) for c, e in points)
        for cost, error in points
    ]


def search_rows(
    folders: Mapping[str, Path],
    networks: Mapping[str, Mapping[str, Any]],
    speeds: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Join what is known of each variant of the size search.

    Parameters
    ----------
    folders
        Of the variants, by name: with `errors.csv` and `history.csv`.
    networks
        Their sections `potential.model`.
    speeds
        What `glassml.potential.speed.measure_speed` found.

    Returns
    -------
    list of dict
        Columns `SEARCH_COLUMNS`; `pareto` by force error against time per atom and step.
    """
    rows = [
        {"variant": name}
        | {key: networks[name][key] for key in ("cutoff_A", "layers", "l_max", "features")}
        | training_summary(folder)
        | held_out_errors(folder)
        | {key: speeds[name][key] for key in ("ms_per_atom_step", "device")}
        for name, folder in folders.items()
    ]
    front = on_pareto_front(
        [row["ms_per_atom_step"] for row in rows], [row["force_mae_eV_per_A"] for row in rows]
    )
    return [row | {"pareto": best} for row, best in zip(rows, front, strict=True)]


def curve_rows(folders: Mapping[int, Path]) -> list[dict[str, Any]]:
    """Give errors against the number of training labels, with the columns `CURVE_COLUMNS`.

    Parameters
    ----------
    folders
        Of the trainings, by number of labels: with `errors.csv` and `history.csv`.
    """
    return [
        {"labels": labels} | training_summary(folders[labels]) | held_out_errors(folders[labels])
        for labels in sorted(folders)
    ]


def fit_curve(
    rows: Sequence[Mapping[str, Any]], targets: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Fit error = e·(labels / 1000)^-b to a learning curve, and ask when it meets the target.

    Parameters
    ----------
    rows
        From `curve_rows`.
    targets
        By quantity, in its unit.

    Returns
    -------
    list of dict
        Columns `FIT_COLUMNS`. `labels_needed` is where the line meets the target, empty where the
        error does not fall; far beyond the last point it is an order of magnitude.
    """
    found = []
    labels = np.array([row["labels"] for row in rows], dtype=float)
    for column, quantity in zip(ERROR_COLUMNS, TARGETS, strict=True):
        errors = np.array([row[column] for row in rows], dtype=float)
        known = np.isfinite(errors) & (errors > 0)
        row: dict[str, Any] = {"quantity": quantity, "unit": ERRORS[quantity]}
        row["target"] = targets[quantity]
        if len(np.unique(labels[known])) >= 2:
            slope, offset = np.polyfit(np.log(labels[known] / 1000), np.log(errors[known]), 1)
            row["exponent"], row["at_1000_labels"] = float(-slope), float(np.exp(offset))
            if slope < 0:
                needed = 1000 * (np.exp(offset) / targets[quantity]) ** (-1 / slope)
                row["labels_needed"] = float(f"{needed:.3g}")
        found.append(row)
    return found
