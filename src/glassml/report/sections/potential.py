"""The potential: what it gets wrong, how it was trained, whether its gates are open."""

import numpy as np
import pandas as pd

from glassml.report.figures import Canvas, Figure, colours, draw
from glassml.report.page import Block, Code, Section, Table, show
from glassml.report.results import AbsentError, Results, add

QUANTITIES = (
    ("energy", "energy", "eV/atom"),
    ("force", "force component", "eV/Å"),
    ("stress", "stress component", "GPa"),
)
ERRORS = (
    ("validation_energy_mae_meV_per_atom", "energy MAE, meV/atom"),
    ("validation_force_mae_eV_per_A", "force MAE, eV/Å"),
    ("validation_stress_mae_GPa", "stress MAE, GPa"),
)
MANY_POINTS = 4000


def members(results: Results) -> list[str]:
    """Name the members of the committee."""
    return [f"m{index}" for index in range(results.config["potential"]["committee"])]


def potential_section(results: Results) -> Section:
    """Tell how good the potential is."""
    section = Section("potential", "Potential")
    add(section, results, "Gates of the potential", lambda: _gates(results))
    add(section, results, "Parity", lambda: _parity(results))
    add(section, results, "Errors by type", lambda: _errors(results))
    add(section, results, "Energy against volume", lambda: _curves(results))
    add(section, results, "Approach of two atoms", lambda: _dimers(results))
    add(section, results, "Training history", lambda: _history(results))
    add(section, results, "Checks of the compiled model", lambda: _verification(results))
    folder = results.last("potential")
    add(
        section,
        results,
        "Model card",
        lambda: Code("Model card", results.text(f"{folder}/model_card.md")),
    )
    return section


def _gates(results: Results) -> Table:
    record = results.json(f"{results.last('potential')}/gates.json")
    rows = pd.DataFrame(record["results"])
    for gate, status in record["gates"].items():
        numbers = [row for row in record["results"] if row["gate"] == gate]
        missed = [row for row in numbers if row["status"] == "red"]
        if status == "red" and missed:
            worst = max(missed, key=_excess)
            results.warn(
                f"Gate {gate} is red: {len(missed)} of {len(numbers)} numbers, the worst "
                f"{worst['name']}: {_against(worst)}"
            )
    table = rows[["gate", "name", "value", "threshold", "unit", "status", "note"]]
    caption = (
        "Green up to the threshold, amber up to "
        f"{results.config['potential']['gates']['amber_factor']:g} times as much, red beyond; "
        "unknown where the campaign has nothing to judge by. "
        f"Together the potential is {record['status']}."
    )
    return Table("gates", "Gates of the potential", caption, table.replace("", "–"))


def _excess(row: dict) -> float:
    """Give how many times a number is what is allowed."""
    if row["value"] is None or row["threshold"] == 0.0:
        return float("inf")
    return row["value"] / row["threshold"]


def _against(row: dict) -> str:
    value = "is not a number" if row["value"] is None else f"{row['value']:.3g}"
    return f"{value} {row['unit']}, allowed {row['threshold']:.3g}"


def _parity(results: Results) -> Figure:
    frames = []
    for member in members(results):
        frame = results.table(f"{results.last('potential')}/{member}/parity.csv")
        frames.append(frame.assign(member=member))
    rows = pd.concat(frames, ignore_index=True)
    held_out = rows[rows["set"] == "test"]
    if held_out.empty:
        raise AbsentError("the test set is empty")
    # On the page each member would cover the others: the first stands for the committee.
    shown = held_out[held_out.member == members(results)[0]]
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
        + (f" Member {members(results)[0]} of the committee." if len(frames) > 1 else "")
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


def error_table(results: Results) -> pd.DataFrame:
    """Give the errors of all members, one row per set, group and quantity."""
    frames = [
        results.table(f"{results.last('potential')}/{member}/errors.csv").assign(member=member)
        for member in members(results)
    ]
    return pd.concat(frames, ignore_index=True)


def _errors(results: Results) -> Table:
    rows = error_table(results)
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


def _curves(results: Results) -> Figure:
    table = results.table(f"{results.last('potential')}/gates/curves.csv")
    lowest = table.groupby("polymorph").label.transform("min")
    polymorphs = list(dict.fromkeys(table.polymorph))

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        for colour, polymorph in zip(colours(len(polymorphs)), polymorphs, strict=True):
            part = table[table.polymorph == polymorph]
            base = lowest[part.index]
            axis.plot(
                part.volume_A3_per_atom,
                1e3 * (part.label - base),
                "o",
                ms=5,
                color=colour,
                label=polymorph,
            )
            axis.plot(
                part.volume_A3_per_atom,
                1e3 * (part.prediction - base),
                "x",
                ms=5,
                color=colour,
            )
        axis.set(
            xlabel="volume, Å³/atom", ylabel="energy above the polymorph's lowest label, meV/atom"
        )
        axis.set_yscale("symlog", linthresh=100)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    caption = (
        "Ideal and strained crystals: labels (circles) and predictions (crosses), each above the "
        "lowest label of its polymorph; linear up to 100 meV/atom, logarithmic beyond. The curves' "
        "gate judges the difference after subtracting its mean."
    )
    title = "Energy against volume"
    return draw("energy_volume", title, caption, table, paint, size=(7.6, 4.0))


def _dimers(results: Results) -> Figure:
    table = results.table(f"{results.last('potential')}/gates/dimers.csv")

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        palette = colours(table.name.nunique())
        for colour, (name, part) in zip(palette, table.groupby("name"), strict=True):
            for index, (_, own) in enumerate(part.groupby("member")):
                energy = own.energy_eV - own.energy_eV.iloc[-1]
                label = name if index == 0 else None
                axis.plot(own.distance_A, energy, color=colour, lw=1.0, label=label)
        axis.set(xlabel="distance, Å", ylabel="energy above that of the largest distance, eV")
        axis.set_yscale("symlog", linthresh=1.0)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    caption = (
        "Energy of the potential as two atoms approach, one line per member; linear up to 1 eV, "
        "logarithmic beyond. It must only rise towards short distances: a hole there makes "
        "dynamics collapse."
    )
    return draw("approach", "Approach of two atoms", caption, table, paint, size=(7.6, 3.6))


def _history(results: Results) -> Figure:
    if results.config["potential"]["mode"] == "given":
        raise AbsentError("the potential was given as a package, and not trained here")
    frames = []
    for member in members(results):
        frame = results.table(f"{results.last('potential')}/{member}/history.csv")
        frames.append(frame.assign(member=member))
    table = pd.concat(frames, ignore_index=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(2, 2, sharex=True)
        palette = colours(len(frames))
        for colour, (member, group) in zip(palette, table.groupby("member"), strict=True):
            axes[0, 0].plot(group.epoch, group.train_loss, color=colour, lw=0.8, ls=":")
            axes[0, 0].plot(group.epoch, group.validation_loss, color=colour, label=member)
            for axis, (column, _) in zip(axes.flat[1:], ERRORS, strict=True):
                axis.plot(group.epoch, group[column], color=colour, label=member)
        axes[0, 0].set_ylabel("loss")
        for axis, (_, label) in zip(axes.flat[1:], ERRORS, strict=True):
            axis.set_ylabel(label)
        for axis in axes.flat:
            axis.set_yscale("log")
        for axis in axes[1]:
            axis.set_xlabel("epoch")
        if len(frames) > 1:
            axes[0, 0].legend()

    minutes = table.groupby("member").seconds.max().max() / 60
    caption = (
        f"Training: loss on training (dotted) and validation labels, and mean absolute errors on "
        f"validation labels, after each epoch. The longest took {minutes:.1f} minutes."
    )
    return draw("history", "Training history", caption, table, paint, size=(7.2, 4.4))


def _verification(results: Results) -> list[Block]:
    rows, backends = [], []
    for member in members(results):
        record = results.json(f"{results.last('potential')}/{member}/verification.json")
        rows += [
            {
                "member": member,
                **{key: check[key] for key in ("name", "value", "bound", "unit")},
                "result": "pass" if check["passed"] else "fail",
            }
            for check in record["checks"]
        ]
        backends.append(f"{member} runs as {record['backend']} ({record['reason']})")
    caption = (
        "Before dynamics, the model that runs is compared with its package, and tested for "
        "consistency of forces and stress with the energy's slope, invariances, and conservation "
        f"of energy. {'; '.join(backends)}."
    )
    return [Table("verification", "Checks of the model", caption, pd.DataFrame(rows), digits=3)]
