"""Starts of glasses in batches: a classical melt and quench, and a student that goes on from it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from glassml.campaign.config import Campaign
from glassml.campaign.config.md import Student
from glassml.campaign.files import file_sha256
from glassml.campaign.seeds import derive_seed, generator
from glassml.md.engines.batch import run_batch
from glassml.md.engines.loading import load_network_engine
from glassml.md.engines.pair_loading import load_pair_model
from glassml.md.engines.torchmd import TorchEngine
from glassml.md.jobs import coupling, limits, why_skipped
from glassml.md.outputs import read_restart
from glassml.md.protocol import Stage
from glassml.md.run import Job, skip_job
from glassml.md.spread import Task
from glassml.md.start import (
    QUENCH_LIMITS,
    maxwell_boltzmann,
    npt_stage,
    quench_stages,
    ramp_stages,
    random_start,
)

if TYPE_CHECKING:
    from ase import Atoms

CLASSICAL = "classical"  # folder and state of what a student goes on from


def batch_seed(campaign: Campaign, use: str, names: Sequence[str]) -> int:
    """Give the seed of a batch: some of the glasses do not share random numbers with others."""
    some = [] if list(names) == campaign.md.glass_names() else names
    return derive_seed(campaign.seed, "md", use, *some)


def make_starts(
    campaign: Campaign,
    pressure_GPa: float,
    names: Sequence[str],
    device: str | None,
    labels: Sequence[Path],
    output: Path,
) -> None:
    """Make the starts of glasses under a pressure, or go on where that was interrupted.

    Parameters
    ----------
    campaign
        The configuration: `md.classical`, and `md.student` if it has one.
    pressure_GPa
        Of melt and quench, in GPa.
    names
        Of the glasses.
    device
        Name in torch; None takes a GPU where there is one.
    labels
        Files of test labels, on which shortcuts of a student are verified.
    output
        Folder of the starts, `{glass}/restart.npz`; what a student goes on from is in
        `classical/` below it.

    Raises
    ------
    Interrupted
        If a signal came; call again to go on.
    """
    if campaign.md.student is None:
        _melt(campaign, pressure_GPa, names, device, output)
        return
    melts = output / CLASSICAL
    if not Task(CLASSICAL, None, tuple(names)).is_done(output):
        _melt(campaign, pressure_GPa, names, device, melts)
    _hand_over(campaign, campaign.md.student, pressure_GPa, names, device, labels, output)


def _melt(
    campaign: Campaign,
    pressure_GPa: float,
    names: Sequence[str],
    device: str | None,
    output: Path,
) -> None:
    """Melt and quench glasses with a classical potential."""
    md = campaign.md
    way = md.classical
    kernels = md.uses_pair_kernels()
    model, described = load_pair_model(way.potential, device, kernels=kernels)
    stages = quench_stages(way, pressure_GPa)
    jobs: dict[str, Job] = {}
    glasses: dict[str, Atoms] = {}
    for name in names:
        rng = generator(campaign.seed, "md", "start", name)
        atoms = random_start(md.composition, md.atoms, md.start_density_g_cm3, rng)
        maxwell_boltzmann(atoms, way.melt_K, rng)
        glasses[name] = atoms
        jobs[name] = Job(
            state="start",
            glass=name,
            parent=None,
            stages=stages,
            coupling=coupling(md),
            limits=QUENCH_LIMITS,
            seed=campaign.seed,
            dynamics_seed=batch_seed(campaign, CLASSICAL, names),
            origin=md.melt_settings(),
            potential=described,
            engine="torch",
        )
    every = md.checkpoint_every_s
    run_batch(jobs, glasses, TorchEngine(model), output, checkpoint_every_s=every)


def _hand_over(
    campaign: Campaign,
    student: Student,
    pressure_GPa: float,
    names: Sequence[str],
    device: str | None,
    labels: Sequence[Path],
    output: Path,
) -> None:
    """Let the student go on from classical melts, with their momenta."""
    md = campaign.md
    engine, described = load_network_engine(md, Path(student.package), device, labels)
    jobs: dict[str, Job] = {}
    glasses: dict[str, Atoms] = {}
    for name in names:
        melt = output / CLASSICAL / name
        job = Job(
            state="start",
            glass=name,
            parent=CLASSICAL,
            stages=student_stages(student, md.classical.end_temperature(), pressure_GPa),
            coupling=coupling(md),
            # its committee would be another one than the campaign's
            limits=replace(limits(md), force_spread_eV_A=None),
            seed=campaign.seed,
            dynamics_seed=batch_seed(campaign, "student", names),
            origin={"restart_sha256": file_sha256(melt / "restart.npz")},
            potential=described,
            engine="torch",
        )
        atoms = read_restart(melt / "restart.npz")
        if why_not := why_skipped(melt / "record.json", "the classical melt"):
            skip_job(job, atoms, why_not, output / name)
        else:
            jobs[name], glasses[name] = job, atoms
    if jobs:
        every = md.checkpoint_every_s
        run_batch(jobs, glasses, engine, output, checkpoint_every_s=every)


def student_stages(student: Student, melt_K: float, pressure_GPa: float) -> list[Stage]:
    """Give a student's stages: a hold where the classical melt ended, then its ramps.

    Parameters
    ----------
    student
        Section `md.student`.
    melt_K
        Where the classical melt ended, in K.
    pressure_GPa
        In GPa.
    """
    return [
        npt_stage("hold", student.hold_ps, (melt_K, melt_K), pressure_GPa, student.timestep_fs),
        *ramp_stages(melt_K, student.quench, pressure_GPa, student.timestep_fs),
    ]
