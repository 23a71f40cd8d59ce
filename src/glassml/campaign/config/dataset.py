"""Section `dataset`: filters, split by parent, isolated-atom energies."""

from pydantic import Field

from glassml.campaign.config.base import Section


class Dataset(Section):
    """How labels become training, validation and test sets."""

    validation_fraction: float = Field(default=0.1, gt=0.0, lt=0.5, description="Share of parents.")
    test_fraction: float = Field(default=0.1, gt=0.0, lt=0.5, description="Share of parents.")
