"""Two campaigns side by side: rows, figures overlaid, and what differs in their configurations."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from glassml import __version__
from glassml.campaign.config import load_campaign
from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import write_json, write_text
from glassml.campaign.names import KING
from glassml.report import acceptance, page
from glassml.report.build import write_parts
from glassml.report.curves import plot_band, with_errors
from glassml.report.evidence import Evidence
from glassml.report.experiment import CITATION, neutron_ambient
from glassml.report.figures import COLOURS, Canvas, Figure, draw, style
from glassml.report.page import Section, Table, Text, with_error
from glassml.report.results import AbsentError, Results, add
from glassml.report.sections.result import chosen_states
from glassml.report.states import State
from glassml.structure.binning import coarser

LINES = ("-", "--")  # the first campaign, the second
WORDS = {"rest": COLOURS[0], "cold": COLOURS[1], "hot": COLOURS[2]}
FAR = 2.0  # a difference of so many standard errors is pointed out
ERRORS = "Bands and bars are one standard error over independent glasses."
Pair = Mapping[str, Evidence]


class CompareError(GlassmlError):
    """Two campaigns that cannot be compared; the message says why."""


def compare(one: Path, other: Path, output: Path) -> dict[str, Any]:
    """Write ``report.html``, and beside it its figures, tables and ``compare.json``.

    Parameters
    ----------
    one, other
        Folders ``results/{campaign}``, each with its ``campaign.yaml``.
    output
        Folder of the comparison.

    Returns
    -------
    dict
        ``campaigns``, ``headline``, ``differences`` (of the configurations) and ``rows``.

    Raises
    ------
    CompareError
        If a folder is not that of a campaign, or both are the same.
    """
    if one.resolve() == other.resolve():
        raise CompareError(f"{one}: both folders are the same campaign")
    loaded = [_load(folder) for folder in (one, other)]
    names = _names(*(results.config["name"] for results in loaded))
    pair = {name: Evidence(results) for name, results in zip(names, loaded, strict=True)}
    rows = _rows(pair)
    differences = config_differences(*(results.config for results in loaded))
    far = int((rows.sigmas.abs() > FAR).sum())
    changed = int((rows.verdict_1 != rows.verdict_2).sum())
    headline = (
        f"{len(differences)} settings differ; {far} rows differ by more than {FAR:g} standard "
        f"errors, {changed} have another verdict."
    )
    with style(loaded[0].config["report"]["picture_dpi"]):
        sections = [
            _figures(loaded[0], pair),
            Section("rows", "Rows", [_rows_table(rows, names)]),
            Section("configuration", "Configuration", [_differences(differences, names)]),
        ]
    write_parts(sections, output)
    summary = {
        "campaigns": names,
        "headline": headline,
        "differences": differences.to_dict("records"),
        "rows": [
            {
                key: None if isinstance(value, float) and math.isnan(value) else value
                for key, value in row.items()
            }
            for row in rows.to_dict("records")
        ],
    }
    write_json(output / "compare.json", summary)
    banner = {"colour": "plain", "headline": headline, "lines": []}
    html = page.render(
        f"{names[0]} and {names[1]}",
        "Two campaigns side by side: full lines and the first column are the first.",
        banner,
        sections,
        f"glassml {__version__}. This file is complete: pictures, numbers and style are inside.",
    )
    write_text(output / "report.html", html)
    return summary


def _load(folder: Path) -> Results:
    path = folder / "campaign.yaml"
    if not path.is_file():
        raise CompareError(f"{folder} is no folder of a campaign: there is no campaign.yaml")
    return Results(folder, load_campaign(path).model_dump(mode="json"))


def _names(one: str, other: str) -> list[str]:
    """Tell two campaigns of the same name apart."""
    return [one, other] if one != other else [f"{one} (first)", f"{other} (second)"]


# ---- configurations ----


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give a configuration as one level: ``md.atoms`` and so on; lists stay whole."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        flat |= flattened(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return flat


def config_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> pd.DataFrame:
    """List the settings that differ: ``setting``, ``first``, ``second``; – where one has none."""
    flat = [flattened(config) for config in (one, other)]
    rows = [
        {"setting": name, "first": _yaml(flat[0], name), "second": _yaml(flat[1], name)}
        for name in dict.fromkeys([*flat[0], *flat[1]])
        if name not in flat[0] or name not in flat[1] or flat[0][name] != flat[1][name]
    ]
    return pd.DataFrame(rows, columns=["setting", "first", "second"])


def _yaml(flat: Mapping[str, Any], name: str) -> str:
    if name not in flat:
        return "–"
    text = yaml.safe_dump(flat[name], default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def _differences(table: pd.DataFrame, names: list[str]) -> Table | Text:
    if table.empty:
        return Text("The configurations are the same.")
    shown = table.rename(columns={"first": names[0], "second": names[1]})
    caption = "Settings that differ; a dash where a campaign has no such setting."
    title = "What differs in the configuration"
    return Table("configuration", title, caption, table, limit=200, shown=shown)


# ---- rows ----


def _rows(pair: Pair) -> pd.DataFrame:
    judged = [
        {outcome.row.number: outcome for outcome in acceptance.evaluate_all(evidence)}
        for evidence in pair.values()
    ]
    rows = []
    for number, first in judged[0].items():
        both = (first, judged[1][number])
        values = [outcome.value for outcome in both]
        row: dict[str, Any] = {"number": number, "observable": first.row.observable}
        row |= {"condition": first.row.condition, "unit": first.row.unit or "–"}
        for index, (outcome, value) in enumerate(zip(both, values, strict=True), start=1):
            row[f"value_{index}"] = math.nan if value is None else value.mean
            known = value is not None and value.error is not None
            row[f"error_{index}"] = value.error if known else math.nan  # type: ignore[union-attr]
            row[f"verdict_{index}"] = outcome.verdict
            row[f"shown_{index}"] = acceptance.value_text(outcome)
        row["difference"] = row["value_2"] - row["value_1"]
        spread = math.hypot(row["error_1"], row["error_2"])
        row["sigmas"] = row["difference"] / spread if spread > 0.0 else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _rows_table(rows: pd.DataFrame, names: list[str]) -> Table:
    shown = pd.DataFrame(
        {
            "": rows.number,
            "observable": [
                page.Cell(*texts) for texts in zip(rows.observable, rows.condition, strict=True)
            ],
            **{
                title: [
                    page.Cell(*texts)
                    for texts in zip(rows[f"shown_{k}"], rows[f"verdict_{k}"], strict=True)
                ]
                for k, title in enumerate(names, start=1)
            },
            "unit": rows.unit,
            "second − first, standard errors": [
                "–" if math.isnan(value) else f"{value:+.1f}".replace("-", "−")
                for value in rows.sigmas
            ],
        }
    )
    caption = (
        "Acceptance rows of both campaigns. Their glasses are independent: errors add in squares. "
        "A dash where a value or its error is not known."
    )
    table = rows.drop(columns=["shown_1", "shown_2"])
    return Table("rows", "Rows of both", caption, table, limit=len(rows), shown=shown)


# ---- figures ----


def _figures(results: Results, pair: Pair) -> Section:
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


def _fsdp(pair: Pair) -> Figure:
    first = next(iter(pair.values()))
    width = first.results.config["report"]["sq_bin_per_A"]

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
                plot_band(axis, own, "q_per_A", "neutron", WORDS[word], ls=line, label=name)
            axis.set(title=word, xlabel=r"$Q$, Å$^{-1}$", xlim=(0.4, 3.5))
            axis.legend()
        look = {"ms": 3, "mfc": "none", "mew": 0.7, "color": "k"}
        axes[0].plot(measured.q_per_A, measured.neutron, "o", label="experiment", **look)
        axes[0].set_ylabel(r"$S(Q)$ neutron")
        axes[0].legend()

    caption = (
        "Neutron S(Q) around the first sharp diffraction peak: full lines the first campaign, "
        f"dashed lines the second. Circles: {CITATION}. {ERRORS}"
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
        handles, texts = axes[0].get_legend_handles_labels()
        canvas.legend(handles, texts, loc="outside lower center", ncols=3)

    caption = f"King rings by size, shape of their Si and O atoms; dashed: the second. {ERRORS}"
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

    caption = f"Density and first sharp diffraction peak in situ at 300 K. {ERRORS}"
    title = "Compression at 300 K of both"
    return draw("compare_compression", title, caption, table, paint, size=(9.0, 3.2))


def _pressed(name: str, evidence: Evidence, state: State) -> dict[str, Any] | None:
    """Give density and FSDP of a state; nothing where it was not analysed."""
    try:
        density = evidence.scalar(state, "density_g_cm3")
    except AbsentError:
        return None
    row: dict[str, Any] = {"campaign": name, "state": state.name}
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


def text_of(summary: Mapping[str, Any]) -> str:
    """Give the rows that differ, for a terminal."""
    lines = [summary["headline"]]
    for row in summary["rows"]:
        if row["sigmas"] is not None and abs(row["sigmas"]) > FAR:
            values = [with_error(row[f"value_{k}"], row[f"error_{k}"]) for k in (1, 2)]
            lines.append(
                f"{row['number']:>4} {row['observable']} ({row['condition']}): "
                f"{values[0]} → {values[1]} {row['unit']}, {row['sigmas']:+.1f} standard errors"
            )
    return "\n".join(lines)
