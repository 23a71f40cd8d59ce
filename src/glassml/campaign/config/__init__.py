"""Typed configuration of a campaign: one model per section, checked whole before any job."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails

from glassml.campaign.config.base import Section, has_ended
from glassml.campaign.config.configurations import Configurations, FromFile
from glassml.campaign.config.dataset import Dataset
from glassml.campaign.config.dft import Dft
from glassml.campaign.config.inheritance import inherit, read_yaml
from glassml.campaign.config.md import MolecularDynamics
from glassml.campaign.config.potential import Potential
from glassml.campaign.config.report import Report
from glassml.campaign.config.structure import Structure
from glassml.campaign.errors import ConfigError
from glassml.campaign.files import write_text
from glassml.campaign.provenance import functional_mistake
from glassml.campaign.trust import mistake

__all__ = [
    "Campaign",
    "inherit",
    "load_campaign",
    "parse_campaign",
    "resolved_text",
    "write_resolved",
]


class Campaign(Section):
    """A whole campaign, from configurations to the report."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="Name of the campaign: its folder in results/."
    )
    title: str = Field(default="", description="Headline of the report.")
    seed: int = Field(default=2023, ge=0, description="Seed from which all random numbers derive.")
    store: str = Field(
        default="results/labels",
        description="Folder of the label store, shared by all campaigns.",
    )
    configurations: Configurations
    dft: Dft = Dft()
    dataset: Dataset = Dataset()
    potential: Potential = Potential()
    md: MolecularDynamics
    structure: Structure = Structure()
    report: Report = Report()

    @model_validator(mode="after")
    def _check_across_sections(self, info: ValidationInfo) -> "Campaign":
        self.dft.check_elements(self.configurations.elements())
        for package in self.potential.packages():
            self.dataset.check_held_out(self.seed, Path(package))
        self._check_functionals()
        self._check_convergence()
        if self.potential.search.glasses:
            self.md.check_first_state()
        for package in () if has_ended(info) else self.md.student_packages():
            if untrusted := mistake(package, self.potential.trust):
                raise ValueError(f"md: student: package: {untrusted}")
        return self

    def _check_convergence(self) -> None:
        known = self.configurations.families
        if unknown := [name for name in self.dft.convergence.families if name not in known]:
            raise ValueError(
                f"dft.convergence.families: there is no family {', '.join(unknown)}; "
                f"configurations.families has {', '.join(known)}"
            )

    def _check_functionals(self) -> None:
        """Refuse labels of another functional; a file that is not there yet is read later."""
        files = [(file.path, file.labels) for file in self.dataset.include]
        files += [
            (family.path, family.labels)
            for family in self.configurations.families.values()
            if isinstance(family, FromFile) and family.labels is not None
        ]
        for path, labels in files:
            if labels.xc is None and not Path(path).is_file():
                continue
            if different := functional_mistake(path, labels.xc, self.dft.xc):
                raise ValueError(different)


def parse_campaign(data: object, source: str = "configuration", *, ended: bool = False) -> Campaign:
    """Check a mapping and return it as a `Campaign` with every default filled in.

    Parameters
    ----------
    data
        What was read from YAML: nested mappings, lists and scalars.
    source
        Name of the file, for messages.
    ended
        Whether the campaign is read for its results alone, also where its package is not.

    Raises
    ------
    ConfigError
        With one line per mistake: the key's path, the value, and what was expected.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, found {type(data).__name__}")
    try:
        return Campaign.model_validate(data, context={"ended": ended})
    except ValidationError as error:
        mistakes = _own_mistakes(error.errors())
        lines = [f"{source}: {len(mistakes)} mistake(s)", *map(_explain, mistakes)]
        raise ConfigError("\n".join(lines)) from None


def load_campaign(path: str | Path, *, ended: bool = False) -> Campaign:
    """Read and check a campaign's YAML file, with what its `base` says.

    `ended` is that of `parse_campaign`.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not YAML, or does not describe a campaign.
    """
    path = Path(path)
    return parse_campaign(inherit(read_yaml(path), [path]), str(path), ended=ended)


def resolved_text(campaign: Campaign) -> str:
    """Give a campaign with all defaults filled in, as YAML."""
    return yaml.safe_dump(campaign.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def write_resolved(campaign: Campaign, path: str | Path) -> None:
    """Write a campaign with all defaults filled in; a file that says so already is left alone."""
    text = resolved_text(campaign)
    path = Path(path)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _own_mistakes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out lists that pydantic calls too short because it refused what is in them."""
    places = [item["loc"] for item in errors]
    return [
        item
        for item in errors
        if item["type"] != "too_short"
        or not any(place[: len(item["loc"])] == item["loc"] != place for place in places)
    ]


def _explain(item: ErrorDetails) -> str:
    """Tell one mistake: path, value, reason, and the keys there are where one is misspelt."""
    path = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"][:-1])
        hint = f"; known keys here: {', '.join(known)}" if known else ""
        return f"  {path}: unknown key{hint}"
    if item["type"] == "missing":
        return f"  {path}: is required and missing"
    value = item["input"]
    shown = "" if isinstance(value, dict | list) else f" (got {value!r})"
    return f"  {path}: {item['msg'].removeprefix('Value error, ')}{shown}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """List the keys of the section at `location`, if it is a plain nested section."""
    model: Any = Campaign
    for part in location:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            return []
        model = field.annotation
    return sorted(model.model_fields) if hasattr(model, "model_fields") else []
