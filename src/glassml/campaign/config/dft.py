"""Section `dft`: everything that determines a label, and how stubborn cases are retried."""

from typing import Literal

from pydantic import Field

from glassml.campaign.config.base import Section


class Dft(Section):
    """Settings of GPAW in plane-wave mode."""

    xc: str = Field(default="PBEsol", description="Exchange-correlation functional.")
    cutoff_eV: float = Field(
        default=800.0, ge=200.0, le=3000.0, description="Plane-wave cutoff; stress needs 800 eV."
    )

    def check_elements(self, elements: set[str]) -> None:
        """Refuse elements for which there is no setup."""
