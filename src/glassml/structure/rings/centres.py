"""Order between the centres of rings: their g(r) and S(Q), alone and against Si and O."""

from dataclasses import dataclass

import numpy as np

from glassml.structure.gr import count_pairs, perpendicular_heights
from glassml.structure.lattice import lattice_sums
from glassml.structure.rings.search import Rings


@dataclass(frozen=True)
class CentreStructureFactor:
    """S(Q) of ring centres at the box's Q vectors.

    With amplitudes ρ_x = Σ exp(iQ·r) over centres c, Si and O:

    Attributes
    ----------
    q, counts : (bins,)
        As of `StructureFactor`.
    centre : (bins,)
        |ρ_c|²/N_c, 1 for centres without correlation.
    with_si, with_o : (bins,)
        Re(ρ_c ρ_x*)/√(N_c N_x) (Ashcroft-Langreth), 0 without correlation.
    """

    q: np.ndarray
    counts: np.ndarray
    centre: np.ndarray
    with_si: np.ndarray
    with_o: np.ndarray


def centre_structure_factor(
    rings: Rings, q_max: float = 6.0, q_bin: float = 0.02
) -> CentreStructureFactor:
    """Compute S(Q) of the ring centres (mean positions of Si and O of each ring).

    Parameters
    ----------
    rings
        From `find_rings`, perhaps of one size only; at least one ring.
    q_max, q_bin
        In Å⁻¹.
    """
    centres = rings.centres
    results = {}
    for name, chosen in (("si", rings.is_former), ("o", rings.is_bridge)):
        partners = rings.positions[chosen]
        sums = _pair_sums(centres, partners, rings.cell, q_max, q_bin)
        filled = sums[3] > 0
        results[name] = sums[:, filled], len(partners)
    sums, n_si = results["si"]
    sums_o, n_o = results["o"]
    number, counts = len(centres), sums[3]
    return CentreStructureFactor(
        q=sums[4] / counts,
        counts=counts.astype(np.int64),
        centre=sums[0] / counts / number,
        with_si=sums[2] / counts / np.sqrt(number * n_si),
        with_o=sums_o[2] / counts / np.sqrt(number * n_o),
    )


def contributions(
    rings: Rings, q_max: float = 6.0, q_bin: float = 0.02
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Split S(Q) of all ring centres into what the rings of each size contribute.

    S = Σ_n S_n with S_n = Re(ρ_n ρ*)/N, ρ = Σ_n ρ_n the amplitude of all N centres.

    Returns
    -------
    q : (bins,)
        In Å⁻¹.
    parts : dict of (bins,)
        S_n by ring size; their sum is S(Q).
    """
    centres = rings.centres
    parts = {}
    q = np.zeros(0)
    for size in np.unique(rings.size):
        chosen = rings.size == size
        sums = lattice_sums(centres, rings.cell, chosen, q_max, q_bin)
        filled = sums[3] > 0
        q = sums[4, filled] / sums[3, filled]
        parts[int(size)] = (sums[0] + sums[2])[filled] / sums[3, filled] / len(centres)
    return q, parts


def _pair_sums(
    centres: np.ndarray, partners: np.ndarray, cell: np.ndarray, q_max: float, q_bin: float
) -> np.ndarray:
    is_centre = np.arange(len(centres) + len(partners)) < len(centres)
    return lattice_sums(np.concatenate([centres, partners]), cell, is_centre, q_max, q_bin)


def centre_pair_distribution(
    rings: Rings, r_max: float | None = None, bin_width: float = 0.05
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """g(r) of ring centres, and of centres against Si and O.

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
    centres, g = rings.centres, {}
    for name, chosen in (("Si", rings.is_former), ("O", rings.is_bridge)):
        partners = rings.positions[chosen]
        points = np.concatenate([centres, partners])
        species = (np.arange(len(points)) >= len(centres)).astype(np.int64)
        counts = count_pairs(points, rings.cell, species, bins, bin_width)
        g["centre-centre"] = counts[0] / (len(centres) ** 2 / 2 * shells)
        g[f"centre-{name}"] = counts[1] / (len(centres) * len(partners) * shells)
    return (edges[1:] + edges[:-1]) / 2, g
