"""Section `configurations`: which structures are made, how many, from which seed."""

from pydantic import Field

from glassml.campaign.config.base import Section


class Configurations(Section):
    """Families of structures to label."""

    shard_size: int = Field(
        default=8, gt=0, description="Configurations per shard; changing it renumbers all shards."
    )

    def elements(self) -> set[str]:
        """Give the chemical symbols that the families can contain."""
        return {"Si", "O"}
