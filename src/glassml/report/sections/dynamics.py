"""Molecular dynamics: what each state went through."""

from functools import partial
from typing import Any

import pandas as pd

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


def dynamics_section(results: Results) -> Section:
    """Tell how the glasses were made and compressed."""
    section = Section("dynamics", "Molecular dynamics")
    states = describe_all(results.config["md"]["states"])
    add(section, results, "States", lambda: _states(results, states))
    for state in states:
        add(section, results, f"Series: {state.name}", partial(_series, results, state))
    return section


def glass_names(results: Results) -> list[str]:
    """Give the names of the glasses."""
    return [f"glass{index:02d}" for index in range(results.config["md"]["glasses"])]


def records(results: Results, state: str) -> dict[str, dict[str, Any]]:
    """Give the records of the glasses that have reached `state`, by glass."""
    found = {}
    for glass in glass_names(results):
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


def series_table(results: Results, state: State) -> pd.DataFrame:
    """Give the thermodynamic series of all glasses in a state, energies per atom."""
    frames = []
    for glass in glass_names(results):
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


def _series(results: Results, state: State) -> Block:
    table = series_table(results, state)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(2, 2, sharex=True)
        palette = colours(table.glass.nunique())
        for axis, (column, label) in zip(axes.flat, PANELS, strict=True):
            for colour, (glass, group) in zip(palette, table.groupby("glass"), strict=True):
                axis.plot(group.time_ps, group[column], color=colour, lw=0.9, label=glass)
            axis.set_ylabel(label)
            _mark_stages(axis, table)
            axis.margins(x=0.01)
        for axis in axes[1]:
            axis.set_xlabel("time, ps")
        if table.glass.nunique() <= 12:
            handles, labels = axes[0, 0].get_legend_handles_labels()
            canvas.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))

    stages = ", ".join(dict.fromkeys(table.stage))
    caption = (
        f"{state.label}: temperature, pressure, density and potential energy of each glass "
        f"against time from the beginning of the state. Dashed lines part the stages: {stages}. "
        "Pressure includes the kinetic part and is positive in compression."
    )
    name = "series_" + state.name.replace("/", "_").replace(".", "p")
    return draw(name, f"Series: {state.name}", caption, table, paint, size=(7.2, 4.6))


def _mark_stages(axis: Any, table: pd.DataFrame) -> None:
    """Draw a line where a stage ends and the next begins, by the first glass."""
    first = table[table.glass == table.glass.iloc[0]]
    changes = first.stage.ne(first.stage.shift()).to_numpy().nonzero()[0][1:]
    for time in first.time_ps.to_numpy()[changes]:
        axis.axvline(time, color="0.6", lw=0.7, ls=(0, (4, 3)))
