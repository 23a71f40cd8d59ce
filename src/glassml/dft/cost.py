"""What labels and shards cost: requests for the scheduler."""

from glassml.campaign.config import Campaign
from glassml.campaign.plan import label_seconds

BASE_MB = 350.0  # Python, GPAW, setups, grids
WAVES_MB, WAVES_ATOMS = 280.0, 24.0


def label_megabytes(atoms: int) -> int:
    """Estimate the memory of a calculation at 900 eV with one k point, with a fifth to spare.

    Wave functions dominate: bands times plane waves, so the square of the size. Measured: 640 MB
    for 24 atoms of silica, 2830 MB for 72.
    """
    return int(1.2 * (BASE_MB + WAVES_MB * (atoms / WAVES_ATOMS) ** 2))


def shard_megabytes(campaign: Campaign, family: str) -> int:
    """Give the memory of a shard of `family`: one of its largest cells in every process."""
    atoms = campaign.configurations.families[family].largest_cell()
    return label_megabytes(atoms) * campaign.dft.shard_processes


def shard_minutes(campaign: Campaign, family: str) -> int:
    """Give the time that a shard of `family` may take: three times the estimate, and the start."""
    size = campaign.configurations.family_shard_size(family)
    seconds = label_seconds(campaign, family) * size / campaign.dft.shard_processes
    return 15 + int(3 * seconds / 60)
