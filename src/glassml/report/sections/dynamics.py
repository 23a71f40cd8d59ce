"""Molecular dynamics: what each state went through."""

import math
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from glassml.report.anneals import anneals, steady_stages
from glassml.report.figures import Canvas, colours, draw
from glassml.report.page import Block, Section, Table
from glassml.report.results import AbsentError, Results, add
from glassml.report.states import State, describe_all

PANELS = (
    ("temperature_K", "temperature, K"),
    ("pressure_GPa", "pressure, GPa"),
    ("density_g_cm3", "density, g/cm³"),
    ("energy_eV_per_atom", "potential energy, eV/atom"),
)
MOST_POINTS = 150  # of a glass in a figure and its table; the run's own series has all
MOST_NAMED = 12


def dynamics_section(results: Results) -> Section:
    """Tell how the glasses were made and compressed."""
    section = Section("dynamics", "Molecular dynamics")
    states = describe_all(results.config.md)
    add(section, results, "States", lambda: _states(results, states))
    hot = [state for state in states if state.kind == "hot in situ"]
    if any(steady_stages(results, state) for state in hot):
        add(section, results, "Anneals", lambda: _anneals(results, hot))
    for kind in dict.fromkeys(state.kind for state in states):
        group = [state for state in states if state.kind == kind]
        add(section, results, f"Series: {kind}", partial(_series, results, kind, group))
    return section


def records(results: Results, state: str) -> dict[str, dict[str, Any]]:
    """Give the records of the glasses that have reached `state`, by glass."""
    found = {}
    for glass in results.config.md.glass_names():
        try:
            found[glass] = results.json(f"md/{state}/{glass}/record.json")
        except AbsentError:
            continue
    return found


def _states(results: Results, states: list[State]) -> Table:
    rows = []
    for state in states:
        for glass, record in records(results, state.name).items():
            status, reason = record["status"], record.get("reason") or ""
            if status != "finished":
                results.warn(f"Dynamics of {state.name}/{glass} {status}: {reason}")
            for text in record.get("warnings", []):
                results.warn(f"Dynamics of {state.name}/{glass}: {text}")
            rows.append(
                {
                    "state": state.name,
                    "glass": glass,
                    "kind": state.kind,
                    "atoms": record.get("atoms"),
                    "steps": record.get("steps"),
                    "wall time_s": record.get("seconds"),
                    "status": status,
                    "reason": reason or "–",
                }
            )
    if not rows:
        raise AbsentError("no state has been run")
    caption = (
        "States of the glasses. A run that trips a guard (temperature, energy, density, distance "
        "between atoms) is stopped with its reason, and its children are skipped."
    )
    return Table("states", "States", caption, pd.DataFrame(rows), limit=200)


def _anneals(results: Results, hot: list[State]) -> Table:
    caption = (
        "Whether the density still rises in anneals under pressure: slope of a straight line "
        "through the second half of the hottest steady stage, its mean and standard error over "
        "glasses. Where it rises or falls by more than three of those errors, what comes of the "
        "anneal is of its length. Steady may also be what is too cold to change: bonds that are "
        "kept tell."
    )
    return Table("anneals", "Anneals under pressure", caption, anneals(results, hot))


def series_table(results: Results, state: State) -> pd.DataFrame:
    """Give the thermodynamic series of all glasses in a state, energies per atom."""
    frames = []
    for glass in results.config.md.glass_names():
        name = f"md/{state.name}/{glass}/series.csv"
        try:
            series = results.table(name)
            atoms = results.json(f"md/{state.name}/{glass}/record.json")["atoms"]
        except AbsentError:
            continue
        frames.append(
            series.assign(
                glass=glass,
                time_ps=series.time_fs / 1000.0,
                energy_eV_per_atom=series.potential_energy_eV / atoms,
            )
        )
    if not frames:
        reasons = {
            record.get("reason") or record["status"]
            for record in records(results, state.name).values()
        }
        raise AbsentError("; ".join(sorted(reasons)) or "this state has not been run")
    columns = ["glass", "stage", "time_ps", *(name for name, _ in PANELS)]
    return pd.concat(frames, ignore_index=True)[columns]


def _series(results: Results, kind: str, states: list[State]) -> Block:
    table, reasons = _group_table(results, states)
    names = list(dict.fromkeys(table.state))
    shown = _thinned(table)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(2, 2, sharex=True)
        palette = dict(zip(names, colours(len(names)), strict=True))
        for axis, (column, label) in zip(axes.flat, PANELS, strict=True):
            for (state, _), group in shown.groupby(["state", "glass"], sort=False):
                axis.plot(group.time_ps, group[column], color=palette[state], lw=0.8)
            axis.set_ylabel(label)
            axis.margins(x=0.01)
        if len(names) == 1:
            for axis in axes.flat:
                _mark_stages(axis, table)
        for axis in axes[1]:
            axis.set_xlabel("time, ps")
        if len(names) <= MOST_NAMED:
            handles = [Line2D([], [], color=palette[name], label=name) for name in names]
            canvas.legend(handles=handles, loc="outside lower center", ncols=min(len(names), 3))

    stages = ", ".join(dict.fromkeys(table.stage.astype(str)))
    caption = (
        f"States of the kind {kind}: temperature, pressure, density and potential energy against "
        "time from the beginning of the state, a line per glass, a colour per state"
        + (" (too many for a legend: the file names them)" if len(names) > MOST_NAMED else "")
        + f". Stages: {stages}. "
        + ("Dashed lines part them. " if len(names) == 1 else "")
        + "Pressure includes the kinetic part and is positive in compression."
        + (f" Not shown: {'; '.join(reasons)}." if reasons else "")
    )
    name = "series_" + kind.replace(" ", "_")
    return draw(name, f"Series: {kind}", caption, shown, paint, size=(7.2, 4.8))


def _group_table(results: Results, states: list[State]) -> tuple[pd.DataFrame, list[str]]:
    """Join the series of states, and tell why some have none."""
    frames, reasons = [], []
    for state in states:
        try:
            frames.append(series_table(results, state).assign(state=state.name))
        except AbsentError as error:
            reasons.append(f"{state.name}: {error}")
    if not frames:
        raise AbsentError("; ".join(reasons))
    table = pd.concat(frames, ignore_index=True)
    return table[["state", *(name for name in table if name != "state")]], reasons


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """Leave at most `MOST_POINTS` of each glass in each state, so that the page stays small."""
    place = table.groupby(["state", "glass"]).cumcount()
    count = table.groupby(["state", "glass"]).stage.transform("size")
    step = (count / MOST_POINTS).apply(math.ceil).clip(lower=1)
    kept = (place % step == 0) | (place == count - 1)
    return table[kept].reset_index(drop=True)


def _mark_stages(axis: Axes, table: pd.DataFrame) -> None:
    """Draw a line where a stage ends and the next begins, by the first glass."""
    first = table[table.glass == table.glass.iloc[0]]
    changes = first.stage.ne(first.stage.shift()).to_numpy().nonzero()[0][1:]
    for time in first.time_ps.to_numpy()[changes]:
        axis.axvline(time, color="0.6", lw=0.7, ls=(0, (4, 3)))
