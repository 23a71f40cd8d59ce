"""The potential: what it gets wrong, how it was trained, whether its gates are open."""

import numpy as np
import pandas as pd

from glassml.report.curves import legend_beside
from glassml.report.figures import Canvas, Figure, colours, draw
from glassml.report.page import Block, Code, Section, Table
from glassml.report.results import AbsentError, Results, add
from glassml.report.sections.errors import add_errors
from glassml.report.sections.studies import add_studies

ERRORS = (
    ("validation_energy_mae_meV_per_atom", "energy MAE, meV/atom"),
    ("validation_force_mae_eV_per_A", "force MAE, eV/Å"),
    ("validation_stress_mae_GPa", "stress MAE, GPa"),
)


def potential_section(results: Results) -> Section:
    """Tell how good the potential is."""
    section = Section("potential", "Potential")
    add(section, results, "Gates of the potential", lambda: _gates(results))
    add_errors(section, results)
    add(section, results, "Energy against volume", lambda: _curves(results))
    if results.config.potential.gates.phonons.crystals:
        add(section, results, "Phonons", lambda: _phonons(results))
    if results.config.potential.gates.glasses.labels:
        add(section, results, "Glasses at rest", lambda: _glasses(results))
    add(section, results, "Approach of two atoms", lambda: _dimers(results))
    add(section, results, "Training history", lambda: _history(results))
    add_studies(section, results)
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
        f"{results.config.potential.gates.amber_factor:g} times as much, red beyond; "
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


def _curves(results: Results) -> Figure:
    table = results.table(f"{results.last('potential')}/gates/curves.csv")
    lowest = table.groupby("polymorph").label.transform("min")
    polymorphs = list(dict.fromkeys(table.polymorph))

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        for colour, polymorph in zip(colours(len(polymorphs)), polymorphs, strict=True):
            part = table[table.polymorph == polymorph]
            base = lowest[part.index]
            for energies, mark, label in (
                (part.label, "o", polymorph),
                (part.prediction, "x", None),
            ):
                axis.plot(
                    part.volume_A3_per_atom,
                    1e3 * (energies - base),
                    mark,
                    ms=5,
                    color=colour,
                    label=label,
                )
        axis.set(
            xlabel="volume, Å³/atom", ylabel="energy above the polymorph's lowest label, meV/atom"
        )
        axis.set_yscale("symlog", linthresh=100)
        legend_beside(axis)

    caption = (
        "Ideal and strained crystals: labels (circles) and predictions (crosses), each above the "
        "lowest label of its polymorph; linear up to 100 meV/atom, logarithmic beyond. The curves' "
        "gate judges the difference after subtracting its mean."
    )
    title = "Energy against volume"
    return draw("energy_volume", title, caption, table, paint, size=(7.6, 4.0))


def _glasses(results: Results) -> Figure:
    table = results.table(f"{results.last('potential')}/gates/glasses.csv")
    allowed = results.config.potential.gates.glasses
    members = list(dict.fromkeys(table.member))

    def paint(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        for colour, member in zip(colours(len(members)), members, strict=True):
            part = table[table.member == member]
            look = {"marker": "o", "ms": 4, "ls": "none", "color": colour, "label": member}
            left.plot(part.label_angle_deg, part.angle_deg, **look)
            change = 100 * (part.volume_A3 / part.label_volume_A3 - 1)
            right.plot(part.label_volume_A3, change, **look)
        ends = np.array([table.label_angle_deg.min(), table.label_angle_deg.max()])
        width = allowed.angle_deg
        left.fill_between(ends, ends - width, ends + width, color="0.92", zorder=-1)
        left.plot(ends, ends, color="0.3", lw=0.7, zorder=0)
        right.axhspan(-allowed.volume_percent, allowed.volume_percent, color="0.92", zorder=-1)
        right.axhline(0.0, color="0.3", lw=0.7, zorder=0)
        left.set(xlabel="DFT mean Si-O-Si angle, °", ylabel="potential, °")
        right.set(xlabel="DFT volume, Å³ per SiO₂", ylabel="potential − DFT, %")
        left.legend()

    caption = (
        "Glasses taken to rest by labels, positions and cell, and from there by each member of the "
        f"committee. The grey bands are what the gate allows: {allowed.angle_deg:g}° and "
        f"{allowed.volume_percent:g} % of the volume."
    )
    return draw("glasses_at_rest", "Glasses at rest", caption, table, paint, size=(7.6, 3.6))


def _phonons(results: Results) -> Figure:
    rows = results.table(f"{results.last('potential')}/gates/phonons.csv")
    modes = rows.groupby(["crystal", "wave_vector", "mode"], sort=False)
    table = modes.agg(
        label_THz=("label_THz", "first"),
        prediction_THz=("prediction_THz", "mean"),
        spread_THz=("prediction_THz", "std"),
    ).reset_index()
    allowed = results.config.potential.gates.phonons.rms_THz
    crystals = list(dict.fromkeys(table.crystal))

    def paint(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        for colour, crystal in zip(colours(len(crystals)), crystals, strict=True):
            part = table[table.crystal == crystal]
            look = {"fmt": "o", "ms": 4, "lw": 0.8, "color": colour, "label": crystal}
            error = part.spread_THz.fillna(0.0)
            left.errorbar(part.label_THz, part.prediction_THz, error, **look)
            right.errorbar(part.label_THz, part.prediction_THz - part.label_THz, error, **look)
        ends = [table[["label_THz", "prediction_THz"]].to_numpy().min(), table.label_THz.max()]
        left.plot(ends, ends, color="0.3", lw=0.7, zorder=0)
        right.axhline(0.0, color="0.3", lw=0.7, zorder=0)
        right.axhspan(-allowed, allowed, color="0.92", zorder=-1)
        left.set(xlabel="DFT frequency, THz", ylabel="potential, THz")
        right.set(xlabel="DFT frequency, THz", ylabel="potential − DFT, THz")
        handles, labels = left.get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))

    members = rows.member.nunique()
    bars = f"mean over {members} members with their standard deviation" if members > 1 else ""
    caption = (
        "Frequencies of crystals by finite displacements, from the potential and from labels of "
        "the displaced cells, mode by mode in ascending order"
        + (f": {bars}" if bars else "")
        + f". Imaginary frequencies are negative. The grey band is ±{allowed:g} THz, which the "
        "gate allows the root mean square of the differences of a crystal."
    )
    return draw("phonons", "Phonons of crystals", caption, table, paint, size=(7.6, 3.9))


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
        legend_beside(axis)

    caption = (
        "Energy of the potential as two atoms approach, one line per member; linear up to 1 eV, "
        "logarithmic beyond. Until it is out of reach it must only rise towards short distances: a "
        "hole there makes dynamics collapse."
    )
    return draw("approach", "Approach of two atoms", caption, table, paint, size=(7.6, 3.6))


def _history(results: Results) -> Figure:
    if results.config.potential.mode == "given":
        raise AbsentError("the potential was given as a package, and not trained here")
    table = results.of_members("history.csv")
    members = results.members()

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(2, 2, sharex=True)
        palette = colours(len(members))
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
        if len(members) > 1:
            axes[0, 0].legend()

    minutes = table.groupby("member").seconds.max().max() / 60
    caption = (
        f"Training: loss on training (dotted) and validation labels, and mean absolute errors on "
        f"validation labels, after each epoch. The longest took {minutes:.1f} minutes."
    )
    return draw("history", "Training history", caption, table, paint, size=(7.2, 4.4))


def _verification(results: Results) -> list[Block]:
    rows, backends = [], []
    for member in results.members():
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
