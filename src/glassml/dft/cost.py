"""What a label costs in memory; its time is in `glassml.campaign.plan`, which learns from runs."""

BASE_MB = 350.0  # Python, GPAW, setups, grids
WAVES_MB, WAVES_ATOMS = 280.0, 24.0


def label_megabytes(atoms: int) -> int:
    """Estimate the memory of a calculation at 900 eV with one k point, with a fifth to spare.

    Wave functions dominate: bands times plane waves, so the square of the size. Measured: 640 MB
    for 24 atoms of silica, 2830 MB for 72.
    """
    return int(1.2 * (BASE_MB + WAVES_MB * (atoms / WAVES_ATOMS) ** 2))
