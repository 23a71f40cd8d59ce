"""Section `potential`: the NequIP model, its training, and the gates it must pass."""

from pydantic import Field

from glassml.campaign.config.base import Section


class Potential(Section):
    """A committee of NequIP potentials."""

    committee: int = Field(default=1, ge=1, le=16, description="Number of members.")
