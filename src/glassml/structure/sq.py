"""Structure factors of a periodic box at its own Q vectors, by non-uniform FFT.

The amplitudes of all Q vectors are one type-1 transform (finufft). Two things keep memory bounded:

- *Cosets*: the vectors h of the reciprocal lattice are h = m h' + s, s in [0, m)³. For each s,
  the amplitudes are a transform of the atoms folded into the cell divided by m, with the
  phases of s. All cosets together are the complete lattice.
- *Sublattices*: coset s = 0 alone is a fair sample of the lattice, every m-th vector along each
  axis. Each is still an exact vector of the box.

Two elements share one transform, with strengths 1 and i: F = A + iB at Q; conj(F(-Q)) = A - iB. Of
more elements each pair is transformed.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import finufft
import numpy as np
from ase import Atoms
from numba import njit, prange

from glassml.campaign.errors import StructureError
from glassml.structure.compiled import thread_count
from glassml.structure.frames import periodic_cell
from glassml.structure.gr import pair_distribution
from glassml.structure.scattering import total_standard_error, total_structure_factor
from glassml.structure.species import count_elements, pairs_of, shares_of, species_index

# Modes of one transform: 199³ in single precision take 60 MB, and the grid of 250³ behind them 125.
MODES = 199**3
# Threads with a coset each wait less for each other than within one transform; memory is for two.
COSETS_AT_ONCE = 2
# finufft transforms on the next even grid 2^a 3^b 5^c that is 5/4 of the modes. Where that is a
# multiple of 16, its rows share their place in the cache, and the transform takes up to four times
# as long: so the modes are chosen for one of these grids.
FAST_GRIDS = sorted(2**a * 3**b * 5**c for a in (1, 2, 3) for b in range(9) for c in range(7))
# Up to this many atoms in double precision, at half as many modes.
DOUBLE_UP_TO = 200_000
# Up to this many atoms the complete lattice up to Q = 25 Å⁻¹ takes some seconds.
COMPLETE_UP_TO = 6000
# Beyond, the lattice sum ends here and the transform of g(r) takes over.
LATTICE_Q = 8.0
ERROR_SMOOTHING = 0.2


@dataclass(frozen=True)
class StructureFactor:
    """Partial and total structure factors of a frame.

    Attributes
    ----------
    q : (bins,)
        Mean |Q| of the vectors in each bin, in Å⁻¹; bins without any are left out.
    counts : (bins,)
        Number of Q vectors in each bin, -Q not counted; 0 where g(r) was transformed.
    partials : dict of (bins,)
        Faber-Ziman S_ab(Q) by pair of elements (Si-Si, Si-O, O-O).
    shares : dict of float
        Share of atoms of each element.
    q_bin : float
        Width of the bins in Å⁻¹: the resolution.
    """

    q: np.ndarray
    counts: np.ndarray
    partials: dict[str, np.ndarray]
    shares: dict[str, float]
    q_bin: float

    def total(self, weighting: str) -> np.ndarray:
        """Total S(Q), weighting "neutron" or "xray" (Faber-Ziman, divided by <w>²)."""
        return total_structure_factor(self.q, self.partials, self.shares, weighting)

    def standard_error(self, weighting: str) -> np.ndarray:
        """Give the error of the total by the finite number of Q vectors; NaN where counts is 0.

        It is that of the curve smoothed over 0.2 Å⁻¹: an error that followed the noise of its own
        bin would make low points weigh more than high ones in every fit.
        """
        total = broaden(self.q, self.total(weighting), self.counts, ERROR_SMOOTHING)
        return total_standard_error(self.q, total, self.counts, self.shares, weighting)


def structure_factor(
    atoms: Atoms,
    q_max: float = 25.0,
    q_bin: float = 0.02,
    q_lattice: float | None = None,
    complete: bool | None = None,
) -> StructureFactor:
    """Compute S(Q): the sum over the box's Q vectors, and for large boxes beyond 8 Å⁻¹ by g(r).

    Parameters
    ----------
    atoms
        Any elements, in a periodic cell of any shape.
    q_max
        Largest Q in Å⁻¹.
    q_bin
        Width of the bins in Å⁻¹.
    q_lattice
        Up to where the lattice is summed; beyond, g(r) up to 20 Å is transformed without a window.
        By default q_max up to 6000 atoms, and 8 Å⁻¹ for more.
    complete
        Whether to use all Q vectors up to `q_lattice`, or a sublattice beyond what one transform
        of 8 million modes reaches. By default complete up to 100,000 atoms.

    Returns
    -------
    StructureFactor
        Faber-Ziman partials, exact to 1e-4 against the explicit sum where the lattice is complete.
    """
    small = len(atoms) <= COMPLETE_UP_TO
    q_lattice = min(q_max, q_max if small else LATTICE_Q) if q_lattice is None else q_lattice
    complete = len(atoms) <= 100_000 if complete is None else complete
    cell = periodic_cell(atoms)
    numbers = count_elements(atoms)
    modes = MODES // 2 if len(atoms) <= DOUBLE_UP_TO else MODES
    q, counts, partials = _lattice_partials(
        atoms, cell, numbers, min(q_lattice, q_max), q_bin, complete, modes
    )
    if q_lattice < q_max:
        beyond = q_bin * (np.arange(round(q_lattice / q_bin), round(q_max / q_bin)) + 0.5)
        tail = transform_of_gr(atoms, beyond)
        q = np.concatenate([q, beyond])
        counts = np.concatenate([counts, np.zeros(len(beyond), counts.dtype)])
        partials = {pair: np.concatenate([partials[pair], tail[pair]]) for pair in partials}
    return StructureFactor(q, counts, partials, shares_of(numbers), q_bin)


def _lattice_partials(
    atoms: Atoms,
    cell: np.ndarray,
    numbers: Mapping[str, int],
    q_max: float,
    q_bin: float,
    complete: bool,
    modes: int,
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Faber-Ziman partials by lattice sums: mean |Q|, counts and S_ab of each bin with vectors.

    |A|² of an element comes with the first of its pairs.
    """
    elements, n = list(numbers), list(numbers.values())
    species = species_index(atoms, elements)
    total = len(atoms)
    shares = [number / total for number in n]
    together = [(a, b) for a, b in pairs_of(elements).values() if a != b] or [(0, 0)]
    found: dict[tuple[int, int], np.ndarray] = {}
    for a, b in together:
        chosen = slice(None) if len(n) <= 2 else np.isin(species, (a, b))
        sums = lattice_sums(
            atoms.positions[chosen], cell, species[chosen] == a, q_max, q_bin, complete, modes
        )
        sums = sums[:, sums[3] > 0]
        counts, q = sums[3], sums[4] / sums[3]
        found[a, a] = 1 + (sums[0] / counts / n[a] - 1) / shares[a]
        if a != b:
            found[b, b] = 1 + (sums[1] / counts / n[b] - 1) / shares[b]
            found[a, b] = 1 + sums[2] / counts / total / (shares[a] * shares[b])
    if len(q) == 0:
        raise StructureError(f"the cell has no Q vector up to {q_max:g} 1/Å: raise the largest Q")
    partials = {pair: found[index] for pair, index in pairs_of(elements).items()}
    return q, counts.astype(np.int64), partials


def average(factors: Sequence[StructureFactor]) -> StructureFactor:
    """Average frames of one system, bin by bin, each weighted by its number of Q vectors.

    `counts` of the result is the mean over frames: frames of a frozen glass are not independent,
    and averaging them does not remove the noise of its Q vectors.

    Raises
    ------
    StructureError
        If the frames differ in composition: a total is of one.
    """
    for factor in factors:
        if not _same_shares(factor.shares, factors[0].shares):
            raise StructureError(
                "frames of several compositions have no mean S(Q): analyse each composition alone"
            )
    q_bin = factors[0].q_bin
    index = np.concatenate([(f.q / q_bin).astype(np.int64) for f in factors])
    counts = np.concatenate([f.counts for f in factors])
    # Bins by the transform of g(r) have no count: they weigh the same in each frame.
    weight = np.maximum(counts, 1).astype(float)
    norm = np.bincount(index, weight)
    filled = norm > 0

    def mean(values: list[np.ndarray]) -> np.ndarray:
        return np.bincount(index, weight * np.concatenate(values))[filled] / norm[filled]

    return StructureFactor(
        q=mean([f.q for f in factors]),
        counts=np.round(np.bincount(index, counts)[filled] / len(factors)).astype(np.int64),
        partials={pair: mean([f.partials[pair] for f in factors]) for pair in factors[0].partials},
        shares=factors[0].shares,
        q_bin=q_bin,
    )


def _same_shares(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(abs(one[e] - other[e]) < 1e-9 for e in one)


def transform_of_gr(
    atoms: Atoms, q: np.ndarray, r_max: float | None = None
) -> dict[str, np.ndarray]:
    """Faber-Ziman partials by the sine transform of g(r), cut at r_max without a window.

    S_ab(Q) = 1 + 4πρ ∫ r² (g_ab - 1) sin(Qr)/(Qr) dr. A cut at 20 Å loses 1 % of the FSDP's
    height, one at 10 Å 10 %: for Q < 8 Å⁻¹ this is a cross-check only.

    Parameters
    ----------
    q : (n,)
        Q in Å⁻¹.
    r_max
        In Å; by default 20 Å, or half the smallest height of the cell if that is less.
    """
    pairs = pair_distribution(atoms, r_max, bin_width=0.01)
    # g is constant in each bin: ∫ r sin(Qr) is a sum over edges of (sin(Qr) - Qr cos(Qr)) / Q²,
    # each times the step of g there, that at the cut included.
    steps = -np.diff([g - 1 for g in pairs.partials.values()], axis=1, prepend=0, append=0)
    waves = np.vstack([steps, steps * pairs.edges]).astype(complex)
    sums = finufft.nufft1d3(pairs.edges, waves, q, eps=1e-12, isign=1, nthreads=1)
    integrals = (sums[: len(steps)].imag - q * sums[len(steps) :].real) / q**2
    values = 1 + 4 * np.pi * pairs.number_density / q * integrals
    return dict(zip(pairs.partials, values, strict=True))


def lattice_sums(
    positions: np.ndarray,
    cell: np.ndarray,
    is_a: np.ndarray,
    q_max: float,
    q_bin: float,
    complete: bool = True,
    modes: int = MODES,
) -> np.ndarray:
    """Sum |A|², |B|², Re(A B*), 1 and |Q| over the box's Q vectors, by bins of |Q|.

    A and B are the amplitudes Σ exp(iQ·r) of two species; of ±Q one is counted.

    Parameters
    ----------
    positions : (n, 3)
        In Å.
    cell : (3, 3)
        Rows are the vectors in Å.
    is_a : (n,) of bool
        The first species.
    q_max, q_bin
        In Å⁻¹.
    complete
        All Q vectors (by cosets), or sublattices beyond what one transform reaches.
    modes
        Most modes of one transform.

    Returns
    -------
    (5, bins)
    """
    lengths = np.linalg.norm(cell, axis=1)
    sums = np.zeros((5, int(np.ceil(q_max / q_bin - 1e-9))))
    fractions = np.ascontiguousarray((positions @ np.linalg.inv(cell)).T)
    # |h_i| = |Q·a_i|/2π ≤ Q |a_i|/2π, so a transform with (2π·modes^⅓/2)³ reaches this Q:
    reach = 2 * np.pi * (modes / (8 * np.prod(lengths))) ** (1 / 3)
    strengths = np.where(is_a, 1.0 + 0j, 1j)
    jobs = _cosets(reach, q_max) if complete else _sublattices(reach, q_max)
    workers = min(COSETS_AT_ONCE, thread_count()) if complete else 1

    def transform(job: _Coset) -> tuple[np.ndarray, np.ndarray]:
        m, shift, (_, high) = job
        phases = np.exp(2j * np.pi * (shift @ fractions)) if shift.any() else np.ones(1)
        settings = m, high, thread_count() // workers
        amplitudes = _transform(fractions, lengths, strengths * phases, *settings)
        if np.all(2 * shift % m == 0):
            return amplitudes, amplitudes
        return amplitudes, _transform(fractions, lengths, strengths * np.conj(phases), *settings)

    with ThreadPoolExecutor(workers) as pool:
        for job, (amplitudes, partner) in zip(jobs, pool.map(transform, jobs), strict=True):
            _bin(sums, amplitudes, partner, cell, *job, q_bin)
    return sums


# The multiple m, the shift s, and from and to which |Q|.
_Coset = tuple[int, np.ndarray, tuple[float, float]]


def _cosets(reach: float, q_max: float) -> list[_Coset]:
    """Give the cosets of the complete lattice: of ±s, which share their Q vectors, one."""
    m = 1
    while m * reach < q_max:
        m *= 2
    shifts = [s for s in np.ndindex(m, m, m) if s <= tuple((-x) % m for x in s)]
    return [(m, np.array(s, np.int64), (0.0, q_max)) for s in shifts]


def _sublattices(reach: float, q_max: float) -> list[_Coset]:
    """Give the lattice as far as one transform reaches, then every 2nd, 4th … vector of it."""
    levels, low, m = [], 0.0, 1
    while low < q_max:
        levels.append((m, np.zeros(3, np.int64), (low, min(q_max, m * reach))))
        low, m = m * reach, 2 * m
    return levels


def _modes(lengths: np.ndarray, m: int, q_max: float) -> tuple[int, ...]:
    """Give the modes per axis of a transform whose vectors m h' + s, |s| < m, reach q_max."""
    highest = np.floor(q_max * lengths / (2 * np.pi)).astype(int)
    modes = 2 * ((highest + m - 1) // m) + 1
    # The most modes, an odd number, that the same grid serves.
    return tuple((4 * min(g for g in FAST_GRIDS if 4 * g >= 5 * n) // 5 - 1) | 1 for n in modes)


def _transform(
    fractions: np.ndarray,
    lengths: np.ndarray,
    strengths: np.ndarray,
    m: int,
    q_max: float,
    threads: int,
) -> np.ndarray:
    """Amplitudes at the vectors m h' (times the phases in `strengths`) up to q_max.

    Double precision for small systems: single costs 1e-4 of S(Q), and is twice as fast.
    """
    double = fractions.shape[1] <= DOUBLE_UP_TO
    folded = fractions * m
    folded -= np.round(folded)
    points = (folded * 2 * np.pi).astype(np.float64 if double else np.float32)
    return finufft.nufft3d1(
        *points,
        strengths.astype(np.complex128 if double else np.complex64),
        _modes(lengths, m, q_max),
        eps=1e-6 if double else 1e-4,
        isign=1,
        nthreads=threads,
        upsampfac=1.25,
        showwarn=0,
    )


def _bin(
    sums: np.ndarray,
    amplitudes: np.ndarray,
    partner: np.ndarray,
    cell: np.ndarray,
    m: int,
    shift: np.ndarray,
    window: tuple[float, float],
    q_bin: float,
) -> None:
    """Add a coset to the sums.

    `partner` holds the amplitudes at the opposite vectors: those of the opposite coset, at -h',
    or, where a coset is its own opposite, its own at -h' - 2s/m; then half of it is skipped.
    """
    own = partner is amplitudes
    turn = 2 * shift // m if own else np.zeros(3, np.int64)
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    local = np.zeros((thread_count(), *sums.shape))
    _bin_kernel(amplitudes, partner, own, turn, shift, m, reciprocal, *window, q_bin, local)
    sums += local.sum(axis=0)


@njit(parallel=True, cache=True, fastmath=True)
def _bin_kernel(F, G, own, turn, shift, m, reciprocal, low, high, q_bin, local):  # noqa: ANN001, ANN202
    threads, bins = local.shape[0], local.shape[2]
    c0, c1, c2 = F.shape[0] // 2, F.shape[1] // 2, F.shape[2] // 2
    t0, t1, t2 = turn[0], turn[1], turn[2]
    for thread in prange(threads):
        for a in range(thread, F.shape[0], threads):
            h = m * (a - c0) + shift[0]
            if (own and h < 0) or a > 2 * c0 - t0:
                continue
            for b in range(F.shape[1] - t1):
                k = m * (b - c1) + shift[1]
                if own and h == 0 and k < 0:
                    continue
                qx = h * reciprocal[0, 0] + k * reciprocal[1, 0]
                qy = h * reciprocal[0, 1] + k * reciprocal[1, 1]
                qz = h * reciprocal[0, 2] + k * reciprocal[1, 2]
                for c in range(F.shape[2] - t2):
                    l = m * (c - c2) + shift[2]  # noqa: E741 - hkl
                    if own and h == 0 and k == 0 and l <= 0:
                        continue
                    x = qx + l * reciprocal[2, 0]
                    y = qy + l * reciprocal[2, 1]
                    z = qz + l * reciprocal[2, 2]
                    q = np.sqrt(x * x + y * y + z * z)
                    if q <= low or q > high:
                        continue
                    f = F[a, b, c]
                    g = G[2 * c0 - a - t0, 2 * c1 - b - t1, 2 * c2 - c - t2]
                    ar, ai = 0.5 * (f.real + g.real), 0.5 * (f.imag - g.imag)
                    br, bi = 0.5 * (f.imag + g.imag), 0.5 * (g.real - f.real)
                    i = min(int(q / q_bin), bins - 1)
                    local[thread, 0, i] += ar * ar + ai * ai
                    local[thread, 1, i] += br * br + bi * bi
                    local[thread, 2, i] += ar * br + ai * bi
                    local[thread, 3, i] += 1
                    local[thread, 4, i] += q


def broaden(q: np.ndarray, values: np.ndarray, counts: np.ndarray, fwhm: float) -> np.ndarray:
    """Broaden a curve to an instrument's resolution: a Gaussian of full width `fwhm` in Å⁻¹.

    Each point is the mean over all points, weighted by the Gaussian and by their `counts`
    (where all are zero, by the Gaussian alone).
    """
    weight = np.where(counts > 0, counts, 0).astype(float)
    weight = np.where(weight > 0, weight, weight[weight > 0].max() if weight.any() else 1.0)
    sigma = fwhm / np.sqrt(8 * np.log(2))
    kernel = np.exp(-0.5 * ((q[:, None] - q[None, :]) / sigma) ** 2) * weight
    return (kernel @ values) / kernel.sum(axis=1)
