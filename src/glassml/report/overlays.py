"""Figures of two campaigns on top of each other."""

from collections.abc import Callable, Mapping

import pandas as pd

from glassml.campaign.names import KING
from glassml.report.curves import plot_band, plot_measured, with_errors
from glassml.report.evidence import Evidence
from glassml.report.experiment import CITATION, neutron_ambient
from glassml.report.figures import COLOURS, Canvas, Figure, draw
from glassml.report.measures_recovered import chosen_states
from glassml.report.page import Section, Text
from glassml.report.results import AbsentError, Results, add
from glassml.report.states import State
from glassml.structure.binning import coarser

LINES = ("-", "--")  # the first campaign, the second
WORDS = {"rest": COLOURS[0], "cold": COLOURS[1], "hot": COLOURS[2]}
ERRORS = "Bands and bars are one standard error over independent glasses."
Pair = Mapping[str, Evidence]


def overlays(results: Results, pair: Pair) -> Section:
    """Draw both campaigns on top of each other."""
    section = Section("figures", "Figures, overlaid")
    section.blocks.append(
        Text(" ".join(f"{name}: {_states(evidence)}." for name, evidence in pair.items()))
    )
    add(section, results, "First sharp diffraction peak of both", lambda: _fsdp(pair))
    add(section, results, "Rings of both", lambda: _rings(pair))
    add(section, results, "Compression at 300 K of both", lambda: _compression(pair))
    return section


def _states(evidence: Evidence) -> str:
    try:
        chosen = chosen_states(evidence)
    except AbsentError as error:
        return str(error)
    return ", ".join(f"{word} is {state.name}" for word, state in chosen.items())


def _collect(pair: Pair, rows_of: Callable[[Evidence, State], pd.DataFrame]) -> pd.DataFrame:
    """Join what each campaign has of its states at rest, cold and hot.

    Raises
    ------
    AbsentError
        If none has any.
    """
    frames, reasons = [], []
    for name, evidence in pair.items():
        try:
            for word, state in chosen_states(evidence).items():
                rows = rows_of(evidence, state)
                frames.append(rows.assign(campaign=name, kind=word, state=state.name))
        except AbsentError as error:
            reasons.append(f"{name}: {error}")
    if not frames:
        raise AbsentError("; ".join(reasons))
    return pd.concat(frames, ignore_index=True)


def _without(pair: Pair, table: pd.DataFrame) -> str:
    """Name the campaigns that have nothing to show in a figure."""
    absent = [name for name in pair if name not in set(table.campaign)]
    return f"{', '.join(absent)} has no such table. " if absent else ""


def _fsdp(pair: Pair) -> Figure:
    first = next(iter(pair.values()))
    width = first.results.config.report.sq_bin_per_A

    def rows_of(evidence: Evidence, state: State) -> pd.DataFrame:
        rows = evidence.summary("sq", state)
        rows = rows[["state", "q_per_A", "counts", *with_errors("neutron")]]
        rows = coarser(rows, "neutron", width)
        return rows[(rows.q_per_A > 0.4) & (rows.q_per_A < 3.5)]

    table = _collect(pair, rows_of)
    measured = neutron_ambient()
    measured = measured[(measured.q_per_A > 0.4) & (measured.q_per_A < 3.5)]
    measured = measured.rename(columns={"S": "neutron"}).assign(campaign="experiment", kind="rest")

    def paint(canvas: Canvas) -> None:
        words = list(dict.fromkeys(table.kind))
        axes = canvas.subplots(1, len(words), sharey=True, squeeze=False)[0]
        for axis, word in zip(axes, words, strict=True):
            for name, line in zip(pair, LINES, strict=True):
                own = table[(table.campaign == name) & (table.kind == word)]
                if len(own):
                    plot_band(axis, own, "q_per_A", "neutron", WORDS[word], ls=line, label=name)
            axis.set(title=word, xlabel=r"$Q$, Å$^{-1}$", xlim=(0.4, 3.5))
            if word == "rest":
                plot_measured(axis, measured.q_per_A, measured.neutron, ms=3, label="experiment")
            axis.legend(loc="upper left")
        axes[0].set_ylabel(r"$S(Q)$ neutron")

    caption = (
        "Neutron S(Q) around the first sharp diffraction peak: full lines the first campaign, "
        f"dashed lines the second. {_without(pair, table)}Circles: {CITATION}. {ERRORS}"
    )
    title = "First sharp diffraction peak of both"
    numbers = pd.concat([table, measured], ignore_index=True)
    return draw("compare_fsdp", title, caption, numbers, paint, size=(9.0, 3.8))


def _rings(pair: Pair) -> Figure:
    names = ("aspect_ratio_mean", "l2_A_mean")

    def rows_of(evidence: Evidence, state: State) -> pd.DataFrame:
        rows = evidence.summary("ring_shape", state, criterion=KING, atoms="Si+O")
        return rows[rows["size"].between(4, 9)][["size", *with_errors(*names)]]

    table = _collect(pair, rows_of)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 2, sharex=True)
        labels = (r"aspect ratio $l_2/l_3$", r"short side $l_2$, Å")
        for axis, column, label in zip(axes, names, labels, strict=True):
            for key, own in table.groupby(["campaign", "kind"], sort=False):
                name, word = map(str, key)
                look = {"ls": LINES[list(pair).index(name)], "color": WORDS[word], "marker": "o"}
                error = own[f"{column}_error"]
                known = error if error.notna().any() else None
                text = f"{word}, {name}"
                axis.errorbar(
                    own["size"], own[column], yerr=known, ms=3.5, capsize=2, label=text, **look
                )
            axis.set(xlabel=r"ring size $n$, Si atoms", ylabel=label)
            axis.set_xticks(range(int(table["size"].min()), int(table["size"].max()) + 1))
        handles, texts = axes[0].get_legend_handles_labels()
        canvas.legend(handles, texts, loc="outside lower center", ncols=3)

    caption = (
        "King rings by size, shape of their Si and O atoms; dashed: the second. "
        f"{_without(pair, table)}{ERRORS}"
    )
    return draw("compare_rings", "Rings of both", caption, table, paint, size=(8.4, 4.2))


def _compression(pair: Pair) -> Figure:
    rows, reasons = [], []
    for name, evidence in pair.items():
        try:
            states = evidence.cold_states()
        except AbsentError as error:
            reasons.append(f"{name}: {error}")
            continue
        rows += [row for state in states if (row := _pressed(name, evidence, state))]
    if not rows:
        raise AbsentError("; ".join(reasons) or "no campaign has a density at 300 K")
    table = pd.DataFrame(rows)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 3, sharex=True)
        labels = ("density, g/cm³", r"$Q_1$, Å$^{-1}$", r"$S(Q_1)$ neutron")
        columns = ("density_g_cm3", "position_per_A", "height")
        for axis, column, label in zip(axes, columns, labels, strict=True):
            for index, (name, own) in enumerate(table.groupby("campaign", sort=False)):
                error = own[f"{column}_error"]
                look = {"ls": LINES[index], "color": COLOURS[index], "marker": "o"}
                known = error if error.notna().any() else None
                axis.errorbar(
                    own.pressure_GPa, own[column], yerr=known, ms=3.5, capsize=2, label=name, **look
                )
            axis.set(xlabel="pressure, GPa", ylabel=label)
        axes[0].legend()

    caption = (
        "Density and first sharp diffraction peak in situ at 300 K; states without a peak have no "
        f"point. {_without(pair, table)}{ERRORS}"
    )
    title = "Compression at 300 K of both"
    return draw("compare_compression", title, caption, table, paint, size=(9.0, 3.2))


def _pressed(name: str, evidence: Evidence, state: State) -> dict[str, object] | None:
    """Give density and FSDP of a state; nothing where it was not analysed."""
    try:
        density = evidence.scalar(state, "density_g_cm3")
    except AbsentError:
        return None
    row: dict[str, object] = {"campaign": name, "state": state.name}
    row |= {"pressure_GPa": state.pressure_GPa or 0.0}
    row |= {"density_g_cm3": density.mean, "density_g_cm3_error": density.error}
    for quantity, column in (("position", "position_per_A"), ("height", "height")):
        try:
            value = evidence.peak(state, quantity)
        except AbsentError:
            row |= {column: None, f"{column}_error": None}
        else:
            row |= {column: value.mean, f"{column}_error": value.error}
    return row
