"""Section `md`: engine, protocols and states of the glass."""

from pydantic import Field

from glassml.campaign.config.base import Section


class MolecularDynamics(Section):
    """Melt-quench, compression and recovery."""

    glasses: int = Field(default=1, ge=1, description="Independent glasses.")
