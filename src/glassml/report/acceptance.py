"""The acceptance table: what the campaign must reproduce, and how far it does.

The numbers and their sources are in ``data/acceptance.csv``; what a row measures is a function of
`glassml.report.measures`, `measures_pressure` or `measures_recovered`, named by the row.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import pandas as pd

from glassml.report import measures, measures_pressure, measures_recovered
from glassml.report.measures import Evidence, Value
from glassml.report.page import Banner, Cell, with_error
from glassml.report.results import AbsentError

Verdict = Literal["pass", "fail", "not reached"]
MEASURES = measures.MEASURES | measures_pressure.MEASURES | measures_recovered.MEASURES
TESTS = ("within", "at most", "at least", "holds")
BASES = ("experiment", "DFT", "simulation", "classical model", "internal")
VERDICTS: tuple[Verdict, ...] = ("pass", "fail", "not reached")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    number
        As in the campaign's list of numbers, with a letter where one has several parts.
    kind
        ``gate``: what misses it is not used further; ``target``; ``sign``: a trend.
    test
        ``within`` the tolerance of the reference, ``at most``, ``at least``, or ``holds``.
    functional
        Functionals that the reference is for, or empty: for all.
    basis
        Where the reference comes from: ``experiment``; ``DFT``; ``simulation``: published work
        with a potential of this kind; ``classical model``: published models of the glass by pair
        potentials, which are no measurement and are not counted with it; ``internal``.
    """

    number: str
    kind: str
    observable: str
    condition: str
    functional: str
    test: str
    reference: float | None
    tolerance: float | None
    unit: str
    measure: str
    arguments: str
    basis: str
    source: str

    @property
    def wanted(self) -> str:
        """Give the reference for people."""
        if self.reference is None:
            return "holds"
        value = f"{self.reference:g}"
        if self.test == "within":
            return f"{value} ± {self.tolerance:g}"
        return f"{'≤' if self.test == 'at most' else '≥'} {value}"


@dataclass(frozen=True)
class Outcome:
    """A row with what the campaign has for it."""

    row: Row
    verdict: Verdict
    value: Value | None
    remark: str


def load_rows() -> list[Row]:
    """Read the rows of the table."""
    path = files("glassml.report") / "data" / "acceptance.csv"
    text = path.read_text(encoding="utf-8")
    return [_row(line) for line in csv.DictReader(text.splitlines())]


def _row(line: Mapping[str, str]) -> Row:
    known = (line["test"] in TESTS, line["measure"] in MEASURES, line["basis"] in BASES)
    if not all(known):
        raise ValueError(f"acceptance row {line['number']}: unknown test, measure or basis")
    texts = {name: text for name, text in line.items() if name not in {"reference", "tolerance"}}
    return Row(
        reference=float(line["reference"]) if line["reference"] else None,
        tolerance=float(line["tolerance"]) if line["tolerance"] else None,
        **texts,
    )


def judge(row: Row, value: float) -> bool:
    """Tell whether a value passes; for ``holds`` it is 1 or 0.

    Limits count as passed, with room for the rounding of sums such as 2.20 + 0.05.
    """
    if row.test == "holds":
        return bool(value)
    if row.reference is None:
        raise ValueError(f"acceptance row {row.number} has no reference")
    slack = 1e-9 * max(abs(row.reference), 1.0)
    if row.test == "at most":
        return value <= row.reference + slack
    if row.test == "at least":
        return value >= row.reference - slack
    return abs(value - row.reference) <= (row.tolerance or 0.0) + slack


def evaluate(row: Row, evidence: Evidence) -> Outcome:
    """Compute what a row asks for from a campaign's tables."""
    try:
        value = MEASURES[row.measure](evidence, row.arguments)
    except AbsentError as error:
        return Outcome(row, "not reached", None, str(error))
    except (KeyError, ValueError, TypeError, ArithmeticError) as error:
        # A table that is not as documented must not cost the page; the page warns of it too.
        return Outcome(row, "not reached", None, f"a table cannot be read: {error!r}")
    return Outcome(row, "pass" if judge(row, value.mean) else "fail", value, value.remark)


def evaluate_all(evidence: Evidence) -> list[Outcome]:
    """Evaluate all rows in order, each number by the reference for the campaign's functional."""
    functional = evidence.results.config.dft.xc
    numbered: dict[str, list[Row]] = {}
    for row in load_rows():
        numbered.setdefault(row.number, []).append(row)
    outcomes = []
    for rows in numbered.values():
        fitting = [row for row in rows if functional in (row.functional or functional).split()]
        if fitting:
            outcomes.append(evaluate(fitting[0], evidence))
        else:
            remark = f"there is no reference for {functional}"
            outcomes.append(Outcome(rows[0], "not reached", None, remark))
    return outcomes


def counts(outcomes: Iterable[Outcome]) -> dict[str, dict[Verdict, int]]:
    """Count verdicts by the basis of the reference."""
    found: dict[str, dict[Verdict, int]] = {}
    for outcome in outcomes:
        of_basis = found.setdefault(outcome.row.basis, dict.fromkeys(VERDICTS, 0))
        of_basis[outcome.verdict] += 1
    return found


def as_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Give outcomes as a table for people and for files."""
    return pd.DataFrame(
        [
            {
                "number": outcome.row.number,
                "kind": outcome.row.kind,
                "observable": outcome.row.observable,
                "condition": outcome.row.condition,
                "reference": outcome.row.wanted,
                "unit": outcome.row.unit or "–",
                "value": value_text(outcome),
                "verdict": outcome.verdict,
                "remark": outcome.remark or "–",
                "basis": outcome.row.basis,
                "source": outcome.row.source,
            }
            for outcome in outcomes
        ]
    )


def for_page(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Give outcomes in the few columns that fit a page."""
    return pd.DataFrame(
        [
            {
                "": outcome.row.number,
                "observable": Cell(
                    outcome.row.observable,
                    "; ".join(filter(None, (outcome.row.condition, outcome.remark))),
                ),
                "kind": outcome.row.kind,
                "against": outcome.row.basis,
                "wanted": _with_unit(outcome.row.wanted, outcome.row.unit),
                "value": value_text(outcome),
                "verdict": outcome.verdict,
            }
            for outcome in outcomes
        ]
    )


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()


def value_text(outcome: Outcome) -> str:
    """Write a value for people: a trend holds, yes or no."""
    if outcome.value is None:
        return "–"
    if outcome.row.test == "holds":
        return "yes" if outcome.value.mean else "no"
    return with_error(outcome.value.mean, outcome.value.error)


def banner(outcomes: Iterable[Outcome], potential_status: str | None) -> Banner:
    """Say in a few lines what the gates say.

    Parameters
    ----------
    outcomes
        All rows.
    potential_status
        Of the potential's own gates: red, amber, green, unknown, or None if there are none.

    Returns
    -------
    Banner
    """
    outcomes = list(outcomes)
    gates = [outcome for outcome in outcomes if outcome.row.kind == "gate"]
    failed = [outcome for outcome in gates if outcome.verdict == "fail"]
    open_ = [outcome for outcome in gates if outcome.verdict == "not reached"]
    lines = [
        f"{outcome.row.number}. {outcome.row.observable} ({outcome.row.condition}): "
        f"{_with_unit(value_text(outcome), outcome.row.unit)}, wanted {outcome.row.wanted}"
        for outcome in failed
    ]
    if failed or potential_status == "red":
        colour, headline = "red", _headline(len(failed), len(gates), potential_status)
    elif open_ or potential_status != "green":
        colour = "amber"
        headline = f"No gate fails; {len(open_)} of {len(gates)} could not be decided."
    else:
        colour, headline = "green", f"All {len(gates)} gates are passed."
    if open_:
        numbers = ", ".join(outcome.row.number for outcome in open_)
        lines.append(f"Not decided: gates {numbers}; the acceptance table says why.")
    return {"colour": colour, "headline": headline, "lines": lines}


def _headline(failed: int, count: int, potential_status: str | None) -> str:
    text = f"{failed} of {count} acceptance gates fail" if failed else "The potential fails"
    if potential_status == "red" and failed:
        text += ", and the potential's own gates are red"
    return f"{text}: the campaign runs, and its numbers are no statement about silica yet."
