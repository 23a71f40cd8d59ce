# ruff: noqa: PLC0415  (heavy imports wait until a command runs)
"""Commands of `glassml md` that move all glasses at once."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from glassml.campaign.options import add_config, add_device
from glassml.md.options import (
    add_common_options,
    add_glasses,
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
    from glassml.potential.padded import PaddedNetwork

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
        help="melt and quench all glasses with a classical potential in one batch, with torch",
        description="For a GPU. Exit code 143 or 130: interrupted, and the same command goes on.",
    )
    add_config(starts)
    add_device(starts)
    add_pressure(starts)
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


def batch_seed(campaign: "Campaign", use: str, names: list[str]) -> int:
    """Give the seed of a batch: some of the glasses do not share random numbers with others."""
    from glassml.campaign.seeds import derive_seed

    some = [] if names == campaign.md.glass_names() else names
    return derive_seed(campaign.seed, "md", use, *some)


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
    from glassml.md.spread import Task, devices, run_ready, spread

    campaign = load_campaign(args.config)
    md = campaign.md
    check_committee(md, args)
    check_engine(md)
    warnings = gate_warnings(args.gates, md.allow_red_potential)
    states, glasses = _wanted_states(md, args), chosen_glasses(md, args)
    if all(Task(state, None, tuple(glasses)).is_done(args.output_dir) for state in states):
        logger.info(
            "%s: nothing to run: %s of %s are there",
            args.output_dir,
            ", ".join(states),
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
            _quench(campaign, task.quench_GPa, names, args.device, args.output_dir / task.state)
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


def _wanted_states(md: "MolecularDynamics", args: argparse.Namespace) -> list[str]:
    """Give the states that are asked for and what they continue from, parents before children."""
    wanted = args.states or list(md.states)
    for name in wanted:
        md.check_state(name)
    return list(dict.fromkeys(each for name in wanted for each in md.lineage(name)))


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

    task = Task(state, md.states[state].parent, tuple(group))
    pressures = md.start_pressures(state) if md.engine == "torch" else []
    if not pressures or args.start or task.is_done(args.output_dir):
        return [task]
    start = Task(
        f"start/{pressures[0]}GPa", None, task.glasses, quench_GPa=md.quench_pressure(state)
    )
    return [start, Task(state, start.state, task.glasses)]


def _starts(args: argparse.Namespace) -> int:
    from glassml.campaign.config import load_campaign

    campaign = load_campaign(args.config)
    campaign.md.check_start(args.pressure_GPa)
    names = chosen_glasses(campaign.md, args)
    _quench(campaign, args.pressure_GPa, names, args.device, args.output_dir)
    return 0


def _quench(
    campaign: "Campaign", pressure_GPa: float, names: list[str], device: str | None, output: Path
) -> None:
    """Melt and quench glasses under a pressure with a classical potential, in one batch."""
    from glassml.campaign.seeds import generator
    from glassml.md.engines.batch import run_batch
    from glassml.md.engines.pair_loading import load_pair_model
    from glassml.md.engines.torchmd import TorchEngine
    from glassml.md.jobs import coupling
    from glassml.md.run import Job
    from glassml.md.start import QUENCH_LIMITS, maxwell_boltzmann, quench_stages, random_start

    md = campaign.md
    way = md.classical
    kernels = "pair_kernels" in md.shortcuts
    model, described = load_pair_model(way.potential, device, kernels=kernels)
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
            stages=quench_stages(
                (way.melt_K, way.end_K),
                way.melt_ps,
                way.quench_K_per_ps,
                pressure_GPa,
                way.timestep_fs,
            ),
            coupling=coupling(md),
            limits=QUENCH_LIMITS,
            seed=campaign.seed,
            dynamics_seed=batch_seed(campaign, "classical", names),
            origin=md.start_settings(),
            potential=described,
            engine="torch",
        )
    every = md.checkpoint_every_s
    run_batch(jobs, glasses, TorchEngine(model), output, checkpoint_every_s=every)


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
    from glassml.md.engines.pair_loading import load_pair_model
    from glassml.md.engines.torchmd import TorchEngine
    from glassml.potential.padded import load_network

    name = control(md, args)
    if name is not None:
        kernels = "pair_kernels" in md.shortcuts
        pair, described = load_pair_model(name, args.device, kernels=kernels)
        return TorchEngine(pair), described
    network, described = load_network(
        args.potential, args.device, skin_A=md.skin_A, shortcuts=md.network_shortcuts()
    )
    if md.network_shortcuts():
        described["verification"] = _verified(md, args, network)
    committee = [
        load_network(package, args.device, skin_A=md.skin_A, graph=False)[0]
        for package in args.committee
    ]
    return TorchEngine(network, committee), described


def _verified(
    md: "MolecularDynamics", args: argparse.Namespace, network: "PaddedNetwork"
) -> "dict[str, dict[str, float]]":
    """Compare a network that takes shortcuts with the same without, on test labels."""
    from glassml.campaign.errors import GlassmlError
    from glassml.campaign.extxyz import read_extxyz
    from glassml.potential.padded import load_network
    from glassml.potential.shortcuts import check_shortcuts

    labels = [atoms for path in args.labels for atoms in read_extxyz(path)]
    if not labels:
        raise GlassmlError(
            f"--labels: md.shortcuts {', '.join(md.network_shortcuts())} are verified on test "
            "labels: give their file, test.extxyz of the dataset"
        )
    exact, _ = load_network(args.potential, args.device, skin_A=md.skin_A, graph=False)
    return check_shortcuts(network, exact, labels)
