"""Structure of the glass in its states: S(Q) and its first peak, network, rings."""

from collections.abc import Callable, Sequence

import pandas as pd

from glassml.report.budget import budget, budget_table
from glassml.report.curves import (
    coloured,
    legend_beside,
    mark_peak,
    plot_band,
    plot_measured,
    state_rows,
    with_errors,
)
from glassml.report.evidence import Evidence, Value
from glassml.report.experiment import CITATION, XRAY, neutron_ambient, xray_ambient
from glassml.report.figures import COLOURS, Canvas, Figure, draw
from glassml.report.page import Cell, Section, Table, with_error
from glassml.report.results import AbsentError, Results, add
from glassml.report.sections import equal_density, homology, paths, rings
from glassml.report.sections.view import ring_frame
from glassml.report.states import KINDS, State
from glassml.structure.binning import coarser
from glassml.structure.scattering import scattering_length

ERRORS = (
    "Bands and bars are one standard error over independent glasses; with a single glass there "
    "are none."
)
_LENGTHS = ", ".join(f"b_{symbol} {scattering_length(symbol):g} fm" for symbol in ("Si", "O"))
FABER_ZIMAN = (
    f"Faber-Ziman, S(Q) = 1 + Σ c_a c_b b_a b_b (S_ab − 1)/⟨b⟩², {_LENGTHS}; "
    "a sum over the box's own Q vectors, no window function."
)
WEIGHTINGS = {"neutron": "neutron", "xray": "X-ray"}


def structure_section(results: Results, evidence: Evidence) -> Section:
    """Tell what the structure of each state is."""
    section = Section("structure", "Structure")
    shown = shown_states(evidence)
    figures = (
        ("Neutron S(Q)", lambda: _neutron(evidence, shown)),
        ("First sharp diffraction peak", lambda: _close_up(evidence, shown)),
        ("First peak by neutrons and by X-rays", lambda: _peaks(evidence)),
        ("FSDP against density, hot and cold", lambda: equal_density.heights(evidence)),
        ("Hot against cold at equal density", lambda: equal_density.differences(evidence)),
        ("Error budget of the FSDP", lambda: budget_table(budget(evidence))),
        ("X-ray S(Q)", lambda: _xray(evidence, shown)),
        ("Partial S(Q)", lambda: _partials(evidence)),
        ("Pair distributions", lambda: _pairs(evidence, shown)),
        ("Network", lambda: _network(evidence)),
        ("Bond angles", lambda: _angles(evidence, shown)),
        ("Fifth neighbour", lambda: _kono(evidence, shown)),
        ("Ring sizes", lambda: rings.sizes(evidence, shown)),
        ("Rings in three dimensions", lambda: ring_frame(evidence)),
        ("Aspect ratio of rings", lambda: rings.aspect(evidence, shown)),
        ("Sides of rings", lambda: rings.sides(evidence, shown)),
        ("Slope of the short side", lambda: rings.slopes(evidence)),
        ("S(Q) of ring centres", lambda: rings.centres(evidence, shown)),
        ("Peak of ring centres", lambda: rings.centre_peaks(evidence)),
        ("Distances of ring centres", lambda: rings.centre_distances(evidence, shown)),
        ("Loops of Si against density, hot and cold", lambda: equal_density.loops(evidence)),
        ("Loops of Si, from birth to death", lambda: homology.diagrams(evidence, shown)),
    )
    for title, draw_path in _along_paths(evidence):
        add(section, results, title, draw_path)
    for title, make in figures:
        add(section, results, title, make)
    return section


def _along_paths(evidence: Evidence) -> list[tuple[str, Callable[[], Figure | Table]]]:
    """Give what goes along compression and temperature, as far as the campaign has any."""
    compressed = evidence.find("cold in situ", "hot in situ")
    if not compressed:
        return []
    figures: list[tuple[str, Callable[[], Figure | Table]]] = [
        ("FSDP along the cold and the hot path", lambda: paths.structure_factors(evidence)),
        ("Shape of rings along the cold and the hot path", lambda: paths.aspect_ratios(evidence)),
        ("Centres of rings along the cold and the hot path", lambda: paths.centres(evidence)),
    ]
    if evidence.find("hot in situ"):
        figures[1:1] = [
            ("FSDP against temperature", lambda: paths.temperatures(evidence)),
            ("What heat does under pressure", lambda: paths.heating(evidence)),
        ]
    return figures


def shown_states(evidence: Evidence) -> list[State]:
    """Choose the states that figures show: all that were analysed, or of many one of each kind.

    Of a kind the one of the highest pressure and hottest anneal stands for the others. None does
    for an ambient state: the first is shown, and of the others as many as there is room for.
    Tables have all.
    """
    states = [
        state for state in evidence.states if state.kind != "liquid" and evidence.analysed(state)
    ]
    limit = evidence.results.config.report.states_in_figures
    if len(states) <= limit:
        return states
    ambient = [state for state in states if state.kind == "ambient"]
    last = {state.kind: state for state in states if state.kind != "ambient"}
    return [*ambient[: max(limit - len(last), 1)], *(last[kind] for kind in KINDS if kind in last)]


def _experiment(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add the measured S(Q) to a table as a state of its own."""
    measured = neutron_ambient() if column == "neutron" else xray_ambient()
    measured = measured.rename(columns={"S": column, "S_error": f"{column}_error"})
    return pd.concat([table, measured.assign(state="experiment")], ignore_index=True)


def _neutron(evidence: Evidence, states: Sequence[State]) -> Figure:
    caption = (
        f"Neutron structure factor in bins of {_bin(evidence):g} Å⁻¹. {FABER_ZIMAN} Curves are "
        f"shifted by 1 each, the lowest is not shifted. Circles: {CITATION}. {ERRORS}"
    )
    return _stacked(evidence, states, "neutron", "neutron", caption)


def _stacked(
    evidence: Evidence, states: Sequence[State], column: str, word: str, caption: str
) -> Figure:
    """Draw the S(Q) of states above each other, ambient ones with what was measured."""
    rows = state_rows(evidence, "sq", states, ["q_per_A", "counts", *with_errors(column)])
    rows = coarser(rows[rows.q_per_A <= 16.0], column, _bin(evidence))
    table = _experiment(rows, column)

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        measured = table[table.state == "experiment"]
        label = "experiment, ambient"
        for index, (state, colour) in enumerate(reversed(coloured(states))):
            part = table[table.state == state.name]
            plot_band(axis, part, "q_per_A", column, colour, offset=index, label=state.label)
            if state.kind == "ambient":
                points = (measured.q_per_A, measured[column] + index, measured[f"{column}_error"])
                plot_measured(axis, *points, ms=3, label=label)
                label = "_nolegend_"  # once, with however many ambient states
        axis.set(xlabel=r"$Q$, Å$^{-1}$", ylabel=f"$S(Q)$ {word}, shifted by 1 each", xlim=(0, 16))
        legend_beside(axis, reverse=True)

    size = (7.8, 2.6 + 0.55 * len(states))
    title = f"{word[0].upper()}{word[1:]} S(Q)"
    return draw(f"sq_{column}", title, caption, table, paint, size=size)


def _close_up(evidence: Evidence, states: Sequence[State]) -> Figure:
    frames = []
    for column in WEIGHTINGS:
        rows = state_rows(evidence, "sq", states, ["q_per_A", "counts", *with_errors(column)])
        part = _experiment(coarser(rows, column, _bin(evidence)), column)
        part = part.rename(columns={column: "S", f"{column}_error": "S_error"})
        frames.append(part.assign(weighting=column))
    table = pd.concat(frames, ignore_index=True)
    table = table[(table.q_per_A > 0.4) & (table.q_per_A < 3.5)].reset_index(drop=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 2, sharex=True)
        for axis, (column, word) in zip(axes, WEIGHTINGS.items(), strict=True):
            part = table[table.weighting == column]
            for state, colour in coloured(states):
                own = part[part.state == state.name]
                plot_band(axis, own, "q_per_A", "S", colour, label=state.label)
                mark_peak(axis, evidence, state, column, colour)
            measured = part[part.state == "experiment"]
            points = (measured.q_per_A, measured.S, measured.S_error)
            plot_measured(axis, *points, label="experiment, ambient")
            axis.set(xlabel=r"$Q$, Å$^{-1}$", ylabel=f"$S(Q)$ {word}", xlim=(0.4, 3.5))
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=3)

    caption = (
        "First sharp diffraction peak, by neutrons and by X-rays. Squares: position and height of "
        "the peak fitted to the mean S(Q) of the glasses (definition in the table below); a state "
        f"without a square has no peak. Circles: {CITATION}. {XRAY} S(Q) is shown in bins of "
        f"{_bin(evidence):g} Å⁻¹, in which each Q vector of the boxes counts once. {ERRORS}"
    )
    title = "First sharp diffraction peak"
    return draw("fsdp", title, caption, table, paint, size=(9.2, 4.8))


def _bin(evidence: Evidence) -> float:
    return evidence.results.config.report.sq_bin_per_A


def _peaks(evidence: Evidence) -> Table:
    rows = evidence.summary("fsdp")
    rows = rows[rows.glasses > 0]
    if rows.empty:
        raise AbsentError("no glass was analysed")
    names = ["state", "glasses", "weighting", "peak"]
    table = rows[names + with_errors("position", "height", "fwhm") + ["reason"]].copy()
    definitions = rows.sort_values(["weighting", "peak"], kind="stable").definition.dropna()
    table = table.rename(
        columns={
            "position": "position_per_A",
            "position_error": "± position",
            "height_error": "± height",
            "fwhm": "fwhm_per_A",
            "fwhm_error": "± fwhm",
        }
    )
    shown = _first_peaks(rows[rows.peak == "Q1"])
    caption = (
        f"Peaks of S(Q). {''.join(definitions[:1]).rstrip('.')}. Errors are by bootstrap over "
        "independent glasses, and at least the noise of S(Q); of a single glass, those of the fit. "
        "The file has the second and third peak too."
    )
    title = "First peak by neutrons and by X-rays"
    return Table("peaks", title, caption, table, limit=len(shown), shown=shown)


def _first_peaks(rows: pd.DataFrame) -> pd.DataFrame:
    """Give a line for each state, neutrons beside X-rays; what is no peak says why."""
    lines = []
    for state, own in rows.groupby("state", sort=False):
        by_weighting = {row["weighting"]: row for row in own.to_dict("records")}
        reasons = [
            f"{WEIGHTINGS[name]}: {row['reason']}"
            for name, row in by_weighting.items()
            if isinstance(row["reason"], str) and row["reason"]
        ]
        line: dict[str, object] = {"state": Cell(str(state), "; ".join(reasons))}
        for name, word in WEIGHTINGS.items():
            row = by_weighting.get(name, {})
            for column, title in (
                ("position", "Q1, Å⁻¹"),
                ("height", "S(Q1)"),
                ("fwhm", "width, Å⁻¹"),
            ):
                value = with_error(row.get(column), row.get(f"{column}_error"))
                line[f"{title}, {word}"] = value
        lines.append(line)
    return pd.DataFrame(lines)


def _xray(evidence: Evidence, states: Sequence[State]) -> Figure:
    caption = (
        "X-ray structure factor: Faber-Ziman with form factors f(Q) of neutral atoms "
        f"(Waasmaier and Kirfel), normalised by ⟨f⟩²; bins of "
        f"{_bin(evidence):g} Å⁻¹. Curves are shifted by 1 each. {XRAY} {ERRORS}"
    )
    return _stacked(evidence, states, "xray", "X-ray", caption)


def _partials(evidence: Evidence) -> Figure:
    pairs, mixed = ("Si-Si", "Si-O", "O-O"), ("NN", "NC", "CC")
    ambient = evidence.ambient()
    table = state_rows(evidence, "sq", [ambient], ["q_per_A", *with_errors(*pairs, *mixed)])
    table = table[table.q_per_A <= 12.0].reset_index(drop=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 2, sharex=True)
        for axis, names in zip(axes, (pairs, mixed), strict=True):
            for colour, name in zip(COLOURS, names, strict=False):
                label = name if name in pairs else f"$S_{{{name}}}$"
                plot_band(axis, table, "q_per_A", name, colour, lw=1.0, label=label)
            axis.set(xlabel=r"$Q$, Å$^{-1}$", xlim=(0, 12))
            axis.legend()
        axes[0].set_ylabel(r"partial $S(Q)$, Faber-Ziman")
        axes[1].set_ylabel(r"partial $S(Q)$, Bhatia-Thornton")

    caption = (
        "Partial structure factors of the ambient glass: Faber-Ziman, and Bhatia-Thornton number-"
        "number, number-concentration and concentration-concentration (limits 1, 0 and c_Si c_O). "
        f"The first sharp diffraction peak is in S_NN, not in S_CC. {ERRORS}"
    )
    return draw("sq_partial", "Partial S(Q)", caption, table, paint, size=(8.4, 3.6))


def _pairs(evidence: Evidence, states: Sequence[State]) -> Figure:
    pairs = ("Si-O", "O-O", "Si-Si")
    table = state_rows(evidence, "gr", states, ["r_A", *with_errors(*pairs)])
    table = table[table.r_A <= 8.0].reset_index(drop=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(3, 1, sharex=True)
        for axis, pair in zip(axes, pairs, strict=True):
            for state, colour in coloured(states):
                part = table[table.state == state.name]
                plot_band(axis, part, "r_A", pair, colour, lw=1.0, label=state.label)
            axis.set_ylabel(rf"$g(r)$ {pair}")
            axis.axhline(1.0, color="0.7", lw=0.6, zorder=0)
        axes[-1].set(xlabel=r"$r$, Å", xlim=(1.0, min(8.0, float(table.r_A.max()))))
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside upper center", ncols=3)

    caption = f"Partial pair distribution functions, up to half the box. {ERRORS}"
    return draw("gr", "Pair distributions", caption, table, paint, size=(7.2, 6.0))


NETWORK = (
    "density_g_cm3",
    "coordination_Si_mean",
    "coordination_Si_4",
    "coordination_O_mean",
    "coordination_O_2",
    "bond_Si-O_mean_A",
    "angle_O-Si-O_mean_deg",
    "angle_O-Si-O_sd_deg",
    "angle_Si-O-Si_mean_deg",
    "angle_Si-O-Si_sd_deg",
)


def _bonds_kept(evidence: Evidence, state: State) -> dict[str, Value]:
    """Share of the parent's bonds that a state has; nothing where it has no parent."""
    try:
        return {"bonds_kept": evidence.scalar(state, "bonds_kept")}
    except AbsentError:
        return {}


def _network(evidence: Evidence) -> Table:
    rows: list[dict[str, object]] = []
    shown: list[dict[str, str]] = []
    for state in evidence.states:
        try:
            values = {name: evidence.scalar(state, name) for name in NETWORK}
            kept = _bonds_kept(evidence, state)
            summary = evidence.summary("states", state)
        except AbsentError as error:
            evidence.results.warn(f"Structure: {error}")
            continue
        if int(summary.set_aside.iloc[0]):
            evidence.results.warn(f"Structure of {state.name}: {summary.reasons.iloc[0]}")
        row: dict[str, object] = {"state": state.name, "glasses": int(summary.glasses.iloc[0])}
        for name, value in (values | kept).items():
            row |= {name: value.mean, f"{name}_error": value.error}
        rows.append(row)
        text = {name: with_error(value.mean, value.error) for name, value in values.items()}
        shown.append(
            {
                "state": state.name,
                "density, g/cm³": text["density_g_cm3"],
                "O around Si": text["coordination_Si_mean"],
                "4-fold Si": text["coordination_Si_4"],
                "2-fold O": text["coordination_O_2"],
                "Si‑O, Å": text["bond_Si-O_mean_A"],
                "O‑Si‑O, °": text["angle_O-Si-O_mean_deg"],
                "Si‑O‑Si, °": text["angle_Si-O-Si_mean_deg"],
                "bonds kept": ", ".join(with_error(v.mean, v.error) for v in kept.values()) or "–",
            }
        )
    if not rows:
        raise AbsentError("no state has been analysed")
    caption = (
        "Density, mean coordination, shares, mean bond length and angles over frames and glasses; "
        "± is one standard error over glasses. Bonds are Si-O pairs closer than the first minimum "
        "of g(r). Bonds kept: the share of the bonds at the end of the state before that are there "
        "at the end of this one; a melt keeps none. The file has the standard deviations of the "
        "angles too."
    )
    return Table("network", "Network", caption, pd.DataFrame(rows), shown=pd.DataFrame(shown))


def _angles(evidence: Evidence, states: Sequence[State]) -> Figure:
    names = ("O-Si-O", "Si-O-Si")
    columns = [f"{name}_per_deg" for name in names]
    table = state_rows(evidence, "angles", states, ["angle_deg", *with_errors(*columns)])
    table = table[table.angle_deg >= 60.0].reset_index(drop=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 2)
        for axis, name, column in zip(axes, names, columns, strict=True):
            for state, colour in coloured(states):
                part = table[table.state == state.name]
                plot_band(axis, part, "angle_deg", column, colour, lw=1.1, label=state.label)
            axis.set(xlabel=f"angle {name}, °", ylabel="density, 1/°", ylim=(0, None))
        axes[0].set_xlim(60, 180)
        axes[1].set_xlim(80, 180)
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=3)

    caption = f"Distributions of bond angles, each of integral 1. {ERRORS}"
    return draw("angles", "Bond angles", caption, table, paint, size=(8.2, 3.8))


def _kono(evidence: Evidence, states: Sequence[State]) -> Figure:
    table = state_rows(evidence, "kono_z", states, ["z_A", *with_errors("density_per_A")])

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        for state, colour in coloured(states):
            part = table[table.state == state.name]
            plot_band(axis, part, "z_A", "density_per_A", colour, lw=1.1, label=state.label)
        axis.set(xlabel=r"$z$, Å", ylabel="density, 1/Å", xlim=(0.0, 3.5), ylim=(0, None))
        legend_beside(axis)

    caption = (
        "z of each Si: distance of its fifth Si neighbour minus that of its fourth O neighbour "
        f"(Kono et al., 2022). Compression brings a second population near 1.7 Å. {ERRORS}"
    )
    return draw("kono_z", "Fifth neighbour", caption, table, paint, size=(7.2, 3.2))
