"""What a network is told before training: energies of lone atoms, scale of forces, density."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from glassml.potential.packages import PotentialError


def isolated_shifts(isolated_eV: Mapping[str, float], species: Sequence[str]) -> dict[str, float]:
    """Take the computed energies of isolated atoms as the shifts.

    Parameters
    ----------
    isolated_eV
        Energies by chemical symbol.
    species
        Chemical symbols that need one.

    Raises
    ------
    PotentialError
        If one is missing.
    """
    missing = [symbol for symbol in species if symbol not in isolated_eV]
    if missing:
        raise PotentialError(f"no energy of an isolated atom of {', '.join(missing)}")
    return {symbol: float(isolated_eV[symbol]) for symbol in species}


def least_squares_shifts(frames: Sequence[Atoms], species: Sequence[str]) -> dict[str, float]:
    """Fit an energy per atom of each species to the total energies.

    With a single composition (pure SiO2) the split between species is not determined by the
    labels; then it is that of least norm, and only the energy per formula unit has a meaning.

    Parameters
    ----------
    frames
        Labelled configurations.
    species
        Chemical symbols.

    Returns
    -------
    dict
        Shifts in eV by chemical symbol.
    """
    counts = np.array([[list(a.symbols).count(symbol) for symbol in species] for a in frames])
    energies = np.array([atoms.info["REF_energy"] for atoms in frames])
    sizes = counts.sum(axis=1, keepdims=True)
    solution = np.linalg.lstsq(counts / sizes, energies / sizes[:, 0], rcond=1e-6)[0]
    return dict(zip(species, solution.tolist(), strict=True))


def rms_force(frames: Sequence[Atoms]) -> float:
    """Give the root mean square of the force components in eV/Å."""
    forces = np.concatenate([atoms.arrays["REF_forces"] for atoms in frames])
    return float(np.sqrt(np.mean(forces**2)))


def mean_neighbours(frames: Sequence[Atoms], cutoff_A: float) -> float:
    """Give the mean number of neighbours within the cutoff."""
    pairs = sum(len(neighbor_list("i", atoms, cutoff_A)) for atoms in frames)
    return pairs / sum(len(atoms) for atoms in frames)
