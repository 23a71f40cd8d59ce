"""What all sections of the configuration have in common."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A section of a campaign configuration: no unknown key passes, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def has_ended(info: ValidationInfo) -> bool:
    """Tell whether a campaign is read for its results alone: its files may be gone."""
    return bool(info.context and info.context["ended"])


def package_file(named: str) -> Path:
    """Give the path of a NequIP package, and refuse what is none.

    Raises
    ------
    ValueError
        If there is no such file, or its name is not a package's.
    """
    path = Path(named)
    if not path.name.endswith(".nequip.zip") or not path.is_file():
        raise ValueError(f"package: {path} is not an existing .nequip.zip file")
    return path
