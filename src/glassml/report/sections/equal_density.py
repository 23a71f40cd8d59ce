"""Hot against cold at equal density: the FSDP and rings along the cold series."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from glassml.report.curves import legend_beside, with_errors
from glassml.report.equal_density import (
    FEW,
    QUANTITIES,
    AtEqualDensity,
    at_equal_density,
    cold_series,
)
from glassml.report.evidence import Evidence, Value
from glassml.report.figures import COLOURS, Canvas, Figure, draw
from glassml.report.page import Cell, Table, with_error
from glassml.report.pairs import chance
from glassml.report.results import AbsentError
from glassml.report.states import State

PLACES = ("recovered", "in situ")
AGAINST = (
    "the cold series, from the glass at rest on, joined by the lines that are interpolated; and "
    "hot states by the temperature of their anneal, or from a melt under pressure. Bars are one "
    "standard error over independent glasses, in which what sets glasses apart has not cancelled "
    "as it has in the table."
)


def _hot_states(evidence: Evidence) -> list[State]:
    states = evidence.find("hot recovered", "hot in situ")
    if not states:
        raise AbsentError("the campaign has no hot state")
    return states


def differences(evidence: Evidence) -> Table:
    """List hot minus cold at the density of each hot state, quantity by quantity."""
    rows: list[dict[str, object]] = []
    shown: list[dict[str, Any]] = []
    for hot in _hot_states(evidence):
        found: dict[str, AtEqualDensity] = {}
        reasons: dict[str, None] = {}
        for name, quantity in QUANTITIES.items():
            try:
                found[name] = at_equal_density(evidence, hot, quantity.of_glass)
            except AbsentError as error:
                # quantities of a state fail alike
                reasons |= dict.fromkeys(str(error).removeprefix(FEW).split("; "))
        rows += [_row(hot, name, compared) for name, compared in found.items()]
        shown.append(_line(hot, found, "; ".join(reasons)))
    if not rows:
        raise AbsentError(FEW + "; ".join(dict.fromkeys(line["hot state"].note for line in shown)))
    caption = (
        "Hot minus cold at the density of the hot state: for each glass, what the line between "
        "the two cold states of nearest density, denser and less dense, has there. Recovered "
        "states are compared with recovered ones, those in situ with those in situ. ± is one "
        "standard error over glasses; below it the difference in such errors, and the probability "
        "of one as large by chance (Student's t): three glasses that agree say less than their "
        "errors. A dash: no peak, or a density beyond the cold series."
    )
    table = pd.DataFrame(rows)
    title = "Hot against cold at equal density"
    return Table(
        "equal_density", title, caption, table, limit=len(shown), shown=pd.DataFrame(shown)
    )


def _line(hot: State, found: dict[str, AtEqualDensity], reason: str) -> dict[str, Cell | str]:
    """Give the line of a hot state on the page; one that cannot be compared says why."""
    first = next(iter(found.values()), None)
    note = f"against {' and '.join(first.between)}" if first else reason
    line: dict[str, Cell | str] = {
        "hot state": Cell(hot.label, note),
        "density, g/cm³": f"{first.density:.3f}" if first else "–",
    }
    for name, quantity in QUANTITIES.items():
        title = f"{quantity.name}, {quantity.unit}".removesuffix(", ")
        line[title] = _cell(found[name]) if name in found else "–"
    return line


def _row(hot: State, name: str, compared: AtEqualDensity) -> dict[str, object]:
    change = compared.difference
    return {
        "state": hot.name,
        "kind": hot.kind,
        "density_g_cm3": compared.density,
        "between": " ".join(compared.between),
        "quantity": name,
        "unit": QUANTITIES[name].unit,
        "hot": compared.hot,
        "cold": compared.cold,
        "difference": change.mean,
        "difference_error": change.error,
        "glasses": compared.glasses,
        "chance": chance(change, compared.glasses),
        "remark": change.remark,
    }


def _cell(compared: AtEqualDensity) -> Cell:
    change = compared.difference
    if not change.error:
        return Cell(with_error(change.mean, change.error))
    sigmas = f"{change.mean / change.error:+.1f}".replace("-", "−")
    return Cell(
        with_error(change.mean, change.error),
        f"{sigmas} errors, p = {chance(change, compared.glasses):.2g}",
    )


def heights(evidence: Evidence) -> Figure:
    """Draw the height of the FSDP against density, hot states beside the cold series."""
    caption = f"Height of the first sharp diffraction peak against density: {AGAINST}"
    title = "FSDP against density, hot and cold"

    def height(state: State) -> Value:
        return evidence.peak(state, "height")

    label = r"$S(Q_1)$ neutron"
    return _against_density(evidence, height, "equal_density_fsdp", title, caption, label)


def loops(evidence: Evidence) -> Figure:
    """Draw how long loops of Si live against density, hot states beside the cold series."""
    caption = (
        "Persistent homology: balls around Si grow, a loop is born where a chain of them closes "
        "and dies where its inside is filled; the sum of all deaths minus births, an Si, against "
        f"density: {AGAINST}"
    )
    title = "Loops of Si against density, hot and cold"

    def life(state: State) -> Value:
        return evidence.scalar(state, "homology_Si_persistence_A")

    label = "life of Si loops, Å per Si"
    return _against_density(evidence, life, "equal_density_loops", title, caption, label)


def _against_density(
    evidence: Evidence,
    value_of: Callable[[State], Value],
    name: str,
    title: str,
    caption: str,
    label: str,
) -> Figure:
    """Draw a quantity against density, the hot states beside the cold series."""
    rows = []
    for hot in _hot_states(evidence):
        try:
            series = cold_series(evidence, hot)
        except AbsentError:
            continue
        for way, state in [("hot", hot), *(("cold", state) for state in series)]:
            try:
                density = evidence.scalar(state, "density_g_cm3")
                value = value_of(state)
            except AbsentError:
                continue
            row: dict[str, object] = {"place": hot.where, "way": way, "state": state.name}
            row |= {"heat": state.heat if way == "hot" else None}
            row |= {"density_g_cm3": density.mean, "density_g_cm3_error": density.error}
            rows.append(row | {"value": value.mean, "value_error": value.error})
    if not rows:
        raise AbsentError("no hot state has a cold series beside it that has this")
    table = pd.DataFrame(rows).drop_duplicates(["place", "way", "state"])
    table = table.astype(dict.fromkeys(with_errors("density_g_cm3", "value"), float))
    places = [place for place in PLACES if (table.place == place).any()]

    heats = dict.fromkeys(
        state.heat for state in sorted(_hot_states(evidence), key=lambda s: s.anneal_temperature_K)
    )
    looks = {heat: f"C{index + 1}" for index, heat in enumerate(heats)}

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, len(places), squeeze=False)[0]
        for axis, place in zip(axes, places, strict=True):
            own = table[table.place == place].sort_values("density_g_cm3")
            _points(axis, own[own.way == "cold"], "cold", "-", COLOURS[0])
            for heat, colour in looks.items():
                _points(axis, own[own.heat == heat], f"hot, {heat}", "none", colour)
            axis.set(title=place, xlabel="density, g/cm³", ylabel=label)
        legend_beside(axes[-1])

    return draw(name, title, caption, table, paint, size=(9.2, 3.8))


def _points(axis: Axes, rows: pd.DataFrame, label: str, line: str, colour: str) -> None:
    """Draw values against densities, with bars where their errors are known."""
    bars = (
        rows[column] if rows[column].notna().any() else None
        for column in ("density_g_cm3_error", "value_error")
    )
    axis.errorbar(
        rows.density_g_cm3,
        rows.value,
        xerr=next(bars),
        yerr=next(bars),
        label=label,
        color=colour,
        ls=line,
        marker="o",
        ms=4,
        capsize=2,
    )
