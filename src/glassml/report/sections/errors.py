"""What the potential gets wrong on held-out labels."""

import numpy as np
import pandas as pd

from glassml.report.figures import Canvas, Figure, colours, draw
from glassml.report.page import Section, Table, show
from glassml.report.results import AbsentError, Results, add

QUANTITIES = (
    ("energy", "energy", "eV/atom"),
    ("force", "force component", "eV/Å"),
    ("stress", "stress component", "GPa"),
)
MANY_POINTS = 4000


def add_errors(section: Section, results: Results) -> None:
    """Add errors on held-out labels to the section of the potential."""
    add(section, results, "Parity", lambda: _parity(results))
    add(section, results, "Errors by type", lambda: _errors(results))


def _parity(results: Results) -> Figure:
    members = results.members()
    rows = results.of_members("parity.csv")
    held_out = rows[rows["set"] == "test"]
    if held_out.empty:
        raise AbsentError("the test set is empty")
    # On the page each member would cover the others: the first stands for the committee.
    shown = held_out[held_out.member == members[0]]
    columns = ["quantity", "config_id", "config_type", "species", "component"]
    table = shown[[*columns, "label", "prediction"]].reset_index(drop=True)
    types = list(dict.fromkeys(table.config_type))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 3)
        for axis, (quantity, text, unit) in zip(axes, QUANTITIES, strict=True):
            part = table[table.quantity == quantity]
            _parity_panel(axis, part, types)
            axis.set(xlabel=f"DFT {text}, {unit}", ylabel=f"potential, {unit}")
        handles, labels = axes[1].get_legend_handles_labels()
        legend = canvas.legend(
            handles, labels, loc="outside lower center", ncols=min(len(labels), 6)
        )
        for handle in legend.legend_handles:
            handle.set(sizes=[22], alpha=1.0)  # type: ignore[union-attr]

    caption = (
        f"Predictions against labels of the held-out test set ({table.config_id.nunique()} "
        "configurations, of parents that are in no other set): energy per atom, Cartesian force "
        "components, stress components (tension positive). The line is equality."
        + (f" Member {members[0]} of the committee." if len(members) > 1 else "")
    )
    return draw("parity", "Parity on held-out labels", caption, table, paint, size=(9.0, 3.5))


def _parity_panel(axis, part: pd.DataFrame, types: list[str]) -> None:  # noqa: ANN001
    if part.empty:
        axis.text(0.5, 0.5, "no labels", ha="center", va="center", transform=axis.transAxes)
        return
    for colour, name in zip(colours(len(types)), types, strict=True):
        group = part[part.config_type == name]
        size, alpha = (4, 0.5) if len(part) > 300 else (14, 0.8)
        axis.scatter(
            group.label,
            group.prediction,
            s=size,
            alpha=alpha,
            lw=0,
            color=colour,
            label=name,
            rasterized=len(part) > MANY_POINTS,
        )
    low = float(np.nanmin(part[["label", "prediction"]].to_numpy()))
    high = float(np.nanmax(part[["label", "prediction"]].to_numpy()))
    pad = 0.04 * (high - low or 1.0)
    axis.plot([low - pad, high + pad], [low - pad, high + pad], color="0.3", lw=0.7, zorder=0)
    axis.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
    axis.set_aspect("equal")
    axis.locator_params(nbins=5)


def _errors(results: Results) -> Table:
    rows = results.of_members("errors.csv")
    shown = rows[rows["set"] != "train"] if (rows["set"] == "test").any() else rows
    columns = ["member", "set", "group", "name", "quantity", "unit", "values", "mae", "rmse", "max"]
    table = shown[columns].reset_index(drop=True)
    caption = (
        "Mean absolute errors, with root-mean-square errors in brackets, of energies per atom, "
        "force components and stress components. The file has their numbers and the largest too."
    )
    return Table("errors", "Errors by type", caption, table, shown=_by_type(table))


def _by_type(table: pd.DataFrame) -> pd.DataFrame:
    """Give a row per member, set and type, and a column per quantity."""
    rows = []
    for (member, subset, _, name), part in table.groupby(
        ["member", "set", "group", "name"], sort=False
    ):
        row = {"member": member, "set": subset, "type": name}
        for one in part.to_dict("records"):
            title = f"{one['quantity']}, {one['unit']}"
            row[title] = f"{show(float(one['mae']), 3)} ({show(float(one['rmse']), 3)})"
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")
