"""Units that `ase.units` does not have."""

BAR_PER_GPA = 1e4
