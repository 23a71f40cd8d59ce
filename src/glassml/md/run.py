"""A state of a glass from its beginning to its files."""

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from glassml.campaign.files import write_json
from glassml.campaign.locks import hold
from glassml.campaign.units import density_g_cm3
from glassml.md.checkpoint import Checkpoint
from glassml.md.engines.single import Outcome, Simulation
from glassml.md.guards import Limits
from glassml.md.outputs import (
    write_final,
    write_offered,
    write_restart,
    write_series,
    write_trajectory,
)
from glassml.md.protocol import Coupling, Stage, describe, digest, start_times_fs
from glassml.md.thermodynamics import kinetic_temperature

logger = logging.getLogger(__name__)

#: Changes when the same input would give another trajectory: old checkpoints are then left.
TRAJECTORY_VERSION = 1


@dataclass(frozen=True)
class Job:
    """What is run, and from where its random numbers come.

    Attributes
    ----------
    state, glass, parent
        Names; parent is None for a melt.
    stages, coupling, limits
        The protocol.
    seed
        The campaign's seed.
    dynamics_seed
        Seed of thermostat and barostat.
    origin
        What the start depends on, JSON-ready: a digest of the parent's end, or its settings.
    potential
        What computes the forces, JSON-ready: path, sha256, backend, device ….
    engine
        "ase", "torch", "torchsim" or "lammps".
    """

    state: str
    glass: str
    parent: str | None
    stages: Sequence[Stage]
    coupling: Coupling
    limits: Limits
    seed: int
    dynamics_seed: int
    origin: Mapping[str, object]
    potential: Mapping[str, object]
    engine: str = "ase"

    def metadata(self) -> dict[str, object]:
        """Give what trajectory and record say of where they come from."""
        return {
            "state": self.state,
            "glass": self.glass,
            "parent": self.parent,
            "seed": self.seed,
            "dynamics_seed": self.dynamics_seed,
            "origin": dict(self.origin),
            "potential": dict(self.potential),
            "protocol": describe(self.stages),
            "coupling": asdict(self.coupling),
            "engine": self.engine,
            "versions": versions(self.engine),
        }

    def identity(self) -> str:
        """Digest all that the trajectory depends on; guards only end it."""
        beside = ("path", "verification")
        potential = {key: value for key, value in self.potential.items() if key not in beside}
        described = self.metadata() | {"potential": potential}
        return digest(TRAJECTORY_VERSION, described)


def versions(engine: str) -> dict[str, str]:
    """Give the versions of what moves the atoms."""
    packages = ["glassml", "ase", "numpy", "torch", "nequip", "MDAnalysis"]
    if engine == "torchsim":
        packages.append("torch-sim-atomistic")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def run_job(
    job: Job,
    atoms: Atoms,
    calculator: Calculator,
    folder: Path,
    *,
    checkpoint_every_s: float = 60.0,
    warnings: Sequence[str] = (),
    committee: Sequence[Calculator] = (),
    spread_every: int = 500,
    show_progress: bool = True,
) -> dict[str, object]:
    """Run a state, or go on where it was interrupted, and write its files.

    Parameters
    ----------
    job
        What is run.
    atoms
        Where it begins, with momenta.
    calculator
        ASE calculator.
    folder
        Where the files go; the checkpoint lives in `checkpoint/` below it until the end.
    checkpoint_every_s
        Wall time between checkpoints in s.
    warnings
        What the record is to say of the input.
    committee, spread_every
        Calculators of further members, and how many steps lie between two questions to them.
    show_progress
        Whether to show a progress bar.

    Returns
    -------
    dict
        The record, as in `record.json`.

    Raises
    ------
    Interrupted
        If a signal came; call again to go on.
    """
    with hold(folder, "runs this state") as lock:
        if lock.waited and (record := made_meanwhile(job, folder)) is not None:
            return record
        checkpoint = Checkpoint(folder / "checkpoint", job.identity(), lock)
        simulation = Simulation(
            atoms,
            calculator,
            job.stages,
            job.coupling,
            job.limits,
            np.random.default_rng(job.dynamics_seed),
            checkpoint,
            checkpoint_every_s,
            committee,
            spread_every,
        )
        outcome = simulation.run(show_progress=show_progress)
        record = write_outputs(job, outcome, checkpoint, folder, warnings)
        checkpoint.remove()
        return record


def made_meanwhile(job: Job, folder: Path) -> dict[str, object] | None:
    """Give the record of the same run, if the process that was waited for has finished it."""
    try:
        record = dict(json.loads((folder / "record.json").read_text(encoding="utf-8")))
        record["potential"].pop("lammps", None)  # LAMMPS's version is known when it has run
    except (OSError, ValueError, KeyError):
        return None
    wanted = json.loads(json.dumps(job.metadata()))
    if any(record.get(key) != value for key, value in wanted.items()):
        return None
    logger.info("%s: was finished meanwhile by another process", folder)
    return record


def skip_job(
    job: Job, atoms: Atoms, reason: str, folder: Path, warnings: Sequence[str] = ()
) -> dict[str, object]:
    """Write the files of a state that cannot be run, because its parent did not arrive.

    Parameters
    ----------
    job
        What would have been run.
    atoms
        Where the parent ended.
    reason
        Why it is not run.
    folder
        Where the files go.
    warnings
        What the record is to say of the input.

    Returns
    -------
    dict
        The record; its status is "skipped", the series is empty, and the only
        frame of the trajectory is the parent's end.
    """
    checkpoint = Checkpoint(folder / "checkpoint", job.identity())
    outcome = Outcome("skipped", reason, atoms, None, 0, 0.0, 0)
    record = write_outputs(job, outcome, checkpoint, folder, warnings)
    checkpoint.remove()
    return record


def write_outputs(
    job: Job, outcome: Outcome, checkpoint: Checkpoint, folder: Path, warnings: Sequence[str]
) -> dict[str, object]:
    """Write the files of a run that has ended, from its outcome and its segments."""
    if outcome.status != "finished":
        logger.warning("%s %s: %s: %s", job.state, job.glass, outcome.status, outcome.reason)
    names = [stage.name for stage in job.stages]
    write_series(folder / "series.csv", checkpoint.read_segments(), names)
    frame_stages = write_trajectory(
        folder / "trajectory.h5md", checkpoint.read_segments(), outcome.atoms, job.metadata()
    )
    end = {
        "state": job.state,
        "glass": job.glass,
        "status": outcome.status,
        "temperature_K": kinetic_temperature(outcome.atoms),
        "density_g_cm3": density_g_cm3(outcome.atoms),
    }
    write_final(folder / "final.extxyz", outcome.atoms, end)
    write_restart(folder / "restart.npz", outcome.atoms)
    spread, allowed = outcome.largest_spread_eV_A, job.limits.force_spread_eV_A
    if outcome.offending and spread is not None and allowed is not None and not spread <= allowed:
        write_offered(folder / "offered.extxyz", outcome.offending, spread, job.state, job.glass)
    record = job.metadata() | {
        "status": outcome.status,
        "reason": outcome.reason,
        "atoms": len(outcome.atoms),
        "formula": outcome.atoms.get_chemical_formula("hill"),
        "limits": job.limits.describe(),
        "stages": _stage_table(job.stages, frame_stages),
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "seconds_per_step": outcome.seconds / outcome.steps if outcome.steps else None,
        "pieces": outcome.pieces,
        "warnings": list(warnings),
        "largest_force_spread_eV_A": outcome.largest_spread_eV_A,
        "offending_frame": outcome.offending,
    }
    write_json(folder / "record.json", record)
    return record


def _stage_table(stages: Sequence[Stage], frame_stages: Sequence[int]) -> list[dict[str, object]]:
    """Tell when each stage begins and ends, and which frames are its own: [first, last + 1]."""
    table = []
    indices = np.asarray(frame_stages, dtype=int)
    for index, (stage, begin) in enumerate(zip(stages, start_times_fs(stages), strict=True)):
        first, last = np.searchsorted(indices, [index, index + 1])
        table.append(
            {
                "name": stage.name,
                "start_fs": begin,
                "end_fs": begin + stage.length_fs(),
                "frames": [int(first), int(last)],
            }
        )
    return table
