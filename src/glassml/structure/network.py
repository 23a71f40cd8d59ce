"""What follows from the bonds of a network: coordination, Qn, angles, how polyhedra meet, z."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from scipy.spatial import cKDTree

from glassml.campaign.units import density_g_cm3
from glassml.structure.bonds import Bonds, coordination_by
from glassml.structure.frames import wrapped
from glassml.structure.species import Network


def bond_angles(atoms: Atoms, bonds: Bonds, centre: int) -> np.ndarray:
    """All angles in degrees between two bonds of the same atom.

    Parameters
    ----------
    centre
        Atomic number of the middle atom: 14 for O-Si-O, 8 for Si-O-Si.
    """
    unit = bonds.vector
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    pointer, coordination = bonds.pointer, bonds.coordination
    angles = []
    of_species = atoms.numbers == centre
    for number in np.unique(coordination[of_species]):
        chosen = np.flatnonzero(of_species & (coordination == number))
        stars = unit[pointer[chosen][:, None] + np.arange(number)]
        one, two = np.triu_indices(number, k=1)
        cosines = np.einsum("aix,aix->ai", stars[:, one], stars[:, two])
        angles.append(np.degrees(np.arccos(np.clip(cosines, -1, 1))).ravel())
    return np.concatenate(angles) if angles else np.zeros(0)


def fractions(values: np.ndarray) -> dict[str, float]:
    """Share of each integer among `values`, as `{"4": 0.99, …}`."""
    numbers, counts = np.unique(values, return_counts=True)
    return {str(int(n)): float(c / len(values)) for n, c in zip(numbers, counts, strict=True)}


def q_species(bonds: Bonds) -> np.ndarray:
    """(formers,): bridges that each former shares with others, the n of Qn."""
    bridging = bonds.coordination >= 2
    of_former = bonds.is_former[bonds.first]
    counts = np.bincount(
        bonds.first[of_former], weights=bridging[bonds.second[of_former]], minlength=bonds.n
    )
    return counts[bonds.is_former].astype(int)


def shared_bridges(bonds: Bonds) -> dict[str, float]:
    """How polyhedra meet: pairs of formers that share 1 (corner), 2 (edge), 3 (face), per former.

    Images are distinct: a pair is (Si, Si, image).
    """
    pointer, coordination = bonds.pointer, bonds.coordination
    keys = []
    for number in np.unique(coordination[bonds.is_bridge]):
        chosen = np.flatnonzero(bonds.is_bridge & (coordination == number))
        index = pointer[chosen][:, None] + np.arange(number)
        one, two = np.triu_indices(number, k=1)
        a, b = bonds.second[index[:, one]].ravel(), bonds.second[index[:, two]].ravel()
        shift = (bonds.shift[index[:, two]] - bonds.shift[index[:, one]]).reshape(-1, 3)
        flip = (a > b) | ((a == b) & (_lexicographic_sign(shift) < 0))
        low, high = np.where(flip, b, a), np.where(flip, a, b)
        keys.append(np.column_stack([low, high, np.where(flip[:, None], -shift, shift)]))
    formers = int(bonds.is_former.sum())
    if not keys or not sum(len(k) for k in keys):
        return {}
    _, shared = np.unique(np.concatenate(keys), axis=0, return_counts=True)
    return {str(int(n)): float((shared == n).sum() / formers) for n in np.unique(shared)}


def _lexicographic_sign(vectors: np.ndarray) -> np.ndarray:
    """Sign of the first component that is not zero, of each integer vector."""
    signs = np.sign(vectors)
    return np.sign(signs @ np.array([4, 2, 1]))


def kono_z(atoms: Atoms, network: Network | None = None) -> np.ndarray:
    """Kono's z of each Si in Å: distance of the 5th nearest Si minus that of the 4th nearest O.

    Kono et al., Nat. Commun. 13, 2292 (2022); of other networks formers and bridges. The search is
    over all periodic images.
    """
    network = Network(("Si",), ("O",)) if network is None else network
    folded = wrapped(atoms)
    formers = folded.positions[network.is_former(folded)]
    bridges = folded.positions[network.is_bridge(folded)]
    fifth = _nth_distance(formers, formers, folded.cell.array, 5, skip_self=True)
    fourth = _nth_distance(formers, bridges, folded.cell.array, 4)
    return fifth - fourth


def _nth_distance(
    centres: np.ndarray, partners: np.ndarray, cell: np.ndarray, n: int, skip_self: bool = False
) -> np.ndarray:
    """Distance of the n-th nearest partner of each centre, images included."""
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    spacing = (abs(np.linalg.det(cell)) / len(partners)) ** (1 / 3)
    reach = 2.0 * spacing * (n + 1) ** (1 / 3)
    while True:
        images = images_near(partners, cell, heights, reach)
        distance, _ = cKDTree(images).query(centres, k=n + (1 if skip_self else 0))
        found = np.atleast_2d(distance)[:, -1]
        if np.all(found < reach):
            return found
        reach *= 1.5


def images_near(
    positions: np.ndarray, cell: np.ndarray, heights: np.ndarray, reach: float
) -> np.ndarray:
    """All periodic images of atoms in the cell that are within `reach` of it."""
    return images_and_owners(positions, cell, heights, reach)[0]


def images_and_owners(
    positions: np.ndarray, cell: np.ndarray, heights: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """All periodic images of atoms in the cell that are within `reach` of it, and whose they are.

    Returns
    -------
    (images, 3), (images,)
        Positions in Å, and indices of atoms.
    """
    margin = reach / heights
    axes = [np.arange(-int(np.ceil(m)), int(np.ceil(m)) + 1) for m in margin]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    scaled = positions @ np.linalg.inv(cell)
    kept, owners = [], []
    for shift in shifts:
        moved = scaled + shift
        inside = np.all((moved > -margin) & (moved < 1 + margin), axis=1)
        kept.append(moved[inside])
        owners.append(np.flatnonzero(inside))
    return np.concatenate(kept) @ cell, np.concatenate(owners)


def angle_names(network: Network) -> dict[str, int]:
    """Name each kind of angle, with its middle atom's number: O-Si-O, Si-O-Si.

    X is any of several bridges, T any of several formers.
    """
    t, x = network.former, network.bridge
    names = {f"{x}-{former}-{x}": atomic_numbers[former] for former in network.formers}
    return names | {f"{t}-{bridge}-{t}": atomic_numbers[bridge] for bridge in network.bridges}


def bond_lengths(atoms: Atoms, bonds: Bonds) -> dict[str, np.ndarray]:
    """Lengths in Å of the bonds of each pair, in both directions."""
    lengths, numbers = bonds.length, atoms.numbers
    found = {}
    for former, bridge in bonds.network.pairs:
        pair = [atomic_numbers[former], atomic_numbers[bridge]]
        chosen = np.isin(numbers[bonds.first], pair) & np.isin(numbers[bonds.second], pair)
        found[f"{former}-{bridge}"] = lengths[chosen]
    return found


def coordination_numbers(
    atoms: Atoms, bonds: Bonds, others: Mapping[str, Mapping[str, float]] | None = None
) -> dict[str, np.ndarray]:
    """Give the bonds of each atom by element: of formers, of bridges, and of others.

    Parameters
    ----------
    others
        Cutoffs in Å of elements that are left out of the network: {"Na": {"Na-O": 3.1}}.
    """
    numbers = {
        symbol: bonds.coordination[atoms.numbers == atomic_numbers[symbol]]
        for symbol in (*bonds.network.formers, *bonds.network.bridges)
    }
    for symbol, cutoffs in (others or {}).items():
        numbers[symbol] = coordination_by(atoms, symbol, cutoffs)
    return numbers


@dataclass(frozen=True)
class NetworkFrame:
    """What the network of one frame is like.

    Attributes
    ----------
    density : float
        In g/cm³.
    network : Network
        Its formers and bridges.
    cutoffs : dict of float
        What counted as a bond, in Å, by pair.
    coordination : dict of (atoms,)
        Bonds of each atom, by element.
    bridging : dict of (atoms,)
        Bridges that each former shares with another, the n of Qn, by element.
    sharing : dict of float
        Pairs of formers that share so many bridges, per former.
    lengths : dict of (bonds,)
        In Å, by pair.
    angles : dict of (angles,)
        In degrees, by name (O-Si-O).
    z : (formers,)
        Kono's z in Å.
    """

    density: float
    network: Network
    cutoffs: dict[str, float]
    coordination: dict[str, np.ndarray]
    bridging: dict[str, np.ndarray]
    sharing: dict[str, float]
    lengths: dict[str, np.ndarray]
    angles: dict[str, np.ndarray]
    z: np.ndarray

    @property
    def cutoff(self) -> float:
        """The largest cutoff in Å."""
        return max(self.cutoffs.values())

    def scalars(self) -> dict[str, float]:
        """Numbers that describe the network, by name with unit."""
        former, bridge = self.network.former.lower(), self.network.bridge
        scalars = {"density_g_cm3": self.density}
        for symbol, numbers in self.coordination.items():
            scalars[f"coordination_{symbol}_mean"] = float(numbers.mean())
            scalars |= _shares(f"coordination_{symbol}_", numbers)
        scalars |= _shares("Q", np.concatenate(list(self.bridging.values())))
        if len(self.bridging) > 1:
            for symbol, numbers in self.bridging.items():
                scalars |= _shares("Q", numbers, f"_{symbol}")
        for symbol in self.network.bridges:
            scalars[f"non_bridging_{symbol}"] = float((self.coordination[symbol] == 1).mean())
        for count, per_former in self.sharing.items():
            scalars[f"pairs_sharing_{count}_{bridge}_per_{former}"] = per_former
        spread = {f"bond_{pair}": ("A", values) for pair, values in self.lengths.items()}
        spread["kono_z"] = ("A", self.z)
        spread |= {f"angle_{name}": ("deg", values) for name, values in self.angles.items()}
        for name, (unit, values) in spread.items():
            if len(values):
                scalars[f"{name}_mean_{unit}"] = float(np.mean(values))
                scalars[f"{name}_sd_{unit}"] = float(np.std(values))
        return scalars


def _shares(before: str, numbers: np.ndarray, after: str = "") -> dict[str, float]:
    return {f"{before}{n}{after}": share for n, share in fractions(numbers).items()}


def describe_network(
    atoms: Atoms, bonds: Bonds, others: Mapping[str, Mapping[str, float]] | None = None
) -> NetworkFrame:
    """Measure the network of a frame.

    Parameters
    ----------
    others
        As of `coordination_numbers`.
    """
    n, formers = q_species(bonds), atoms.numbers[bonds.is_former]
    return NetworkFrame(
        density=density_g_cm3(atoms),
        network=bonds.network,
        cutoffs=bonds.cutoffs,
        coordination=coordination_numbers(atoms, bonds, others),
        bridging={symbol: n[formers == atomic_numbers[symbol]] for symbol in bonds.network.formers},
        sharing=shared_bridges(bonds),
        lengths=bond_lengths(atoms, bonds),
        angles={
            name: bond_angles(atoms, bonds, centre)
            for name, centre in angle_names(bonds.network).items()
        },
        z=kono_z(atoms, bonds.network),
    )
