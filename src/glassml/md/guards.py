"""Guards: a run whose numbers mean nothing any more is stopped and set aside with its reason."""

from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list

from glassml.campaign.units import density_g_cm3
from glassml.md.thermodynamics import Thermodynamics, kinetic_temperature


class GuardTripped(Exception):  # noqa: N818  (it is an event of the physics, not an error)
    """A run must stop; the message is the reason.

    Parameters
    ----------
    reason
        Why.
    atom
        Index of the atom where it is, if one is to blame.
    """

    def __init__(self, reason: str, atom: int | None = None) -> None:
        super().__init__(reason)
        self.atom = atom


@dataclass(frozen=True)
class Limits:
    """What a run may not exceed.

    Attributes
    ----------
    temperature_ratio
        Largest temperature relative to `hottest_K` of the stage.
    energy_jump_eV
        Largest change of total energy per atom between two samples, in eV.
    density_g_cm3
        Lowest and highest density in g/cm³.
    min_distance_A
        Smallest distance between two atoms in Å; 0 for none.
    force_spread_eV_A
        Largest disagreement of a committee about a force in eV/Å; None where none is asked.
    """

    temperature_ratio: float
    energy_jump_eV: float
    density_g_cm3: tuple[float, float]
    min_distance_A: float
    force_spread_eV_A: float | None = None

    def describe(self) -> dict[str, object]:
        """Give the limits as JSON-ready values."""
        return asdict(self) | {"density_g_cm3": list(self.density_g_cm3)}


def check_step(atoms: Atoms, limits: Limits, hottest_K: float) -> None:
    """Check what is cheap enough to be checked after every step.

    Parameters
    ----------
    atoms
        Atoms after the step.
    limits
        The limits.
    hottest_K
        Hottest that the stage is meant to be, in K.

    Raises
    ------
    GuardTripped
        If the temperature or the density is out of bounds or not a number.
    """
    check_bounds(kinetic_temperature(atoms), density_g_cm3(atoms), limits, hottest_K)


def check_bounds(temperature: float, density: float, limits: Limits, hottest_K: float) -> None:
    """Check a temperature in K and a density in g/cm³, as `check_step`."""
    if not temperature <= limits.temperature_ratio * hottest_K:
        raise GuardTripped(
            f"temperature {temperature:.0f} K is above {limits.temperature_ratio:g} times "
            f"{hottest_K:.0f} K"
        )
    low, high = limits.density_g_cm3
    if not low <= density <= high:
        raise GuardTripped(f"density {density:.3f} g/cm³ is outside {low:g} to {high:g}")


def check_spread(spread_eV_A: float, limits: Limits, atom: int | None = None) -> None:
    """Check the disagreement of a committee about the forces.

    Parameters
    ----------
    spread_eV_A
        Largest standard deviation of a force vector between members, in eV/Å.
    limits
        The limits.
    atom
        Index of the atom that has it.

    Raises
    ------
    GuardTripped
        If it is above the limit or not a number.
    """
    if limits.force_spread_eV_A is not None and not spread_eV_A <= limits.force_spread_eV_A:
        raise GuardTripped(
            f"the committee disagrees by {spread_eV_A:.3f} eV/Å about a force, more than "
            f"{limits.force_spread_eV_A:g}: the potential has not learned this",
            atom,
        )


def check_sample(
    atoms: Atoms, limits: Limits, now: Thermodynamics, before: Thermodynamics | None
) -> None:
    """Check energies and distances, once for each row of the series.

    Parameters
    ----------
    atoms
        Atoms at the sample.
    limits
        The limits.
    now, before
        This sample and the one before it, if there is one.

    Raises
    ------
    GuardTripped
        If the energy is not finite or jumps, or atoms are too close.
    """
    check_energies(now, before, len(atoms), limits)
    check_distances(atoms, limits)


def check_energies(
    now: Thermodynamics, before: Thermodynamics | None, atoms: int, limits: Limits
) -> None:
    """Check the energies of a sample of a number of atoms, as `check_sample`."""
    if not np.isfinite([now.total_energy, now.pressure_GPa]).all():
        raise GuardTripped("energy or pressure is not a number")
    if before is not None:
        jump = (now.total_energy - before.total_energy) / atoms
        if abs(jump) > limits.energy_jump_eV:
            raise GuardTripped(
                f"total energy jumps by {jump:+.3f} eV/atom from one sample to the next, more "
                f"than {limits.energy_jump_eV:g}"
            )


def check_distances(atoms: Atoms, limits: Limits) -> None:
    """Check that no two atoms are too close, as `check_sample`."""
    if limits.min_distance_A > 0.0:
        # A list with a tiny cutoff has many empty bins, and takes longer than this one.
        i, j, distance = neighbour_list("ijd", atoms, max(limits.min_distance_A, 1.5))
        if len(distance) > 0 and distance.min() < limits.min_distance_A:
            worst = int(np.argmin(distance))
            raise GuardTripped(
                f"{atoms.symbols[i[worst]]}{i[worst]} and {atoms.symbols[j[worst]]}{j[worst]} are "
                f"{distance[worst]:.3f} Å apart, closer than {limits.min_distance_A:g} Å",
                int(i[worst]),
            )
