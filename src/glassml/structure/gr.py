"""Pair distribution functions: exact pair counts by a cell list, in any cell, to any distance."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numba import njit, prange

from glassml.structure.compiled import thread_count
from glassml.structure.frames import SILICON

PAIRS = ("Si-Si", "Si-O", "O-O")


@dataclass(frozen=True)
class PairDistribution:
    """Partial pair distribution functions of a frame.

    Attributes
    ----------
    r : (bins,)
        Centres of the bins in Å.
    edges : (bins + 1,)
        Their edges.
    counts : dict of (bins,)
        Unordered pairs per bin, images included, for Si-Si, Si-O, O-O.
    partials : dict of (bins,)
        g_ab(r), dimensionless: 1 where there is no correlation.
    n_si, n_o : int
        Numbers of atoms.
    volume : float
        Volume of the cell in Å³.
    """

    r: np.ndarray
    edges: np.ndarray
    counts: dict[str, np.ndarray]
    partials: dict[str, np.ndarray]
    n_si: int
    n_o: int
    volume: float

    @property
    def number_density(self) -> float:
        """Atoms per Å³."""
        return (self.n_si + self.n_o) / self.volume

    def total(self, weight_si: float, weight_o: float) -> np.ndarray:
        """Weigh the partials: g = ΣΣ c_a c_b w_a w_b g_ab / (Σ c_a w_a)².

        With scattering lengths this is the neutron-weighted g(r), with atomic numbers the X-ray
        one in the approximation f(Q) = Z k(Q), with ones the g(r) of all atoms.
        """
        n = self.n_si + self.n_o
        x_si, x_o = self.n_si * weight_si / n, self.n_o * weight_o / n
        mixed = (
            x_si**2 * self.partials["Si-Si"]
            + 2 * x_si * x_o * self.partials["Si-O"]
            + x_o**2 * self.partials["O-O"]
        )
        return mixed / (x_si + x_o) ** 2

    def t_of_r(self, total: np.ndarray) -> np.ndarray:
        """T(r) = 4πρ r g(r), in Å⁻²."""
        return 4 * np.pi * self.number_density * self.r * total

    def d_of_r(self, total: np.ndarray) -> np.ndarray:
        """D(r) = 4πρ r (g(r) - 1), in Å⁻²; elsewhere called G(r)."""
        return 4 * np.pi * self.number_density * self.r * (total - 1)


def perpendicular_heights(cell: np.ndarray) -> np.ndarray:
    """Distances in Å between opposite faces of a cell (rows are its vectors)."""
    return 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)


def pair_distribution(
    atoms: Atoms, r_max: float | None = None, bin_width: float = 0.02
) -> PairDistribution:
    """Count all pairs of atoms, periodic images included, by distance.

    Parameters
    ----------
    atoms
        Si and O in a periodic cell of any shape.
    r_max
        Largest distance in Å; by default 20 Å, or half the smallest height of the cell if that is
        less. It may exceed the cell: all images are counted.
    bin_width
        Width of the bins in Å.
    """
    cell = np.asarray(atoms.cell.array, float)
    if r_max is None:
        r_max = min(20.0, float(perpendicular_heights(cell).min()) / 2)
    bins = max(1, int(np.ceil(r_max / bin_width - 1e-9)))
    edges = np.arange(bins + 1) * bin_width
    is_si = atoms.numbers == SILICON
    counts = count_pairs(atoms.positions, cell, is_si, bins, bin_width)
    n_si, n_o = int(is_si.sum()), int((~is_si).sum())
    shells = 4 / 3 * np.pi * np.diff(edges**3) / atoms.cell.volume
    # Unordered pairs that an ideal gas of the same density has in each shell.
    ideal = {"Si-Si": n_si**2 / 2, "Si-O": n_si * n_o, "O-O": n_o**2 / 2}
    by_pair = dict(zip(PAIRS, counts, strict=True))
    return PairDistribution(
        r=(edges[1:] + edges[:-1]) / 2,
        edges=edges,
        counts=by_pair,
        partials={pair: by_pair[pair] / (ideal[pair] * shells) for pair in PAIRS},
        n_si=n_si,
        n_o=n_o,
        volume=float(atoms.cell.volume),
    )


def count_pairs(
    positions: np.ndarray, cell: np.ndarray, is_si: np.ndarray, bins: int, bin_width: float
) -> np.ndarray:
    """Histogram the distances of all pairs: (3, bins) counts of Si-Si, Si-O, O-O.

    Parameters
    ----------
    positions : (n, 3)
        In Å, anywhere.
    cell : (3, 3)
        Rows are the vectors, in Å.
    is_si : (n,) of bool
        Which atoms are Si.
    bins, bin_width
        Distances 0 … bins · bin_width, in Å.
    """
    r_max = bins * bin_width
    heights = perpendicular_heights(cell)
    # Small cells waste fewer pairs beyond r_max, but hold too few atoms each; this is the optimum
    # for condensed matter, bounded so that the grid never outgrows the atoms.
    width = max(r_max / 4, (4 * abs(np.linalg.det(cell)) / len(positions)) ** (1 / 3))
    grid = np.maximum(1, np.floor(heights / width)).astype(np.int64)
    fractions = positions @ np.linalg.inv(cell)
    fractions -= np.floor(fractions)
    index = np.minimum((fractions * grid).astype(np.int64), grid - 1)
    flat = (index[:, 0] * grid[1] + index[:, 1]) * grid[2] + index[:, 2]
    order = np.argsort(flat, kind="stable")
    start = np.zeros(grid.prod() + 1, np.int64)
    np.cumsum(np.bincount(flat, minlength=grid.prod()), out=start[1:])
    sorted_positions = np.ascontiguousarray((fractions[order] @ cell).T)
    species = np.where(is_si[order], 0, 1).astype(np.int8)
    histogram = np.zeros((thread_count(), 3, bins), np.int64)
    _histogram(
        sorted_positions,
        species,
        start,
        grid,
        cell,
        _half_stencil(cell, grid, r_max),
        bin_width,
        histogram,
    )
    return histogram.sum(axis=0)


def _half_stencil(cell: np.ndarray, grid: np.ndarray, r_max: float) -> np.ndarray:
    """Offsets of grid cells that may hold partners within r_max: one of each ± pair, and (0,0,0).

    Two grid cells d apart are at least max_i (|d_i| - 1) h_i / grid_i apart along the normals of
    the faces; in an orthogonal cell these distances add in quadrature.
    """
    heights = perpendicular_heights(cell) / grid
    reach = np.ceil(r_max / heights).astype(int)
    axes = [np.arange(-m, m + 1) for m in reach]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    gaps = np.maximum(np.abs(offsets) - 1, 0) * heights
    metric = cell @ cell.T
    orthogonal = np.allclose(metric, np.diag(np.diag(metric)), atol=1e-9 * metric.max())
    nearest = np.linalg.norm(gaps, axis=1) if orthogonal else gaps.max(axis=1)
    # Of ±d, lexicographically positive: meshgrid runs in that order, (0,0,0) is in the middle.
    half = np.arange(len(offsets)) >= len(offsets) // 2
    return np.ascontiguousarray(offsets[half & (nearest < r_max)])


@njit(parallel=True, cache=True, fastmath=True)
def _histogram(positions, species, start, grid, cell, stencil, bin_width, histogram):  # noqa: ANN001, ANN202
    """Fill one histogram per thread; the images of grid cells are shifted by whole vectors."""
    bins = histogram.shape[2]
    limit = (bins * bin_width) ** 2
    scale = 1.0 / bin_width
    threads = histogram.shape[0]
    n0, n1, n2 = grid[0], grid[1], grid[2]
    columns = n0 * n1
    for thread in prange(threads):
        local = np.zeros((3, bins + 1), np.int64)
        for column in range(thread, columns, threads):
            c0, c1 = column // n1, column % n1
            for c2 in range(n2):
                here = column * n2 + c2
                if start[here] == start[here + 1]:
                    continue
                for k in range(stencil.shape[0]):
                    t0, t1, t2 = c0 + stencil[k, 0], c1 + stencil[k, 1], c2 + stencil[k, 2]
                    w0, w1, w2 = t0 // n0, t1 // n1, t2 // n2
                    there = ((t0 - w0 * n0) * n1 + t1 - w1 * n1) * n2 + t2 - w2 * n2
                    sx = w0 * cell[0, 0] + w1 * cell[1, 0] + w2 * cell[2, 0]
                    sy = w0 * cell[0, 1] + w1 * cell[1, 1] + w2 * cell[2, 1]
                    sz = w0 * cell[0, 2] + w1 * cell[1, 2] + w2 * cell[2, 2]
                    same = k == 0  # (0,0,0) comes first
                    for i in range(start[here], start[here + 1]):
                        x = positions[0, i] - sx
                        y = positions[1, i] - sy
                        z = positions[2, i] - sz
                        kind = species[i]
                        for j in range(i + 1 if same else start[there], start[there + 1]):
                            dx = positions[0, j] - x
                            dy = positions[1, j] - y
                            dz = positions[2, j] - z
                            square = dx * dx + dy * dy + dz * dz
                            if square < limit:
                                local[kind + species[j], int(np.sqrt(square) * scale)] += 1
        histogram[thread] = local[:, :bins]
