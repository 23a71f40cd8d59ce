"""The list of all keys, made from the models: what `glassml campaign keys` prints."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from glassml.campaign.config import Campaign


def describe_keys() -> list[str]:
    """Describe every key of a campaign, one line each, indented by its section."""
    return list(_describe(Campaign, ""))


def keys_page() -> str:
    """Give the page `docs/keys.md`: every key as an item of a list, in lines of 100 characters."""
    lines = [
        "# Keys of a configuration",
        "",
        "Made by `glassml campaign keys --markdown`; a test compares it with the models.",
        "",
    ]
    for line in describe_keys():
        text = line.lstrip()
        indent = line[: len(line) - len(text)]
        name = re.match(r"[\w\[\]]+", text)
        assert name is not None, line
        item = f"{indent}- `{name.group()}`{text[name.end() :]}"
        lines += textwrap.wrap(
            item,
            100,
            subsequent_indent=indent + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"


def _describe(model: type[BaseModel], indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        sections = _sections(field.annotation)
        yield f"{indent}{name}{_default(field, bool(sections))}{_description(field, sections)}"
        for section in sections:
            inner = indent + "  "
            if len(sections) > 1:
                yield f"{inner}[{section.__name__}] {_first_line(section)}"
                inner += "  "
            yield from _describe(section, inner)


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """Find the sections in a type, also within dictionaries, tuples and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for part in get_args(annotation):
        found += [section for section in _sections(part) if section not in found]
    return found


def _default(field: FieldInfo, is_section: bool) -> str:
    if field.is_required():
        return " (required)"
    if is_section or field.default_factory is not None:
        return ""
    return f" = {field.default!r}"


def _description(field: FieldInfo, sections: list[type[BaseModel]]) -> str:
    text = field.description or (_first_line(sections[0]) if len(sections) == 1 else "")
    return f": {text}" if text else ""


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]
