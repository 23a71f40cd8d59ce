"""Choices of the analysis where none is made: of the configuration, commands and functions."""

from typing import Literal

Q_MAX_PER_A = 25.0
#: Bins of Q are the resolution too.
Q_BIN_PER_A = 0.02
R_BIN_A = 0.02
RING_CENTRE_Q_MAX_PER_A = 6.0
MAX_RING_SIZE = 12
#: Lies between the first two shells of Si and O in silica.
FIRST_SHELL_A = 2.2
#: Where the first sharp diffraction peak is sought, and how far from its top it is fitted.
FSDP_SEARCH_PER_A = (1.0, 2.3)
FSDP_HALF_WINDOW_PER_A = 0.5
FSDP_BACKGROUND: Literal["linear"] = "linear"
#: Of moduli: strains, and the largest force of atoms at rest. With 0.01 eV/Å soft modes do not
#: follow: the shear modulus of quartz by a network was 53 instead of 33 GPa.
STRAIN = 0.005
REST_FORCE_EV_A = 0.001
#: SiO2 in a cell that is cut from a glass for DFT.
CUT_UNITS = 32
#: The config_type of what a potential labelled, so that a smaller one may learn from it: no DFT.
TAUGHT = "taught"
