"""Order between the centres of rings: their g(r) and S(Q), alone and against Si and O.

An Si lies on many rings, and on more of them where the network is dense. Centres that are all
counted alike measure how the number of rings fluctuates, which at small Q drowns all else. So

- rings that pass the same Si are one: where two Si share two O, each ring through them has a twin;
- each Si is shared evenly by the rings it lies on. A ring weighs the sum of its shares, and all
  rings together the number of Si on rings: at small Q, S(Q) of the centres is that of these Si.
"""

from dataclasses import dataclass

import numpy as np

from glassml.campaign.defaults import Q_BIN_PER_A, RING_CENTRE_Q_MAX_PER_A
from glassml.structure.gr import count_pairs, perpendicular_heights
from glassml.structure.lattice import lattice_sums
from glassml.structure.rings.graph import unpack
from glassml.structure.rings.search import Rings


@dataclass(frozen=True)
class RingCentres:
    """Centres of distinct rings, those that do not pass the same Si.

    Attributes
    ----------
    positions : (n, 3)
        Mean position of the Si and O of each ring in Å, of twins the mean of theirs.
    size : (n,)
        Number of Si.
    weight : (n,)
        Sum over the ring's Si of 1 / (number of distinct rings through it).
    """

    positions: np.ndarray
    size: np.ndarray
    weight: np.ndarray


def distinct_centres(rings: Rings) -> RingCentres:
    """Find the centres of distinct rings, and the share of the Si that each stands for.

    Parameters
    ----------
    rings
        From `find_rings`, perhaps of one size only.
    """
    is_former = rings.is_former[rings.members]
    formers, images = rings.members[is_former], unpack(rings.packed_images[is_former])
    begin, centres = rings.pointer[:-1] // 2, rings.centres
    passes = np.zeros(len(rings.is_former))
    found = []
    for size in np.unique(rings.size):
        own = np.flatnonzero(rings.size == size)
        along = begin[own, None] + np.arange(size)
        si, image = formers[along], images[along]
        # Twins have the same Si in the same order, seen from the first of them.
        order = np.lexsort((*np.moveaxis(image, -1, 0)[::-1], si))
        si = np.take_along_axis(si, order, axis=1)
        image = np.take_along_axis(image, order[..., None], axis=1)
        key = np.column_stack([si, (image - image[:, :1]).reshape(len(own), -1)])
        _, first, ring = np.unique(key, axis=0, return_index=True, return_inverse=True)
        ring = ring.ravel()
        seen = centres[own] - image[:, 0] @ rings.cell
        sums = np.column_stack([np.bincount(ring, column) for column in seen.T])
        found.append((int(size), sums / np.bincount(ring)[:, None], si[first]))
        passes += np.bincount(si[first].ravel(), minlength=len(passes))
    if not found:
        return RingCentres(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0))
    return RingCentres(
        positions=np.concatenate([positions for _, positions, _ in found]),
        size=np.concatenate([np.full(len(si), size) for size, _, si in found]),
        weight=np.concatenate([(1 / passes[si]).sum(axis=1) for _, _, si in found]),
    )


@dataclass(frozen=True)
class CentreStructureFactor:
    """S(Q) of ring centres at the box's Q vectors.

    With amplitudes ρ_c = Σ w exp(iQ·r) over the distinct centres, w their weights, and ρ_x of Si
    and O, each of weight 1:

    Attributes
    ----------
    q, counts : (bins,)
        As of `StructureFactor`.
    centre : (bins,)
        |ρ_c|²/Σw², 1 for centres without correlation.
    with_si, with_o : (bins,)
        Re(ρ_c ρ_x*)/√(Σw² N_x) (Ashcroft-Langreth), 0 without correlation.
    """

    q: np.ndarray
    counts: np.ndarray
    centre: np.ndarray
    with_si: np.ndarray
    with_o: np.ndarray


def centre_structure_factor(
    rings: Rings, q_max: float = RING_CENTRE_Q_MAX_PER_A, q_bin: float = Q_BIN_PER_A
) -> CentreStructureFactor:
    """Compute S(Q) of the centres of distinct rings, weighted by their shares of the Si.

    Parameters
    ----------
    rings
        From `find_rings`, perhaps of one size only: then these alone share the Si. At least one.
    q_max, q_bin
        In Å⁻¹.
    """
    centres = distinct_centres(rings)
    power = float((centres.weight**2).sum())
    results = {}
    for name, chosen in (("si", rings.is_former), ("o", rings.is_bridge)):
        partners = rings.positions[chosen]
        points = np.concatenate([centres.positions, partners])
        weights = np.concatenate([centres.weight, np.ones(len(partners))])
        is_centre = np.arange(len(points)) < len(centres.weight)
        sums = lattice_sums(points, rings.cell, is_centre, q_max, q_bin, weights=weights)
        results[name] = sums[:, sums[3] > 0], len(partners)
    sums, n_si = results["si"]
    sums_o, n_o = results["o"]
    counts = sums[3]
    return CentreStructureFactor(
        q=sums[4] / counts,
        counts=counts.astype(np.int64),
        centre=sums[0] / counts / power,
        with_si=sums[2] / counts / np.sqrt(power * n_si),
        with_o=sums_o[2] / counts / np.sqrt(power * n_o),
    )


def contributions(
    rings: Rings, q_max: float = RING_CENTRE_Q_MAX_PER_A, q_bin: float = Q_BIN_PER_A
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Split S(Q) of all ring centres into what the rings of each size contribute.

    S = Σ_n S_n with S_n = Re(ρ_n ρ*)/Σw², ρ = Σ_n ρ_n the amplitude of all centres.

    Returns
    -------
    q : (bins,)
        In Å⁻¹.
    parts : dict of (bins,)
        S_n by ring size; their sum is S(Q).
    """
    centres = distinct_centres(rings)
    parts = {}
    q = np.zeros(0)
    for size in np.unique(centres.size):
        chosen = centres.size == size
        sums = lattice_sums(
            centres.positions, rings.cell, chosen, q_max, q_bin, weights=centres.weight
        )
        filled = sums[3] > 0
        q = sums[4, filled] / sums[3, filled]
        power = sums[3, filled] * (centres.weight**2).sum()
        parts[int(size)] = (sums[0] + sums[2])[filled] / power
    return q, parts


def centre_pair_distribution(
    rings: Rings, r_max: float | None = None, bin_width: float = 0.05
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """g(r) of the centres of distinct rings, each counted once, and of centres against Si and O.

    Parameters
    ----------
    rings
        At least one ring.
    r_max, bin_width
        In Å; by default up to half the smallest height of the cell, at most 20 Å.

    Returns
    -------
    r : (bins,)
        Centres of the bins in Å.
    g : dict of (bins,)
        "centre-centre", "centre-Si", "centre-O".
    """
    if r_max is None:
        r_max = min(20.0, float(perpendicular_heights(rings.cell).min()) / 2)
    bins = max(1, int(np.ceil(r_max / bin_width - 1e-9)))
    edges = np.arange(bins + 1) * bin_width
    shells = 4 / 3 * np.pi * np.diff(edges**3) / abs(np.linalg.det(rings.cell))
    centres, g = distinct_centres(rings).positions, {}
    for name, chosen in (("Si", rings.is_former), ("O", rings.is_bridge)):
        partners = rings.positions[chosen]
        points = np.concatenate([centres, partners])
        species = (np.arange(len(points)) >= len(centres)).astype(np.int64)
        counts = count_pairs(points, rings.cell, species, bins, bin_width)
        g["centre-centre"] = counts[0] / (len(centres) ** 2 / 2 * shells)
        g[f"centre-{name}"] = counts[1] / (len(centres) * len(partners) * shells)
    return (edges[1:] + edges[:-1]) / 2, g
