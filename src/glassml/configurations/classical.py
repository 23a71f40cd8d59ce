"""Molecular dynamics of silica with published pair potentials, by LAMMPS."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.configurations.lammps import (
    commands,
    lammps_session,
    load_structure,
    read_structure,
)
from glassml.configurations.screening import G_CM3

BAR_PER_GPA = 1e4
_COULOMB_CUTOFF_A = 10.0
_COULOMB_DAMPING_PER_A = 0.2
_SMOOTHING_A = 0.2
_CORE_EV = 100.0
_TABLE_POINTS = 6000
_MASS = {"Si": 28.085, "O": 15.999}


@dataclass(frozen=True)
class PairPotential:
    """V(r) = q q' e²/r + A exp(-B r) - C/r⁶ + D/rⁿ, with A, B, C, D by pair of elements.

    Attributes
    ----------
    charges
        In elementary charges, by element.
    terms
        A in eV, B in 1/Å, C in eV Å⁶, D in eV Åⁿ, by pair of elements.
    source
        Where they were published.
    power
        n, of the core.
    cutoff_A
        Where the terms end, smoothly, in Å.
    """

    charges: dict[str, float]
    terms: dict[tuple[str, str], tuple[float, float, float, float]]
    source: str
    power: int = 24
    cutoff_A: float = 8.0


def _with_core(
    A: float, B: float, C: float, epsilon: float, sigma: float
) -> tuple[float, float, float, float]:
    """Add 4 ε [(σ/r)³⁰ - (σ/r)⁶] to a Buckingham term; ε in eV, σ in Å."""
    return A, B, C + 4.0 * epsilon * sigma**6, 4.0 * epsilon * sigma**30


POTENTIALS = {
    # The plain potential falls without end below 1.2 Å (Si-O) and 1.6 Å (O-O), which melts reach.
    "bks": PairPotential(
        {"Si": 2.4, "O": -1.2},
        {
            ("Si", "O"): _with_core(18003.7572, 4.87318, 133.5381, 0.003097948, 1.313635),
            ("O", "O"): _with_core(1388.7730, 2.76000, 175.0, 0.00105105048, 1.779239),
            ("Si", "Si"): (0.0, 1.0, 0.0, 0.0),
        },
        "van Beest, Kramer and van Santen, Phys. Rev. Lett. 64, 1955 (1990); core of Saika-Voivod, "
        "Sciortino and Poole, Phys. Rev. E 69, 041503 (2004); cutoff of Vollmayr, Kob and Binder, "
        "Phys. Rev. B 54, 15808 (1996)",
        power=30,
        cutoff_A=5.5,
    ),
    "shik": PairPotential(
        {"Si": 1.7755, "O": -0.88775},
        {
            ("Si", "O"): (23108.0, 5.0979, 139.70, 66.0),
            ("O", "O"): (1120.5, 2.8927, 26.132, 16800.0),
            ("Si", "Si"): (2798.0, 4.4073, 0.0, 3423204.0),
        },
        "Sundararaman, Huang, Ispas and Kob, J. Chem. Phys. 148, 194504 (2018)",
    ),
    "chik": PairPotential(
        {"Si": 1.910418, "O": -0.955209},
        {
            ("Si", "O"): (27029.419922, 5.158606, 148.099091, 29.0),
            ("O", "O"): (659.595398, 2.590066, 26.836679, 113.0),
            ("Si", "Si"): (3150.462646, 2.851451, 626.751953, 3423200.0),
        },
        "Carré, Horbach, Ispas and Kob, EPL 82, 17001 (2008)",
    ),
}


@dataclass(frozen=True)
class Segment:
    """A piece of a trajectory: linear ramps of temperature and, unless None, of pressure."""

    duration_ps: float
    temperature_K: tuple[float, float]
    pressure_GPa: tuple[float, float] | None
    keep: bool = False  # whether its last frame is a snapshot


def random_start(number: int, density_g_cm3: float, skew: float, rng: np.random.Generator) -> Atoms:
    """Place SiO2 at random, 1.3 Å apart at least, in a mildly skewed cell: the start of a melt.

    Parameters
    ----------
    number
        Of atoms, a multiple of three.
    skew
        Edges and tilts deviate from a cube by up to this fraction.
    """
    units = number // 3
    volume = units * (_MASS["Si"] + 2 * _MASS["O"]) * G_CM3 / density_g_cm3
    cell = np.diag(1.0 + rng.uniform(-skew, skew, 3))
    cell[1, 0], cell[2, 0], cell[2, 1] = rng.uniform(-skew, skew, 3)
    cell *= (volume / np.linalg.det(cell)) ** (1 / 3)
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3) @ cell
    positions = np.empty((0, 3))
    while len(positions) < number:
        trial = rng.random(3) @ cell
        gaps = np.linalg.norm(positions[:, None] + shifts - trial, axis=2)
        if gaps.size == 0 or gaps.min() > 1.3:
            positions = np.vstack([positions, trial])
    symbols = ["Si"] * units + ["O"] * (2 * units)
    return Atoms(symbols, positions=positions, cell=cell, pbc=True)


def run_trajectory(
    start: Atoms,
    segments: Sequence[Segment],
    *,
    potential: str,
    timestep_fs: float,
    seed: int,
) -> list[Atoms]:
    """Run Langevin dynamics through `segments` and give the frames to keep.

    Temperature is held by a Langevin thermostat (damping 0.1 ps), pressure by an isotropic
    barostat (damping 0.5 ps), so that the shape of the cell stays.

    Parameters
    ----------
    start
        Any structure of Si and O; overlaps are first pushed apart.
    potential
        A key of `POTENTIALS`.
    seed
        Between 1 and 800 million (LAMMPS refuses seeds above 900 million).

    Returns
    -------
    list of Atoms
        The last frame of each segment with `keep`, wrapped into the cell.

    Raises
    ------
    StructureError
        If the cell evaporates or collapses.
    LammpsError
        If LAMMPS stops.
    """
    frames = []
    with lammps_session() as session:
        rotation = load_structure(session, start)
        _set_potential(session, potential)
        step = timestep_fs * 1e-3
        hot = segments[0].temperature_K[0]
        commands(
            session,
            f"timestep {step}",
            "minimize 0 1e-1 50 200",
            f"velocity all create {hot} {seed} mom yes dist gaussian",
            "fix move all nve/limit 0.05",
            f"fix bath all langevin {hot} {hot} 0.05 {seed}",
            "run 200",
            "unfix move",
        )
        for number, segment in enumerate(segments):
            _run_segment(session, segment, step, seed + number)
            density = _density(session, start)
            if not 1.2 < density < 7.0:
                raise StructureError(f"the classical melt left the condensed phase: {density:.2f}")
            if segment.keep:
                frame = read_structure(session, start, rotation)
                frame.wrap()
                frames.append(frame)
    return frames


def relax(atoms: Atoms, *, potential: str, steps: int = 200) -> Atoms:
    """Minimise the energy at fixed cell by at most `steps` steps."""
    with lammps_session() as session:
        rotation = load_structure(session, atoms)
        _set_potential(session, potential)
        commands(session, f"minimize 0 1e-3 {steps} {10 * steps}")
        return read_structure(session, atoms, rotation)


def anneal_around(
    atoms: Atoms,
    fixed: np.ndarray,
    *,
    potential: str,
    temperature_K: float = 2500.0,
    picoseconds: float = 3.0,
    seed: int = 1,
) -> Atoms:
    """Melt the atoms around fixed ones, and quench them to rest, in a fixed cell.

    Parameters
    ----------
    atoms
        Any structure of Si and O without overlaps.
    fixed
        Shape (atoms,): which stay where they are.
    potential
        A key of `POTENTIALS`.
    temperature_K, picoseconds
        The first third of the time is spent at this temperature, the rest on cooling to 300 K.
    seed
        Of the thermostat.

    Raises
    ------
    LammpsError
        If LAMMPS stops.
    """
    steps = round(1000.0 * picoseconds)
    ids = " ".join(str(number + 1) for number in np.flatnonzero(fixed))
    bath = f"fix bath shell langevin {temperature_K}"
    with lammps_session() as session:
        rotation = load_structure(session, atoms)
        _set_potential(session, potential)
        commands(
            session,
            f"group core id {ids}",
            "group shell subtract all core",
            "fix hold core setforce 0 0 0",
            "timestep 0.001",
            "minimize 0 1e-1 50 200",
            f"velocity shell create {temperature_K} {seed} dist gaussian",
            "fix move shell nve/limit 0.05",
            f"{bath} {temperature_K} 0.05 {seed}",
            "run 200",
            "unfix move",
            "fix move shell nve",
            f"{bath} {temperature_K} 0.1 {seed}",
            f"run {steps // 3}",
            f"{bath} 300 0.1 {seed}",
            f"run {steps - steps // 3}",
            "minimize 0 1e-2 500 5000",
        )
        return read_structure(session, atoms, rotation)


def energy_and_forces(atoms: Atoms, *, potential: str) -> tuple[float, np.ndarray]:
    """Give the classical energy in eV and forces in eV/Å, shape (atoms, 3)."""
    with lammps_session() as session:
        rotation = load_structure(session, atoms)
        _set_potential(session, potential)
        commands(session, "run 0 post no")
        forces = np.array(session.gather_atoms("f", 1, 3)).reshape(-1, 3) @ rotation
        return float(session.get_thermo("pe")), forces


def short_range(
    potential: PairPotential, pair: tuple[str, str], distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tabulate the short-range energy (eV) and force (eV/Å), smoothed to zero at the cutoff.

    The smoothing is the factor exp(-γ²/(r-rc)²) of Sundararaman et al. (2018) with γ = 0.2 Å.
    Inside the distance where the energy passes 100 eV it goes on as a straight line, so that
    random starts have finite forces.
    """
    A, B, C, D = potential.terms[pair]
    n = potential.power

    def plain(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energy = A * np.exp(-B * r) - C / r**6 + D / r**n
        force = A * B * np.exp(-B * r) - 6 * C / r**7 + n * D / r ** (n + 1)
        gap = np.maximum(potential.cutoff_A - r, 1e-6)
        factor = np.exp(-((_SMOOTHING_A / gap) ** 2))
        slope = -factor * 2 * _SMOOTHING_A**2 / gap**3
        return energy * factor, force * factor - energy * slope

    energy, force = plain(distance)
    fine = np.linspace(0.4, 2.5, 100_000)
    above = np.flatnonzero(plain(fine)[0] > _CORE_EV)
    # The outermost distance reached from outside, so that a well inside the core is cut off.
    wall = fine[above[-1]] if len(above) else fine[np.argmax(plain(fine)[0])]
    inside = distance < wall
    wall_energy, wall_force = (float(x[0]) for x in plain(np.array([wall])))
    energy[inside] = wall_energy + wall_force * (wall - distance[inside])
    force[inside] = wall_force
    return energy, force


def pair_commands(name: str, table: str | Path) -> list[str]:
    """Give the commands of LAMMPS for a potential, with atom types 1 Si and 2 O.

    Parameters
    ----------
    name
        A key of `POTENTIALS`.
    table
        Where `pair_table` is written.
    """
    potential = POTENTIALS[name]
    commands = [
        f"pair_style hybrid/overlay coul/dsf {_COULOMB_DAMPING_PER_A} {_COULOMB_CUTOFF_A} "
        f"table linear {_TABLE_POINTS}",
        "pair_coeff * * coul/dsf",
    ]
    for types, pair in (("1 1", "Si-Si"), ("1 2", "Si-O"), ("2 2", "O-O")):
        commands.append(f"pair_coeff {types} table {table} {pair} {potential.cutoff_A}")
    return commands


def _set_potential(session: Any, name: str) -> None:
    potential = POTENTIALS[name]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "pairs.table"
        table.write_text(pair_table(name), encoding="ascii")
        commands(session, *pair_commands(name, table))
    commands(
        session,
        f"set type 1 charge {potential.charges['Si']}",
        f"set type 2 charge {potential.charges['O']}",
        "neighbor 1.0 bin",
        "neigh_modify delay 0 every 2 check yes one 20000 page 200000",
    )


@cache
def pair_table(name: str) -> str:
    """Give the short-range part as a pair table of LAMMPS, equally spaced in r²."""
    potential, low = POTENTIALS[name], 0.4
    squared = np.linspace(low**2, potential.cutoff_A**2, _TABLE_POINTS)
    distance = np.sqrt(squared)
    lines = []
    for one, other in potential.terms:
        energy, force = short_range(potential, (one, other), distance)
        lines += [f"{one}-{other}", f"N {_TABLE_POINTS} RSQ {low} {potential.cutoff_A}", ""]
        lines += [
            f"{number} {r:.12g} {e:.12g} {f:.12g}"
            for number, (r, e, f) in enumerate(zip(distance, energy, force, strict=True), 1)
        ]
        lines.append("")
    return "\n".join(lines) + "\n"


def _run_segment(session: Any, segment: Segment, step: float, seed: int) -> None:
    steps = max(1, round(segment.duration_ps / step))
    first, last = segment.temperature_K
    if segment.pressure_GPa is None:
        move = "fix move all nve"
    else:
        low, high = (p * BAR_PER_GPA for p in segment.pressure_GPa)
        move = f"fix move all nph iso {low} {high} 0.5"
    commands(
        session,
        move,
        f"fix bath all langevin {first} {last} 0.1 {seed}",
        f"run {steps} post no",
        "unfix move",
    )


def _density(session: Any, atoms: Atoms) -> float:
    return float(atoms.get_masses().sum() * G_CM3 / session.get_thermo("vol"))
