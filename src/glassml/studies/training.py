"""Studies of training: accuracy against the variant, labels, and generation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glassml.campaign.config.potential import Network
from glassml.potential.errors import MULTIPLICITY, held_out_rows
from glassml.studies.glasses import GLASS_COLUMNS, SUMMARY, glass_columns

FARTHEST_LABELS = 1e8
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
    *GLASS_COLUMNS,
)
CURVE_COLUMNS = ("labels", "epochs", "training_s", *ERROR_COLUMNS)
GENERATION_COLUMNS = (
    "generation",
    "train_labels",
    "test_labels",
    *ERROR_COLUMNS,
    "training_s",
    "trajectories",
    "stopped",
    "accurate",
    "candidate",
    "failed",
    "exploration_s",
    "selected",
    "labelled",
    "dft_s",
)
FIT_COLUMNS = ("quantity", "unit", "at_1000_labels", "exponent", "target", "labels_needed")


def held_out_errors(folder: Path) -> dict[str, float]:
    """Read the mean absolute errors on test labels of liquid and glass; NaN without test labels."""
    errors = pd.read_csv(folder / "errors.csv", keep_default_na=False)
    values = held_out_rows(errors).set_index("quantity")["mae"]
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
    networks: Mapping[str, Network],
    speeds: Mapping[str, Mapping[str, object]],
    glasses: Mapping[str, Sequence[Path]],
) -> list[dict[str, Any]]:
    """Join what is known of each variant of the size search.

    Parameters
    ----------
    folders
        Of the variants, by name: with `errors.csv` and `history.csv`.
    networks
        Their sizes.
    speeds
        What `glassml.studies.speed.measure_speed` found.
    glasses
        Of variants that made glasses: the folders of their structure.

    Returns
    -------
    list of dict
        Columns `SEARCH_COLUMNS`; `pareto` by force error against time per atom and step. Without
        glasses there are none of `GLASS_COLUMNS`.
    """
    rows = [
        {"variant": name}
        | networks[name].model_dump(include={"cutoff_A", "layers", "l_max", "features"})
        | training_summary(folder)
        | held_out_errors(folder)
        | {key: speeds[name][key] for key in ("ms_per_atom_step", "device")}
        | (glass_columns(folder / SUMMARY, glasses[name]) if name in glasses else {})
        for name, folder in folders.items()
    ]
    front = on_pareto_front(
        [row["ms_per_atom_step"] for row in rows], [row["force_mae_eV_per_A"] for row in rows]
    )
    return [row | {"pareto": best} for row, best in zip(rows, front, strict=True)]


def curve_rows(folders: Mapping[int, Path]) -> list[dict[str, float]]:
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
    rows: Sequence[Mapping[str, object]], targets: Mapping[str, float]
) -> list[dict[str, object]]:
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
        error does not fall, or only beyond a hundred million; far beyond the last point it is an
        order of magnitude.
    """
    found = []
    labels = np.array([row["labels"] for row in rows], dtype=float)
    for column, quantity in zip(ERROR_COLUMNS, TARGETS, strict=True):
        errors = np.array([row[column] for row in rows], dtype=float)
        known = np.isfinite(errors) & (errors > 0)
        row: dict[str, object] = {"quantity": quantity, "unit": ERRORS[quantity]}
        row["target"] = targets[quantity]
        if len(np.unique(labels[known])) >= 2:
            slope, offset = np.polyfit(np.log(labels[known] / 1000), np.log(errors[known]), 1)
            row["exponent"], row["at_1000_labels"] = float(-slope), float(np.exp(offset))
            if slope < 0:
                needed = 1000 * (np.exp(offset) / targets[quantity]) ** (-1 / slope)
                if needed < FARTHEST_LABELS:
                    row["labels_needed"] = float(f"{needed:.3g}")
        found.append(row)
    return found


def generation_rows(
    folders: Sequence[Path], members: Sequence[str], train_labels: Sequence[int]
) -> list[dict[str, object]]:
    """Give what each generation got wrong, explored and cost.

    Parameters
    ----------
    folders
        Of the generations, in order.
    members
        Names of the members' folders.
    train_labels
        Number of training labels of each generation.

    Returns
    -------
    list of dict
        Columns `GENERATION_COLUMNS`. Errors are mean absolute, of the worst member, on the test
        labels of the first generation, so that all are compared on the same ones. Accurate,
        candidate and failed are shares of the configurations at which the committee was asked.
    """
    first = pd.read_csv(folders[0] / members[0] / "parity.csv")
    common = set(first[first["set"] == "test"]["config_id"])
    rows = []
    for number, (folder, labels) in enumerate(zip(folders, train_labels, strict=True)):
        each = [_errors_on(folder / member / "parity.csv", common) for member in members]
        row: dict[str, object] = {"generation": number, "train_labels": labels}
        row["test_labels"] = len(common)
        row |= {column: max(e[column] for e in each) for column in ERROR_COLUMNS}
        row["training_s"] = sum(training_summary(folder / m)["training_s"] for m in members)
        rows.append(row | _exploration_summary(folder / "exploration"))
    return rows


def _errors_on(parity: Path, names: set[str]) -> dict[str, float]:
    """Give mean absolute errors on configurations of these names; shear counts twice."""
    rows = pd.read_csv(parity, keep_default_na=False)
    rows = rows[rows["config_id"].isin(names)]
    error = (rows["prediction"] - rows["label"]).abs()
    weight = rows["component"].map(MULTIPLICITY).fillna(1.0)
    found = {}
    for column, quantity in zip(ERROR_COLUMNS, TARGETS, strict=True):
        chosen = rows["quantity"] == quantity
        scale = 1e3 if quantity == "energy" else 1.0
        known = chosen.any()
        found[column] = (
            scale * float(np.average(error[chosen], weights=weight[chosen])) if known else np.nan
        )
    return found


def _exploration_summary(folder: Path) -> dict[str, object]:
    """Sum up the exploration of a generation; empty for the last, which explores nothing."""
    if not (folder / "labels.csv").exists():
        return {}
    runs = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("runs/*.csv"))])
    labels = pd.read_csv(folder / "labels.csv")
    asked = runs[["accurate", "candidate", "failed"]].sum()
    return {
        "trajectories": len(runs),
        "stopped": int(runs["event"].notna().sum()),
        **{str(name): round(float(n / max(1, asked.sum())), 4) for name, n in asked.items()},
        "exploration_s": float(runs["seconds"].sum()),
        "selected": len(labels),
        "labelled": int((labels["status"] == "converged").sum()),
        "dft_s": float(labels["seconds"].sum()),
    }
