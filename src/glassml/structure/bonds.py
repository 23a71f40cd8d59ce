"""Bonds of formers with bridges, and their cutoffs, by a stated rule."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from matscipy.neighbours import neighbour_list
from scipy.ndimage import gaussian_filter1d

from glassml.campaign.errors import StructureError
from glassml.structure.frames import wrapped
from glassml.structure.gr import pair_distribution
from glassml.structure.species import Network, named_network

# Where the first peak of g(r) of Si-O is sought; of other pairs, scaled by their covalent radii.
PEAK_WINDOW_A = (1.2, 2.2)
MINIMUM_WITHIN = 1.75  # of the first peak's distance: the second shell begins at about twice
# Mean numbers of bridges of a former by default; Si is one whatever its number.
TRIGONAL_TO_TETRAHEDRAL = (2.5, 5.0)
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bonds:
    """Bonds of formers with bridges (Si-O), in both directions, sorted by the first atom.

    Attributes
    ----------
    first, second : (2 bonds,)
        The two atoms of each directed bond.
    shift : (2 bonds, 3)
        Image of the second atom, in cell vectors, for atoms folded into the cell.
    positions : (n, 3)
        Atoms folded into the cell, in Å.
    cell : (3, 3)
        Rows are the vectors, in Å.
    cutoffs : dict of float
        What counts as a bond, in Å, by pair of elements ("Si-O").
    network : Network
        Which elements bond.
    is_former, is_bridge : (n,) of bool
        Which atoms are the network's corners and what joins them; neither: left out.
    """

    first: np.ndarray
    second: np.ndarray
    shift: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    cutoffs: dict[str, float]
    network: Network
    is_former: np.ndarray
    is_bridge: np.ndarray

    @property
    def n(self) -> int:
        """Number of atoms."""
        return len(self.positions)

    @property
    def cutoff(self) -> float:
        """The largest cutoff in Å."""
        return max(self.cutoffs.values())

    @property
    def vector(self) -> np.ndarray:
        """(2 bonds, 3): from the first to the second atom, in Å."""
        return self.positions[self.second] - self.positions[self.first] + self.shift @ self.cell

    @property
    def pointer(self) -> np.ndarray:
        """(n + 1,): the bonds of atom i are pointer[i] … pointer[i + 1]."""
        counts = np.bincount(self.first, minlength=self.n)
        return np.concatenate([[0], np.cumsum(counts)])

    @property
    def coordination(self) -> np.ndarray:
        """(n,): number of bonds of each atom."""
        return np.bincount(self.first, minlength=self.n)

    @property
    def length(self) -> np.ndarray:
        """(2 bonds,): lengths in Å."""
        return np.linalg.norm(self.vector, axis=1)


def bonds_kept(before: Bonds, after: Bonds) -> float:
    """Share of the bonds of one structure that are there in another of the same atoms.

    What tells a glass that was only deformed (1) from a melt (0): bonds are pairs of atoms, by
    their numbers; images are left out, since atoms may be folded in between.

    Parameters
    ----------
    before, after
        Of the same atoms in the same order.

    Raises
    ------
    StructureError
        If the atoms are others, or there was no bond.
    """
    if not np.array_equal(before.is_former, after.is_former):
        raise StructureError("bonds are compared of the same atoms in the same order")
    if not len(before.first):
        raise StructureError("there is no bond that could be kept")
    old, new = (
        np.unique(bonds.first.astype(np.int64) * bonds.n + bonds.second)
        for bonds in (before, after)
    )
    return float(np.isin(old, new).mean())


def peak_window(pair: tuple[str, str]) -> tuple[float, float]:
    """Where the first peak of g(r) of a pair is sought, in Å: 1.2-2.2 Å for Si-O.

    Others are scaled by the sum of covalent radii (Cordero et al., Dalton Trans. 2832 (2008),
    from ASE).
    """
    lengths = [
        sum(covalent_radii[atomic_numbers[symbol]] for symbol in symbols)
        for symbols in (pair, ("Si", "O"))
    ]
    scale = lengths[0] / lengths[1]
    return PEAK_WINDOW_A[0] * scale, PEAK_WINDOW_A[1] * scale


def first_minimum(r: np.ndarray, g: np.ndarray, pair: tuple[str, str] = ("Si", "O")) -> float:
    """Find the cutoff of a bond: the first minimum of g(r) after its first peak.

    g is smoothed by a Gaussian of 0.04 Å. The first peak is the maximum in `peak_window`, the
    minimum is sought up to 1.75 times the distance of the peak. Where it is flat (within 0.05 of
    its lowest value, as the empty gap of a glass or crystal is), its middle is taken.

    Raises
    ------
    StructureError
        If there is no first peak, or no minimum below a third of it (a gas, other elements).
    """
    smooth = gaussian_filter1d(g, 0.04 / (r[1] - r[0]))
    name, (low, high) = "-".join(pair), peak_window(pair)
    window = np.flatnonzero((r > low) & (r < high))
    if len(window) == 0 or smooth[window].max() < 1.5:
        raise StructureError(
            f"no {name} peak between {low:.1f} and {high:.1f} Å in g(r): give a cutoff"
        )
    peak = window[np.argmax(smooth[window])]
    after = np.flatnonzero((r > r[peak]) & (r <= MINIMUM_WITHIN * r[peak]))
    if len(after) == 0 or smooth[after].min() > smooth[peak] / 3:
        raise StructureError(f"no minimum after the {name} peak of g(r): give a cutoff")
    lowest = after[np.argmin(smooth[after])]
    flat = smooth[after] <= smooth[lowest] + 0.05
    left = right = int(lowest - after[0])
    while left > 0 and flat[left - 1]:
        left -= 1
    while right + 1 < len(flat) and flat[right + 1]:
        right += 1
    return float((r[after[left]] + r[after[right]]) / 2)


def find_cutoffs(
    frames: Sequence[Atoms], pairs: Sequence[tuple[str, str]] = (("Si", "O"),)
) -> dict[str, float]:
    """Find the cutoff in Å of each pair in the mean g(r) of frames (see `first_minimum`)."""
    r_max = max(4.0, *(MINIMUM_WITHIN * peak_window(pair)[1] for pair in pairs))
    curves = [pair_distribution(atoms, r_max, bin_width=0.02) for atoms in frames]
    cutoffs = {}
    for first, second in pairs:
        names = (f"{first}-{second}", f"{second}-{first}")
        name = next((name for name in names if name in curves[0].partials), None)
        if name is None:
            raise StructureError(f"there is no pair of {first} and {second}")
        mean = np.mean([curve.partials[name] for curve in curves], axis=0)
        cutoffs[f"{first}-{second}"] = first_minimum(curves[0].r, mean, (first, second))
    return cutoffs


def find_network(
    frames: Sequence[Atoms],
    formers: Sequence[str] | None = None,
    bridges: Sequence[str] | None = None,
) -> Network:
    """Find which elements make the network, unless they are named.

    Formers are Si, and of Ge, Al, B, P, Be, Zn those with a mean of 2.5 to 5 bridges; where none
    is left, the most frequent. Bridges are O, S, Se and F. What is left out is logged.

    Raises
    ------
    StructureError
        If there is no former or no bridge, or a named element is not there.
    """
    network = named_network(frames[0], formers, bridges)
    if formers is None and len(network.formers) > 1:
        low, high = TRIGONAL_TO_TETRAHEDRAL
        numbers = {s: _mean_bridges(frames, s, network.bridges) for s in network.formers}
        kept = [s for s in network.formers if s == "Si" or low <= numbers[s] <= high]
        if not kept:
            symbols = frames[0].get_chemical_symbols()
            kept = [max(network.formers, key=symbols.count)]
        network = named_network(frames[0], kept, network.bridges)
    if network.others:
        LOG.warning(
            "the network is that of %s with %s; %s: left out of bonds and rings (--formers and "
            "--bridges name others)",
            ", ".join(network.formers),
            ", ".join(network.bridges),
            ", ".join(network.others),
        )
    return network


def _mean_bridges(frames: Sequence[Atoms], element: str, bridges: Sequence[str]) -> float:
    """Mean number of bridges around an element, 0 where g(r) has no first shell."""
    total = 0.0
    for bridge in bridges:
        try:
            cutoff = find_cutoffs(frames, [(element, bridge)])
        except StructureError:
            continue
        total += float(coordination_by(frames[0], element, cutoff).mean())
    return total


def coordination_by(atoms: Atoms, element: str, cutoffs: Mapping[str, float]) -> np.ndarray:
    """(atoms of the element,): number of partners within the cutoffs ("Na-O": 3.1) of each."""
    numbers = {
        tuple(atomic_numbers[symbol] for symbol in pair.split("-")): cutoff
        for pair, cutoff in cutoffs.items()
    }
    first = neighbour_list("i", wrapped(atoms), cutoff=numbers)
    counts = np.bincount(first, minlength=len(atoms))
    return counts[atoms.numbers == atomic_numbers[element]]


def find_bonds(
    atoms: Atoms,
    cutoff: float | Mapping[str, float] | None = None,
    network: Network | None = None,
) -> Bonds:
    """Find the bonds; images are distinct, so a cell may be smaller than the cutoff.

    Parameters
    ----------
    atoms
        In a periodic cell of any shape.
    cutoff
        Largest distance in Å that is a bond, of all pairs or by pair ("Si-O"); by default the
        first minimum of each g(r).
    network
        Formers and bridges; by default from `find_network`.

    Raises
    ------
    StructureError
        If there is no network, or the structure is not periodic in three dimensions.
    """
    network = find_network([atoms]) if network is None else network
    if cutoff is None:
        cutoff = find_cutoffs([atoms], network.pairs)
    if not isinstance(cutoff, Mapping):
        cutoff = {f"{former}-{bridge}": float(cutoff) for former, bridge in network.pairs}
    by_number = {
        (atomic_numbers[former], atomic_numbers[bridge]): cutoff[f"{former}-{bridge}"]
        for former, bridge in network.pairs
    }
    folded = wrapped(atoms)
    # Sorted by the first atom.
    first, second, shift = neighbour_list("ijS", folded, cutoff=by_number)
    return Bonds(
        first,
        second,
        shift.astype(np.int16),
        folded.positions,
        folded.cell.array,
        dict(cutoff),
        network,
        network.is_former(atoms),
        network.is_bridge(atoms),
    )


def cutoffs_of_others(frames: Sequence[Atoms], network: Network) -> dict[str, dict[str, float]]:
    """Find the shells of bridges around what is left out; those without a minimum are logged."""
    found: dict[str, dict[str, float]] = {}
    for element in network.others:
        for bridge in network.bridges:
            try:
                cutoff = find_cutoffs(frames, [(element, bridge)])
            except StructureError as reason:
                LOG.warning("coordination of %s: %s", element, reason)
                continue
            found.setdefault(element, {}).update(cutoff)
    return found
