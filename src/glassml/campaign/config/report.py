"""Section `report`: the page of a campaign."""

from typing import Literal

from pydantic import Field

from glassml.campaign.config.base import Section


class Report(Section):
    """What the report shows; nothing here changes a number of the campaign."""

    include: list[Literal["search", "learning_curve"]] = Field(
        default=[],
        description="Studies of training that the page shows: they are run for it. See "
        "`potential.search` and `potential.learning_curve`.",
    )

    picture_dpi: int = Field(
        default=160, ge=72, le=600, description="Resolution of the pictures, dots per inch."
    )
    states_in_figures: int = Field(
        default=6,
        ge=1,
        le=8,
        description="With more states, figures show one of each kind, and as many ambient "
        "states as there is room for; tables have all.",
    )
    ring_view: bool = Field(
        default=True, description="Embed an interactive view of the rings: 5 MB of script."
    )
    sq_bin_per_A: float = Field(
        default=0.06,
        ge=0.001,
        le=0.5,
        description="Bins of Q in the figures of S(Q), in 1/Å; wider bins are less noisy.",
    )
