"""Figures of the size search, of the learning curve and of quenches at several rates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from glassml.studies.glasses import CURVES, CURVES_COLUMNS, Q_RANGE_PER_A
from glassml.studies.rates import FURNACE_K_PER_PS, OBSERVABLES
from glassml.studies.training import ERROR_COLUMNS, ERRORS, TARGETS

THIN = {"lw": 0.8}


def plot_search(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the force error of each variant against its time per atom and step.

    Parameters
    ----------
    rows
        From `glassml.studies.training.search_rows`.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(rows, key=lambda row: row["ms_per_atom_step"])
    front = [row for row in ordered if row["pareto"]]
    cost, error = "ms_per_atom_step", "force_mae_eV_per_A"
    axes.plot([r[cost] for r in front], [r[error] for r in front], color="tab:red", lw=1, zorder=1)
    for row in ordered:
        axes.scatter(row[cost], row[error], color="tab:red" if row["pareto"] else "0.6", zorder=2)
        label = f"{row['variant']}: {row['cutoff_A']:g} Å, {row['layers']} layers, "
        label += f"l {row['l_max']}, {row['features']}"
        axes.annotate(
            label,
            (row[cost], row[error]),
            xytext=(4, 5),
            textcoords="offset points",
            fontsize=6,
            rotation=40,  # networks of one cost do not cover each other's names
        )
    axes.set(
        xlabel=f"ms per atom and step ({ordered[0]['device']}, one system, not compiled)",
        ylabel="mean absolute force error on test labels / eV/Å",
    )
    _logarithmic(axes)
    costs, errors = ([row[key] for row in rows] for key in (cost, error))
    # room for the names, which rise to the right
    axes.set(
        xlim=(min(costs) / 1.3, max(costs) * 4.0), ylim=(min(errors) / 1.15, max(errors) * 2.0)
    )
    return figure


def plot_search_glasses(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw S(Q) around the first peak and the ring sizes of the glasses of each variant.

    Parameters
    ----------
    rows
        From `glassml.studies.glasses.glass_curves`.
    """
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    factor, rings = figure.subplots(1, 2)
    table = pd.DataFrame(rows, columns=list(CURVES_COLUMNS))
    variants = table.groupby("variant", sort=False)
    for index, (variant, each) in enumerate(variants):
        colour, (sq, sizes) = f"C{index}", (each[each["curve"] == curve] for curve in CURVES)
        factor.plot(sq["x"], sq["value"], color=colour, lw=1.2, label=variant)
        low, high = sq["value"] - sq["error"], sq["value"] + sq["error"]
        factor.fill_between(sq["x"], low, high, color=colour, alpha=0.22, lw=0)
        width = 0.8 / variants.ngroups
        place = sizes["x"] + width * (index - (variants.ngroups - 1) / 2)
        rings.bar(place, sizes["value"], width, yerr=sizes["error"], color=colour, error_kw=THIN)
    factor.set(xlabel="Q / Å⁻¹", ylabel="neutron S(Q)", xlim=Q_RANGE_PER_A)
    factor.legend(fontsize=8)
    rings.set(xlabel="Si atoms in a King ring", ylabel="share of King rings")
    rings.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_rates(rows: Sequence[Mapping[str, Any]], fits: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each observable against the rate of the quench, and its fitted line.

    Parameters
    ----------
    rows, fits
        From `glassml.studies.rates.rate_rows` and `fit_rates`.
    """
    figure = Figure(figsize=(10.0, 5.2), layout="constrained")
    table, lines = pd.DataFrame(rows), {fit["observable"]: fit for fit in fits}
    grid = figure.subplots(2, 4)
    for axes, (name, label) in zip(grid.flat, OBSERVABLES.items(), strict=False):
        own = table[table["observable"] == name]
        rate = own["rate_K_per_ps"].to_numpy(float)
        mean, error = (pd.to_numeric(own[key], errors="coerce") for key in ("mean", "error"))
        axes.errorbar(rate, mean, error, fmt="o", ms=4, capsize=2, color="tab:blue")
        if name in lines:
            slope, at_furnace = lines[name]["per_decade"], lines[name]["at_1_K_per_s"]
            x = np.geomspace(rate.min(), rate.max(), 20)
            line = at_furnace + slope * (np.log10(x) - np.log10(FURNACE_K_PER_PS))
            axes.plot(x, line, color="tab:red", **THIN)
            note = f"{slope:+.3g} ± {lines[name]['per_decade_error']:.1g} a decade"
            axes.set_title(note, fontsize=8)
        axes.set(xscale="log", xlabel="rate / K/ps", ylabel=label)
        axes.set_xticks(rate, [f"{each:g}" for each in rate])
        axes.xaxis.set_minor_locator(NullLocator())
    grid.flat[-1].axis("off")
    return figure


def _logarithmic(axes: Axes) -> None:
    """Make both axes logarithmic, with plain numbers: more upwards, where errors are close."""
    axes.set(xscale="log", yscale="log")
    upwards = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    for axis, subs in ((axes.xaxis, (1.0, 2.0, 5.0)), (axes.yaxis, upwards)):
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def plot_learning_curve(
    rows: Sequence[Mapping[str, Any]], fits: Sequence[Mapping[str, Any]]
) -> Figure:
    """Draw errors against the number of training labels, the fitted lines and the targets.

    Parameters
    ----------
    rows, fits
        From `glassml.studies.training.curve_rows` and `fit_curve`.
    """
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    labels = np.array([row["labels"] for row in rows], dtype=float)
    for axes, column, quantity, fit in zip(
        figure.subplots(1, 3), ERROR_COLUMNS, TARGETS, fits, strict=True
    ):
        axes.plot(labels, [row[column] for row in rows], "o", color="tab:blue")
        if "exponent" in fit:
            x = np.geomspace(labels.min(), labels.max(), 50)
            line = fit["at_1000_labels"] * (x / 1000) ** -fit["exponent"]
            axes.plot(x, line, color="tab:blue", lw=1, label=f"labels^{-fit['exponent']:.2f}")
        axes.axhline(fit["target"], color="tab:green", ls="--", lw=1, label="target")
        axes.set(
            xlabel="training labels",
            ylabel=f"{quantity}: mean absolute error / {ERRORS[quantity]}",
        )
        _logarithmic(axes)
        axes.legend(fontsize=7)
    return figure
