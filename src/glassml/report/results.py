"""Reads what the stages wrote; what is not there is told with its reason, and stops nothing."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from glassml.campaign.config import Campaign
from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import UnreadableError, read_json, read_table_text
from glassml.report.figures import Figure, Missing
from glassml.report.page import Block, Section

Function = TypeVar("Function", bound=Callable[..., object])
Read = TypeVar("Read")


class AbsentError(GlassmlError):
    """A result that the campaign does not have: the message is shown in its place."""


class Results:
    """The files of a campaign.

    Parameters
    ----------
    root
        Folder ``results/{campaign}``.
    config
        The resolved configuration.
    """

    def __init__(self, root: Path, config: Campaign) -> None:
        self.root = root
        self.config = config
        self.warnings: list[str] = []
        self._tables: dict[str, pd.DataFrame] = {}

    def path(self, name: str) -> Path:
        """Give the path of a file, which must be there.

        Raises
        ------
        AbsentError
            Naming the file.
        """
        path = self.root / name
        if not path.exists():
            raise AbsentError(f"not computed: there is no {name}")
        return path

    def last(self, stage: str) -> str:
        """Name a stage's folder of the last generation: of what dynamics used."""
        return f"{stage}/g{self.config.potential.generations - 1}"

    def members(self) -> list[str]:
        """Name the members of the committee: m0, m1 …."""
        return [f"m{index}" for index in range(self.config.potential.committee)]

    def of_members(self, name: str) -> pd.DataFrame:
        """Read a CSV file of each member of the last generation, with a column `member`.

        Raises
        ------
        AbsentError
            If a member does not have it, or it has no rows.
        """
        frames = [
            self.table(f"{self.last('potential')}/{member}/{name}").assign(member=member)
            for member in self.members()
        ]
        return pd.concat(frames, ignore_index=True)

    def table(self, name: str) -> pd.DataFrame:
        """Read a CSV file.

        Raises
        ------
        AbsentError
            If it is not there, is cut off, or has no rows.
        """
        if name not in self._tables:
            try:
                text = self._whole(read_table_text, name)
                self._tables[name] = pd.read_csv(io.StringIO(text))
            except pd.errors.EmptyDataError:
                self._tables[name] = pd.DataFrame()
        if self._tables[name].empty:
            raise AbsentError(f"{name} has no rows")
        return self._tables[name]

    def tables(self, pattern: str, what: str) -> pd.DataFrame:
        """Read all CSV files that match; `what` they hold is said where there are none.

        Raises
        ------
        AbsentError
            If there is none, or all are empty.
        """
        frames = []
        for path in sorted(self.root.glob(pattern)):
            try:
                frames.append(self.table(str(path.relative_to(self.root))))
            except AbsentError:
                continue
        if not frames:
            raise AbsentError(f"not computed: there are no {what}")
        return pd.concat(frames, ignore_index=True)

    def json(self, name: str) -> Any:
        """Read a JSON file.

        Raises
        ------
        AbsentError
            If it is not there, or is cut off.
        """
        return self._whole(read_json, name)

    def _whole(self, read: Callable[[Path], Read], name: str) -> Read:
        """Read a file; one that is cut off counts as absent, and is a warning as well."""
        try:
            return read(self.path(name))
        except UnreadableError as error:
            self.warn(str(error))
            raise AbsentError(str(error)) from error

    def text(self, name: str) -> str:
        """Read a text file.

        Raises
        ------
        AbsentError
            If it is not there.
        """
        return self.path(name).read_text(encoding="utf-8")

    def warn(self, text: str) -> None:
        """Add a line to the page's warnings, once."""
        if text not in self.warnings:
            self.warnings.append(text)


def add(
    section: Section, results: Results, title: str, make: Callable[[], Block | list[Block]]
) -> None:
    """Add what `make` gives to a section, or the reason why it gives nothing.

    A figure that cannot be drawn must not cost the rest of the page; it is a warning as well.
    """
    try:
        made = make()
    except AbsentError as error:
        section.blocks.append(Missing(title, str(error)))
    except Exception as error:  # noqa: BLE001 - see above
        reason = f"could not be made: {type(error).__name__}: {error}"
        section.blocks.append(Missing(title, reason))
        results.warn(f"{title} {reason}")
    else:
        section.blocks += made if isinstance(made, list) else [made]


def figures(sections: list[Section]) -> list[Figure]:
    """List the figures of a page."""
    return [block for section in sections for block in section.blocks if isinstance(block, Figure)]


def by_name(*functions: Function) -> dict[str, Function]:
    """Give functions by their names, as tables of rows and rules call them."""
    return {function.__name__: function for function in functions}
