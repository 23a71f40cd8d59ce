"""Section `structure`: what is computed of each trajectory."""

from pydantic import Field

from glassml.campaign.config.base import Section


class Structure(Section):
    """Structure factors, rings and their shape."""

    q_max_per_A: float = Field(default=25.0, gt=1.0, le=60.0, description="Largest Q in 1/Å.")
