"""Section `dataset`: filters, split by parent, labels that are merged in."""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from glassml.campaign.config.base import Section
from glassml.campaign.config.configurations import LabelKeys, Pairs

Flag = Literal["force", "stress", "short_bond", "duplicate"]


class Include(Section):
    """A file of labels from elsewhere, e.g. a shipped reference set."""

    path: str = Field(min_length=1, description="extxyz, also .gz; relative to the directory.")
    labels: LabelKeys = Field(default=LabelKeys(), description="Names of its labels.")
    config_type: str = Field(
        default="imported", pattern=r"^[a-z][a-z0-9_]*$", description="Where a frame has none."
    )


class Filters(Section):
    """What is flagged; a flag can be lifted by taking it out of `exclude`, and nothing is lost."""

    force_max_eV_A: float = Field(
        default=100.0, gt=0.0, description="Above: flag `force`. Largest component length."
    )
    stress_max_GPa: float = Field(
        default=300.0, gt=0.0, description="Above: flag `stress`. Largest component."
    )
    shortest_distances: Pairs = Field(
        default=Pairs(Si_O_A=1.15, O_O_A=1.5, Si_Si_A=1.8),
        description="Closer: flag `short_bond`; not for dimers and short pairs.",
    )
    duplicate_distance: float = Field(
        default=0.005,
        ge=0.0,
        le=10.0,
        description="Fingerprint distance (dimensionless) below which the later one of two "
        "structures gets flag `duplicate`: 0.005 is 0.2 % of volume.",
    )
    exclude: list[Flag] = Field(
        default=["force", "stress", "short_bond", "duplicate"],
        description="Flags that keep a configuration out of the sets.",
    )


class Dataset(Section):
    """How labels become training, validation and test sets."""

    validation_fraction: float = Field(default=0.1, gt=0.0, lt=0.5, description="Share of parents.")
    test_fraction: float = Field(default=0.1, gt=0.0, lt=0.5, description="Share of parents.")
    train_only: list[str] = Field(
        default=["crystal", "dimer", "explored"],
        description="Values of config_type that are never held out.",
    )
    filters: Filters = Field(default=Filters(), description="What is flagged and kept out.")
    include: list[Include] = Field(default=[], description="Labels merged in before the split.")

    @model_validator(mode="after")
    def _check_fractions(self) -> "Dataset":
        if self.validation_fraction + self.test_fraction > 0.8:
            raise ValueError("validation_fraction and test_fraction leave too little for training")
        return self

    def check_held_out(self, seed: int, package: Path) -> None:
        """Refuse a test set with labels on which a package was trained.

        Parameters
        ----------
        seed
            Of the campaign: with a parent's name it decides which set the parent is in.
        package
            A potential to start from; the model card is beside it or a folder above. A package
            without a card cannot be checked.

        Raises
        ------
        ValueError
            With the keys to set.
        """
        cards = [folder / "model_card.json" for folder in package.parents[:2]]
        card = next((path.read_text() for path in cards if path.is_file()), "{}")
        made = json.loads(card).get("held_out")
        if not made or not {each.path for each in self.include} & set(made["included"]):
            return
        if (
            seed != made["seed"]
            or self.test_fraction > made["test_fraction"]
            or not {*made["train_only"]} <= {*self.train_only}
        ):
            train_only = sorted({*self.train_only, *made["train_only"]})
            raise ValueError(
                f"{package} was trained on labels that would be in the test set here: set seed: "
                f"{made['seed']}, dataset.test_fraction: {made['test_fraction']} or less, and "
                f"dataset.train_only: [{', '.join(train_only)}]"
            )
