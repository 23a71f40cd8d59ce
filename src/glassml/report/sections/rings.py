"""Figures of rings: sizes, shapes, centres."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from glassml.campaign.names import KING
from glassml.report.curves import legend_beside
from glassml.report.evidence import Evidence
from glassml.report.figures import COLOURS, Canvas, Figure, draw
from glassml.report.page import Table, with_error
from glassml.report.pairs import fit_centres
from glassml.report.results import AbsentError
from glassml.report.states import State
from glassml.structure.binning import coarser

DEFINITIONS = {
    "primitive": "primitive: no shortcut between any two of its atoms",
    "king": "King: shortest path between two neighbours of an atom that avoids it",
    "king-shell": "King (R.I.N.G.S.): the path avoids the atom's other neighbours too",
    "guttman": "Guttman: shortest path that closes a bond",
}
SHAPE = (
    "A ring's Si and O atoms, unwrapped along its bonds, have the gyration tensor "
    "G = ⟨(r−r_c)(r−r_c)ᵀ⟩ with eigenvalues e₁ ≤ e₂ ≤ e₃; l_i = √e_i: thickness l₁, short side l₂, "
    "long side l₃."
)
ERRORS = "Bars are one standard error over independent glasses."
CENTRE_BIN_PER_A = 0.08
FEWEST = 0.005  # sizes of a smaller share of all rings are left out of the figures of shape


def _rows(
    evidence: Evidence, table: str, states: Sequence[State], columns: Sequence[str], **where: str
) -> pd.DataFrame:
    frames = []
    for state in states:
        try:
            frames.append(evidence.summary(table, state, **where)[["state", *columns]])
        except AbsentError:
            continue
    if not frames:
        raise AbsentError(f"{table}.csv has nothing of {', '.join(s.name for s in states)}")
    return pd.concat(frames, ignore_index=True)


def _coloured(states: Sequence[State]) -> list[tuple[State, str]]:
    return list(zip(states, COLOURS, strict=False))


def _criteria(evidence: Evidence) -> list[str]:
    asked = evidence.results.config.structure.ring_criteria
    return [name for name in DEFINITIONS if name in asked]


def sizes(evidence: Evidence, states: Sequence[State]) -> Figure:
    """Draw the share of ring sizes by criterion and state."""
    criteria = _criteria(evidence)
    columns = ["criterion", "size", "per_si", "per_si_error", "fraction", "fraction_error"]
    table = _rows(evidence, "rings", states, columns)
    table = table[table.criterion.isin(criteria)].reset_index(drop=True)

    def paint(canvas: Canvas) -> None:
        rows = (len(criteria) + 1) // 2
        axes = np.atleast_1d(canvas.subplots(rows, min(len(criteria), 2), sharex=True)).ravel()
        width = 0.8 / len(states)
        for axis, criterion in zip(axes, criteria, strict=False):
            part = table[table.criterion == criterion]
            for index, (state, colour) in enumerate(_coloured(states)):
                own = part[part.state == state.name]
                axis.bar(
                    own["size"] + (index - (len(states) - 1) / 2) * width,
                    own.fraction,
                    width,
                    yerr=own.fraction_error if own.fraction_error.notna().any() else None,
                    color=colour,
                    error_kw={"lw": 0.8},
                    label=state.label,
                )
            axis.set(title=criterion, ylabel="share of rings")
            axis.set_xticks(range(int(table["size"].min()), int(table["size"].max()) + 1))
        for axis in axes[len(criteria) :]:
            axis.remove()
        for axis in axes[max(len(criteria) - 2, 0) : len(criteria)]:
            axis.set_xlabel("ring size, Si atoms")
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=3)

    named = "; ".join(DEFINITIONS[criterion] for criterion in criteria)
    caption = (
        f"Ring sizes on the Si-O network, size in Si atoms, as shares of all rings of a criterion. "
        f"{named}. The file has rings per Si too. {ERRORS}"
    )
    height = 1.2 + 2.0 * ((len(criteria) + 1) // 2)
    return draw("ring_sizes", "Ring sizes", caption, table, paint, size=(8.4, height))


def shapes(evidence: Evidence, states: Sequence[State], criterion: str) -> pd.DataFrame:
    """Give the shape of rings of Si and O by state and size, but for sizes that are rare.

    Raises
    ------
    AbsentError
        If no state has rings of this criterion.
    """
    names = ("aspect_ratio_mean", "l1_A_mean", "l2_A_mean", "l3_A_mean", "roughness_mean")
    columns = ["size", *(c for name in names for c in (name, f"{name}_error"))]
    table = _rows(evidence, "ring_shape", states, columns, criterion=criterion, atoms="Si+O")
    shares = _rows(evidence, "rings", states, ["size", "fraction"], criterion=criterion)
    table = table.merge(shares, on=["state", "size"], how="left")
    return table[table.fraction >= FEWEST].reset_index(drop=True)


def shape_criterion(evidence: Evidence) -> str:
    """Name the rings whose shape is drawn: King's, if the campaign has them."""
    criteria = _criteria(evidence)
    return KING if KING in criteria else criteria[0]


def _plot_sizes(axis, table: pd.DataFrame, column: str, states: Sequence[State]) -> None:  # noqa: ANN001
    """Plot a mean against ring size, with bars where there are errors."""
    for index, (state, colour) in enumerate(_coloured(states)):
        own = table[table.state == state.name]
        error = own[f"{column}_error"]
        axis.errorbar(
            # Side by side, so that the bars of two states can be told apart.
            own["size"] + 0.04 * (index - (len(states) - 1) / 2),
            own[column],
            yerr=error if error.notna().any() else None,
            fmt="o-",
            ms=4,
            capsize=2,
            color=colour,
            label=state.label,
        )
    axis.set_xlabel(r"ring size $n$, Si atoms")
    axis.set_xticks(range(int(table["size"].min()), int(table["size"].max()) + 1))


def aspect(evidence: Evidence, states: Sequence[State]) -> Figure:
    """Draw l2/l3 against ring size."""
    criterion = shape_criterion(evidence)
    table = shapes(evidence, states, criterion)

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        _plot_sizes(axis, table, "aspect_ratio_mean", states)
        axis.set_ylabel(r"aspect ratio $l_2/l_3$")
        legend_beside(axis)

    caption = (
        f"Aspect ratio l₂/l₃ of {criterion} rings against their size. {SHAPE} Sizes with less than "
        f"{100 * FEWEST:g} % of the rings are left out. {ERRORS}"
    )
    return draw("ring_aspect", "Aspect ratio of rings", caption, table, paint, size=(7.4, 3.8))


def sides(evidence: Evidence, states: Sequence[State]) -> Figure:
    """Draw l2 and l3 against ring size."""
    criterion = shape_criterion(evidence)
    table = shapes(evidence, states, criterion)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 2, sharex=True)
        for axis, name in zip(axes, ("l2", "l3"), strict=True):
            _plot_sizes(axis, table, f"{name}_A_mean", states)
            kind = "short" if name == "l2" else "long"
            axis.set_ylabel(rf"{kind} side $l_{name[1]}$, Å")
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=3)

    caption = (
        f"Short and long sides of {criterion} rings against their size. {SHAPE} Sizes with less "
        f"than {100 * FEWEST:g} % of the rings are left out. {ERRORS}"
    )
    return draw("ring_sides", "Sides of rings", caption, table, paint, size=(8.4, 3.8))


def slopes(evidence: Evidence) -> Table:
    """List the slope of l2 against ring size."""
    rows = evidence.summary("ring_slope")
    table = rows[["state", "criterion", "atoms", "glasses", "slope_A", "slope_A_error"]]
    caption = (
        "Slope d l₂/dn over n = 5 to 8, by the shape of a ring's Si and O atoms: what hot "
        "compression is said to reduce. ± is one standard error over independent glasses. The file "
        "has the shape of the Si atoms alone too."
    )
    both = table[table.atoms == "Si+O"]
    pairs = zip(both.slope_A, both.slope_A_error, strict=True)
    both = both.assign(text=[with_error(*pair) for pair in pairs])
    shown = both.pivot_table(
        index="state", columns="criterion", values="text", aggfunc="first", sort=False
    ).reset_index()
    shown.columns = pd.Index(
        [name if name == "state" else f"{name}, Å" for name in map(str, shown.columns)]
    )
    return Table("ring_slope", "Slope of the short side", caption, table, shown=shown)


def centres(evidence: Evidence, states: Sequence[State]) -> Figure:
    """Draw S(Q) of the centres of rings."""
    columns = ["size", "q_per_A", "counts", "centre-centre", "centre-centre_error"]
    rows = _rows(evidence, "ring_centre_sq", states, columns)
    rows = rows[(rows["size"].astype(str) == "all") & (rows.q_per_A <= 6.0)]
    table = coarser(rows, "centre-centre", CENTRE_BIN_PER_A)

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        for state, colour in _coloured(states):
            own = table[table.state == state.name]
            axis.plot(own.q_per_A, own["centre-centre"], color=colour, label=state.label)
            error = own["centre-centre_error"]
            if error.notna().any():
                low, high = own["centre-centre"] - error, own["centre-centre"] + error
                axis.fill_between(own.q_per_A, low, high, color=colour, alpha=0.22, lw=0)
        axis.set(
            xlabel=r"$Q$, Å$^{-1}$", ylabel=r"$S(Q)$ of ring centres", xlim=(0, 6), ylim=(0, None)
        )
        legend_beside(axis)

    caption = (
        f"Structure factor of the centres (means of the Si and O positions) of all "
        f"{_criteria(evidence)[0]} rings, in bins of {CENTRE_BIN_PER_A:g} Å⁻¹. Rings that pass "
        "the same Si are one, and each Si is shared evenly by the rings it lies on: a ring has the "
        "sum of its shares as its weight. Bands are one standard error over independent glasses."
    )
    return draw("ring_centre_sq", "S(Q) of ring centres", caption, table, paint, size=(7.8, 3.8))


def centre_peaks(evidence: Evidence) -> Table:
    """List the peak of S(Q) of ring centres of each state beside Q1."""
    rows: list[dict[str, object]] = []
    reasons: dict[str, None] = {}
    for state in evidence.states:
        try:
            peak = fit_centres(evidence.summary("ring_centre_sq", state), state.name)
        except AbsentError as error:
            reasons[str(error)] = None
            continue
        row: dict[str, object] = {"state": state.name}
        try:
            row |= {"Q1_per_A": evidence.peak(state, "position").mean}
        except AbsentError:
            row |= {"Q1_per_A": None}
        row |= {"position_per_A": peak.position, "position_error": peak.position_error}
        rows.append(row | {"height": peak.height, "height_error": peak.height_error})
    if not rows:
        raise AbsentError("; ".join(reasons) or "there are no states")
    table = pd.DataFrame(rows).astype({"Q1_per_A": float})
    places = zip(table.position_per_A, table.position_error, strict=True)
    heights = zip(table.height, table.height_error, strict=True)
    shown = pd.DataFrame(
        {
            "state": table.state,
            "Q1, Å⁻¹": [with_error(q1, None) for q1 in table.Q1_per_A],
            "peak of ring centres, Å⁻¹": [with_error(*pair) for pair in places],
            "its height": [with_error(*pair) for pair in heights],
        }
    )
    caption = (
        f"Peak of S(Q) of the centres of all {_criteria(evidence)[0]} rings, fitted as the first "
        "peak of S(Q) is, beside Q1 by neutrons. ± is the error of the fit, from the number of Q "
        "vectors. A state without such a peak is left out."
    )
    title = "Peak of ring centres"
    return Table("ring_centre_peak", title, caption, table, limit=len(shown), shown=shown)


def centre_distances(evidence: Evidence, states: Sequence[State]) -> Figure:
    """Draw g(r) of the centres of rings."""
    columns = ["size", "r_A", "centre-centre", "centre-Si", "centre-O"]
    table = _rows(evidence, "ring_centre_gr", states, columns)
    table = table[table["size"].astype(str) == "all"].reset_index(drop=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 3, sharex=True)
        for axis, name in zip(axes, ("centre-centre", "centre-Si", "centre-O"), strict=True):
            for state, colour in _coloured(states):
                own = table[table.state == state.name]
                axis.plot(own.r_A, own[name], lw=1.0, color=colour, label=state.label)
            axis.set(xlabel=r"$r$, Å", ylabel=rf"$g(r)$ {name}", xlim=(0, min(10, table.r_A.max())))
            # Rings that share most of their Si lie on each other: that peak is cut.
            axis.set_ylim(0, min(3.0, axis.get_ylim()[1]))
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=3)

    caption = (
        f"Pair distributions of the centres of all {_criteria(evidence)[0]} rings with each other, "
        "with Si and with O; rings that pass the same Si are one. Rings that share most of their "
        "Si have centres close to each other: where g(r) is above 3 it is cut off in the figure."
    )
    title = "Distances of ring centres"
    return draw("ring_centre_gr", title, caption, table, paint, size=(9.0, 3.4))
