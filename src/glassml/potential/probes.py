"""What a potential says of configurations without labels: approaching atoms, short dynamics."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.nptberendsen import NPTBerendsen
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.neighborlist import neighbor_list
from tqdm import tqdm

logger = logging.getLogger(__name__)

# Shorter than any bond (of O2, SiO, Si2): here the energy of two atoms alone only rises.
CONTACT_A = {("O", "O"): 1.2, ("O", "Si"): 1.35, ("Si", "Si"): 2.0}
CLOSEST_A = 0.5
# Nearer than this nothing in silica comes, also at 5000 K and tens of GPa.
UNPHYSICAL_A = {("O", "O"): 1.0, ("O", "Si"): 1.1, ("Si", "Si"): 1.4}
TIMESTEP_FS = 1.0  # the default of later dynamics
CHECK_STEPS = 10


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


@dataclass(frozen=True)
class Run:
    """How long dynamics went on until something unphysical happened, and what that was."""

    name: str
    picoseconds: float
    wanted_ps: float
    event: str

    @property
    def lost(self) -> float:
        """Give the share of the wanted time that is missing."""
        return max(0.0, 1.0 - self.picoseconds / self.wanted_ps)


def stability_run(
    calculator: Calculator,
    atoms: Atoms,
    *,
    temperature_K: float,
    pressure_GPa: float | None,
    picoseconds: float,
    rng: np.random.Generator,
) -> Run:
    """Run short dynamics, and stop at the first unphysical event.

    Parameters
    ----------
    calculator
        The potential.
    atoms
        The start, with periodic boundaries.
    temperature_K
        Of a Langevin thermostat (constant volume), or of Berendsen's (constant pressure).
    pressure_GPa
        None for constant volume.
    picoseconds
        Length.
    rng
        Velocities, and noise.
    """
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    atoms.calc = calculator
    # half of it goes into potential energy
    thermalize_momenta(atoms, temperature_K=2 * temperature_K, rng=rng)
    Stationary(atoms)
    timestep = TIMESTEP_FS * units.fs
    if pressure_GPa is None:
        friction = 0.01 / units.fs
        name = f"{temperature_K:.0f} K, constant volume"
        dynamics: Any = Langevin(
            atoms, timestep, temperature_K=temperature_K, friction=friction, rng=rng, fixcm=False
        )
    else:
        name = f"{temperature_K:.0f} K, {pressure_GPa:.0f} GPa"
        dynamics = NPTBerendsen(
            atoms,
            timestep,
            temperature_K=temperature_K,
            pressure_au=pressure_GPa * units.GPa,
            taut=50 * units.fs,
            taup=200 * units.fs,
            compressibility_au=1 / (40 * units.GPa),
        )
    steps = max(1, round(1e3 * picoseconds / TIMESTEP_FS))
    start_volume, done, event = atoms.get_volume(), 0, ""
    with tqdm(total=steps, desc=name, unit="step", mininterval=10) as bar:
        while done < steps and not event:
            # neighbour lists of atoms that are nowhere never end
            if not np.isfinite(atoms.get_forces()).all():
                event = "forces are not finite"
                break
            dynamics.run(1)
            done += 1
            bar.update()
            if done % CHECK_STEPS == 0:
                event = unphysical_event(atoms, temperature_K, start_volume)
    lasted = 1e-3 * TIMESTEP_FS * (done if not event else max(0, done - CHECK_STEPS))
    # at once: other runs may take an hour more
    logger.info("%s: %s after %g ps", name, event or "ended well", lasted)
    return Run(name, lasted, picoseconds, event)


def unphysical_event(atoms: Atoms, temperature_K: float, start_volume: float) -> str:
    """Name what is unphysical about a state of dynamics; empty if nothing is."""
    if not np.isfinite(atoms.positions).all():
        return "positions are not finite"
    if not 0.4 < atoms.get_volume() / start_volume < 2.5:
        return f"the volume changed by a factor {atoms.get_volume() / start_volume:.2f}"
    # fluctuations of a small cell are within five standard deviations of a chi-squared
    limit = temperature_K * (2.0 + 5.0 * np.sqrt(2 / (3 * len(atoms))))
    if atoms.get_temperature() > limit:
        return f"the temperature rose to {atoms.get_temperature():.0f} K"
    i, j, d = neighbor_list("ijd", atoms, max(UNPHYSICAL_A.values()))
    for first, second, distance in zip(i, j, d, strict=True):
        symbols = pair(atoms.symbols[first], atoms.symbols[second])
        if distance < UNPHYSICAL_A.get(symbols, 0.0):
            return f"{'-'.join(symbols)} came to {distance:.2f} Å"
    return ""


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
