"""What the first sharp diffraction peak is uncertain by, source by source.

Glasses of one campaign tell how glasses differ, and their quenches what a decade of the rate does.
Everything else takes a second campaign that differs in just that: another functional, another
member of the committee, another size, another anneal. What no campaign tells is not measured.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from glassml.campaign.errors import GlassmlError
from glassml.report.campaigns import CompareError, config_differences
from glassml.report.evidence import Evidence, Value
from glassml.report.measures import difference
from glassml.report.measures_recovered import equally_dense
from glassml.report.page import Table, with_error
from glassml.report.pairs import paired_difference, peak_height, peak_of
from glassml.report.results import AbsentError
from glassml.studies.rates import fit_rates, quench_rates

#: Sources that another campaign tells of, and the settings in which it must differ.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "functional": ("dft.xc",),
    "committee": ("potential.", "seed"),
    "rate": ("md.states.", "md.classical.", "md.student"),
    "size": ("md.atoms",),
    "anneal": ("md.states.",),
}
#: Settings that say where a campaign's runs lie and what it is called.
OF_NO_MATTER = ("name", "title", "md.given")
COLUMNS = (
    "source",
    "against",
    "quantity",
    "here",
    "here_error",
    "there",
    "there_error",
    "change",
    "change_error",
    "remark",
)
NOT_MEASURED = "not measured"
OWN = "own glasses"


def _at_rest(column: str) -> Callable[[Evidence], Value]:
    return lambda evidence: evidence.peak(evidence.ambient(), column)


def _hot_minus_cold(evidence: Evidence) -> Value:
    """Give S(Q1) of hot minus cold of the densest recovered pair of equal density."""
    pair = equally_dense(evidence)
    try:
        return paired_difference(evidence, *pair, peak_height)
    except AbsentError:
        return difference(*(evidence.peak(state, "height") for state in pair))


AT_REST = {"S(Q1) at rest": "height", "Q1 at rest, Å⁻¹": "position"}
QUANTITIES: Mapping[str, Callable[[Evidence], Value]] = {
    **{name: _at_rest(column) for name, column in AT_REST.items()},
    "S(Q1), hot − cold": _hot_minus_cold,
}


@dataclass(frozen=True)
class Entry:
    """One quantity and one source: how far the source moves it.

    Attributes
    ----------
    source, against
        The source, and the campaign that tells of it, or what else does.
    quantity
        Of `QUANTITIES`, or empty where the source was not measured at all.
    here, there
        The quantity in this campaign and in the other.
    change
        How far the source moves it; of glasses, no move but the standard error of their mean.
    remark
        What the change is, or why there is none.
    """

    source: str
    against: str
    quantity: str
    here: Value | None = None
    there: Value | None = None
    change: Value | None = None
    remark: str = ""


def budget(evidence: Evidence, others: Sequence[tuple[str, Evidence]] = ()) -> list[Entry]:
    """Collect what is known of each source.

    Parameters
    ----------
    evidence
        Of the campaign whose budget it is.
    others
        A source of `SOURCES` and a campaign that differs in it, as many as there are.

    Raises
    ------
    CompareError
        If a source is unknown, or a campaign does not differ in what it is to tell of.
    """
    entries = [*_of_glasses(evidence), *_of_rates(evidence)]
    for source, other in others:
        entries += _of_campaign(evidence, source, other)
    told = {entry.source for entry in entries}
    return entries + [
        Entry(source, "", "", remark=NOT_MEASURED) for source in SOURCES if source not in told
    ]


def _of_glasses(evidence: Evidence) -> list[Entry]:
    """Tell how sure each quantity is of the campaign's own glasses."""
    entries = []
    for name, measure in QUANTITIES.items():
        try:
            here = measure(evidence)
            change = Value(0.0, here.sigma())
            remark = _scatter(evidence, name) or here.remark
        except AbsentError as error:
            entries.append(Entry("glasses", OWN, name, remark=f"{NOT_MEASURED}: {error}"))
        else:
            entries.append(Entry("glasses", OWN, name, here, change=change, remark=remark))
    return entries


def _scatter(evidence: Evidence, quantity: str) -> str:
    """Say how single glasses at rest scatter, and how much of it is the noise of one box."""
    if quantity not in AT_REST:
        return ""
    column, state = AT_REST[quantity], evidence.ambient()
    values, noises = [], []
    for glass in evidence.results.config.md.glass_names():
        try:
            value = peak_of("neutron", column)(evidence, state, glass)
            noises.append(peak_of("neutron", f"{column}_error")(evidence, state, glass))
        except AbsentError:
            continue
        values.append(value)
    if len(values) < 2:
        return ""
    spread, noise = np.std(values, ddof=1), math.sqrt(np.mean(np.square(noises)))
    return (
        f"{len(values)} glasses have a peak of their own: they scatter by {spread:.2g}, the Q "
        f"vectors of one box alone by {noise:.2g}"
    )


def _of_rates(evidence: Evidence) -> list[Entry]:
    """Tell what a decade of the quench rate does, where the campaign has several."""
    rates = quench_rates(evidence.results.config.md)
    rows = []
    for state in evidence.find("ambient"):
        for name, column in (("S_Q1", "height"), ("Q1_per_A", "position")):
            if state.name not in rates:
                continue
            try:
                value = evidence.peak(state, column)
            except AbsentError:
                continue
            row = {"rate_K_per_ps": rates[state.name], "observable": name}
            rows.append(row | {"mean": value.mean, "error": value.error})
    try:
        fits = {fit["observable"]: fit for fit in fit_rates(rows)}
    except GlassmlError:
        return []
    entries = []
    for quantity, name in zip(AT_REST, ("S_Q1", "Q1_per_A"), strict=True):
        if name in fits:
            fit = fits[name]
            change = Value(-fit["per_decade"], fit["per_decade_error"])
            remark = f"a decade slower, by a line through {fit['rates']} rates"
            entries.append(Entry("rate", "own quenches", quantity, change=change, remark=remark))
    return entries


def _of_campaign(evidence: Evidence, source: str, other: Evidence) -> list[Entry]:
    """Tell what another campaign has for each quantity."""
    names = [one.results.config.name for one in (evidence, other)]
    if source not in SOURCES:
        raise CompareError(f"{source!r} is no source of errors: {', '.join(SOURCES)} are")
    dumps = [one.results.config.model_dump(mode="json") for one in (evidence, other)]
    settings = config_differences(*dumps)
    own = settings[settings.setting.str.startswith(SOURCES[source])]
    if own.empty:
        raise CompareError(
            f"{source}: {names[0]} and {names[1]} do not differ in {' or '.join(SOURCES[source])}"
        )
    others = settings[~settings.setting.isin([*own.setting, *OF_NO_MATTER])].setting
    remark = f"differs in {_listed(own.setting)}"
    if len(others):
        remark += f"; and also in {_listed(others)}"
    entries = []
    for quantity, measure in QUANTITIES.items():
        try:
            here, there = measure(evidence), measure(other)
        except AbsentError as error:
            entries.append(Entry(source, names[1], quantity, remark=f"{NOT_MEASURED}: {error}"))
            continue
        change = difference(there, here)
        entries.append(Entry(source, names[1], quantity, here, there, change, remark))
    return entries


def _listed(settings: Iterable[str]) -> str:
    """Name settings, those of protocols as one."""
    short = ("md.states" if name.startswith("md.states.") else name for name in settings)
    return ", ".join(dict.fromkeys(short))


def as_table(entries: Sequence[Entry]) -> pd.DataFrame:
    """Give the budget with a row for each quantity of each source."""

    def numbers(name: str, value: Value | None) -> dict[str, float | None]:
        return {
            name: value.mean if value else None,
            f"{name}_error": value.error if value else None,
        }

    rows = [
        {"source": entry.source, "against": entry.against, "quantity": entry.quantity}
        | numbers("here", entry.here)
        | numbers("there", entry.there)
        | numbers("change", entry.change)
        | {"remark": entry.remark}
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def for_page(entries: Sequence[Entry]) -> pd.DataFrame:
    """Give the budget with a row for each source, and how far it moves each quantity."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for entry in entries:
        key = (entry.source, entry.against)
        line = lines.setdefault(
            key,
            {"source": entry.source, "told by": entry.against or "–"}
            | dict.fromkeys(QUANTITIES, "–"),
        )
        if entry.quantity and entry.change:
            line[entry.quantity] = _text(entry)
        if not entry.quantity:
            line["told by"] = entry.remark
    return pd.DataFrame(list(lines.values()))


def _text(entry: Entry) -> str:
    change = entry.change or Value(math.nan)
    if entry.source == "glasses":
        return f"± {change.sigma():.2g}"
    return with_error(change.mean, change.error)


def budget_table(entries: Sequence[Entry]) -> Table:
    """Give the budget for a page."""
    caption = (
        "What the first sharp diffraction peak (neutrons) is uncertain by. Glasses: standard error "
        "of the mean over independent glasses. Other sources: how far the quantity moves, with the "
        "standard error of the move; one that is smaller than its error is not known to be there. "
        "Hot − cold is that of the densest recovered pair of equal density. What is not measured "
        "takes a second campaign: `glassml report budget RESULTS SOURCE=RESULTS`."
    )
    shown = for_page(entries)
    title = "Error budget of the FSDP"
    return Table("budget", title, caption, as_table(entries), limit=len(shown), shown=shown)
