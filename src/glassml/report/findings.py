"""What a reader should know first: rules with thresholds, judged from a campaign's results.

The rules, their thresholds and what to do are in ``data/findings.yaml``; what one measures is a
function here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
import yaml

from glassml.campaign.errors import GlassmlError
from glassml.report.acceptance import Outcome
from glassml.report.anneals import density_slopes
from glassml.report.evidence import Evidence
from glassml.report.page import Cell, show
from glassml.report.results import AbsentError, by_name

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Severity = Literal["red", "amber", "green", "unknown"]
SEVERITIES: tuple[Severity, ...] = ("red", "amber", "unknown", "green")


class RulesError(GlassmlError):
    """A file of rules that cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Rule:
    """A measure, its thresholds and what to do; see ``data/findings.yaml``."""

    name: str
    title: str
    measure: str
    amber: float
    red: float
    unit: str
    advice: str
    worse: str = "above"

    def severity(self, value: float) -> Severity:
        """Judge a value; a threshold itself counts as crossed where more is worse."""
        if self.worse == "below":
            return "red" if value < self.red else "amber" if value < self.amber else "green"
        if self.measure.split()[0] in AT_MOST:
            return "red" if value > self.red else "amber" if value > self.amber else "green"
        return "red" if value >= self.red else "amber" if value >= self.amber else "green"


@dataclass(frozen=True)
class Finding:
    """A rule with what the campaign has for it."""

    rule: Rule
    severity: Severity
    value: float | None
    trigger: str


@dataclass(frozen=True)
class Seen:
    """What rules look at."""

    evidence: Evidence
    outcomes: dict[str, Outcome]


Measure = Callable[[Seen, str], tuple[float, str]]


def load_rules(path: Path | None = None) -> list[Rule]:
    """Read rules from a file, or those that come with the program.

    Raises
    ------
    RulesError
        If the file is not as documented.
    """
    source: Path | Traversable = path or files("glassml.report") / "data" / "findings.yaml"
    try:
        listed = yaml.safe_load(source.read_text(encoding="utf-8"))
        rules = [Rule(**entry) for entry in listed]
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise RulesError(f"{source}: no list of rules: {error}") from None
    for rule in rules:
        name = rule.measure.split(" ")[0]
        if name not in MEASURES:
            raise RulesError(
                f"{source}: rule {rule.name}: no measure {name!r}; there are: {', '.join(MEASURES)}"
            )
        if rule.worse not in {"above", "below"}:
            raise RulesError(f"{source}: rule {rule.name}: worse is above or below")
        numbers = (rule.amber, rule.red)
        if not all(isinstance(number, int | float) for number in numbers):
            raise RulesError(f"{source}: rule {rule.name}: amber and red are numbers")
        if (rule.red < rule.amber) != (rule.worse == "below") and rule.red != rule.amber:
            raise RulesError(f"{source}: rule {rule.name}: red is less bad than amber")
    return rules


def judge_all(
    evidence: Evidence, outcomes: Iterable[Outcome], rules: Iterable[Rule]
) -> list[Finding]:
    """Judge a campaign by rules; the worst come first, else in the order of the rules."""
    seen = Seen(evidence, {outcome.row.number: outcome for outcome in outcomes})
    findings = [_judge(seen, rule) for rule in rules]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _judge(seen: Seen, rule: Rule) -> Finding:
    name, _, argument = rule.measure.partition(" ")
    try:
        value, text = MEASURES[name](seen, argument)
    except AbsentError as error:
        return Finding(rule, "unknown", None, str(error))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        # A table that is not as documented must not cost the page.
        return Finding(rule, "unknown", None, f"a table cannot be read: {error!r}")
    return Finding(rule, rule.severity(value), value, text)


def as_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Give findings with all their fields."""
    return pd.DataFrame(
        [
            {
                "severity": finding.severity,
                "rule": finding.rule.name,
                "finding": finding.rule.title,
                "value": finding.value,
                "amber": finding.rule.amber,
                "red": finding.rule.red,
                "unit": finding.rule.unit or "–",
                "trigger": finding.trigger or "–",
                "advice": finding.rule.advice,
            }
            for finding in findings
        ]
    )


def for_page(findings: Iterable[Finding]) -> pd.DataFrame:
    """Give findings in the columns that fit a page."""
    rows = []
    for finding in findings:
        rule = finding.rule
        sign = "<" if rule.worse == "below" else "from"
        limits = f"amber {sign} {rule.amber:g}, red {sign} {rule.red:g} {rule.unit}".strip()
        value = "–" if finding.value is None else f"{show(float(finding.value), 3)} {rule.unit}"
        bad = finding.severity in {"red", "amber"}
        rows.append(
            {
                "severity": finding.severity,
                "finding": Cell(rule.title, finding.trigger),
                "value": Cell(value.strip(), limits),
                "what to do": rule.advice if bad else "–",
            }
        )
    return pd.DataFrame(rows)


# ---- measures ----


def _row(seen: Seen, number: str) -> Outcome:
    outcome = seen.outcomes[number]
    if outcome.value is None:
        raise AbsentError(outcome.remark)
    return outcome


def failed_gates(seen: Seen, argument: str) -> tuple[float, str]:
    """Count the acceptance gates that fail."""
    del argument
    gates = [outcome for outcome in seen.outcomes.values() if outcome.row.kind == "gate"]
    failed = [outcome.row.number for outcome in gates if outcome.verdict == "fail"]
    open_ = [outcome.row.number for outcome in gates if outcome.verdict == "not reached"]
    text = f"failing: {', '.join(failed) or 'none'}; not decided: {', '.join(open_) or 'none'}"
    return float(len(failed)), f"{text}; of {len(gates)}"


def failed_percent(seen: Seen, basis: str) -> tuple[float, str]:
    """Share of decided acceptance rows of a basis that fail."""
    decided = [
        outcome
        for outcome in seen.outcomes.values()
        if outcome.row.basis == basis and outcome.verdict != "not reached"
    ]
    if not decided:
        raise AbsentError(f"no row against {basis} is decided")
    failed = [outcome.row.number for outcome in decided if outcome.verdict == "fail"]
    text = f"{len(failed)} of {len(decided)} decided rows: {', '.join(failed) or 'none'}"
    return 100 * len(failed) / len(decided), text


def row_value(seen: Seen, number: str) -> tuple[float, str]:
    """Value of an acceptance row."""
    outcome = _row(seen, number)
    return outcome.value.mean, f"row {number}; {outcome.remark}".rstrip("; ")  # type: ignore[union-attr]


def deviation(seen: Seen, number: str) -> tuple[float, str]:
    """Distance of an acceptance row from its reference, in tolerances."""
    outcome = _row(seen, number)
    row, value = outcome.row, outcome.value
    if value is None or row.reference is None or not row.tolerance:
        raise AbsentError(f"row {number} has no tolerance")
    error = "" if value.error is None else f" ± {value.error:.2g}"
    text = f"row {number}: {value.mean:.4g}{error} {row.unit}, wanted {row.wanted}"
    return abs(value.mean - row.reference) / row.tolerance, text


def sign_fails(seen: Seen, number: str) -> tuple[float, str]:
    """1 where a trend does not hold, else 0."""
    outcome = _row(seen, number)
    return float(outcome.verdict == "fail"), outcome.remark


def potential_excess(seen: Seen, argument: str) -> tuple[float, str]:
    """Largest number of the potential's gates, in units of its threshold."""
    del argument
    results = seen.evidence.results
    record = results.json(f"{results.last('potential')}/gates.json")
    numbers = [row for row in record["results"] if row["value"] is not None and row["threshold"]]
    if not numbers:
        raise AbsentError("the potential's gates have no numbers")
    worst = max(numbers, key=lambda row: abs(row["value"]) / abs(row["threshold"]))
    text = f"{worst['gate']}: {worst['name']}: {worst['value']:.3g} {worst['unit']}"
    return abs(worst["value"]) / abs(worst["threshold"]), f"{text}; gates: {record['status']}"


def glasses(seen: Seen, argument: str) -> tuple[float, str]:
    """Count the independent glasses."""
    del argument
    number = seen.evidence.results.config.md.glasses
    return float(number), f"{number} of {seen.evidence.results.config.md.atoms} atoms"


def stopped_percent(seen: Seen, argument: str) -> tuple[float, str]:
    """Share of runs that did not finish."""
    del argument
    results = seen.evidence.results
    total, stopped = 0, []
    for state in seen.evidence.states:
        for glass in results.config.md.glass_names():
            name = f"{state.name}/{glass}"
            try:
                record = results.json(f"md/{name}/record.json")
            except AbsentError:
                continue
            total += 1
            if record["status"] != "finished":
                stopped.append(name)
    if not total:
        raise AbsentError("no state has been run")
    return 100 * len(stopped) / total, f"{len(stopped)} of {total} runs {' '.join(stopped[:3])}"


def failed_labels_percent(seen: Seen, argument: str) -> tuple[float, str]:
    """Share of configurations without a label."""
    del argument
    rows = seen.evidence.results.tables("dft/*/[0-9][0-9][0-9][0-9].csv", "tables of labels")
    failed = int((rows.status != "converged").sum())
    return 100 * failed / len(rows), f"{failed} of {len(rows)}"


def still_densifying(seen: Seen, argument: str) -> tuple[float, str]:
    """Change of density, in percent, over the second half of the hottest steady stage.

    Of the hot states under pressure, by a straight line through all glasses.
    """
    del argument
    slopes = density_slopes(seen.evidence.results, seen.evidence.find("hot in situ"))
    if slopes.empty:
        raise AbsentError("no anneal at steady temperature under pressure has a series")
    # mg/cm³ of g/cm³ are tenths of a percent
    change = 0.1 * slopes.slope_mg_cm3_ps * slopes.picoseconds / slopes.density_g_cm3
    means = change.groupby(slopes.state, sort=False).mean()
    name = str(means.abs().idxmax())
    mean, many = float(means[name]), int((slopes.state == name).sum())
    return abs(mean), f"{mean:+.2f} % in {name}, mean of {many} glasses"


def bonds_kept_percent(seen: Seen, argument: str) -> tuple[float, str]:
    """Share of the bonds, in percent, that the hot state which changed most under pressure kept."""
    del argument
    kept = {}
    for state in seen.evidence.find("hot in situ"):
        try:
            kept[state.name] = seen.evidence.scalar(state, "bonds_kept")
        except AbsentError:
            continue
    if not kept:
        raise AbsentError("no hot state under pressure has its bonds compared with its parent's")
    name = min(kept, key=lambda item: kept[item].mean)
    share, error = 100 * kept[name].mean, kept[name].error
    spread = "" if error is None else f" ± {100 * error:.1f}"
    return share, f"{name}: {share:.1f}{spread} % of the bonds before it"


# Of these the threshold itself is still green, as in the acceptance table.
AT_MOST = ("row_value", "deviation", "potential_excess")
MEASURES: dict[str, Measure] = by_name(
    failed_gates,
    failed_percent,
    row_value,
    deviation,
    sign_fails,
    potential_excess,
    glasses,
    stopped_percent,
    failed_labels_percent,
    still_densifying,
    bonds_kept_percent,
)
