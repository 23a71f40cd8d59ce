"""Pieces of `speed.py` for comparison: other ways to move the same atoms, in the same run.

NequIP's own ASE calculator and torch-sim move the network, LAMMPS moves SHIK on one core. What is
not installed on a machine is said in `pieces.csv`.
"""

# ruff: noqa: PLC0415  (what one piece needs must not end the others)

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from speed_pairs import COUPLING, stage
from throughput import silica

COLUMNS = (
    "way", "potential", "device", "glasses", "atoms", "timestep_fs", "steps", "step_ms",
    "million_atom_steps_per_s", "clock",
)  # fmt: skip
TIMESTEP_FS = 1.5


def row(pieces, way, potential, device, glasses, atoms, steps, seconds, clock="wall"):
    """Write a row, and give what is said of the piece."""
    million = 1e-6 * atoms * steps / seconds
    values = (way, potential, device, glasses, atoms, TIMESTEP_FS, steps, 1e3 * seconds / steps,
              million, clock)  # fmt: skip
    pieces.row("others", dict(zip(COLUMNS, values, strict=True)), COLUMNS)
    return {"million": round(million, 4)}


def timed(pieces, step, seconds):
    """Give the number of steps and the seconds that they took, after two steps that do not count.

    Parameters
    ----------
    step
        Makes one.
    seconds
        Of the measurement, at least.
    """
    step()
    step()
    pieces.wait()
    begin, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - begin < seconds:
        step()
        count += 1
    pieces.wait()
    return count, time.perf_counter() - begin


def ase_calculator(pieces, package, atoms, seconds):
    """Measure NequIP's own ASE calculator under ASE's integrator, one glass."""
    from glassml.md.engines.integrator import RampedLangevin
    from glassml.potential.calculators import load_calculator

    glass = silica(atoms, 0)
    glass.calc = load_calculator(package, device=pieces.device.type)
    moving = RampedLangevin(
        glass, stage("npt", 300.0, TIMESTEP_FS), COUPLING, np.random.default_rng(1)
    )
    steps, took = timed(pieces, moving.advance, seconds)
    name = f"ASE, {glass.calc.parameters['backend']}"
    return row(pieces, name, package.name, pieces.device.type, 1, len(glass), steps, took)


def torch_sim(pieces, package, glasses, atoms, seconds):
    """Measure torch-sim with NequIP's interface to it, a batch."""
    from glassml.md.engines.torchsim import TorchSimEngine, load_model

    model, _ = load_model(package, pieces.device.type)
    engine = TorchSimEngine(model)
    batch = [silica(atoms, seed) for seed in range(glasses)]
    engine.begin(batch, 1)
    engine.begin_stage(stage("npt", 300.0, TIMESTEP_FS), COUPLING)
    steps, took = timed(pieces, engine.integrator.advance, seconds)
    total = sum(len(glass) for glass in batch)
    return row(pieces, "torch-sim", package.name, pieces.device.type, glasses, total, steps, took)


def lammps(pieces, atoms, steps):
    """Measure LAMMPS on one core with SHIK: processor time of many steps less that of few."""
    from glassml.md.engines.lammps_input import classical_potential
    from glassml.md.engines.lammps_run import find_program, run_lammps
    from glassml.md.guards import Limits
    from glassml.md.protocol import Stage
    from glassml.md.run import Job

    glass = silica(atoms, 0)
    glass = Atoms(glass.numbers, glass.positions, cell=glass.cell, pbc=True,
                  momenta=glass.get_momenta())  # fmt: skip
    took = []
    for count in (steps // 10, steps):
        hold = Stage("hold", "npt", count, TIMESTEP_FS, (300.0, 300.0), (0.0, 0.0), count, count)
        limits = Limits(9.0, 9.0, (0.5, 9.0), 0.0)
        job = Job("hold", "glass00", None, [hold], COUPLING, limits, 1, 4711, {},
                  {"sha256": "shik"}, "lammps")  # fmt: skip
        begin = sum(os.times()[:4])
        with tempfile.TemporaryDirectory() as folder:
            run_lammps(job, glass.copy(), classical_potential("shik"), find_program(None),
                       Path(folder) / "glass00", restart_every_fs=1e9)  # fmt: skip
        took.append(sum(os.times()[:4]) - begin)
    seconds = max(took[1] - took[0], 1e-3)
    done = steps - steps // 10
    return row(pieces, "LAMMPS, one core", "shik", "cpu", 1, len(glass), done, seconds, "processor")


def run(pieces, packages):
    """Run all that the machine has."""
    large = pieces.gpu
    seconds = 3.0 if large else 0.0
    for package in packages:
        for atoms in (999, 9000) if large else (24,):
            what = f"ASE calculator, {package.name}, {atoms}"
            pieces.run(what, ase_calculator, package, atoms, seconds, at_least_s=5, at_most_s=120)
        for glasses, atoms in ((1, 999), (3, 2880)) if large else ((1, 24),):
            what = f"torch-sim, {package.name}, {glasses} x {atoms}"
            pieces.run(
                what, torch_sim, package, glasses, atoms, seconds, at_least_s=5, at_most_s=120
            )
    pieces.run("LAMMPS", lammps, 999 if large else 96, 2000, at_least_s=5)
