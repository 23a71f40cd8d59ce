"""Figures of the page: a picture, its caption, and a table of exactly what it shows."""

import base64
import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
import pandas as pd
from cycler import cycler
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Canvas
from PIL import Image

from glassml.campaign.files import atomic_path

# Colour-blind safe (Okabe and Ito), dark enough on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4d4d4d", "#8c510a")
MANY_COLOURS = tuple(to_hex(colour) for colour in colormaps["tab20"].colors)  # type: ignore[attr-defined]
STYLE: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=COLOURS),
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.3,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "glassml",
}
MOST_SVG_BYTES = (
    120_000  # a larger drawing is shown as pixels on the page; its file stays beside it
)
MOST_PLAIN_BYTES = 30_000  # longer tables are compressed inside the page


def colours(number: int) -> tuple[str, ...]:
    """Give colours for a number of curves: the quiet ones while they last, then twenty others."""
    chosen = COLOURS if number <= len(COLOURS) else MANY_COLOURS
    return (chosen * (number // len(chosen) + 1))[:number]


@dataclass(frozen=True)
class Figure:
    """A figure on the page.

    Attributes
    ----------
    name
        Name of its files: ``figures/{name}.png``, ``.svg`` and ``tables/{name}.csv``.
    title, caption
        Heading, and what is shown: definitions, error bars, number of samples.
    table
        Exactly the numbers that are drawn.
    png, svg
        The picture, as pixels and as lines.
    """

    name: str
    title: str
    caption: str
    table: pd.DataFrame
    png: bytes
    svg: bytes = b""

    @property
    def picture_uri(self) -> str:
        """Give the picture as a data URI: lines, or pixels where those take less room."""
        if self.svg and len(self.svg) <= MOST_SVG_BYTES:
            return svg_uri(self.svg)
        return data_uri("image/webp", as_webp(self.png))

    @property
    def download(self) -> tuple[str, str]:
        """Give the name and the data URI of its table."""
        return table_download(self.name, self.table)


@dataclass(frozen=True)
class Missing:
    """Something that the page would show, and why it does not."""

    title: str
    reason: str


def data_uri(kind: str, content: bytes) -> str:
    """Write bytes as a data URI."""
    return f"data:{kind};base64," + base64.b64encode(content).decode()


def svg_uri(svg: bytes) -> str:
    """Write a drawing as a data URI: as text, which takes three quarters of the room of base64."""
    return "data:image/svg+xml," + quote(b" ".join(svg.split()), safe=" /:;,=()")


def as_webp(png: bytes) -> bytes:
    """Give the same pixels, in half the room."""
    made = BytesIO()
    Image.open(BytesIO(png)).save(made, "webp", lossless=True)
    return made.getvalue()


def table_download(name: str, table: pd.DataFrame) -> tuple[str, str]:
    """Give the name and the data URI of a table: a download that needs no server."""
    content = table_text(table).encode()
    if len(content) <= MOST_PLAIN_BYTES:
        return f"{name}.csv", data_uri("text/csv;charset=utf-8", content)
    return f"{name}.csv.gz", data_uri("application/gzip", gzip.compress(content, 9, mtime=0))


def table_text(table: pd.DataFrame) -> str:
    """Write a table as CSV with six significant digits."""
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


@contextmanager
def style(dpi: int) -> Iterator[None]:
    """Draw in the style of the page, with `dpi` dots per inch."""
    with mpl.rc_context(STYLE | {"savefig.dpi": dpi}):
        yield


def draw(
    name: str,
    title: str,
    caption: str,
    table: pd.DataFrame,
    painter: Callable[[Canvas], None],
    *,
    size: tuple[float, float] = (7.2, 4.0),
) -> Figure:
    """Draw a figure with `painter`, which gets an empty canvas of `size` inches."""
    canvas = Canvas(figsize=size)
    FigureCanvasAgg(canvas)
    painter(canvas)
    png, svg = BytesIO(), BytesIO()
    canvas.savefig(png, format="png", metadata={"Software": None})
    with mpl.rc_context({"figure.constrained_layout.use": False}):
        # the same places again, at no cost: "none" would have it drawn once more to find them
        canvas.set_layout_engine(None)
    canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Figure(name, title, caption, table, png.getvalue(), svg.getvalue())


def save(figure: Figure, folder: Path) -> None:
    """Write a figure's picture and table below `folder`."""
    for kind, content in (("png", figure.png), ("svg", figure.svg)):
        if not content:
            continue
        with atomic_path(folder / "figures" / f"{figure.name}.{kind}") as temporary:
            temporary.write_bytes(content)
    with atomic_path(folder / "tables" / f"{figure.name}.csv") as temporary:
        temporary.write_text(table_text(figure.table), encoding="utf-8")
