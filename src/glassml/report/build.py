"""Builds the page of a campaign, and writes what it shows beside it."""

import shutil
from pathlib import Path
from typing import Any

from glassml import __version__
from glassml.campaign.config import Campaign
from glassml.campaign.files import write_json, write_text
from glassml.report import acceptance, findings, page
from glassml.report.evidence import Evidence
from glassml.report.figures import Figure, save, style
from glassml.report.page import Section, Table
from glassml.report.results import AbsentError, Results
from glassml.report.sections.dataset import dataset_section
from glassml.report.sections.dynamics import dynamics_section
from glassml.report.sections.labels import campaign_section
from glassml.report.sections.potential import potential_section
from glassml.report.sections.provenance import provenance_section, warnings_section
from glassml.report.sections.result import answers, result_section
from glassml.report.sections.structure import structure_section


def build(root: Path, output: Path, config: Campaign, rules: Path | None = None) -> dict[str, Any]:
    """Write ``report.html`` and, beside it, its figures, tables, acceptance and summary.

    Parameters
    ----------
    root
        Folder ``results/{campaign}``.
    output
        Folder of the report. Figures and tables of an earlier report are replaced.
    config
        The resolved configuration.
    rules
        A file of rules for the findings instead of the program's own.

    Returns
    -------
    dict
        What ``report.json`` holds.
    """
    results = Results(root, config)
    evidence = Evidence(results)
    outcomes = acceptance.evaluate_all(evidence)
    banner = acceptance.banner(outcomes, _potential_status(results))
    accepted = _acceptance_table(outcomes)
    found = findings.judge_all(evidence, outcomes, findings.load_rules(rules))
    with style(config.report.picture_dpi):
        sections = [
            result_section(results, evidence),
            Section("findings", "Findings", [_findings_table(found)]),
            Section("acceptance", "Acceptance", [accepted]),
            structure_section(results, evidence),
            campaign_section(results),
            dataset_section(results),
            potential_section(results),
            dynamics_section(results),
            provenance_section(results),
        ]
    for section in sections[4:]:
        section.folded = True
    # Warnings are collected on the way, and read before the details.
    sections.insert(3, warnings_section(results))
    write_parts(sections, output)
    write_text(output / "acceptance.csv", accepted.text)
    summary = _summary(config, banner, outcomes, results)
    said = answers(results, evidence)
    summary |= {"answers": dict(said), "findings": _finding_list(found)}
    write_json(output / "report.json", summary)
    html = page.render(
        config.title or f"Campaign {config.name}",
        f"Campaign {config.name}: from quantum mechanics to the structure of glass",
        banner,
        sections,
        f"glassml {__version__}. This file is complete: pictures, numbers and style are inside.",
        said,
    )
    write_text(output / "report.html", html)
    return summary


def _potential_status(results: Results) -> str | None:
    try:
        return results.json(f"{results.last('potential')}/gates.json")["status"]
    except AbsentError:
        return None


def _findings_table(found: list[findings.Finding]) -> Table:
    caption = (
        "Each rule with what it measured, its severity and, where that is not green, what to do; "
        "unknown: the campaign has nothing to judge by. Thresholds are in a file that can be "
        "replaced: `glassml report build --rules FILE`."
    )
    table, shown = findings.as_table(found), findings.for_page(found)
    return Table("findings", "Findings by rule", caption, table, limit=len(table), shown=shown)


def _finding_list(found: list[findings.Finding]) -> list[dict[str, object]]:
    return [
        {
            "rule": finding.rule.name,
            "severity": finding.severity,
            "value": finding.value,
            "trigger": finding.trigger,
        }
        for finding in found
    ]


def _acceptance_table(outcomes: list[acceptance.Outcome]) -> Table:
    counted = "; ".join(
        f"{basis}: {each['pass']} pass, {each['fail']} fail, {each['not reached']} not reached"
        for basis, each in acceptance.counts(outcomes).items()
    )
    caption = (
        f"By what they are held against: {counted}. Classical models of the glass are no "
        "measurement: rows against them tell whether the glass is of the usual kind. "
        "A gate that fails says that potential or glass must not be used further; targets and "
        "signs are what a campaign of full size must reproduce. ± of a value is one standard error "
        "over independent glasses. The file names the source of each reference."
    )
    table = acceptance.as_table(outcomes)
    shown = acceptance.for_page(outcomes)
    return Table("acceptance", "Acceptance table", caption, table, limit=len(table), shown=shown)


def write_parts(sections: list[Section], output: Path) -> None:
    """Write each figure and table beside the page; those of an earlier page are removed."""
    for folder in ("figures", "tables"):
        shutil.rmtree(output / folder, ignore_errors=True)
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                save(block, output)
            elif isinstance(block, Table):
                write_text(output / "tables" / f"{block.name}.csv", block.text)


def _summary(
    config: Campaign,
    banner: page.Banner,
    outcomes: list[acceptance.Outcome],
    results: Results,
) -> dict[str, object]:
    return {
        "campaign": config.name,
        "title": config.title,
        "banner": banner,
        "warnings": results.warnings,
        "acceptance": [
            {
                "number": outcome.row.number,
                "kind": outcome.row.kind,
                "observable": outcome.row.observable,
                "condition": outcome.row.condition,
                "reference": outcome.row.reference,
                "tolerance": outcome.row.tolerance,
                "unit": outcome.row.unit,
                "verdict": outcome.verdict,
                "value": outcome.value.mean if outcome.value else None,
                "error": outcome.value.error if outcome.value else None,
                "remark": outcome.remark,
            }
            for outcome in outcomes
        ],
        "versions": {"glassml": __version__},
    }
