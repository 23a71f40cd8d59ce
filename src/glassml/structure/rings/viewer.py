"""An interactive 3D view of a glass and its rings, as a piece of HTML that works offline."""

import numpy as np
import plotly.graph_objects as go
from ase import Atoms
from matplotlib import colormaps
from matplotlib.colors import to_hex

from glassml.structure.frames import wrapped
from glassml.structure.rings.search import Rings

SHOWN_SIZES = 3  # all of them at once hide each other
ATOM_STYLE = {14: ("Si", "#c8a26a", 4.0), 8: ("O", "#c0392b", 2.5)}


def ring_colours(sizes: list[int]) -> dict[int, str]:
    """Give each ring size a colour, from viridis, small to large."""
    steps = np.linspace(0.0, 0.95, max(len(sizes), 2))
    return {n: to_hex(colormaps["viridis"](x)) for n, x in zip(sorted(sizes), steps, strict=False)}


def ring_view(atoms: Atoms, rings: Rings, height: int = 620, library: bool = True) -> str:
    """Draw atoms, cell and rings: a fan of triangles from each ring's centre, coloured by size.

    Every size can be switched on and off in the legend; the smallest three are on. Drawn by
    plotly's WebGL; nothing is requested from any network.

    Parameters
    ----------
    atoms
        The structure that was searched.
    rings
        From `find_rings`.
    height
        In pixels.
    library
        Whether to embed plotly's script (once per page, about 5 MB).

    Returns
    -------
    str
        A `<div>` with its scripts, to be put into a page.
    """
    figure = go.Figure()
    folded = wrapped(atoms)
    for number, (name, colour, size) in ATOM_STYLE.items():
        x, y, z = np.round(folded.positions[folded.numbers == number].T, 2)
        marker = {"size": size, "color": colour}
        figure.add_scatter3d(x=x, y=y, z=z, mode="markers", name=name, marker=marker)
    colours = ring_colours(list(rings.counts()))
    for number, (size, colour) in enumerate(colours.items()):
        shown = True if number < SHOWN_SIZES else "legendonly"
        figure.add_trace(_fans(rings.of_size(size), size, colour, shown))
    x, y, z = np.round(_cell_edges(folded.cell.array).T, 3)
    line = {"color": "#555555", "width": 2}
    figure.add_scatter3d(x=x, y=y, z=z, mode="lines", name="cell", line=line)
    axis = {"visible": False}
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": axis,
            "yaxis": axis,
            "zaxis": axis,
            "aspectmode": "data",
            "camera": {"eye": {"x": 1.0, "y": 1.0, "z": 0.7}},
        },
        legend={"title": {"text": f"{rings.criterion} rings (click)"}, "y": 0.92},
        template="none",
    )
    return figure.to_html(
        full_html=False,
        include_plotlyjs=library,
        config={"displaylogo": False, "plotlyServerURL": ""},
    )


def _fans(rings: Rings, size: int, colour: str, shown: bool | str) -> go.Mesh3d:
    """Triangles from the centre of each ring to its bonds, as one mesh."""
    corners = rings.coordinates.reshape(len(rings), 2 * size, 3)
    vertices = np.concatenate([rings.centres[:, None], corners], axis=1)
    start = (2 * size + 1) * np.arange(len(rings))[:, None]
    around = np.arange(2 * size)
    x, y, z = np.round(vertices.reshape(-1, 3).T, 2)
    return go.Mesh3d(
        x=x,
        y=y,
        z=z,
        i=np.repeat(start, 2 * size, axis=1).ravel(),
        j=(start + 1 + around).ravel(),
        k=(start + 1 + (around + 1) % (2 * size)).ravel(),
        color=colour,
        opacity=0.35,
        flatshading=True,
        hoverinfo="skip",
        name=f"{size} Si ({len(rings)})",
        showlegend=True,
        visible=shown,
    )


def _cell_edges(cell: np.ndarray) -> np.ndarray:
    """Path along the twelve edges of a cell; NaN lifts the pen."""
    a, b, c = cell
    o = np.zeros(3)
    base = np.array([o, a, a + b, b, o])
    pen_up = np.full((1, 3), np.nan)
    posts = [np.array([corner, corner + c]) for corner in (a, a + b, b)]
    path = [base, base + c, *(x for post in posts for x in (pen_up, post))]
    return np.concatenate(path)
