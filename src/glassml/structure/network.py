"""Si-O bonds by a stated rule, and what follows from them: coordination, Qn, angles, Kono's z."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from glassml.campaign.errors import StructureError
from glassml.structure.frames import OXYGEN, SILICON, density_g_cm3, wrapped
from glassml.structure.gr import pair_distribution

PEAK_WINDOW_A = (1.2, 2.2)
MINIMUM_WITHIN = 1.75  # of the first peak's distance: the second shell begins at about twice


@dataclass(frozen=True)
class Bonds:
    """Si-O bonds, in both directions, sorted by the first atom.

    Attributes
    ----------
    n : int
        Number of atoms.
    first, second : (2 bonds,)
        The two atoms of each directed bond.
    shift : (2 bonds, 3)
        Image of the second atom, in cell vectors, for atoms folded into the cell.
    positions : (n, 3)
        Atoms folded into the cell, in Å.
    cell : (3, 3)
        Rows are the vectors, in Å.
    cutoff : float
        What counts as a bond, in Å.
    """

    n: int
    first: np.ndarray
    second: np.ndarray
    shift: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    cutoff: float

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


def first_minimum(r: np.ndarray, g: np.ndarray) -> float:
    """Find the cutoff of a bond: the first minimum of g(r) after its first peak.

    g is smoothed by a Gaussian of 0.04 Å. The first peak is the maximum for 1.2 < r < 2.2 Å, the
    minimum is sought up to 1.75 times the distance of the peak. Where it is flat (within 0.05 of
    its lowest value, as the empty gap of a glass or crystal is), its middle is taken.

    Raises
    ------
    StructureError
        If there is no first peak, or no minimum below a third of it (a gas, other elements).
    """
    smooth = gaussian_filter1d(g, 0.04 / (r[1] - r[0]))
    window = np.flatnonzero((r > PEAK_WINDOW_A[0]) & (r < PEAK_WINDOW_A[1]))
    if len(window) == 0 or smooth[window].max() < 1.5:
        raise StructureError("no Si-O peak between 1.2 and 2.2 Å in g(r): give a cutoff")
    peak = window[np.argmax(smooth[window])]
    after = np.flatnonzero((r > r[peak]) & (r <= MINIMUM_WITHIN * r[peak]))
    if len(after) == 0 or smooth[after].min() > smooth[peak] / 3:
        raise StructureError("no minimum after the Si-O peak of g(r): give a cutoff")
    lowest = after[np.argmin(smooth[after])]
    flat = smooth[after] <= smooth[lowest] + 0.05
    left = right = int(lowest - after[0])
    while left > 0 and flat[left - 1]:
        left -= 1
    while right + 1 < len(flat) and flat[right + 1]:
        right += 1
    return float((r[after[left]] + r[after[right]]) / 2)


def find_cutoff(frames: list[Atoms]) -> float:
    """Find the Si-O cutoff in Å of the mean g(r) of frames (see `first_minimum`)."""
    curves = [pair_distribution(atoms, r_max=4.0, bin_width=0.02) for atoms in frames]
    return first_minimum(curves[0].r, np.mean([c.partials["Si-O"] for c in curves], axis=0))


def find_bonds(atoms: Atoms, cutoff: float | None = None) -> Bonds:
    """Find the Si-O bonds; images are distinct, so a cell may be smaller than the cutoff.

    Parameters
    ----------
    atoms
        Si and O in a periodic cell of any shape.
    cutoff
        Largest Si-O distance in Å that is a bond; by default the first minimum of g(r).
    """
    cutoff = find_cutoff([atoms]) if cutoff is None else float(cutoff)
    folded = wrapped(atoms)
    # Sorted by the first atom.
    first, second, shift = neighbour_list("ijS", folded, cutoff={(SILICON, OXYGEN): cutoff})
    cell = folded.cell.array
    return Bonds(len(atoms), first, second, shift.astype(np.int16), folded.positions, cell, cutoff)


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


def q_species(atoms: Atoms, bonds: Bonds) -> np.ndarray:
    """Count the bridging oxygens (bonded to two or more Si) of each Si: the n of Qn."""
    bridging = bonds.coordination >= 2
    of_si = atoms.numbers[bonds.first] == SILICON
    counts = np.bincount(
        bonds.first[of_si], weights=bridging[bonds.second[of_si]], minlength=bonds.n
    )
    return counts[atoms.numbers == SILICON].astype(int)


def shared_oxygens(atoms: Atoms, bonds: Bonds) -> dict[str, float]:
    """How polyhedra meet: pairs of Si that share 1 (corner), 2 (edge), 3 (face) O, per Si.

    Images are distinct: a pair is (Si, Si, image).
    """
    pointer, coordination = bonds.pointer, bonds.coordination
    keys = []
    oxygen = atoms.numbers == OXYGEN
    for number in np.unique(coordination[oxygen]):
        chosen = np.flatnonzero(oxygen & (coordination == number))
        index = pointer[chosen][:, None] + np.arange(number)
        one, two = np.triu_indices(number, k=1)
        a, b = bonds.second[index[:, one]].ravel(), bonds.second[index[:, two]].ravel()
        shift = (bonds.shift[index[:, two]] - bonds.shift[index[:, one]]).reshape(-1, 3)
        flip = (a > b) | ((a == b) & (_lexicographic_sign(shift) < 0))
        low, high = np.where(flip, b, a), np.where(flip, a, b)
        keys.append(np.column_stack([low, high, np.where(flip[:, None], -shift, shift)]))
    n_si = int((atoms.numbers == SILICON).sum())
    if not keys or not sum(len(k) for k in keys):
        return {}
    _, shared = np.unique(np.concatenate(keys), axis=0, return_counts=True)
    return {str(int(n)): float((shared == n).sum() / n_si) for n in np.unique(shared)}


def _lexicographic_sign(vectors: np.ndarray) -> np.ndarray:
    """Sign of the first component that is not zero, of each integer vector."""
    signs = np.sign(vectors)
    return np.sign(signs @ np.array([4, 2, 1]))


def kono_z(atoms: Atoms) -> np.ndarray:
    """Kono's z of each Si in Å: distance of the 5th nearest Si minus that of the 4th nearest O.

    Kono et al., Nat. Commun. 13, 2292 (2022). The search is over all periodic images.
    """
    folded = wrapped(atoms)
    is_si = folded.numbers == SILICON
    silicons = folded.positions[is_si]
    fifth = _nth_distance(silicons, folded.positions[is_si], folded.cell.array, 5, skip_self=True)
    fourth = _nth_distance(silicons, folded.positions[~is_si], folded.cell.array, 4)
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
    margin = reach / heights
    axes = [np.arange(-int(np.ceil(m)), int(np.ceil(m)) + 1) for m in margin]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    scaled = positions @ np.linalg.inv(cell)
    kept = []
    for shift in shifts:
        moved = scaled + shift
        inside = np.all((moved > -margin) & (moved < 1 + margin), axis=1)
        kept.append(moved[inside])
    return np.concatenate(kept) @ cell


def network_scalars(atoms: Atoms, bonds: Bonds) -> dict[str, float]:
    """Numbers that describe the network of a frame, by name with unit."""
    coordination = bonds.coordination
    scalars = {"density_g_cm3": density_g_cm3(atoms)}
    for symbol, number in (("Si", SILICON), ("O", OXYGEN)):
        of_species = coordination[atoms.numbers == number]
        scalars[f"coordination_{symbol}_mean"] = float(of_species.mean())
        for count, share in fractions(of_species).items():
            scalars[f"coordination_{symbol}_{count}"] = share
    for count, share in fractions(q_species(atoms, bonds)).items():
        scalars[f"Q{count}"] = share
    for count, per_si in shared_oxygens(atoms, bonds).items():
        scalars[f"pairs_sharing_{count}_O_per_si"] = per_si
    lengths = bonds.length
    spread = {"bond_Si-O": ("A", lengths), "kono_z": ("A", kono_z(atoms))}
    for name, centre in (("O-Si-O", SILICON), ("Si-O-Si", OXYGEN)):
        spread[f"angle_{name}"] = ("deg", bond_angles(atoms, bonds, centre))
    for name, (unit, values) in spread.items():
        if len(values):
            scalars[f"{name}_mean_{unit}"] = float(np.mean(values))
            scalars[f"{name}_sd_{unit}"] = float(np.std(values))
    return scalars
