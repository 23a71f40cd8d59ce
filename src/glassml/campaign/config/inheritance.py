"""Configurations that begin with another file: `base: FILE`, and what is left out of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from glassml.campaign.errors import ConfigError


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    ConfigError
        If it cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None


def inherit(data: Any, files: Sequence[str | Path] = (), line: tuple[Path, ...] = ()) -> Any:
    """Fill a configuration up with what its `base` says.

    Sections are joined key by key; any other value, lists too, takes the place of the base's.
    `without` names keys of the base that are left out: a list of keys, or sections with such lists.
    A base may have a base.

    Parameters
    ----------
    data
        What was read from YAML.
    files
        Where it was read from; of several, the last one that names this base. The base is sought
        beside it, or in the working directory where there is none.
    line
        Files that lead here.

    Returns
    -------
    Any
        `data` itself where it has no `base`; else a mapping without `base` and `without`.

    Raises
    ------
    ConfigError
        If the base cannot be read, is no mapping or its own ancestor, or lacks what is left out.
    """
    if not isinstance(data, Mapping) or "base" not in data:
        return data
    named, source = data["base"], _holder(data["base"], files)
    if not isinstance(named, str):
        raise ConfigError(f"{source}: base: expected the name of a file, found {named!r}")
    path = (source.parent / named).resolve()
    if path in line:
        names = " → ".join(each.name for each in (*line, path))
        raise ConfigError(f"{source}: base: {names} goes in a circle")
    base = inherit(read_yaml(path), [path], (*line, path))
    if not isinstance(base, Mapping):
        raise ConfigError(f"{path}: expected a mapping of sections, found {type(base).__name__}")
    own = {key: value for key, value in data.items() if key not in ("base", "without")}
    return _join(_drop(base, data.get("without", {}), f"{source}: without"), own)


def _holder(named: object, files: Sequence[str | Path]) -> Path:
    """Give the last of the files that names this base."""
    for file in map(Path, reversed(files)):
        data = read_yaml(file)
        if isinstance(data, Mapping) and data.get("base") == named:
            return file
    return Path("config")


def _join(base: object, own: object) -> object:
    if not (isinstance(base, Mapping) and isinstance(own, Mapping)):
        return own
    return {**base, **{key: _join(base.get(key), value) for key, value in own.items()}}


def _drop(base: Any, without: Any, place: str) -> Any:
    """Leave out of a section of the base what `without` says of it."""
    keys = without if isinstance(without, list | Mapping) else [without]
    if missing := [key for key in keys if not isinstance(base, Mapping) or key not in base]:
        raise ConfigError(f"{place}: {', '.join(map(str, missing))}: the base has no such key")
    if not isinstance(without, Mapping):
        return {key: value for key, value in base.items() if key not in keys}
    dropped = {key: _drop(base[key], each, f"{place}.{key}") for key, each in without.items()}
    return {**base, **dropped}
