"""Persistence diagrams of the glass in its states."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from glassml.report.curves import state_rows, with_errors
from glassml.report.evidence import Evidence
from glassml.report.figures import Canvas, Figure, draw
from glassml.report.results import AbsentError
from glassml.report.states import State
from glassml.structure.homology import BIN_A

COLUMNS = 3
FEWEST = 3e-4  # loops an Si


def diagrams(evidence: Evidence, states: Sequence[State]) -> Figure:
    """Draw the loops of Si by birth and death, a panel for each state."""
    columns = ["element", "birth_A", "death_A", *with_errors("loops")]
    table = state_rows(evidence, "homology", states, columns)
    table = table[(table.element == "Si") & (table.loops > FEWEST)].reset_index(drop=True)
    if table.empty:
        raise AbsentError("no state has loops of Si")
    shown = [state for state in states if (table.state == state.name).any()]
    low, high = table.birth_A.min() - BIN_A, table.death_A.max() + BIN_A
    edges = np.arange(low - BIN_A / 2, high + BIN_A, BIN_A)
    norm = LogNorm(FEWEST, table.loops.max())

    def paint(canvas: Canvas) -> None:
        panels = canvas.subplots(
            -(-len(shown) // COLUMNS), COLUMNS, sharex=True, sharey=True, squeeze=False
        ).ravel()
        for axis in panels[len(shown) :]:
            axis.remove()
        panels = panels[: len(shown)]
        for index, (axis, state) in enumerate(zip(panels, shown, strict=True)):
            image = axis.pcolormesh(edges, edges, _grid(table, state, edges).T, norm=norm)
            axis.plot([low, high], [low, high], color="0.6", lw=0.6)
            axis.set_title(state.label, fontsize=8)
            if index >= len(shown) - COLUMNS:
                axis.set_xlabel("birth, Å")
                axis.tick_params(labelbottom=True)
            if index % COLUMNS == 0:
                axis.set_ylabel("death, Å")
        canvas.colorbar(image, ax=list(panels), label=f"loops per Si in {BIN_A:g} Å squared")

    caption = (
        "Persistence diagrams: each loop of Si by the radius of balls at which it is born and at "
        "which it dies (one-dimensional holes of the alpha complex of the Si atoms, last frame), "
        "means over glasses. Far from the line are loops that last."
    )
    title = "Loops of Si, from birth to death"
    height = 0.8 + 2.4 * -(-len(shown) // COLUMNS)
    return draw("homology", title, caption, table, paint, size=(9.2, height))


def _grid(table: pd.DataFrame, state: State, edges: np.ndarray) -> np.ndarray:
    """Put the loops of a state on squares; those without any are not a number."""
    own = table[table.state == state.name]
    grid, _, _ = np.histogram2d(own.birth_A, own.death_A, bins=(edges, edges), weights=own.loops)
    return np.where(grid > 0, grid, np.nan)
