"""`glassml md`: runs a state of a glass, and shows the protocol."""

import argparse
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase import Atoms

    from glassml.campaign.config.md import MolecularDynamics
    from glassml.md.protocol import Stage

logger = logging.getLogger(__name__)


def register(commands: argparse._SubParsersAction) -> None:
    """Add the stage's commands to the parser."""
    parser = commands.add_parser("md", help="melt-quench, compression and recovery of glasses")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser(
        "run",
        help="run a state of a glass, or go on where it was interrupted",
        description="Exit code 143 or 130: interrupted, and the same command goes on.",
    )
    run.add_argument("--config", type=Path, required=True, help="the campaign's configuration")
    run.add_argument("--state", required=True, help="name of the state")
    run.add_argument("--glass", required=True, help="name of the glass, as glass00")
    run.add_argument("--potential", type=Path, required=True, help="NequIP package")
    run.add_argument("--compiled", type=Path, help="the package compiled on this machine")
    run.add_argument("--gates", type=Path, help="gates.json of the potential, for warnings")
    run.add_argument("--device", help="cpu or cuda; a GPU is used if there is one")
    run.add_argument(
        "--parent",
        type=Path,
        nargs="*",
        default=[],
        help="restart.npz and record.json of the same glass in the parent state",
    )
    run.add_argument("--threads", type=int, default=1, help="of the potential, on a CPU")
    run.add_argument("--output-dir", type=Path, required=True)
    run.set_defaults(run=_run)
    protocol = actions.add_parser("protocol", help="print states, stages, steps and times")
    protocol.add_argument("--config", type=Path, required=True, help="the campaign's configuration")
    protocol.add_argument(
        "--ms-per-atom-step",
        type=float,
        default=0.3,
        help="cost of the potential on this machine, for the estimated times",
    )
    protocol.set_defaults(run=_print_protocol)


def _run(args: argparse.Namespace) -> int:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.errors import GlassmlError
    from glassml.campaign.seeds import generator
    from glassml.md.engine import Interrupted
    from glassml.md.outputs import read_restart
    from glassml.md.potential import check_potential, gate_warnings, load_potential
    from glassml.md.run import Job, file_sha256, run_job, skip_job
    from glassml.md.start import maxwell_boltzmann

    campaign = load_campaign(args.config)
    md = campaign.md
    if args.state not in md.states:
        raise GlassmlError(f"--state {args.state}: there is no such state: {', '.join(md.states)}")
    if args.glass not in md.glass_names():
        raise GlassmlError(f"--glass {args.glass}: there are {', '.join(md.glass_names())}")
    parent = md.states[args.state].parent
    came_from = {path.name: path for path in args.parent}
    wanted = set() if parent is None else {"restart.npz", "record.json"}
    if set(came_from) != wanted:
        raise GlassmlError(
            f"--parent: {args.state} comes from {parent or 'a melt'} and needs "
            f"{' and '.join(sorted(wanted)) or 'no files'}"
        )
    calculator, described = load_potential(
        args.potential, args.compiled, args.device, threads=args.threads
    )
    if parent is None:
        temperature = md.states[args.state].stages[0].temperature_K
        atoms, origin = _begin(md, campaign.seed, args.glass, args.output_dir / "checkpoint")
        maxwell_boltzmann(
            atoms,
            temperature[0] if temperature else 300.0,
            generator(campaign.seed, "md", args.state, args.glass, "velocities"),
        )
    else:
        restart = came_from["restart.npz"]
        atoms, origin = read_restart(restart), {"restart_sha256": file_sha256(restart)}
    job = Job(
        state=args.state,
        glass=args.glass,
        parent=parent,
        stages=build_stages(md, args.state),
        coupling=_coupling(md),
        limits=_limits(md),
        seed=campaign.seed,
        origin=origin,
        potential=described,
    )
    warnings = [*check_potential(calculator, atoms), *gate_warnings(args.gates)]
    if parent is not None and (reason := _why_skipped(came_from["record.json"], parent)):
        skip_job(job, atoms, reason, args.output_dir, warnings)
        return 0
    try:
        run_job(
            job,
            atoms,
            calculator,
            args.output_dir,
            checkpoint_every_s=md.checkpoint_every_s,
            warnings=warnings,
        )
    except Interrupted as interruption:
        logger.warning("%s", interruption)
        return 128 + interruption.number
    return 0


def _begin(
    md: "MolecularDynamics", seed: int, glass: str, folder: Path
) -> "tuple[Atoms, dict[str, Any]]":
    """Give the start of a melt, and what it depends on.

    A classical quench may take hours, so its end is kept beside the checkpoint.
    """
    from glassml.campaign.seeds import derive_seed, generator
    from glassml.md.outputs import read_restart, write_restart
    from glassml.md.protocol import digest
    from glassml.md.start import classical_start, random_start

    origin = md.model_dump(mode="json", include={"start", "start_density_g_cm3", "atoms"})
    rng = generator(seed, "md", "start", glass)
    if md.start == "random":
        return random_start(md.composition, md.atoms, md.start_density_g_cm3, rng), origin
    origin["classical"] = md.classical.model_dump(mode="json")
    kept = folder / f"start_{digest(origin, seed, glass)[:16]}.npz"
    if not kept.exists():
        logger.info("classical melt and quench with %s", md.classical.potential)
        atoms = classical_start(
            random_start(md.composition, md.atoms, md.start_density_g_cm3, rng),
            md.classical.potential,
            (md.classical.melt_K, md.classical.end_K),
            md.classical.melt_ps,
            md.classical.quench_K_per_ps,
            md.classical.pressure_GPa,
            md.classical.timestep_fs,
            derive_seed(seed, "md", "classical", glass),
        )
        write_restart(kept, atoms)
    return read_restart(kept), origin


def _why_skipped(parent_record: Path, parent: str) -> str:
    """Tell why a child cannot be run, or give an empty text where it can."""
    record = json.loads(parent_record.read_text(encoding="utf-8"))
    if record["status"] == "finished":
        return ""
    reason = record["reason"]
    return reason if record["status"] == "skipped" else f"{parent} was stopped: {reason}"


def build_stages(md: "MolecularDynamics", state: str) -> "list[Stage]":
    """Give the stages of a state of the configuration, counted in time steps."""
    from glassml.md.protocol import Stage

    stages = []
    for stage in md.states[state].stages:
        timestep = stage.timestep_fs or md.timestep_fs
        stages.append(
            Stage(
                name=stage.name,
                ensemble=stage.ensemble,
                steps=round(stage.length_ps() * 1000.0 / timestep),
                timestep_fs=timestep,
                temperature_K=stage.temperature_K,
                pressure_GPa=stage.pressure_GPa,
                sample_every=round((stage.sample_every_fs or md.sample_every_fs) / timestep),
                frame_every=round((stage.frame_every_fs or md.frame_every_fs) / timestep),
            )
        )
    return stages


def _coupling(md: "MolecularDynamics") -> Any:
    from glassml.md.protocol import Coupling

    return Coupling(md.thermostat_fs, md.barostat_fs, md.bulk_modulus_GPa)


def _limits(md: "MolecularDynamics") -> Any:
    from glassml.md.guards import Limits

    guards = md.guards
    return Limits(
        guards.temperature_ratio,
        guards.energy_jump_eV,
        guards.density_g_cm3,
        guards.min_distance_A,
    )


def _print_protocol(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign

    md = load_campaign(args.config).md
    print(f"{md.glasses} glass(es) of {md.atoms} atoms, engine {md.engine}, start {md.start}")
    print(f"{'state / stage':34}{'ensemble':>9}{'T, K':>14}{'P, GPa':>13}{'ps':>9}{'steps':>10}")
    for name in md.states:
        print(f"{name}  (from {md.states[name].parent or 'a melt'})")
        for stage in build_stages(md, name):
            print(
                f"  {stage.name:32}{stage.ensemble:>9}{_ends(stage.temperature_K):>14}"
                f"{_ends(stage.pressure_GPa):>13}{stage.length_fs() / 1000.0:>9g}{stage.steps:>10}"
            )
    steps = sum(md.steps(name) for name in md.states)
    longest = max(sum(md.steps(each) for each in md.lineage(name)) for name in md.states)
    step_s = md.atoms * args.ms_per_atom_step / 1000.0
    print(
        f"{steps} steps a glass, {longest} along the longest chain; at {args.ms_per_atom_step} ms "
        f"per atom and step: {steps * md.glasses * step_s / 3600.0:.2f} h of computing, "
        f"{longest * step_s / 3600.0:.2f} h along the chain ({os.cpu_count()} cores here)"
    )


def _ends(ends: tuple[float, float] | None) -> str:
    if ends is None:
        return "-"
    start, end = ends
    return f"{start:g}" if start == end else f"{start:g}-{end:g}"
