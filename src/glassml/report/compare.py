"""Two campaigns side by side: rows, figures overlaid, and what differs in their configurations."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from glassml import __version__
from glassml.campaign.files import write_json, write_text
from glassml.report import acceptance, page
from glassml.report.build import write_parts
from glassml.report.campaigns import CompareError, config_differences, load_results
from glassml.report.evidence import Evidence
from glassml.report.figures import style
from glassml.report.overlays import Pair, overlays
from glassml.report.page import Section, Table, Text, with_error
from glassml.report.sections.result import answers

FAR = 2.0  # a difference of so many standard errors is pointed out
UNDECIDED = "not reached"


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
    loaded = [load_results(folder) for folder in (one, other)]
    names = _names(*(results.config.name for results in loaded))
    pair = {name: Evidence(results) for name, results in zip(names, loaded, strict=True)}
    rows = _rows(pair)
    differences = config_differences(
        *(results.config.model_dump(mode="json") for results in loaded)
    )
    headline = _headline(rows, differences)
    with style(loaded[0].config.report.picture_dpi):
        sections = [
            Section("results", "What came out", [_answers(pair), _far_table(rows, names)]),
            overlays(loaded[0], pair),
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
    banner: page.Banner = {"colour": "plain", "headline": headline, "lines": []}
    html = page.render(
        f"{names[0]} and {names[1]}",
        "Two campaigns side by side: full lines and the first column are the first.",
        banner,
        sections,
        f"glassml {__version__}. This file is complete: pictures, numbers and style are inside.",
    )
    write_text(output / "report.html", html)
    return summary


def _names(one: str, other: str) -> list[str]:
    """Tell two campaigns of the same name apart."""
    return [one, other] if one != other else [f"{one} (first)", f"{other} (second)"]


# ---- configurations ----


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


def _headline(rows: pd.DataFrame, differences: pd.DataFrame) -> str:
    reached = rows[["verdict_1", "verdict_2"]] != UNDECIDED
    both = rows[reached.all(axis=1)]
    far = int((both.sigmas.abs() > FAR).sum())
    changed = int((both.verdict_1 != both.verdict_2).sum())
    alone = int((reached.sum(axis=1) == 1).sum())
    return (
        f"{len(differences)} settings differ. Of {len(both)} rows that both reach, {far} differ by "
        f"more than {FAR:g} standard errors and {changed} have another verdict; rows "
        f"that one alone reaches: {alone}."
    )


def _answers(pair: Pair) -> Table:
    lines = {name: dict(answers(evidence.results, evidence)) for name, evidence in pair.items()}
    table = pd.DataFrame(lines).rename_axis("of").reset_index()
    caption = "As on top of the page of each."
    return Table("answers", "What was asked and what came out", caption, table, shown=table)


def _far_table(rows: pd.DataFrame, names: list[str]) -> Table | Text:
    far = rows[rows.sigmas.abs() > FAR].sort_values("sigmas", key=abs, ascending=False)
    if far.empty:
        return Text(
            f"No row differs by more than {FAR:g} standard errors; rows without errors, as those "
            "of a single glass, cannot."
        )
    caption = f"Rows that differ by more than {FAR:g} standard errors, the farthest first."
    table, shown = _plain(far), _side_by_side(far, names)
    return Table("far", "What differs most", caption, table, limit=len(far), shown=shown)


def _rows_table(rows: pd.DataFrame, names: list[str]) -> Table:
    unreached = (rows[["verdict_1", "verdict_2"]] == UNDECIDED).all(axis=1)
    caption = (
        "Acceptance rows of both campaigns. Their glasses are independent: errors add in squares. "
        "A dash where a value or its error is not known. "
    )
    if unreached.any():
        caption += f"Reached by neither: {', '.join(rows.number[unreached])}."
    shown = _side_by_side(rows[~unreached], names)
    return Table("rows", "Rows of both", caption, _plain(rows), limit=len(rows), shown=shown)


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(columns=["shown_1", "shown_2"])


def _side_by_side(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    def cells(first: str, second: str) -> list[page.Cell]:
        return [page.Cell(*texts) for texts in zip(rows[first], rows[second], strict=True)]

    return pd.DataFrame(
        {
            "": rows.number,
            "observable": cells("observable", "condition"),
            **{name: cells(f"shown_{k}", f"verdict_{k}") for k, name in enumerate(names, start=1)},
            "unit": rows.unit,
            "second − first, standard errors": [
                "–" if math.isnan(value) else f"{value:+.1f}".replace("-", "−")
                for value in rows.sigmas
            ],
        }
    )


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
