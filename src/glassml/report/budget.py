"""What the first sharp diffraction peak is uncertain by, source by source.

Glasses of one campaign tell how glasses differ, and their quenches what a decade of the rate does.
Everything else takes a second campaign that differs in just that: another functional, another
member of the committee, another size, another anneal of the same glasses. What no campaign tells is
not measured.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from glassml.campaign.errors import GlassmlError
from glassml.report.campaigns import CompareError, config_differences
from glassml.report.equal_density import at_equal_density, hot_minus_cold, interpolated_text
from glassml.report.evidence import Evidence, Value
from glassml.report.measures import difference
from glassml.report.measures_recovered import chosen_states, most_densified_pair
from glassml.report.page import Table, with_error
from glassml.report.pairs import compared, difference_over_glasses, peak_of, peak_of_state
from glassml.report.results import AbsentError
from glassml.report.states import State
from glassml.studies.rates import fit_rates, quench_rates

ANNEAL = "anneal"
#: Settings that say who makes a glass, and how fast.
MAKING = ("md.states.", "md.classical.", "md.student")
#: Sources that another campaign tells of, and the settings in which it must differ.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "functional": ("dft.xc",),
    "committee": ("potential.", "seed"),
    "rate": MAKING,
    "rings": MAKING,
    "size": ("md.atoms",),
    ANNEAL: ("md.states.",),
}
#: Settings that say where a campaign's runs lie and what it is called.
OF_NO_MATTER = (
    "name",
    "title",
    "md.given",
    "md.held",
    "md.held.runs",
    "md.held.settle_ps",
    "md.held.hold_ps",
)
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


@dataclass(frozen=True)
class Quantity:
    """What the budget is of: the position or height of a peak, or how it differs in two states.

    Attributes
    ----------
    column
        ``height`` or ``position``.
    states
        Gives the state, or the two of which the second is subtracted.
    """

    column: str
    states: Callable[[Evidence], tuple[State, ...]]

    def value(self, evidence: Evidence, states: tuple[State, ...]) -> Value:
        """Measure it over the glasses of a campaign.

        Two states are compared glass by glass where they come from the same glasses.
        """
        if len(states) == 1:
            return evidence.peak(states[0], self.column)
        measures = (peak_of("neutron", self.column), peak_of_state("neutron", self.column))
        one, other = states
        return compared(evidence, one, other, *measures)[0]

    def among(self, names: Collection[str]) -> "Quantity":  # noqa: ARG002  (some interpolate)
        """Give it with no other states than these beside its own."""
        return self

    def of_glass(self, evidence: Evidence, states: tuple[State, ...], glass: str) -> float:
        """Measure it in a single glass."""
        of_glass = peak_of("neutron", self.column)
        first, *others = (of_glass(evidence, state, glass) for state in states)
        return first - sum(others)


@dataclass(frozen=True)
class HotMinusCold(Quantity):
    """A quantity of a hot state minus that of the cold one of the same density.

    Of the densest recovered pair of equal density; without one, or where heat made a denser glass,
    of the hottest state whose density lies between those of cold ones, recovered or else in situ,
    by interpolation.

    Attributes
    ----------
    series
        Names of the states between which is interpolated in a single glass; None for all.
    """

    series: Collection[str] | None = None

    def among(self, names: Collection[str]) -> Quantity:
        """Give it with no other states than these beside its own."""
        return replace(self, series=names)

    def value(self, evidence: Evidence, states: tuple[State, ...]) -> Value:
        """Measure it over the glasses of a campaign."""
        if len(states) > 1:
            return super().value(evidence, states)
        of_glass = peak_of("neutron", self.column)
        found = at_equal_density(evidence, states[0], of_glass)
        return replace(found.difference, remark=interpolated_text(found))

    def of_glass(self, evidence: Evidence, states: tuple[State, ...], glass: str) -> float:
        """Measure it in a single glass."""
        if len(states) > 1:
            return super().of_glass(evidence, states, glass)
        of_glass = peak_of("neutron", self.column)
        return hot_minus_cold(evidence, states[0], of_glass, glass, self.series)


def _rest(evidence: Evidence) -> tuple[State]:
    return (evidence.ambient(),)


def _hot_and_rest(evidence: Evidence) -> tuple[State, State]:
    chosen = chosen_states(evidence)
    if "hot" not in chosen:
        raise AbsentError("the campaign has no hot state")
    return chosen["hot"], chosen["rest"]


def _hot_and_cold(evidence: Evidence) -> tuple[State, ...]:
    try:
        return most_densified_pair(evidence)
    except AbsentError as error:
        reason = error
    for where in ("recovered", "in situ"):
        for hot in reversed(evidence.find(f"hot {where}")):  # type: ignore[arg-type]
            try:
                at_equal_density(evidence, hot, peak_of("neutron", "height"))
            except AbsentError:
                continue
            return (hot,)
    raise reason


HOT_REST, HOT_COLD = "S(Q1), hot − rest", "S(Q1), hot − cold"
QUANTITIES: Mapping[str, Quantity] = {
    "S(Q1) at rest": Quantity("height", _rest),
    "Q1 at rest, Å⁻¹": Quantity("position", _rest),
    HOT_REST: Quantity("height", _hot_and_rest),
    HOT_COLD: HotMinusCold("height", _hot_and_cold),
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
    for name, quantity in QUANTITIES.items():
        try:
            states = quantity.states(evidence)
            here = quantity.value(evidence, states)
            change = Value(0.0, here.sigma())
            remark = here.remark or _scatter(evidence, quantity, states)
        except AbsentError as error:
            entries.append(Entry("glasses", OWN, name, remark=f"{NOT_MEASURED}: {error}"))
        else:
            entries.append(Entry("glasses", OWN, name, here, change=change, remark=remark))
    return entries


def _scatter(evidence: Evidence, quantity: Quantity, states: tuple[State, ...]) -> str:
    """Say how single glasses scatter in a state, and how much of it is the noise of one box."""
    if len(states) > 1:
        return ""
    column, (state,) = quantity.column, states
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
    for quantity, name in zip(QUANTITIES, ("S_Q1", "Q1_per_A"), strict=False):
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
    others = settings[~settings.setting.isin([*own.setting, *OF_NO_MATTER])]
    if other.results.config.md.held is not None:  # has those states alone that are held on
        absent = (others["first"] == "–") | (others["second"] == "–")
        others = others[~(absent & others.setting.str.startswith("md.states."))]
    remark = f"differs in {_listed(own.setting)}"
    if len(others):
        remark += f"; and also in {_listed(others.setting)}"
    quantities = _of_anneal(evidence, other) if source == ANNEAL else QUANTITIES
    entries = []
    for name, quantity in quantities.items():
        try:
            here, there, change = _against(evidence, other, quantity)
        except AbsentError as error:
            entries.append(Entry(source, names[1], name, remark=f"{NOT_MEASURED}: {error}"))
            continue
        text = f"{remark}. {change.remark}" if change.remark else remark
        entries.append(Entry(source, names[1], name, here, there, change, text))
    return entries


def _against(evidence: Evidence, other: Evidence, quantity: Quantity) -> tuple[Value, Value, Value]:
    """Measure a quantity in two campaigns, and how far apart they are.

    Where the other one has this one's glasses, glass by glass.
    """
    states = quantity.states(evidence)
    here = quantity.value(evidence, states)
    if not _has_the_glasses(evidence, other):
        others = quantity.states(other)
        kinds = [[state.kind for state in each] for each in (states, others)]
        if kinds[0] != kinds[1]:  # in situ and recovered are no measure of each other
            named = [" and ".join(state.name for state in each) for each in (states, others)]
            raise AbsentError(f"{named[0]} here and {named[1]} there are not alike")
        there = quantity.value(other, others)
        return here, there, difference(there, here)
    has = other.results.config.md.states
    if missing := [state.name for state in states if state.name not in has]:
        raise AbsentError(f"{', '.join(missing)} is not among its states")
    shared = {s.name for s in evidence.states if evidence.analysed(s) and other.analysed(s)}
    same = quantity.among(shared)
    change = difference_over_glasses(
        other,
        lambda glass: same.of_glass(other, states, glass) - same.of_glass(evidence, states, glass),
    )
    return here, quantity.value(other, states), change


def _has_the_glasses(evidence: Evidence, other: Evidence) -> bool:
    """Tell whether another campaign goes on from this one's glasses.

    It holds them on, or its runs at rest are the same, to the second that they took.
    """
    if other.results.config.md.held is not None:
        return True
    state = evidence.ambient().name
    try:
        records = [
            [one.results.json(f"md/{state}/{glass}/record.json") for one in (evidence, other)]
            for glass in other.results.config.md.glass_names()
        ]
    except AbsentError:
        return False
    return all(own == others for own, others in records)


def _of_anneal(evidence: Evidence, other: Evidence) -> dict[str, Quantity]:
    """Give what an anneal decides on, of the hottest glass that both campaigns annealed.

    Raises
    ------
    CompareError
        If no released state of that name was annealed in another way, or the glasses are others.
    """
    here, there = (one.results.config.md for one in (evidence, other))
    both = [
        state
        for state in evidence.find("hot recovered")
        if state.name in there.states
        and not state.from_melt
        and any(here.states[name] != there.states[name] for name in here.lineage(state.name))
    ]
    if not both:
        raise CompareError(f"{ANNEAL}: no released state of both was annealed in two ways")
    if not _has_the_glasses(evidence, other):
        raise CompareError(f"{ANNEAL}: the glasses at rest are others: nothing to compare")
    hot, rest = both[-1], evidence.ambient()
    return {
        HOT_REST: replace(QUANTITIES[HOT_REST], states=lambda _: (hot, rest)),
        HOT_COLD: replace(QUANTITIES[HOT_COLD], states=lambda _: (hot,)),
    }


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
        "Where another campaign has the same glasses, held on by another potential or annealed in "
        "another way, they move glass by glass; what an anneal moves is of the annealed state. "
        "Hot − cold is that of the densest recovered pair of equal density; without one, or where "
        "heat made a denser glass, that of a hot state and the cold series, interpolated. "
        "What is not measured takes a second campaign: "
        "`glassml report budget RESULTS SOURCE=RESULTS`."
    )
    shown = for_page(entries)
    title = "Error budget of the FSDP"
    return Table("budget", title, caption, as_table(entries), limit=len(shown), shown=shown)
