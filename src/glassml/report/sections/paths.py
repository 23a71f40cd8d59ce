"""Figures along the two paths: cold under rising pressure, hot under one pressure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from glassml.report.curves import plot_band, state_rows, with_errors
from glassml.report.evidence import Evidence
from glassml.report.figures import COLOURS, Canvas, Figure, draw
from glassml.report.heating import PLACES, QUANTITIES, heated, hot_path, hot_pressure
from glassml.report.page import Table, with_error
from glassml.report.results import AbsentError
from glassml.report.sections.rings import (
    CENTRE_BIN_PER_A,
    FEWEST,
    SHAPE,
    shape_criterion,
    shapes,
)
from glassml.report.states import State
from glassml.structure.binning import coarser

ERRORS = "Bands and bars are one standard error over independent glasses."
WEIGHTINGS = {"neutron": "neutron", "xray": "X-ray"}
HEIGHT_COLUMNS = [
    "state",
    "where",
    "temperature_K",
    "from_melt",
    "weighting",
    "height",
    "height_error",
]
SIZE = (9.2, 4.4)


@dataclass(frozen=True)
class Path:
    """States of a figure's panel, in order, each with what its legend says."""

    title: str
    states: tuple[State, ...]
    labels: tuple[str, ...]

    def coloured(self) -> list[tuple[State, str, str]]:
        """Give states with their labels and colours, dark to light."""
        shades = colormaps["viridis"]
        last = max(len(self.states) - 1, 1)
        colours = [to_hex(shades(0.88 * index / last)) for index in range(len(self.states))]
        return list(zip(self.states, self.labels, colours, strict=True))


def paths(evidence: Evidence) -> list[Path]:
    """Give the cold path in situ, and the hot one under the pressure of most hot states.

    The hot path begins with the cold state under that pressure, goes on with the anneals by
    temperature, and ends with what was quenched from the melt.

    Raises
    ------
    AbsentError
        If the campaign has neither.
    """
    found = []
    cold = [state for state in _cold(evidence) if evidence.analysed(state)]
    if len(cold) > 1:
        labels = tuple(f"{state.pressure_GPa or 0.0:g} GPa" for state in cold)
        found.append(Path("300 K, in situ", tuple(cold), labels))
    pressure = hot_pressure(evidence)
    if pressure is not None:
        hot = hot_path(evidence, pressure, "in situ")
        labels = tuple(_heat(state) for state in hot)
        found.append(Path(f"{pressure:g} GPa, in situ", tuple(hot), labels))
    if not found:
        raise AbsentError("the campaign has no glass that was compressed")
    return found


def _cold(evidence: Evidence) -> list[State]:
    try:
        return evidence.cold_states()
    except AbsentError:
        return []


def _heat(state: State) -> str:
    return state.heat if state.kind.startswith("hot") else "300 K"


def _panels(
    name: str,
    title: str,
    caption: str,
    chosen: Sequence[Path],
    table: pd.DataFrame,
    plot: Callable[[Axes, pd.DataFrame, str, str], None],
    look: Callable[[Axes], object],
) -> Figure:
    """Draw a panel for each path, its states from dark to light."""

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
        for axis, path in zip(axes, chosen, strict=True):
            for state, label, colour in path.coloured():
                own = table[(table.path == path.title) & (table.state == state.name)]
                plot(axis, own, colour, label)
            look(axis)
            axis.set_title(path.title)
            axis.legend(fontsize=8, ncols=1 + len(path.states) // 7)
        for axis in axes[1:]:
            axis.set_ylabel("")

    return draw(name, title, caption, table, paint, size=SIZE)


def _along(chosen: Sequence[Path], rows: Callable[[Sequence[State]], pd.DataFrame]) -> pd.DataFrame:
    """Put together what `rows` gives for the states of each path, which the column `path` names."""
    frames = [rows(path.states).assign(path=path.title) for path in chosen]
    return pd.concat(frames, ignore_index=True)


def _band(column: str) -> Callable[[Axes, pd.DataFrame, str, str], None]:
    """Give what plots a column against Q for a state, with its errors."""

    def plot(axis: Axes, own: pd.DataFrame, colour: str, label: str) -> None:
        plot_band(axis, own, "q_per_A", column, colour, label=label)

    return plot


def structure_factors(evidence: Evidence) -> Figure:
    """Draw the FSDP by neutrons along both paths."""
    chosen = paths(evidence)
    width = evidence.results.config.report.sq_bin_per_A
    columns = ["q_per_A", "counts", *with_errors("neutron")]

    def rows(states: Sequence[State]) -> pd.DataFrame:
        return coarser(state_rows(evidence, "sq", states, columns), "neutron", width)

    table = _along(chosen, rows)
    table = table[(table.q_per_A > 0.4) & (table.q_per_A < 3.5)].reset_index(drop=True)

    caption = (
        "First sharp diffraction peak by neutrons, Faber-Ziman, no window, in bins of "
        f"{width:g} Å⁻¹: under rising pressure at 300 K, and under one pressure by what the glass "
        f"was heated to. {ERRORS}"
    )
    return _panels(
        "paths_sq",
        "FSDP along the cold and the hot path",
        caption,
        chosen,
        table,
        _band("neutron"),
        lambda axis: axis.set(xlabel=r"$Q$, Å$^{-1}$", ylabel=r"$S(Q)$ neutron", xlim=(0.4, 3.5)),
    )


def aspect_ratios(evidence: Evidence) -> Figure:
    """Draw l2/l3 of rings against their size along both paths."""
    chosen = paths(evidence)
    criterion = shape_criterion(evidence)
    columns = ["state", "size", *with_errors("aspect_ratio_mean")]
    table = _along(chosen, lambda states: shapes(evidence, states, criterion)[columns])

    def plot(axis: Axes, own: pd.DataFrame, colour: str, label: str) -> None:
        error = own.aspect_ratio_mean_error
        axis.errorbar(
            own["size"],
            own.aspect_ratio_mean,
            yerr=error if error.notna().any() else None,
            fmt="o-",
            ms=3.5,
            capsize=2,
            color=colour,
            label=label,
        )

    caption = (
        f"Aspect ratio of rings ({criterion}) by their size along both paths. {SHAPE} Sizes with "
        f"less than {100 * FEWEST:g} % of the rings are left out. {ERRORS}"
    )
    return _panels(
        "paths_aspect",
        "Shape of rings along the cold and the hot path",
        caption,
        chosen,
        table,
        plot,
        lambda axis: axis.set(xlabel=r"ring size $n$, Si atoms", ylabel=r"aspect ratio $l_2/l_3$"),
    )


def centres(evidence: Evidence) -> Figure:
    """Draw S(Q) of the centres of rings along both paths."""
    chosen = paths(evidence)
    column = "centre-centre"
    columns = ["size", "q_per_A", "counts", *with_errors(column)]

    def rows(states: Sequence[State]) -> pd.DataFrame:
        found = state_rows(evidence, "ring_centre_sq", states, columns)
        found = found[(found["size"].astype(str) == "all") & (found.q_per_A <= 4.0)]
        return coarser(found, column, CENTRE_BIN_PER_A)

    table = _along(chosen, rows)
    caption = (
        "Structure factor of the centres of all rings along both paths, in bins of "
        f"{CENTRE_BIN_PER_A:g} Å⁻¹; each Si is shared evenly by the rings it lies on. {ERRORS}"
    )
    return _panels(
        "paths_centres",
        "Centres of rings along the cold and the hot path",
        caption,
        chosen,
        table,
        _band(column),
        lambda axis: axis.set(
            xlabel=r"$Q$, Å$^{-1}$", ylabel=r"$S(Q)$ of ring centres", xlim=(0, 4)
        ),
    )


def temperatures(evidence: Evidence) -> Figure:
    """Draw the height of the FSDP under one pressure, and released, against temperature.

    Raises
    ------
    AbsentError
        If there is no hot state, or none under this pressure or released has a peak.
    """
    pressure = hot_pressure(evidence)
    if pressure is None:
        raise AbsentError("the campaign has no hot state")
    table = _height_table(evidence, pressure)
    if set(table["where"]) <= {"at rest"}:
        raise AbsentError(f"no state of {pressure:g} GPa has a first sharp diffraction peak")

    def paint(canvas: Canvas) -> None:
        # a state may have a peak by X-rays alone
        shown: dict[str, Any] = {}
        axes = canvas.subplots(1, 2)
        for axis, (weighting, word) in zip(axes, WEIGHTINGS.items(), strict=True):
            part = table[table.weighting == weighting]
            _at_rest(axis, part[part["where"] == "at rest"])
            for where, colour in zip(PLACES, COLOURS, strict=False):
                own = part[part["where"] == where]
                _heights(axis, own[~own.from_melt], f"annealed, {where}", colour, "o-")
                _heights(axis, own[own.from_melt], f"from the melt, {where}", colour, "D")
            axis.set(xlabel="heated to, K", ylabel=f"$S(Q_1)$ {word}")
            handles, labels = axis.get_legend_handles_labels()
            shown |= dict(zip(labels, handles, strict=True))
        canvas.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=3)

    caption = (
        f"Height of the first sharp diffraction peak at 300 K, under {pressure:g} GPa and released "
        "from it, by what the glass was heated to there: 300 K is the cold cycle, a melt stands at "
        f"the temperature from which it was quenched. Dashed: the glass at rest. {ERRORS}"
    )
    title = "FSDP against temperature"
    return draw("paths_temperature", title, caption, table, paint, size=SIZE)


def _height_table(evidence: Evidence, pressure_GPa: float) -> pd.DataFrame:
    """List heights of the FSDP at rest and along the hot path, by neutrons and X-rays."""
    rows = []
    along = {where: hot_path(evidence, pressure_GPa, where) for where in PLACES}
    for where, states in ({"at rest": evidence.find("ambient")[:1]} | along).items():
        for state, weighting in product(states, WEIGHTINGS):
            try:
                height = evidence.peak(state, "height", weighting=weighting)
            except AbsentError:
                continue
            heated = state.kind.startswith("hot")
            rows.append(
                {
                    "state": state.name,
                    "where": where,
                    "temperature_K": state.anneal_temperature_K if heated else 300.0,
                    "from_melt": state.from_melt,
                    "weighting": weighting,
                    "height": height.mean,
                    "height_error": float("nan") if height.error is None else height.error,
                }
            )
    return pd.DataFrame(rows, columns=HEIGHT_COLUMNS)


def heating(evidence: Evidence) -> Table:
    """List what heat does under one pressure, and what of it stays.

    Raises
    ------
    AbsentError
        If the campaign has no hot state, or none that can be compared.
    """
    changes = heated(evidence)
    if changes.empty:
        raise AbsentError("no hot state can be compared with the cold one under its pressure")
    shown = []
    for name, group in changes.groupby("state", sort=False):
        state = evidence.state(str(name))
        ways = ", else ".join(dict.fromkeys(group.compared))
        line = {"hot state": state.label, "compared": ways} | dict.fromkeys(QUANTITIES, "–")
        for quantity in QUANTITIES:
            own = group[group.quantity == quantity]
            if len(own):
                line[quantity] = with_error(*map(float, own[["change", "change_error"]].iloc[0]))
        shown.append(line)
    caption = (
        "What heat does under one pressure: each hot state minus the cold one that was under the "
        "same pressure at 300 K, in situ, and both released. Glass by glass where they were the "
        "same glasses before; a melt never was. ± is one standard error."
    )
    title = "What heat does under pressure"
    return Table("heating", title, caption, changes, limit=len(shown), shown=pd.DataFrame(shown))


def _at_rest(axis: Axes, own: pd.DataFrame) -> None:
    if own.empty:
        return
    height, error = (float(own[name].iloc[0]) for name in ("height", "height_error"))
    axis.axhline(height, color="0.4", ls="--", lw=1, label="at rest")
    if not np.isnan(error):  # of one glass there is none
        axis.axhspan(height - error, height + error, color="0.4", alpha=0.15, lw=0)


def _heights(axis: Axes, own: pd.DataFrame, label: str, colour: str, fmt: str) -> None:
    if own.empty:
        return
    error = own.height_error if own.height_error.notna().any() else None
    filled = colour if fmt != "D" else "none"
    axis.errorbar(
        own.temperature_K,
        own.height,
        yerr=error,
        fmt=fmt,
        ms=6,
        capsize=2,
        color=colour,
        mfc=filled,
        label=label,
    )
