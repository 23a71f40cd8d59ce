"""What all sections of the configuration have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A section of a campaign configuration: no unknown key passes, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def has_ended(info: ValidationInfo) -> bool:
    """Tell whether a campaign is read for its results alone: its files may be gone."""
    return bool(info.context and info.context["ended"])
