"""Observables of a frame, and their means over frames: the same for files, glasses, MDAnalysis.

Each class measures one frame (`measure`) and reduces what was measured (`mean`); what depends on
all frames, as a cutoff from their mean g(r), is settled first (`settled`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from glassml.campaign.defaults import MAX_RING_SIZE, Q_BIN_PER_A, Q_MAX_PER_A, R_BIN_A
from glassml.campaign.errors import StructureError
from glassml.structure.bonds import Bonds, cutoffs_of_others, find_bonds, find_cutoffs, find_network
from glassml.structure.gr import PairDistribution, pair_distribution
from glassml.structure.network import NetworkFrame, describe_network
from glassml.structure.rings.search import Rings, find_rings
from glassml.structure.rings.shape import RingShapes, ring_shapes
from glassml.structure.scattering import scattering_length
from glassml.structure.species import Network, count_elements
from glassml.structure.sq import StructureFactor, average, structure_factor
from glassml.structure.statistics import curve_error, mean_and_error


def check_one_composition(frames: Sequence[Atoms]) -> None:
    """Refuse frames of several compositions, whose means have no meaning.

    Raises
    ------
    StructureError
        With two of the compositions.
    """
    first = count_elements(frames[0])
    for atoms in frames[1:]:
        other = count_elements(atoms)
        same = first.keys() == other.keys() and all(
            abs(first[e] * len(atoms) - other[e] * len(frames[0])) < 0.5 for e in first
        )
        if not same:
            formulae = " and ".join(a.get_chemical_formula() for a in (frames[0], atoms))
            raise StructureError(
                f"the frames differ in composition ({formulae}): their mean has no meaning; "
                f"analyse each composition alone"
            )


Item = TypeVar("Item")
Means_co = TypeVar("Means_co", covariant=True)


class Observable(Protocol[Item, Means_co]):
    """What is measured of a frame, and averaged over frames."""

    def measure(self, atoms: Atoms) -> Item:
        """Measure one frame."""

    def mean(self, items: Sequence[Item]) -> Means_co:
        """Average what was measured."""


def mean_over(observable: Observable[Item, Means_co], frames: Sequence[Atoms]) -> Means_co:
    """Measure each frame and average: what an observable's `mean` gives."""
    return observable.mean([observable.measure(atoms) for atoms in frames])


def mean_scalars(
    frames: Sequence[Mapping[str, float]],
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Means and standard errors over frames by name; what a frame does not have is zero there."""
    values: dict[str, list[float]] = {}
    for frame in frames:
        for name, value in frame.items():
            values.setdefault(name, []).append(value)
    pairs = {
        name: mean_and_error(found + [0.0] * (len(frames) - len(found)))
        for name, found in values.items()
    }
    return {n: pair[0] for n, pair in pairs.items()}, {n: pair[1] for n, pair in pairs.items()}


@dataclass(frozen=True)
class NetworkMeans:
    """Network of several frames: `mean` and `error` by name, and the frames themselves."""

    mean: dict[str, float | None]
    error: dict[str, float | None]
    frames: list[NetworkFrame]


@dataclass(frozen=True)
class BondRule:
    """What bonds: elements and cutoffs; None is found from the frames.

    Attributes
    ----------
    cutoff
        In Å, of all pairs or by pair.
    formers, bridges
        Elements of the network.
    network
        What `formers` and `bridges` come to, once settled.
    """

    cutoff: float | Mapping[str, float] | None = None
    formers: Sequence[str] | None = None
    bridges: Sequence[str] | None = None
    network: Network | None = None

    def settled(self, frames: Sequence[Atoms]) -> "BondRule":
        """Find what is not named, from the mean g(r) of frames."""
        network = self.network or find_network(frames, self.formers, self.bridges)
        cutoff = find_cutoffs(frames, network.pairs) if self.cutoff is None else self.cutoff
        return replace(self, network=network, cutoff=cutoff)

    @property
    def largest_cutoff(self) -> float | None:
        """The largest cutoff in Å, once settled."""
        return max(self.cutoff.values()) if isinstance(self.cutoff, Mapping) else self.cutoff

    def bonds(self, atoms: Atoms) -> Bonds:
        """Bonds of one frame."""
        rule = self if self.network is not None else self.settled([atoms])
        return find_bonds(atoms, rule.cutoff, rule.network)


@dataclass(frozen=True)
class NetworkObservables:
    """Coordination, Qn, angles, bond lengths, Kono's z.

    Attributes
    ----------
    rule
        What bonds.
    others
        Cutoffs of elements that are left out, as of `coordination_numbers`.
    """

    rule: BondRule = BondRule()
    others: Mapping[str, Mapping[str, float]] | None = None

    def settled(self, frames: Sequence[Atoms]) -> "NetworkObservables":
        """Find elements and cutoffs from all frames."""
        rule = self.rule.settled(frames)
        assert rule.network is not None
        return NetworkObservables(rule, cutoffs_of_others(frames, rule.network))

    def measure(self, atoms: Atoms) -> NetworkFrame:
        """Measure one frame."""
        return describe_network(atoms, self.rule.bonds(atoms), self.others)

    def mean(self, items: Sequence[NetworkFrame]) -> NetworkMeans:
        """Average what was measured."""
        return NetworkMeans(*mean_scalars([item.scalars() for item in items]), list(items))


@dataclass(frozen=True)
class PairMeans:
    """Mean pair distribution of several frames.

    Attributes
    ----------
    r : (bins,)
        In Å, as far as all frames reach.
    partials, errors : dict of (bins,)
        g_ab(r) and its standard error over frames, by pair of elements.
    neutron, xray : (bins,)
        Totals, weighed with scattering lengths and atomic numbers; None without a length.
    density : float
        Atoms per Å³.
    """

    r: np.ndarray
    partials: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    neutron: np.ndarray | None
    xray: np.ndarray
    density: float

    @property
    def t_neutron(self) -> np.ndarray | None:
        """T(r) = 4πρ r g(r) of the neutron total, in Å⁻²."""
        return None if self.neutron is None else 4 * np.pi * self.density * self.r * self.neutron

    @property
    def d_neutron(self) -> np.ndarray | None:
        """D(r) = 4πρ r (g(r) - 1) of the neutron total, in Å⁻²."""
        if self.neutron is None:
            return None
        return 4 * np.pi * self.density * self.r * (self.neutron - 1)


@dataclass(frozen=True)
class PairObservables:
    """Partial and total g(r), as of `pair_distribution`."""

    r_max: float | None = None
    bin_width: float = R_BIN_A

    def measure(self, atoms: Atoms) -> PairDistribution:
        """Measure one frame."""
        return pair_distribution(atoms, self.r_max, self.bin_width)

    def mean(self, items: Sequence[PairDistribution]) -> PairMeans:
        """Average what was measured, as far as all frames reach."""
        shortest = min(len(item.r) for item in items)
        elements = list(items[0].numbers)
        curves = {
            pair: np.array([item.partials[pair][:shortest] for item in items])
            for pair in items[0].partials
        }

        def total(weight: Mapping[str, float]) -> np.ndarray:
            return np.mean([item.total(weight)[:shortest] for item in items], axis=0)

        try:
            neutron = total({element: scattering_length(element) for element in elements})
        except StructureError:
            neutron = None
        return PairMeans(
            r=items[0].r[:shortest],
            partials={pair: curve.mean(axis=0) for pair, curve in curves.items()},
            errors={pair: curve_error(curve) for pair, curve in curves.items()},
            neutron=neutron,
            xray=total({element: float(atomic_numbers[element]) for element in elements}),
            density=float(np.mean([item.number_density for item in items])),
        )


@dataclass(frozen=True)
class FactorObservables:
    """S(Q), as of `structure_factor`."""

    q_max: float = Q_MAX_PER_A
    q_bin: float = Q_BIN_PER_A
    q_lattice: float | None = None
    complete: bool | None = None

    def measure(self, atoms: Atoms) -> StructureFactor:
        """Measure one frame."""
        return structure_factor(atoms, self.q_max, self.q_bin, self.q_lattice, self.complete)

    def mean(self, items: Sequence[StructureFactor]) -> StructureFactor:
        """Average what was measured, bin by bin."""
        return average(items)


@dataclass(frozen=True)
class RingMeans:
    """Rings of several frames.

    Attributes
    ----------
    per_former, error : dict of float
        Rings per former by size, and the standard error over frames.
    counts : dict of float
        Rings per frame by size.
    frames : list of Rings
        The rings of each frame.
    """

    per_former: dict[int, float]
    error: dict[int, float | None]
    counts: dict[int, float]
    frames: list[Rings]

    @property
    def sizes(self) -> list[int]:
        """Sizes that some frame has."""
        return sorted(self.per_former)

    def shapes(self, atoms: str) -> list[RingShapes]:
        """Shapes of the rings of each frame, of all their atoms ("Si+O") or formers ("Si")."""
        return [ring_shapes(rings, atoms) for rings in self.frames]


@dataclass(frozen=True)
class RingObservables:
    """Rings of one criterion.

    Attributes
    ----------
    criterion, max_size
        As of `find_rings`.
    rule
        What bonds.
    """

    criterion: str = "primitive"
    max_size: int = MAX_RING_SIZE
    rule: BondRule = BondRule()
    progress: bool = False

    def settled(self, frames: Sequence[Atoms]) -> "RingObservables":
        """Find elements and cutoffs from all frames."""
        return replace(self, rule=self.rule.settled(frames))

    def measure(self, atoms: Atoms) -> Rings:
        """Measure one frame."""
        bonds = self.rule.bonds(atoms)
        return find_rings(atoms, self.criterion, self.max_size, bonds, self.progress)

    def mean(self, items: Sequence[Rings]) -> RingMeans:
        """Average what was measured."""
        per_former = [rings.per_former() for rings in items]
        sizes = sorted({size for frame in per_former for size in frame})
        pairs = {n: mean_and_error([frame.get(n, 0.0) for frame in per_former]) for n in sizes}
        return RingMeans(
            per_former={n: pair[0] or 0.0 for n, pair in pairs.items()},
            error={n: pair[1] for n, pair in pairs.items()},
            counts={n: sum(r.counts().get(n, 0) for r in items) / len(items) for n in sizes},
            frames=list(items),
        )
