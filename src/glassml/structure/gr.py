"""Pair distribution functions: exact counts of pairs by columns of atoms, in any cell, to any r."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numba import njit, prange

from glassml.campaign.defaults import R_BIN_A
from glassml.structure.compiled import thread_count
from glassml.structure.frames import periodic_cell
from glassml.structure.scattering import weighted
from glassml.structure.species import count_elements, pairs_of, shares_of, species_index


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
        Unordered pairs per bin, images included, by pair of elements (Si-Si, Si-O, O-O).
    partials : dict of (bins,)
        g_ab(r), dimensionless: 1 where there is no correlation.
    numbers : dict of int
        Atoms of each element.
    volume : float
        Volume of the cell in Å³.
    """

    r: np.ndarray
    edges: np.ndarray
    counts: dict[str, np.ndarray]
    partials: dict[str, np.ndarray]
    numbers: dict[str, int]
    volume: float

    @property
    def number_density(self) -> float:
        """Atoms per Å³."""
        return sum(self.numbers.values()) / self.volume

    def total(self, weight: Mapping[str, float]) -> np.ndarray:
        """Weigh the partials: g = ΣΣ c_a c_b w_a w_b g_ab / (Σ c_a w_a)².

        With scattering lengths by element this is the neutron-weighted g(r), with atomic numbers
        the X-ray one in the approximation f(Q) = Z k(Q), with ones the g(r) of all atoms.
        """
        lengths = [weight[element] for element in self.numbers]
        return weighted(self.partials, shares_of(self.numbers), lengths)

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
    atoms: Atoms, r_max: float | None = None, bin_width: float = R_BIN_A
) -> PairDistribution:
    """Count all pairs of atoms, periodic images included, by distance.

    Parameters
    ----------
    atoms
        Any elements, in a periodic cell of any shape.
    r_max
        Largest distance in Å; by default 20 Å, or half the smallest height of the cell if that is
        less. It may exceed the cell: all images are counted.
    bin_width
        Width of the bins in Å.
    """
    cell = periodic_cell(atoms)
    if r_max is None:
        r_max = min(20.0, float(perpendicular_heights(cell).min()) / 2)
    bins = max(1, int(np.ceil(r_max / bin_width - 1e-9)))
    edges = np.arange(bins + 1) * bin_width
    numbers = count_elements(atoms)
    species = species_index(atoms, list(numbers))
    counts = count_pairs(atoms.positions, cell, species, bins, bin_width)
    shells = 4 / 3 * np.pi * np.diff(edges**3) / atoms.cell.volume
    by_pair, partials = {}, {}
    n = list(numbers.values())
    for (pair, (a, b)), found in zip(pairs_of(list(numbers)).items(), counts, strict=True):
        # Unordered pairs that an ideal gas of the same density has in each shell.
        ideal = n[a] ** 2 / 2 if a == b else n[a] * n[b]
        by_pair[pair], partials[pair] = found, found / (ideal * shells)
    return PairDistribution(
        r=(edges[1:] + edges[:-1]) / 2,
        edges=edges,
        counts=by_pair,
        partials=partials,
        numbers=numbers,
        volume=float(atoms.cell.volume),
    )


def count_pairs(
    positions: np.ndarray, cell: np.ndarray, species: np.ndarray, bins: int, bin_width: float
) -> np.ndarray:
    """Histogram the distances of all pairs: (pairs, bins) counts, of 0-0, 0-1, …, 1-1, ….

    Parameters
    ----------
    positions : (n, 3)
        In Å, anywhere.
    cell : (3, 3)
        Rows are the vectors, in Å.
    species : (n,) of int
        Species of each atom, from 0.
    bins, bin_width
        Distances 0 … bins · bin_width, in Å.
    """
    columns = _columns(positions, cell, bins * bin_width)
    marks = _distinct_sums(int(species.max()) + 1)
    # Where in a histogram the bins of an atom with the first species begin; those of a pair: the
    # sum of both.
    row = (2 * bins * marks[species[columns.order]]).astype(np.int32)
    histogram = np.zeros((thread_count(), 2 * marks[-1] + 1, bins), np.int64)
    _histogram(*columns[1:], row, bin_width, histogram)
    first, second = np.triu_indices(len(marks))
    return histogram.sum(axis=0)[marks[first] + marks[second]]


def _distinct_sums(number: int) -> np.ndarray:
    """Give integers from 0 whose sums of two are all different (0, 1, 3, 7, 12: Mian-Chowla)."""
    marks, sums = [0], {0}
    while len(marks) < number:
        new = marks[-1] + 1
        while sums & {new + mark for mark in [*marks, new]}:
            new += 1
        marks.append(new)
        sums |= {new + mark for mark in marks}
    return np.array(marks, np.int64)


class _Columns(NamedTuple):
    """Atoms sorted into columns along the third cell vector, and along each column.

    Coordinates are along that vector, and across it: `points` (3, n) of the atoms in `order`, the
    cell's vectors `frame` (3, 3). Column (i, j) of `grid` (2,) is cut into slices; start[i, j, k]
    is the first atom of slice k, start[i, j, -1] the end. The atoms of a column are at most
    `radius` from its axis. `offsets` (m, 2) lead to the columns that may hold partners, one of
    each ± pair, (0, 0) first.
    """

    order: np.ndarray
    points: np.ndarray
    frame: np.ndarray
    grid: np.ndarray
    start: np.ndarray
    radius: float
    offsets: np.ndarray


def _columns(positions: np.ndarray, cell: np.ndarray, r_max: float) -> _Columns:
    """Sort atoms into columns for pairs up to r_max."""
    # Of the triangular frame, row 2 is the third vector (c, 0, 0), row 1 the second (x, y, 0).
    frame = np.transpose(np.linalg.qr(cell[::-1].T).R)[::-1]
    heights = perpendicular_heights(cell)[:2]
    length = abs(frame[2, 0])
    # Thin columns waste fewer pairs beyond r_max, but hold too few atoms each; this is the optimum
    # for condensed matter, bounded so that the grid never outgrows the atoms.
    width = max(r_max / 3, (4 * abs(np.linalg.det(cell)) / len(positions)) ** (1 / 3))
    grid = np.maximum(1, heights // width).astype(np.int64)
    slices = max(1, int(len(positions) / grid.prod()))
    fractions = positions @ np.linalg.inv(cell)
    fractions -= np.floor(fractions)
    points = fractions @ frame
    points[:, 0] -= np.floor(points[:, 0] / length) * length
    index = np.minimum((fractions[:, :2] * grid).astype(np.int64), grid - 1)
    column = index[:, 0] * grid[1] + index[:, 1]
    piece = np.minimum((points[:, 0] * (slices / length)).astype(np.int64), slices - 1)
    flat = column * slices + piece
    order = np.argsort(flat, kind="stable")
    edges = np.zeros(grid.prod() * slices + 1, np.int64)
    np.cumsum(np.bincount(flat, minlength=len(edges) - 1), out=edges[1:])
    start = edges[np.arange(grid.prod())[:, None] * slices + np.arange(slices + 1)]
    sides = frame[:2, 1:] / grid[:, None]
    radius = float(np.linalg.norm([sides[0] + sides[1], sides[0] - sides[1]], axis=1).max()) / 2
    reach = np.ceil(r_max / (heights / grid)).astype(int)
    axes = [np.arange(-m, m + 1) for m in reach]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    # Of ±d the lexicographically positive: meshgrid runs in that order, (0, 0) is in the middle.
    offsets = offsets[len(offsets) // 2 :]
    near = np.linalg.norm(offsets @ sides, axis=1) < r_max + 2 * radius
    return _Columns(
        order,
        np.ascontiguousarray(points[order].T),
        np.ascontiguousarray(frame),
        grid,
        start.reshape(*grid, slices + 1),
        radius,
        np.ascontiguousarray(offsets[near]),
    )


@njit(cache=True, fastmath=True)
def _count(xs, ys, zs, row, x, y, z, scale, beyond, place, counts):  # noqa: ANN001, ANN202
    """Count the distances of atoms at (xs, ys, zs) from (x, y, z) into bins from row[j] on.

    The first loop has no branch and no scattered access, so that it takes many atoms at once.
    """
    for j in range(len(xs)):
        dx, dy, dz = xs[j] - x, ys[j] - y, zs[j] - z
        distance = np.sqrt(dx * dx + dy * dy + dz * dz)
        place[j] = min(np.int32(distance * scale), beyond) + row[j]
    for j in range(len(xs)):
        counts[place[j]] += 1


@njit(parallel=True, cache=True)
def _histogram(points, frame, grid, start, radius, offsets, row, bin_width, histogram):  # noqa: ANN001, ANN202
    """Fill one histogram per thread; images of columns are shifted by whole vectors."""
    bins = histogram.shape[2]
    r_max = bins * bin_width
    threads = histogram.shape[0]
    n0, n1 = grid[0], grid[1]
    slices = start.shape[2] - 1
    length = abs(frame[2, 0])
    xs, ys, zs = points[0], points[1], points[2]
    for thread in prange(threads):
        # Of each row, the second half takes what is beyond the last bin.
        local = np.zeros(2 * histogram.shape[1] * bins, np.int32)
        place = np.empty(len(xs), np.int32)
        beyond = np.int32(2 * bins - 1)
        for own in range(thread, n0 * n1, threads):
            c0, c1 = own // n1, own % n1
            for k in range(offsets.shape[0]):
                t0, t1 = c0 + offsets[k, 0], c1 + offsets[k, 1]
                w0, w1 = t0 // n0, t1 // n1
                pieces = start[t0 - w0 * n0, t1 - w1 * n1]
                axis_y = (t0 + 0.5) / n0 * frame[0, 1] + (t1 + 0.5) / n1 * frame[1, 1]
                axis_z = (t0 + 0.5) / n0 * frame[0, 2] + (t1 + 0.5) / n1 * frame[1, 2]
                shift_x = w0 * frame[0, 0] + w1 * frame[1, 0]
                shift_y = w0 * frame[0, 1] + w1 * frame[1, 1]
                shift_z = w0 * frame[0, 2] + w1 * frame[1, 2]
                for i in range(start[c0, c1, 0], start[c0, c1, slices]):
                    across = np.sqrt((axis_y - ys[i]) ** 2 + (axis_z - zs[i]) ** 2) - radius
                    if across >= r_max:
                        continue
                    # Partners are in the column within ± half of x; of the own column, those after.
                    half = np.sqrt(r_max**2 - max(across, 0.0) ** 2) + 1e-6
                    x = xs[i] - shift_x
                    low = x if k == 0 else x - half
                    high = x + half
                    first = 0 if k == 0 else int(np.floor(low / length))
                    for w in range(first, int(np.floor(high / length)) + 1):
                        b = int((low - w * length) / length * slices)
                        e = int((high - w * length) / length * slices)
                        begin, end = pieces[max(b, 0)], pieces[min(e + 1, slices)]
                        if k == 0 and w == 0:
                            begin = i + 1
                        _count(
                            xs[begin:end],
                            ys[begin:end],
                            zs[begin:end],
                            row[begin:end],
                            x - w * length,
                            ys[i] - shift_y,
                            zs[i] - shift_z,
                            1 / bin_width,
                            beyond,
                            place,
                            local[row[i] :],
                        )
            histogram[thread] += local.reshape(histogram.shape[1], 2 * bins)[:, :bins]
            local[:] = 0
