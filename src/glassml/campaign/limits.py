"""Limits of labels: what is beyond them is a mistake."""

import numpy as np

#: No configuration that is worth a label has a larger force.
MAX_FORCE_EV_A = 1000.0
#: Plane waves on a grid leave a small net force, which grows with the forces.
NET_FORCE_EV_A, NET_FORCE_SHARE = 0.05, 0.02
#: Of labels of other programs, whose grids nobody knows here.
IMPORTED_NET_FORCE_EV_A = 0.1


def net_force_excess(forces: np.ndarray) -> float:
    """Give the net force per atom in eV/Å if it is too large for a label, else 0.

    Parameters
    ----------
    forces : (n, 3)
        In eV/Å.
    """
    net = float(np.abs(forces.mean(axis=0)).max())
    limit = NET_FORCE_EV_A + NET_FORCE_SHARE * float(np.abs(forces).max())
    return net if net > limit else 0.0
