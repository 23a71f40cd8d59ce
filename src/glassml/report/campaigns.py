"""Campaigns side by side: their results, and in which settings they differ."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml

from glassml.campaign.config import load_campaign
from glassml.campaign.errors import GlassmlError
from glassml.report.results import Results


class CompareError(GlassmlError):
    """Two campaigns that cannot be compared; the message says why."""


def load_results(folder: Path) -> Results:
    """Open a campaign's results with the configuration that lies there.

    Raises
    ------
    CompareError
        If the folder is not that of a campaign.
    """
    path = folder / "campaign.yaml"
    if not path.is_file():
        raise CompareError(f"{folder} is no folder of a campaign: there is no campaign.yaml")
    return Results(folder, load_campaign(path, ended=True))


def flattened(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Give a configuration as one level: ``md.atoms`` and so on; lists stay whole."""
    flat: dict[str, object] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        flat |= flattened(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return flat


def config_differences(one: Mapping[str, object], other: Mapping[str, object]) -> pd.DataFrame:
    """List the settings that differ: ``setting``, ``first``, ``second``; – where one has none."""
    flat = [flattened(config) for config in (one, other)]
    rows = [
        {"setting": name, "first": _yaml(flat[0], name), "second": _yaml(flat[1], name)}
        for name in dict.fromkeys([*flat[0], *flat[1]])
        if name not in flat[0] or name not in flat[1] or flat[0][name] != flat[1][name]
    ]
    return pd.DataFrame(rows, columns=["setting", "first", "second"])


def _yaml(flat: Mapping[str, object], name: str) -> str:
    if name not in flat:
        return "–"
    text = yaml.safe_dump(flat[name], default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()
