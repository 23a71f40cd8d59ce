"""Random displacements: Gaussian, and Monte-Carlo moves that keep atoms apart."""

import numpy as np
from ase import Atoms

from glassml.configurations.screening import Limits

_SWEEPS = 10


def gaussian_rattle(atoms: Atoms, width: float, rng: np.random.Generator) -> Atoms:
    """Displace every atom by normal random numbers of standard deviation `width` in Å."""
    rattled = atoms.copy()
    rattled.positions += rng.normal(0.0, width, atoms.positions.shape)
    return rattled


def monte_carlo_rattle(
    atoms: Atoms, width: float, limits: Limits, rng: np.random.Generator
) -> Atoms:
    """Displace atoms by many small moves, none of which brings two closer than their limit.

    A move that leaves a pair below its limit is rejected unless it takes the pair farther apart,
    so that larger displacements are reached than with one Gaussian step.

    Parameters
    ----------
    width
        Root mean square displacement per Cartesian component in Å that the accepted moves of a
        free atom reach.
    limits
        Shortest distance in Å by pair of symbols.

    References
    ----------
    The idea is that of hiPhive: Eriksson, Fransson, Erhart, Adv. Theory Simul. 2, 1800184 (2019).
    """
    symbols = atoms.get_chemical_symbols()
    limit = np.array([[limits.get((min(a, b), max(a, b)), 0.0) for b in symbols] for a in symbols])
    shifts = _image_shifts(atoms, float(limit.max()) + 4 * width)
    positions = atoms.positions.copy()
    for _ in range(_SWEEPS):
        for index in range(len(atoms)):
            step = rng.normal(0.0, width / np.sqrt(_SWEEPS), 3)
            before = _distances(positions, index, shifts)
            trial = positions.copy()
            trial[index] += step
            after = _distances(trial, index, shifts)
            if np.all((after >= limit[index]) | (after > before)):
                positions = trial
    rattled = atoms.copy()
    rattled.positions = positions
    return rattled


def _image_shifts(atoms: Atoms, reach: float) -> np.ndarray:
    """List the lattice vectors that can bring an image within `reach`."""
    heights = atoms.get_volume() / np.linalg.norm(
        np.cross(atoms.cell[[1, 2, 0]], atoms.cell[[2, 0, 1]]), axis=1
    )
    counts = np.ceil(reach / heights).astype(int) + 1
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in counts), indexing="ij"), axis=-1)
    return grid.reshape(-1, 3) @ atoms.cell[:]


def _distances(positions: np.ndarray, index: int, shifts: np.ndarray) -> np.ndarray:
    """Give the distance of atom `index` to the nearest image of each atom, itself excluded."""
    vectors = positions - positions[index]
    squared = ((vectors[:, None] + shifts) ** 2).sum(axis=2)
    squared[index, squared[index] < 1e-12] = np.inf
    return np.sqrt(squared.min(axis=1))
