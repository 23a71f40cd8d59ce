"""The disagreement of a committee: how far the forces of its members differ.

It is the largest, over atoms, standard deviation of the force vector over members, as in DP-GEN
(Zhang et al., Phys. Rev. Mater. 3, 023804 (2019)).
"""

from collections.abc import Sequence

import numpy as np


def disagreement(forces: Sequence[np.ndarray]) -> float:
    """Give the largest standard deviation of a force vector between members in eV/Å.

    Parameters
    ----------
    forces
        Of each member, shape (atoms, 3).
    """
    return worst_force(forces)[0]


def worst_force(forces: Sequence[np.ndarray]) -> tuple[float, int]:
    """Give the largest standard deviation, as `disagreement`, and the atom that has it."""
    spreads = force_spreads(forces)
    atom = int(np.argmax(spreads))
    return float(spreads[atom]), atom


def force_spreads(forces: Sequence[np.ndarray]) -> np.ndarray:
    """Give the standard deviation of each force vector between members in eV/Å, shape (atoms,)."""
    return np.sqrt(np.var(forces, axis=0, ddof=1).sum(axis=1))
