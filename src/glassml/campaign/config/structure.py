"""Section `structure`: what is computed of each trajectory."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from glassml.campaign.config.base import Section
from glassml.campaign.defaults import (
    FSDP_BACKGROUND,
    FSDP_HALF_WINDOW_PER_A,
    FSDP_SEARCH_PER_A,
    MAX_RING_SIZE,
    Q_BIN_PER_A,
    Q_MAX_PER_A,
    R_BIN_A,
    RING_CENTRE_Q_MAX_PER_A,
)
from glassml.campaign.names import CRITERIA, Criterion

Q = Annotated[float, Field(gt=0.0, le=60.0)]


class Fsdp(Section):
    """How the first sharp diffraction peak is fitted."""

    search_per_A: tuple[Q, Q] = Field(
        default=FSDP_SEARCH_PER_A, description="Where the peak's maximum is, in 1/Å."
    )
    half_window_per_A: float = Field(
        default=FSDP_HALF_WINDOW_PER_A,
        gt=0.1,
        le=1.5,
        description="Half the range of the fit around the maximum.",
    )
    background: Literal["none", "constant", "linear"] = Field(
        default=FSDP_BACKGROUND, description="What the Lorentzian stands on, in addition to 1."
    )
    bootstrap: int = Field(
        default=200, ge=20, le=10_000, description="Draws of glasses for the standard errors."
    )

    @model_validator(mode="after")
    def _check_search(self) -> "Fsdp":
        low, high = self.search_per_A
        if not low < high:
            raise ValueError(f"search_per_A: [{low}, {high}] is not a range")
        return self


class Structure(Section):
    """Network, pair distributions, structure factors, rings and their shape."""

    frames: int = Field(
        default=10, ge=1, le=10_000, description="Frames used of a state's last MD stage, at most."
    )
    stride: int = Field(
        default=1, ge=1, le=10_000, description="Every how many frames, counted from the last."
    )
    cutoff_A: float | None = Field(
        default=None,
        gt=1.0,
        le=4.0,
        description="Largest Si-O distance that is a bond; null: first minimum of g(r).",
    )
    r_max_A: float | None = Field(
        default=None,
        gt=2.0,
        le=100.0,
        description="Largest distance of g(r); null: half the box, at most 20 Å.",
    )
    r_bin_A: float = Field(default=R_BIN_A, ge=0.001, le=0.5, description="Bins of g(r).")
    q_max_per_A: float = Field(default=Q_MAX_PER_A, gt=1.0, le=60.0, description="Largest Q.")
    q_bin_per_A: float = Field(
        default=Q_BIN_PER_A, ge=0.001, le=0.5, description="Bins of Q, which are the resolution."
    )
    q_lattice_per_A: float | None = Field(
        default=None,
        gt=1.0,
        le=60.0,
        description="Where the sum over the box's Q vectors ends and the transform of g(r) begins; "
        "null: q_max_per_A up to 6000 atoms, else 8.",
    )
    ring_criteria: tuple[Criterion, ...] = Field(
        default=CRITERIA,
        min_length=1,
        description="Which rings are counted; the centres are those of the first.",
    )
    max_ring_size: int = Field(
        default=MAX_RING_SIZE, ge=3, le=30, description="Largest ring, in Si atoms."
    )
    ring_centre_q_max_per_A: float = Field(
        default=RING_CENTRE_Q_MAX_PER_A, gt=1.0, le=30.0, description="Largest Q of ring centres."
    )
    fsdp: Fsdp = Fsdp()

    @model_validator(mode="after")
    def _check_criteria(self) -> "Structure":
        if len(set(self.ring_criteria)) != len(self.ring_criteria):
            raise ValueError("ring_criteria: a criterion is named twice")
        return self
