"""What is refused before labelling: close atoms, impossible cells, near-duplicates."""

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list

from glassml.campaign.errors import StructureError
from glassml.campaign.units import density_g_cm3

Limits = Mapping[tuple[str, str], float]


def shortest_distances(atoms: Atoms, reach: float = 3.5) -> dict[tuple[str, str], float]:
    """Give the shortest distance of each pair of elements, periodic images included.

    Returns
    -------
    dict
        Distance in Å by alphabetically ordered pair of symbols; pairs farther apart than `reach`
        are absent.
    """
    first, second, distance = neighbour_list("ijd", atoms, reach)
    symbols = np.array(atoms.get_chemical_symbols())
    shortest: dict[tuple[str, str], float] = {}
    for one in sorted(set(symbols)):
        for other in sorted(set(symbols)):
            pair = (symbols[first] == one) & (symbols[second] == other)
            if one <= other and pair.any():
                shortest[str(one), str(other)] = float(distance[pair].min())
    return shortest


def check_sanity(atoms: Atoms, elements: set[str], largest: int = 1000) -> None:
    """Refuse what no calculation can use.

    Parameters
    ----------
    elements
        The chemical symbols that may occur.
    largest
        Number of atoms above which a cell is refused.

    Raises
    ------
    StructureError
        If there are no atoms or too many, other elements, numbers that are not finite, no
        three-dimensional periodic cell, or a density no condensed phase and no dilute box has.
    """
    if len(atoms) == 0:
        raise StructureError("no atoms")
    if len(atoms) > largest:
        raise StructureError(f"{len(atoms)} atoms; at most {largest} are labelled")
    foreign = sorted(set(atoms.get_chemical_symbols()) - elements)
    if foreign:
        raise StructureError(f"contains {', '.join(foreign)}; only {', '.join(sorted(elements))}")
    if not np.isfinite(atoms.positions).all():
        raise StructureError("a position is not a finite number")
    if not np.isfinite(atoms.cell[:]).all():
        raise StructureError("the cell is not finite")
    if not atoms.pbc.all() or atoms.cell.rank < 3 or atoms.get_volume() < 1.0:
        raise StructureError("no periodic cell with three lattice vectors")
    if min(atoms.cell.lengths()) < 1.5 or max(atoms.cell.lengths()) > 60.0:
        raise StructureError(
            f"a cell edge is out of range: {', '.join(f'{x:.2f}' for x in atoms.cell.lengths())} Å"
        )
    if density_g_cm3(atoms) > 12.0:
        raise StructureError(f"density {density_g_cm3(atoms):.1f} g/cm³ is impossible")


def check_distances(atoms: Atoms, limits: Limits) -> None:
    """Refuse atoms that are closer than the limit of their pair of elements.

    Raises
    ------
    StructureError
        With the pair, its distance and its limit.
    """
    shortest = shortest_distances(atoms)
    for pair, limit in limits.items():
        if shortest.get(pair, np.inf) < limit:
            raise StructureError(
                f"{'-'.join(pair)} distance {shortest[pair]:.3f} Å is below {limit:.3f} Å"
            )


def near_duplicates(fingerprints: np.ndarray, threshold: float) -> list[tuple[int, int, float]]:
    """Find structures that nearly equal an earlier one that is kept.

    Parameters
    ----------
    fingerprints
        Shape (structures, features); rows with NaN are never duplicates.
    threshold
        Euclidean distance below which two are the same.

    Returns
    -------
    list of tuple
        The duplicate, the earlier one, their distance.
    """
    kept: list[int] = []
    found = []
    for index, row in enumerate(fingerprints):
        if kept and np.isfinite(row).all():
            distance = np.linalg.norm(fingerprints[kept] - row, axis=1)
            nearest = int(np.argmin(distance))
            if distance[nearest] < threshold:
                found.append((index, kept[nearest], float(distance[nearest])))
                continue
        if np.isfinite(row).all():
            kept.append(index)
    return found


def farthest_points(fingerprints: np.ndarray, number: int) -> list[int]:
    """Choose `number` rows such that each is as far as possible from those before it.

    Parameters
    ----------
    fingerprints
        Shape (structures, features).
    number
        How many to choose, at most the number of rows.

    Returns
    -------
    list of int
        Their indices in order of choice; the first is the one farthest from the mean.
    """
    distance = np.linalg.norm(fingerprints - fingerprints.mean(axis=0), axis=1)
    chosen: list[int] = []
    for _ in range(min(number, len(fingerprints))):
        chosen.append(int(np.argmax(distance)))
        to_last = np.linalg.norm(fingerprints - fingerprints[chosen[-1]], axis=1)
        distance = to_last if len(chosen) == 1 else np.minimum(distance, to_last)
        distance[chosen] = -1.0
    return chosen
