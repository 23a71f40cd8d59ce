"""Where a melt begins: atoms at random places that keep their distance."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers
from matscipy.neighbours import neighbour_list

from glassml.campaign.config.md import ClassicalStart, Ramp, ramps
from glassml.campaign.errors import StructureError
from glassml.campaign.units import G_CM3_PER_U_A3
from glassml.configurations.lammps import MAX_SEED
from glassml.configurations.melts import Segment, run_trajectory
from glassml.md.guards import Limits
from glassml.md.protocol import Stage

#: Distances in Å that a random start keeps: like in the melt, near the first peaks' inner edges.
MIN_DISTANCES_A: Mapping[tuple[str, str], float] = {
    ("O", "O"): 2.2,
    ("O", "Si"): 1.55,
    ("Si", "Si"): 2.6,
}
DEFAULT_MIN_DISTANCE_A = 2.0
MAX_SWEEPS = 5000
#: The energy of a random start leaves through the thermostat, so its first samples may be wild.
QUENCH_LIMITS = Limits(30.0, 20.0, (1.2, 6.0), 0.0)
MIX_PS, MIX_TIMESTEP_FS = 0.5, 0.5


def cubic_cell(
    composition: Mapping[str, int], atoms: int, density_g_cm3: float
) -> tuple[list[str], float]:
    """Give the symbols of `atoms` atoms and the edge in Å of a cube with a density.

    Parameters
    ----------
    composition
        Atoms of each element in a formula unit.
    atoms
        Number of atoms, a multiple of the formula unit's.
    density_g_cm3
        Density in g/cm³.

    Raises
    ------
    StructureError
        If `atoms` is not a multiple of the formula unit.
    """
    unit = sum(composition.values())
    if atoms % unit:
        raise StructureError(f"{atoms} atoms are not a multiple of a formula unit of {unit}")
    symbols = [
        element for element, count in composition.items() for _ in range(count * atoms // unit)
    ]
    mass = sum(atomic_masses[atomic_numbers[symbol]] for symbol in symbols)
    return symbols, float((mass * G_CM3_PER_U_A3 / density_g_cm3) ** (1.0 / 3.0))


def random_start(
    composition: Mapping[str, int], atoms: int, density_g_cm3: float, rng: np.random.Generator
) -> Atoms:
    """Give a random mixture in a periodic cube, no two atoms closer than `MIN_DISTANCES_A`.

    Random places are pushed apart: in each sweep every pair that is too close moves apart
    along its line by half of what is missing, until no pair is.

    Parameters
    ----------
    composition, atoms, density_g_cm3
        As in `cubic_cell`.
    rng
        Random numbers.

    Raises
    ------
    StructureError
        If the atoms cannot keep their distance at this density.
    """
    symbols, edge = cubic_cell(composition, atoms, density_g_cm3)
    start = Atoms(symbols, rng.random((atoms, 3)) * edge, cell=[edge] * 3, pbc=True)
    if not push_apart(start, np.ones(atoms, dtype=bool)):
        raise StructureError(
            f"{atoms} atoms at {density_g_cm3:g} g/cm³ cannot keep the distances of a random "
            "start: lower start_density_g_cm3"
        )
    start.wrap()
    return start


def push_apart(atoms: Atoms, movable: np.ndarray, scale: float = 1.0) -> bool:
    """Push atoms apart until no pair of which one may move is closer than `MIN_DISTANCES_A`.

    Parameters
    ----------
    atoms
        Moved in place.
    movable
        Shape (atoms,): which may move.
    scale
        Factor of the distances.

    Returns
    -------
    bool
        Whether it came to an end.
    """
    kinds = sorted(set(atoms.symbols))
    kind = np.array([kinds.index(symbol) for symbol in atoms.symbols])
    table = np.array(
        [
            [MIN_DISTANCES_A.get((min(a, b), max(a, b)), DEFAULT_MIN_DISTANCE_A) for b in kinds]
            for a in kinds
        ]
    )
    table *= scale
    for _ in range(MAX_SWEEPS):
        i, j, distance, vector = neighbour_list("ijdD", atoms, float(table.max()))
        missing = table[kind[i], kind[j]] - distance
        close = (missing > 0.0) & (movable[i] | movable[j])
        if not close.any():
            return True
        close &= movable[i]
        i, missing = i[close], missing[close]
        direction = vector[close] / np.maximum(distance[close], 1e-9)[:, np.newaxis]
        # A little more than what is missing, so that the sweeps end.
        np.add.at(atoms.positions, i, -direction * (0.5 * missing + 1e-3)[:, np.newaxis])
    return False


def classical_start(start: Atoms, way: ClassicalStart, pressure_GPa: float, seed: int) -> Atoms:
    """Melt and quench a random mixture with a classical potential, by LAMMPS.

    Parameters
    ----------
    start
        SiO2 at random places.
    way
        Section `md.classical`.
    pressure_GPa
        In GPa.
    seed
        Of the thermostat.

    Raises
    ------
    LammpsError, StructureError
        If LAMMPS stops, or the melt leaves the condensed phase.
    """
    (end,) = run_trajectory(
        start,
        quench_segments(way, pressure_GPa),
        potential=way.potential,
        timestep_fs=way.timestep_fs,
        seed=1 + seed % MAX_SEED,
    )
    return Atoms(end.symbols, positions=end.positions, cell=end.cell, pbc=True)


def quench_segments(way: ClassicalStart, pressure_GPa: float) -> list[Segment]:
    """Give the melt and the ramps of a classical quench, for LAMMPS; the end is kept.

    Parameters
    ----------
    way, pressure_GPa
        As in `classical_start`.
    """
    parts = [((way.melt_K, way.melt_K), way.melt_ps), *ramps(way.melt_K, way.quench)]
    pressure = (pressure_GPa, pressure_GPa)
    return [
        Segment(ps, ends, pressure, keep=number == len(parts))
        for number, (ends, ps) in enumerate(parts, start=1)
    ]


def quench_stages(way: ClassicalStart, pressure_GPa: float) -> list[Stage]:
    """Give the stages of a classical melt and quench: mix, melt, and the ramps.

    Parameters
    ----------
    way, pressure_GPa
        As in `classical_start`.
    """
    hot, step = (way.melt_K, way.melt_K), MIX_TIMESTEP_FS
    steps = round(1000.0 * MIX_PS / step)
    return [
        Stage("mix", "nvt", steps, step, hot, None, sample_steps(None, step), steps),
        npt_stage("melt", way.melt_ps, hot, pressure_GPa, way.timestep_fs),
        *ramp_stages(way.melt_K, way.quench, pressure_GPa, way.timestep_fs),
    ]


def ramp_stages(
    start_K: float, quench: Sequence[Ramp], pressure_GPa: float, timestep_fs: float
) -> list[Stage]:
    """Give the stages of a quench: `quench`, or `quench1`, `quench2` … of several ramps.

    Parameters
    ----------
    start_K
        Where the first ramp begins, in K.
    quench
        The ramps.
    pressure_GPa, timestep_fs
        Of all of them.
    """
    names = ["quench"] if len(quench) == 1 else [f"quench{n + 1}" for n in range(len(quench))]
    return [
        npt_stage(name, ps, ends, pressure_GPa, timestep_fs, ramp.rate_K_per_ps)
        for name, ramp, (ends, ps) in zip(names, quench, ramps(start_K, quench), strict=True)
    ]


def npt_stage(
    name: str,
    ps: float,
    ends_K: tuple[float, float],
    pressure_GPa: float,
    timestep_fs: float,
    rate_K_per_ps: float | None = None,
) -> Stage:
    """Give a stage under a constant pressure whose only frame is its last.

    Parameters
    ----------
    name, ps
        Its name, and its length in ps.
    ends_K
        Temperatures at its beginning and end, in K.
    pressure_GPa, timestep_fs
        As in `ramp_stages`.
    rate_K_per_ps
        As in `sample_steps`.
    """
    steps = max(1, round(1000.0 * ps / timestep_fs))
    pressure, every = (pressure_GPa, pressure_GPa), sample_steps(rate_K_per_ps, timestep_fs)
    return Stage(name, "npt", steps, timestep_fs, ends_K, pressure, every, steps)


def sample_steps(rate_K_per_ps: float | None, timestep_fs: float) -> int:
    """Give the steps between two samples: a tenth of a picosecond, or a kelvin of a ramp.

    Parameters
    ----------
    rate_K_per_ps
        Rate of the ramp; None for a hold.
    timestep_fs
        Time step in fs.
    """
    every_fs = 100.0 if rate_K_per_ps is None else max(100.0, 1000.0 / rate_K_per_ps)
    return max(1, round(every_fs / timestep_fs))


def maxwell_boltzmann(atoms: Atoms, temperature_K: float, rng: np.random.Generator) -> None:
    """Draw momenta at a temperature, then remove the drift of the whole.

    Parameters
    ----------
    atoms
        Atoms; changed in place.
    temperature_K
        Temperature in K.
    rng
        Random numbers.
    """
    masses = atoms.get_masses()[:, np.newaxis]
    momenta = rng.standard_normal((len(atoms), 3)) * np.sqrt(masses * units.kB * temperature_K)
    atoms.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())
