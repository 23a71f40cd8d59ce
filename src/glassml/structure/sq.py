"""Structure factors of a periodic box at its own Q vectors, and by the transform of g(r)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import finufft
import numpy as np
from ase import Atoms

from glassml.campaign.defaults import Q_BIN_PER_A, Q_MAX_PER_A
from glassml.campaign.errors import StructureError
from glassml.structure.binning import bin_of
from glassml.structure.frames import periodic_cell
from glassml.structure.gr import pair_distribution
from glassml.structure.lattice import DOUBLE_UP_TO, MODES, lattice_sums
from glassml.structure.scattering import total_standard_error, total_structure_factor
from glassml.structure.species import count_elements, pairs_of, shares_of, species_index

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
    q_max: float = Q_MAX_PER_A,
    q_bin: float = Q_BIN_PER_A,
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
    index = bin_of(np.concatenate([f.q for f in factors]), q_bin)
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
