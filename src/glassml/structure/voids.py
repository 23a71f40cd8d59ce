"""Empty space: how far each point is from the nearest atom, and the cavities that this leaves."""

import numpy as np
from ase import Atoms
from scipy.ndimage import label
from scipy.spatial import cKDTree

from glassml.structure.frames import wrapped
from glassml.structure.gr import perpendicular_heights
from glassml.structure.network import images_near

PROBE_RADIUS_A = 2.5
GRID_A = 0.5
MAX_POINTS = 4_000_000


def distance_to_atoms(atoms: Atoms, spacing: float = GRID_A) -> np.ndarray:
    """Distance in Å from each point of a grid in the cell to the nearest atom, images included.

    Parameters
    ----------
    atoms
        A periodic cell of any shape.
    spacing
        Largest distance of grid points along the cell's vectors, in Å.

    Returns
    -------
    (n0, n1, n2)
        Grid points are at fractions (i/n0, j/n1, k/n2).
    """
    folded = wrapped(atoms)
    cell = folded.cell.array
    shape = np.maximum(1, np.ceil(np.linalg.norm(cell, axis=1) / spacing)).astype(int)
    axes = [np.arange(n) / n for n in shape]
    heights = perpendicular_heights(cell)
    reach = 5.0
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    while True:
        tree = cKDTree(images_near(folded.positions, cell, heights, reach))
        distance, _ = tree.query(points)
        if distance.max() < reach:
            return distance.reshape(shape)
        reach *= 2


def cavities(atoms: Atoms, radius: float = PROBE_RADIUS_A, spacing: float = GRID_A) -> np.ndarray:
    """Volumes in Å³ of the connected regions farther than `radius` from every atom.

    Regions are connected through faces of the grid and through the periodic boundary. The volume
    has the resolution of the grid, spacing³.

    Returns
    -------
    (cavities,)
        Largest first.
    """
    distance = distance_to_atoms(atoms, spacing)
    labels, number = label(distance > radius)
    parent = np.arange(number + 1)

    def find(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for axis in range(3):
        first, last = np.take(labels, 0, axis), np.take(labels, -1, axis)
        touching = (first > 0) & (last > 0)
        for a, b in np.unique(np.column_stack([first[touching], last[touching]]), axis=0):
            parent[find(a)] = find(b)
    roots = np.array([find(x) for x in range(number + 1)])
    sizes = np.bincount(roots[labels].ravel(), minlength=number + 1)[1:]
    volume = atoms.cell.volume / distance.size
    return np.sort(sizes[sizes > 0])[::-1] * volume


def void_statistics(atoms: Atoms, radius: float = PROBE_RADIUS_A) -> dict[str, float | int]:
    """Count cavities; give their share of the volume, mean and largest volume in Å³.

    The grid is 0.5 Å, coarser where that were more than four million points.
    """
    spacing = max(GRID_A, float((atoms.cell.volume / MAX_POINTS) ** (1 / 3)))
    volumes = cavities(atoms, radius, spacing)
    return {
        "probe_radius_A": radius,
        "grid_A": spacing,
        "cavities": len(volumes),
        "volume_fraction": float(volumes.sum() / atoms.cell.volume),
        "mean_volume_A3": float(volumes.mean()) if len(volumes) else 0.0,
        "largest_volume_A3": float(volumes.max()) if len(volumes) else 0.0,
    }
