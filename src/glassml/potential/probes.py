"""What a potential says of configurations without labels: approaching atoms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.neighborlist import neighbor_list

# Shorter than any bond (of O2, SiO, Si2): here the energy of two atoms alone only rises.
CONTACT_A = {("O", "O"): 1.2, ("O", "Si"): 1.35, ("Si", "Si"): 2.0}
CLOSEST_A = 0.5


def pair(first: str, second: str) -> tuple[str, str]:
    """Give two symbols in alphabetical order."""
    return (first, second) if first <= second else (second, first)


@dataclass(frozen=True)
class Approach:
    """Energies in eV of two atoms at distances in Å, alone or in a crystal."""

    name: str
    distances_A: np.ndarray
    energies_eV: np.ndarray

    def hole(self, reach_eV: float) -> float:
        """Give how far the energy falls in eV, at most, while the atoms approach.

        Parameters
        ----------
        reach_eV
            What lies behind a rise by so much above the lowest energy is out of reach, and may be
            anything.
        """
        from_outside = self.energies_eV[np.argsort(-self.distances_A)]
        out_of_reach = from_outside - np.minimum.accumulate(from_outside) >= reach_eV
        if out_of_reach.any():
            from_outside = from_outside[: np.argmax(out_of_reach) + 1]
        if not np.isfinite(from_outside).all():
            return float("inf")
        return float(np.max(np.maximum.accumulate(from_outside) - from_outside))


def dimer_approach(calculator: Calculator, symbols: tuple[str, str]) -> Approach:
    """Bring two atoms together in vacuum, from their contact to 0.5 Å."""
    distances = np.arange(CLOSEST_A, CONTACT_A[pair(*symbols)] + 1e-9, 0.025)
    energies = []
    for distance in distances:
        atoms = Atoms(
            symbols, positions=[[5, 10, 10], [5 + distance, 10, 10]], cell=[20] * 3, pbc=True
        )
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    return Approach("-".join(symbols) + " in vacuum", distances, np.array(energies))


def crystal_approach(calculator: Calculator, atoms: Atoms, symbols: tuple[str, str]) -> Approach:
    """Push an atom of a configuration towards its nearest neighbour of another species."""
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    atoms.calc = calculator
    i, j, d, D = neighbor_list("ijdD", atoms, 4.0)
    chosen = next(k for k in np.argsort(d) if (atoms.symbols[i[k]], atoms.symbols[j[k]]) == symbols)
    start, direction = atoms.positions[j[chosen]].copy(), D[chosen] / d[chosen]
    distances = np.arange(CLOSEST_A, d[chosen] + 1e-9, 0.025)
    energies = []
    for distance in distances:
        atoms.positions[j[chosen]] = start + direction * (distance - d[chosen])
        energies.append(atoms.get_potential_energy())
    return Approach("-".join(symbols) + " in a crystal", distances, np.array(energies))


def enlarge(atoms: Atoms, least: int) -> Atoms:
    """Repeat a cell along its shortest sides until it has at least so many atoms."""
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    while len(atoms) < least:
        repeats = [1, 1, 1]
        repeats[int(np.argmin(atoms.cell.lengths()))] = 2
        atoms = atoms.repeat(repeats)
    return atoms


def crystals(frames: Sequence[Atoms]) -> list[Atoms]:
    """Give the configurations of crystals, those closest to their ideal sites first."""
    order = ("crystal", "strained", "rattled")
    chosen = [atoms for atoms in frames if atoms.info.get("config_type") in order]
    return sorted(chosen, key=lambda atoms: order.index(atoms.info["config_type"]))
