# ruff: noqa: PLC0415  (heavy imports wait until a command runs)
"""Commands of `glassml md` that move all glasses at once."""

import argparse
import itertools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from glassml.campaign.options import add_config, add_device
from glassml.md.options import (
    add_common_options,
    add_glasses,
    add_labels,
    add_pressure,
    add_state_options,
    positive,
)

if TYPE_CHECKING:
    from ase import Atoms

    from glassml.campaign.config import Campaign
    from glassml.campaign.config.md import MolecularDynamics
    from glassml.md.engines.interface import BatchEngine
    from glassml.md.run import Job
    from glassml.md.spread import Task

logger = logging.getLogger(__name__)


def register(actions: argparse._SubParsersAction) -> None:
    """Add the commands to the parser of `glassml md`."""
    batch = actions.add_parser(
        "batch",
        help="run a state of all glasses in one batch, or go on where it was interrupted",
        description="Exit code 143 or 130: interrupted, and the same command goes on.",
    )
    batch.set_defaults(run=_run_batch)
    add_common_options(batch)
    add_state_options(batch)
    everything = actions.add_parser(
        "all",
        help="run all states of all glasses in batches, on all GPUs of this machine",
        description="Without a workflow. A process for each GPU takes the next state of a batch of "
        "glasses that is ready; states that are there are left alone. Classical quenches that are "
        "not given by --start are made with engine torch, in start/. Exit code 143 or 130: "
        "interrupted, and the same command goes on.",
    )
    add_common_options(everything)
    everything.add_argument(
        "--states",
        nargs="+",
        help="these, and what they continue from, if it is not there; default: all",
    )
    everything.add_argument(
        "--batches",
        type=positive,
        help="divide the glasses into so many batches, each with random numbers of its own; "
        "default: as many as GPUs, as far as there are glasses; kept in batches.json",
    )
    everything.add_argument(
        "--processes", type=positive, help="run so many at a time; default: one for each GPU"
    )
    add_glasses(everything)
    everything.set_defaults(run=_run_all)
    starts = actions.add_parser(
        "starts",
        help="melt and quench all glasses in one batch, with torch",
        description="With a classical potential, and then with md.student if there is one. For a "
        "GPU. Exit code 143 or 130: interrupted, and the same command goes on.",
    )
    add_config(starts)
    add_device(starts)
    add_pressure(starts)
    add_labels(starts)
    starts.add_argument("--output-dir", type=Path, required=True, help="{glass}/restart.npz")
    add_glasses(starts)
    starts.set_defaults(run=_starts)


def chosen_glasses(md: "MolecularDynamics", args: argparse.Namespace) -> list[str]:
    """Give the names of the glasses that are run."""
    from glassml.campaign.errors import GlassmlError

    names = md.glass_names()
    if unknown := [name for name in args.glasses if name not in names]:
        raise GlassmlError(f"--glasses {' '.join(unknown)}: there are {', '.join(names)}")
    return [name for name in names if name in args.glasses] or names


def check_engine(md: "MolecularDynamics") -> None:
    """Refuse an engine that moves one glass at a time."""
    from glassml.campaign.errors import GlassmlError

    if not md.takes_batches():
        raise GlassmlError(f"md.engine: {md.engine} takes no batches: `glassml md run`, or torch")


def _run_batch(args: argparse.Namespace) -> int:
    from glassml.md.jobs import load
    from glassml.md.potential import gate_warnings

    campaign = load(args)
    warnings = gate_warnings(args.gates, campaign.md.allow_red_potential)
    engine, described = _load_engine(campaign.md, args)
    glasses = campaign.md.glass_names()
    return _run_state(campaign, args, glasses, engine, described, warnings)


def _run_all(args: argparse.Namespace) -> int:
    """Run the states as the configuration lists them, but parents first."""
    from glassml.campaign.config import load_campaign
    from glassml.md.jobs import check_committee
    from glassml.md.potential import gate_warnings
    from glassml.md.quench import make_starts
    from glassml.md.spread import Task, devices, run_ready, spread

    campaign = load_campaign(args.config)
    md = campaign.md
    check_committee(md, args)
    check_engine(md)
    warnings = gate_warnings(args.gates, md.allow_red_potential)
    glasses = chosen_glasses(md, args)
    states = _missing_states(md, args, glasses)
    if not states:
        logger.info(
            "%s: nothing to run: %s of %s are there",
            args.output_dir,
            ", ".join(args.states or md.states),
            ", ".join(glasses),
        )
        return 0
    places = devices(args.device, args.processes)
    tasks = _tasks(md, args, states, len(places))
    # more processes than states that can run at a time would only wait
    missing = [task for task in tasks if not task.is_done(args.output_dir)]
    ends = {(task.state, task.glasses) for task in missing}
    ends -= {(task.parent, task.glasses) for task in missing}
    places = places[: len(ends)]
    if len(places) > 1:
        return spread([*args.argv, "--processes", "1"], places)
    engine, described = _load_engine(md, args)

    def run(task: Task) -> None:
        names = list(task.glasses)
        logger.info("%s: %s", task.state, ", ".join(names))
        if task.quench_GPa is not None:
            output = args.output_dir / task.state
            make_starts(campaign, task.quench_GPa, names, args.device, args.labels, output)
            return
        own = argparse.Namespace(**vars(args) | _came_from(md, task, args.output_dir))
        _run_state(campaign, own, names, engine, described, warnings)

    run_ready(tasks, args.output_dir, run)
    return 0


def _came_from(md: "MolecularDynamics", task: "Task", results: Path) -> dict[str, object]:
    """Give the options that say which state is run, where it begins and where it goes."""
    own: dict[str, object] = {
        "state": task.state,
        "parent": [],
        "output_dir": results / task.state,
    }
    if task.parent is None:
        return own
    restarts = [results / task.parent / glass / "restart.npz" for glass in task.glasses]
    if task.parent not in md.states:
        return own | {"start": restarts}
    return own | {"parent": restarts + [path.with_name("record.json") for path in restarts]}


def _missing_states(
    md: "MolecularDynamics", args: argparse.Namespace, glasses: list[str]
) -> list[str]:
    """Give what is missing of the states that are asked for, parents before children.

    A state takes nothing but the end of its parent: where that is there, what the parent came from
    may be elsewhere.
    """
    from glassml.md.spread import Task

    wanted = args.states or list(md.states)
    missing: dict[str, None] = {}
    for name in wanted:
        md.check_state(name)
        line = itertools.takewhile(
            lambda state: not Task(state, None, tuple(glasses)).is_done(args.output_dir),
            reversed(md.before(name)),
        )
        missing |= dict.fromkeys(reversed(list(line)))
    return list(missing)


def _tasks(
    md: "MolecularDynamics", args: argparse.Namespace, states: list[str], places: int
) -> "list[Task]":
    """Give the states of batches, parents before children."""
    from glassml.md.spread import batches

    chosen = chosen_glasses(md, args)
    groups = [chosen]
    if not args.glasses:
        groups = batches(args.output_dir, chosen, args.batches, places)
    return [
        task for state in states for group in groups for task in _with_start(md, args, state, group)
    ]


def _with_start(
    md: "MolecularDynamics", args: argparse.Namespace, state: str, group: list[str]
) -> "list[Task]":
    """Give a state of a batch, and before it the classical quench that it lacks."""
    from glassml.md.spread import Task

    task = Task(state, md.begins_with(state), tuple(group))
    pressures = md.start_pressures(state) if md.engine == "torch" else []
    if not pressures or args.start or task.is_done(args.output_dir):
        return [task]
    start = Task(
        f"start/{pressures[0]}GPa", None, task.glasses, quench_GPa=md.quench_pressure(state)
    )
    return [start, Task(state, start.state, task.glasses)]


def _starts(args: argparse.Namespace) -> int:
    from glassml.campaign.config import load_campaign
    from glassml.md.quench import make_starts

    campaign = load_campaign(args.config)
    campaign.md.check_start(args.pressure_GPa)
    names = chosen_glasses(campaign.md, args)
    make_starts(campaign, args.pressure_GPa, names, args.device, args.labels, args.output_dir)
    return 0


def _run_state(
    campaign: "Campaign",
    args: argparse.Namespace,
    names: list[str],
    engine: "BatchEngine",
    described: "dict[str, object]",
    warnings: list[str],
) -> int:
    """Run a state of glasses in one batch; `warnings` of the potential go to the records."""
    from glassml.md.engines.batch import run_batch
    from glassml.md.jobs import prepare
    from glassml.md.potential import check_potential
    from glassml.md.quench import batch_seed
    from glassml.md.run import skip_job

    seed = batch_seed(campaign, args.state, names)
    jobs: dict[str, Job] = {}
    glasses: dict[str, Atoms] = {}
    for name in names:
        folder = args.output_dir / name
        job, atoms, why_not = prepare(campaign, args, name, described, seed, folder)
        warnings = warnings + (check_potential(engine.model, atoms) if not glasses else [])
        if why_not:
            skip_job(job, atoms, why_not, folder, warnings)
        else:
            jobs[name], glasses[name] = job, atoms
    if not jobs:
        return 0
    run_batch(
        jobs,
        glasses,
        engine,
        args.output_dir,
        checkpoint_every_s=campaign.md.checkpoint_every_s,
        spread_every=campaign.md.spread_every(),
        warnings=warnings,
    )
    return 0


def _load_engine(
    md: "MolecularDynamics", args: argparse.Namespace
) -> "tuple[BatchEngine, dict[str, object]]":
    """Load what moves a batch, and describe its potential."""
    from glassml.md.jobs import control

    check_engine(md)
    if md.engine == "torchsim":
        from glassml.md.engines.torchsim import TorchSimEngine, load_model

        model, described = load_model(args.potential, args.device)
        return TorchSimEngine(model), described

    name = control(md, args)
    if name is None:
        from glassml.md.engines.loading import load_network_engine

        return load_network_engine(
            md, args.potential, args.device, args.labels, args.committee, md.respa
        )
    from glassml.md.engines.pair_loading import load_pair_model
    from glassml.md.engines.torchmd import TorchEngine

    kernels = md.uses_pair_kernels()
    pair, described = load_pair_model(name, args.device, kernels=kernels)
    return TorchEngine(pair), described
