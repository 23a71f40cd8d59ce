"""The page: sections of text, tables and figures, rendered into one file that needs no other."""

import base64
import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TypedDict

import jinja2
import pandas as pd

from glassml.report.figures import Figure, Missing, table_download, table_text


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of short texts."""

    items: list[str]


@dataclass(frozen=True)
class Cell:
    """A cell of a table with a second, quieter line."""

    text: str
    note: str = ""


class Banner(TypedDict):
    """What the page says on top.

    Attributes
    ----------
    colour
        red, amber, green, or plain.
    """

    colour: str
    headline: str
    lines: list[str]


@dataclass(frozen=True)
class Code:
    """Text as it is in a file, folded away under a title."""

    title: str
    text: str


@dataclass(frozen=True)
class Embedded:
    """A document of its own, shown in a frame when a reader asks for it: an interactive view."""

    name: str
    title: str
    caption: str
    html: str

    @property
    def packed(self) -> str:
        """Give the document compressed, as text that a page can hold."""
        return base64.b64encode(gzip.compress(self.html.encode(), 9, mtime=0)).decode()


@dataclass(frozen=True)
class Table:
    """A table on the page, written beside it as ``tables/{name}.csv``.

    Attributes
    ----------
    name, title, caption
        As of a figure.
    frame
        All numbers.
    digits
        Significant digits on the page; the file has all.
    limit
        Rows on the page; the rest is in the file alone.
    shown
        What is on the page instead of all numbers: fewer columns, values with their errors, under
        names for people.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    digits: int = 4
    limit: int = 60
    shown: pd.DataFrame | None = None

    @property
    def on_page(self) -> pd.DataFrame:
        """Give what is on the page."""
        return self.frame if self.shown is None else self.shown

    @property
    def download(self) -> tuple[str, str]:
        """Give the name and the data URI of the whole table."""
        return table_download(self.name, self.frame)

    @property
    def text(self) -> str:
        """Give the table as CSV."""
        return table_text(self.frame)

    @property
    def header(self) -> list[str]:
        """Give the names of the columns for people; those of `shown` are so already."""
        if self.shown is not None:
            return [str(name) for name in self.shown.columns]
        return [readable(str(name)) for name in self.frame.columns]

    @property
    def rows(self) -> list[list[tuple[Cell, bool]]]:
        """Give each cell, and whether it is a number."""
        return [
            [
                (
                    value if isinstance(value, Cell) else Cell(show(value, self.digits)),
                    _is_number(value),
                )
                for value in row
            ]
            for row in self.on_page.head(self.limit).itertuples(index=False)
        ]

    @property
    def hidden(self) -> int:
        """Count the rows that are not on the page."""
        return max(len(self.on_page) - self.limit, 0)


Block = Text | Items | Code | Embedded | Table | Figure | Missing


@dataclass
class Section:
    """A section of the page; a folded one is opened by a click, a search or a link into it."""

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    folded: bool = False


UNITS = {
    "K": "K",
    "GPa": "GPa",
    "A": "Å",
    "eV": "eV",
    "meV": "meV",
    "fs": "fs",
    "ps": "ps",
    "s": "s",
    "MB": "MB",
    "THz": "THz",
    "h": "h",
    "deg": "°",
}
COMPOUND_UNITS = {
    "meV_per_atom": "meV/atom",
    "eV_per_atom": "eV/atom",
    "eV_per_A3": "eV/Å³",
    "eV_per_A": "eV/Å",
    "g_cm3": "g/cm³",
    "per_A": "1/Å",
    "inv_A": "1/Å",
    "K_per_ps": "K/ps",
    "A3": "Å³",
    "A2": "Å²",
}


def readable(name: str) -> str:
    """Write a column's name with its unit in words: ``temperature_K`` as ``temperature, K``."""
    for suffix, unit in COMPOUND_UNITS.items():
        if name.endswith("_" + suffix):
            return f"{name[: -len(suffix) - 1].replace('_', ' ')}, {unit}"
    head, _, tail = name.rpartition("_")
    if head and tail in UNITS:
        return f"{head.replace('_', ' ')}, {UNITS[tail]}"
    return name.replace("_", " ")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def show(value: object, digits: int = 4) -> str:
    """Write a value for people: numbers with `digits` significant digits, nothing as a dash."""
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:.{digits}g}"
        if "e" in text and abs(value) < 10 ** (digits + 3) and abs(value) > 1:
            text = f"{value:.0f}"
        return text.replace("-", "−")
    return str(value)


def with_error(mean: float | None, error: float | None) -> str:
    """Write a value with its error, both to the error's second digit: ``1.51 ± 0.03``.

    Of a value at most five digits, as errors of a few glasses that agree by chance are no digits.
    """
    if mean is None or not math.isfinite(mean):
        return "–"
    if error is None or not math.isfinite(error) or error <= 0.0:
        return show(float(mean))
    decimals = 1 - math.floor(math.log10(error))
    if mean:
        decimals = min(decimals, 4 - math.floor(math.log10(abs(mean))))
    decimals = max(decimals, 0)
    error = max(error, 10.0**-decimals)
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")


def render(
    title: str,
    subtitle: str,
    banner: Banner,
    sections: Sequence[Section],
    footer: str,
    answers: Sequence[tuple[str, str]] = (),
) -> str:
    """Render the page.

    Parameters
    ----------
    title, subtitle
        Headline.
    banner
        What the gates say.
    sections
        In order.
    footer
        Versions in one line.
    answers
        What was asked and what came out: a word and a line each.

    Returns
    -------
    str
        HTML; pictures, tables, style and the script of the search are inside, and nothing is
        loaded from anywhere.
    """
    templates = files("glassml.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"page": (templates / "report.html").read_text(encoding="utf-8")}),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page").render(
        title=title,
        subtitle=subtitle,
        banner=banner,
        sections=sections,
        footer=footer,
        answers=answers,
        script=(templates / "report.js").read_text(encoding="utf-8"),
        css=(templates / "report.css").read_text(encoding="utf-8"),
        kind=lambda block: type(block).__name__.lower(),
    )
