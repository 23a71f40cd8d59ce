"""Sums over the Q vectors of a periodic box, by non-uniform FFT.

The amplitudes of all Q vectors are one type-1 transform (finufft). Two things keep memory bounded:

- *Cosets*: the vectors h of the reciprocal lattice are h = m h' + s, s in [0, m)³. For each s,
  the amplitudes are a transform of the atoms folded into the cell divided by m, with the
  phases of s. All cosets together are the complete lattice.
- *Sublattices*: coset s = 0 alone is a fair sample of the lattice, every m-th vector along each
  axis. Each is still an exact vector of the box.

Two elements share one transform, with strengths 1 and i: F = A + iB at Q; conj(F(-Q)) = A - iB. Of
more elements each pair is transformed.
"""

from concurrent.futures import ThreadPoolExecutor

import finufft
import numpy as np
from numba import njit, prange

from glassml.structure.compiled import thread_count

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


def lattice_sums(
    positions: np.ndarray,
    cell: np.ndarray,
    is_a: np.ndarray,
    q_max: float,
    q_bin: float,
    complete: bool = True,
    modes: int = MODES,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Sum |A|², |B|², Re(A B*), 1 and |Q| over the box's Q vectors, by bins of |Q|.

    A and B are the amplitudes Σ w exp(iQ·r) of two species; of ±Q one is counted.

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
    weights : (n,)
        w of each point, by default 1.

    Returns
    -------
    (5, bins)
    """
    lengths = np.linalg.norm(cell, axis=1)
    sums = np.zeros((5, int(np.ceil(q_max / q_bin - 1e-9))))
    fractions = np.ascontiguousarray((positions @ np.linalg.inv(cell)).T)
    # |h_i| = |Q·a_i|/2π ≤ Q |a_i|/2π, so a transform with (2π·modes^⅓/2)³ reaches this Q:
    reach = 2 * np.pi * (modes / (8 * np.prod(lengths))) ** (1 / 3)
    strengths = np.where(is_a, 1.0 + 0j, 1j) * (1.0 if weights is None else weights)
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
