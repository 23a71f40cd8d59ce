"""What the potential gets wrong on held-out labels, and beside published potentials."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from glassml.potential.errors import MULTIPLICITY
from glassml.potential.published import published_potentials
from glassml.report.evidence import disordered_errors
from glassml.report.figures import Canvas, Figure, draw
from glassml.report.page import Section, Table, show
from glassml.report.results import AbsentError, Results, add

# quantity, what the axes say and their unit, unit of errors, by which differences are multiplied
QUANTITIES = (
    ("energy", "energy, eV/atom", "meV/atom", 1e3),
    ("force", "force component, eV/Å", "eV/Å", 1.0),
    ("stress", "stress component, GPa", "GPa", 1.0),
)
MANY_POINTS = 1000  # beyond, points hide each other and are counted
COLUMNS = 5


def add_errors(section: Section, results: Results) -> None:
    """Add errors on held-out labels to the section of the potential."""
    add(section, results, "Published silica potentials", lambda: _published(results))
    for quantity, text, unit, scale in QUANTITIES:
        make = partial(_parity, results, quantity, text, unit, scale)
        add(section, results, f"Parity by family: {quantity}", make)
    add(section, results, "Errors by type", lambda: _errors(results))


def _parity(results: Results, quantity: str, text: str, unit: str, scale: float) -> Figure:
    members = results.members()
    # On the page each member would cover the others: the first, which moves the glasses, is shown.
    rows = results.table(f"{results.last('potential')}/{members[0]}/parity.csv")
    held_out = rows[(rows["set"] == "test") & (rows.quantity == quantity)]
    if held_out.empty:
        raise AbsentError(f"the test set has no {quantity}")
    table = _with_family(held_out)[
        ["family", "config_id", "config_type", "species", "component", "label", "prediction"]
    ].dropna(axis=1, how="all")
    families = {str(name): part for name, part in table.groupby("family", sort=False)}
    panels = families if len(families) == 1 else {"all": table} | families

    columns = min(len(panels), COLUMNS)
    rows_of_panels = -(-len(panels) // columns)
    dense = len(table) > MANY_POINTS

    def paint(canvas: Canvas) -> None:
        axes = list(canvas.subplots(rows_of_panels, columns, squeeze=False).flat)
        densities = []
        for axis, (name, part) in zip(axes, panels.items(), strict=False):
            densities += _parity_panel(axis, part, dense)
            axis.set_title(f"{name}\n{show(scale * _rms(part), 3)} {unit}", fontsize=9)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        canvas.supxlabel(f"DFT {text}", fontsize=11)
        canvas.supylabel(f"potential: {text}", fontsize=11)
        if densities:
            most = max(float(density.get_array().max()) for density in densities)
            for density in densities:
                density.set_norm(LogNorm(1.0, max(most, 2.0)))
            canvas.colorbar(densities[0], ax=canvas.axes, label="points", shrink=0.6, aspect=30)

    caption = (
        "Predictions against labels of the held-out test set, by family: "
        f"{table.config_id.nunique()} configurations, of parents that are in no other set. "
        "The number is the root mean square of the differences, the line is equality."
        + (" Tension is positive; shear counts twice." if quantity == "stress" else "")
        + (" Colour counts points, on a logarithmic scale." if dense else "")
        + (f" Member {members[0]} of the committee." if len(members) > 1 else "")
    )
    size = (9.0, 0.6 + 1.95 * rows_of_panels)
    title = f"Parity by family: {quantity}"
    return draw(f"parity_{quantity}", title, caption, table, paint, size=size)


def _with_family(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the family: what the identifier begins with, or else the type."""
    family = rows.config_id.astype(str).str.extract("^([^/]+)/", expand=False)
    return rows.assign(family=family.fillna(rows.config_type))


def _rms(rows: pd.DataFrame) -> float:
    """Give the root mean square difference; shear appears twice in the stress tensor."""
    weight = rows.component.map(MULTIPLICITY).fillna(1.0) if "component" in rows else None
    return float(np.sqrt(np.average((rows.prediction - rows.label) ** 2, weights=weight)))


def _parity_panel(axis: Axes, part: pd.DataFrame, dense: bool) -> list[Any]:
    """Draw points, or, where they are dense, their number; give what needs a scale of colour."""
    values = part[["label", "prediction"]].to_numpy()
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.04 * (high - low or 1.0)
    ends = (low - pad, high + pad)
    axis.plot(ends, ends, color="0.3", lw=0.7, zorder=0)
    made = []
    if dense:
        extent = (*ends, *ends)
        made = [
            axis.hexbin(
                part.label, part.prediction, gridsize=40, mincnt=1, linewidths=0.1, extent=extent
            )
        ]
    else:
        axis.scatter(part.label, part.prediction, s=6, alpha=0.6, lw=0)
    axis.set(xlim=ends, ylim=ends)
    axis.set_aspect("equal")
    axis.locator_params(nbins=3)
    axis.ticklabel_format(useOffset=False)
    axis.tick_params(labelsize=8)
    return made


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


def _published(results: Results) -> Table:
    own = disordered_errors(results.of_members("errors.csv"))
    types = sorted(set(own.name))
    cells = own[(own.quantity == "energy") & (own.member == results.members()[0])]["values"].sum()
    row: dict[str, object] = {
        "potential": "this campaign, worst member",
        "functional": results.config.dft.xc,
        "test_set": f"{cells} held-out cells ({', '.join(types)}); "
        f"rms labelled force {_rms_force(results, types):.2f} eV/Å",
    }
    for quantity, column in (("energy", "energy_meV_per_atom"), ("force", "force_eV_per_A")):
        parts = own[own.quantity == quantity].groupby("member")
        row[column] = max(np.sqrt(np.average(p.rmse**2, weights=p["values"])) for _, p in parts)
    table = pd.concat([pd.DataFrame([row]), published_potentials()], ignore_index=True)
    shown = pd.DataFrame(
        {
            "potential": table.potential,
            "functional": table.functional,
            "test set": table.test_set,
            "rms energy, meV/atom": [show(value, 3) for value in table.energy_meV_per_atom],
            "rms force, eV/Å": [show(value, 3) for value in table.force_eV_per_A],
        }
    )
    caption = (
        "Root-mean-square errors, not the mean absolute errors of the gates, on held-out glass and "
        "liquid. The sets differ in structures, temperatures, pressures, sizes of cells and "
        "functional, and errors grow with the forces: this tells whether an error is usual, and "
        "ranks nothing. Those of others are root mean squares of the labels and predictions that "
        "Liang et al. publish (the CSV has the address)."
    )
    return Table("published", "Published silica potentials", caption, table, shown=shown)


def _rms_force(results: Results, types: list[str]) -> float:
    """Give the root mean square of labelled force components: a scale for their errors."""
    rows = results.table(f"{results.last('potential')}/{results.members()[0]}/parity.csv")
    rows = rows[(rows["set"] == "test") & (rows.quantity == "force")]
    return float(np.sqrt((rows[rows.config_type.isin(types)].label ** 2).mean()))
