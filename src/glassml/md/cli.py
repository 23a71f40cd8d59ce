"""`glassml md`: runs a state of a glass, and shows the protocol."""

import argparse
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ase import Atoms

    from glassml.campaign.config import Campaign
    from glassml.campaign.config.md import MolecularDynamics
    from glassml.md.protocol import Stage
    from glassml.md.run import Job

logger = logging.getLogger(__name__)


def register(commands: argparse._SubParsersAction) -> None:
    """Add the stage's commands to the parser."""
    from glassml.md import batch_cli

    parser = commands.add_parser("md", help="melt-quench, compression and recovery of glasses")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser(
        "run",
        help="run a state of a glass with ASE or LAMMPS, or go on where it was interrupted",
        description="Exit code 143 or 130: interrupted, and the same command goes on.",
    )
    run.add_argument("--glass", required=True, help="name of the glass, as glass00")
    run.add_argument("--compiled", type=Path, help="the package compiled on this machine")
    run.add_argument("--threads", type=int, default=1, help="of the potential, on a CPU")
    run.set_defaults(run=_run)
    add_common_options(run)
    add_state_options(run)
    start = actions.add_parser("start", help="melt and quench a glass with a classical potential")
    start.add_argument("--config", type=Path, required=True, help="the campaign's configuration")
    start.add_argument("--glass", required=True, help="name of the glass, as glass00")
    start.add_argument("--output", type=Path, required=True, help="restart.npz")
    start.set_defaults(run=_start)
    batch_cli.register(actions)
    moduli = actions.add_parser("moduli", help="bulk, shear and Young's modulus by small strains")
    moduli.add_argument("structure", type=Path, help="final.extxyz of a glass")
    moduli.add_argument("--potential", type=Path, required=True, help="NequIP package")
    moduli.add_argument("--compiled", type=Path, help="the package compiled on this machine")
    moduli.add_argument("--device", help="cpu or cuda; a GPU is used if there is one")
    moduli.add_argument("--strain", type=float, default=0.003)
    moduli.add_argument("--force-eV-A", type=float, default=0.01, help="atoms at rest have less")
    moduli.add_argument("--output", type=Path, required=True, help="JSON")
    moduli.set_defaults(run=_moduli)
    export = actions.add_parser("export", help="keep of finished runs what analysis needs")
    export.add_argument("--config", type=Path, required=True, help="the campaign's configuration")
    export.add_argument("--input-dir", type=Path, required=True, help="with {state}/{glass}/")
    export.add_argument("--output-dir", type=Path, required=True, help="for md.given")
    export.set_defaults(run=_export)
    adopt = actions.add_parser("adopt", help="take up an exported run as it is: md.given")
    adopt.add_argument("--config", type=Path, required=True, help="the campaign's configuration")
    adopt.add_argument("--state", required=True, help="name of the state")
    adopt.add_argument("--glass", required=True, help="name of the glass, as glass00")
    adopt.add_argument("--output-dir", type=Path, required=True)
    adopt.set_defaults(run=_adopt)
    protocol = actions.add_parser("protocol", help="print states, stages, steps and times")
    protocol.add_argument("--config", type=Path, required=True, help="the campaign's configuration")
    protocol.add_argument(
        "--ms-per-atom-step",
        type=float,
        default=0.3,
        help="cost of the potential on this machine, for the estimated times",
    )
    protocol.set_defaults(run=_print_protocol)


def add_state_options(command: argparse.ArgumentParser) -> None:
    """Add which state is run, and where it begins."""
    command.add_argument("--state", required=True, help="name of the state")
    command.add_argument(
        "--parent",
        type=Path,
        nargs="*",
        default=[],
        help="restart.npz and record.json in the parent state, of each glass that is run",
    )


def add_common_options(command: argparse.ArgumentParser) -> None:
    """Add what all runs need."""
    command.add_argument("--config", type=Path, required=True, help="the campaign's configuration")
    command.add_argument(
        "--potential",
        type=Path,
        required=True,
        help="NequIP package, or the name of a published potential, as a negative control: bks, "
        "chik or shik with engine torch or lammps, vashishta or tersoff with lammps",
    )
    command.add_argument("--gates", type=Path, help="gates.json of the potential; red is refused")
    command.add_argument("--device", help="cpu or cuda; a GPU is used if there is one")
    command.add_argument(
        "--start",
        type=Path,
        nargs="*",
        default=[],
        help="restart.npz of classical quenches, each in a folder with the glass's name; without "
        "them a melt that begins so makes its own",
    )
    command.add_argument(
        "--committee",
        type=Path,
        nargs="*",
        default=[],
        help="packages of further members, for guards.max_force_spread_eV_A",
    )
    command.add_argument("--output-dir", type=Path, required=True)


def _export(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from glassml.campaign.config import load_campaign
    from glassml.md.given import export_run

    md = load_campaign(args.config).md
    runs = [Path(state) / glass for state in md.states for glass in md.glass_names()]
    for run in tqdm(runs, unit="run"):
        export_run(args.input_dir / run, args.output_dir / run)


def _adopt(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.errors import GlassmlError
    from glassml.md.given import adopt_run

    md = load_campaign(args.config).md
    check_state(md, args.state)
    check_glass(md, args.glass)
    if md.given is None:
        raise GlassmlError(f"{args.config}: md.given does not say where the runs are")
    given = Path(md.given) / args.state / args.glass
    adopt_run(given, build_stages(md, args.state), args.output_dir)


def _run(args: argparse.Namespace) -> int:
    from glassml.campaign.seeds import derive_seed
    from glassml.md.engines.single import Interrupted
    from glassml.md.potential import check_potential, gate_warnings, load_potential
    from glassml.md.run import run_job, skip_job

    campaign = load(args, args.glass)
    warnings = gate_warnings(args.gates, campaign.md.allow_red_potential)
    if campaign.md.engine == "lammps":
        return _run_lammps(campaign, args, warnings)
    control(campaign.md, args)
    calculator, described = load_potential(
        args.potential, args.compiled, args.device, threads=args.threads
    )
    seed = derive_seed(campaign.seed, "md", args.state, args.glass)
    job, atoms, why_not = prepare(campaign, args, args.glass, described, seed, args.output_dir)
    warnings += check_potential(calculator, atoms)
    if why_not:
        skip_job(job, atoms, why_not, args.output_dir, warnings)
        return 0
    committee = [
        load_potential(package, None, args.device, threads=args.threads)[0]
        for package in args.committee
    ]
    try:
        run_job(
            job,
            atoms,
            calculator,
            args.output_dir,
            checkpoint_every_s=campaign.md.checkpoint_every_s,
            warnings=warnings,
            committee=committee,
            spread_every=campaign.md.spread_every(),
        )
    except Interrupted as interruption:
        logger.warning("%s", interruption)
        return 128 + interruption.number
    return 0


def _run_lammps(campaign: "Campaign", args: argparse.Namespace, warnings: list[str]) -> int:
    """Run a state of a glass with LAMMPS."""
    from glassml.campaign.seeds import derive_seed
    from glassml.md.engines.lammps_input import classical_potential, network_potential
    from glassml.md.engines.lammps_run import find_program, run_lammps
    from glassml.md.engines.single import Interrupted
    from glassml.md.potential import check_potential, load_potential
    from glassml.md.run import skip_job

    md, settings = campaign.md, campaign.md.lammps
    name = control(md, args)
    known: Any
    if name is not None:
        parameters = Path(settings.parameters) if settings.parameters else None
        known = potential = classical_potential(name, parameters)
    else:
        potential = network_potential(args.potential, list(md.composition))
        known, _ = load_potential(args.potential, device="cpu")
    seed = derive_seed(campaign.seed, "md", args.state, args.glass)
    job, atoms, why_not = prepare(
        campaign, args, args.glass, potential.described, seed, args.output_dir
    )
    warnings += check_potential(known, atoms)
    if why_not:
        skip_job(job, atoms, why_not, args.output_dir, warnings)
        return 0
    try:
        run_lammps(
            job,
            atoms,
            potential,
            find_program(settings.command),
            args.output_dir,
            restart_every_fs=settings.restart_every_fs,
            warnings=warnings,
        )
    except Interrupted as interruption:
        logger.warning("%s", interruption)
        return 128 + interruption.number
    return 0


def _moduli(args: argparse.Namespace) -> None:
    import ase.io

    from glassml.campaign.files import write_json
    from glassml.md.elasticity import isotropic_moduli, stiffness_matrix
    from glassml.md.potential import check_potential, load_potential

    atoms = cast("Atoms", ase.io.read(args.structure))
    calculator, described = load_potential(args.potential, args.compiled, args.device)
    warnings = check_potential(calculator, atoms)
    stiffness = stiffness_matrix(atoms, calculator, args.strain, args.force_eV_A)
    record = isotropic_moduli(stiffness) | {
        "stiffness_GPa": stiffness.tolist(),
        "strain": args.strain,
        "force_eV_A": args.force_eV_A,
        "structure": str(args.structure),
        "potential": described,
        "warnings": warnings,
    }
    write_json(args.output, record)


def _start(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.md.outputs import write_restart

    campaign = load_campaign(args.config)
    check_glass(campaign.md, args.glass)
    write_restart(args.output, _classical(campaign.md, campaign.seed, args.glass))


def check_state(md: "MolecularDynamics", name: str) -> None:
    """Refuse a state that the configuration does not have."""
    from glassml.campaign.errors import GlassmlError

    if name not in md.states:
        raise GlassmlError(f"--state {name}: there is no such state: {', '.join(md.states)}")


def check_glass(md: "MolecularDynamics", name: str) -> None:
    """Refuse a glass that the configuration does not have."""
    from glassml.campaign.errors import GlassmlError

    if name not in md.glass_names():
        raise GlassmlError(f"--glass {name}: there are {', '.join(md.glass_names())}")


def load(args: argparse.Namespace, glass: str | None = None) -> "Campaign":
    """Load the campaign, and refuse names and parents that do not fit it."""
    from glassml.campaign.config import load_campaign
    from glassml.campaign.errors import GlassmlError

    campaign = load_campaign(args.config)
    md = campaign.md
    check_state(md, args.state)
    if glass is not None:
        check_glass(md, glass)
    check_committee(md, args)
    parent = md.states[args.state].parent
    glasses = md.glass_names() if glass is None else [glass]
    files = ["restart.npz", "record.json"] if parent else []
    wanted = {(each, file) for each in glasses for file in files}
    if {(path.parent.name, path.name) for path in args.parent} != wanted:
        raise GlassmlError(
            f"--parent: {args.state} comes from {parent or 'a melt'} and needs "
            f"{' and '.join(files) or 'no files'} of {', '.join(glasses)}"
        )
    return campaign


def control(md: "MolecularDynamics", args: argparse.Namespace) -> str | None:
    """Give the name of the published potential that is asked for, None for a NequIP package.

    Raises
    ------
    GlassmlError
        If the engine cannot move it, or the configuration names another.
    """
    from glassml.campaign.config.md import ENGINES_OF_CONTROLS
    from glassml.campaign.errors import GlassmlError

    name = str(args.potential)
    if md.potential not in ("trained", name):
        raise GlassmlError(f"--potential {name}: the configuration has md.potential {md.potential}")
    if name not in ENGINES_OF_CONTROLS:
        return None
    if md.engine not in ENGINES_OF_CONTROLS[name]:
        engines = " or ".join(ENGINES_OF_CONTROLS[name])
        raise GlassmlError(f"--potential {name}: needs md.engine {engines}, not {md.engine}")
    return name


def check_committee(md: "MolecularDynamics", args: argparse.Namespace) -> None:
    """Refuse a guard without a committee to ask."""
    from glassml.campaign.errors import GlassmlError

    if md.guards.max_force_spread_eV_A is not None and not args.committee:
        raise GlassmlError(
            "guards: max_force_spread_eV_A needs --committee: packages of further members"
        )


def prepare(
    campaign: "Campaign",
    args: argparse.Namespace,
    glass: str,
    described: "dict[str, Any]",
    seed: int,
    folder: Path,
) -> "tuple[Job, Atoms, str]":
    """Give what is run, where it begins, and why it cannot be run: empty where it can."""
    from glassml.campaign.files import file_sha256
    from glassml.campaign.seeds import generator
    from glassml.md.outputs import read_restart
    from glassml.md.run import Job
    from glassml.md.start import maxwell_boltzmann

    md = campaign.md
    parent = md.states[args.state].parent
    why_not = ""
    if parent is None:
        temperature = md.states[args.state].stages[0].temperature_K
        starts = {path.parent.name: path for path in args.start}
        atoms, origin = _begin(md, campaign.seed, glass, folder / "checkpoint", starts.get(glass))
        rng = generator(campaign.seed, "md", args.state, glass, "velocities")
        maxwell_boltzmann(atoms, temperature[0] if temperature else 300.0, rng)
    else:
        came_from = {path.name: path for path in args.parent if path.parent.name == glass}
        atoms = read_restart(came_from["restart.npz"])
        origin = {"restart_sha256": file_sha256(came_from["restart.npz"])}
        why_not = _why_skipped(came_from["record.json"], parent)
    job = Job(
        state=args.state,
        glass=glass,
        parent=parent,
        stages=build_stages(md, args.state),
        coupling=coupling(md),
        limits=limits(md),
        seed=campaign.seed,
        dynamics_seed=seed,
        origin=origin,
        potential=described,
        engine=md.engine,
    )
    return job, atoms, why_not


def _begin(
    md: "MolecularDynamics", seed: int, glass: str, folder: Path, start: Path | None
) -> "tuple[Atoms, dict[str, Any]]":
    """Give the start of a melt, and what it depends on.

    A classical quench may take hours, so its end is kept beside the checkpoint.
    """
    from glassml.campaign.files import file_sha256
    from glassml.campaign.seeds import generator
    from glassml.md.outputs import read_restart, write_restart
    from glassml.md.protocol import digest
    from glassml.md.start import random_start

    origin = md.model_dump(mode="json", include={"start", "start_density_g_cm3", "atoms"})
    if md.start == "random":
        rng = generator(seed, "md", "start", glass)
        return random_start(md.composition, md.atoms, md.start_density_g_cm3, rng), origin
    origin["classical"] = md.classical.model_dump(mode="json")
    if start is not None:
        return read_restart(start), origin | {"start_sha256": file_sha256(start)}
    kept = folder / f"start_{digest(origin, seed, glass)[:16]}.npz"
    if not kept.exists():
        write_restart(kept, _classical(md, seed, glass))
    return read_restart(kept), origin


def _classical(md: "MolecularDynamics", seed: int, glass: str) -> "Atoms":
    """Melt and quench a glass with a classical potential."""
    from glassml.campaign.seeds import derive_seed, generator
    from glassml.md.start import classical_start, random_start

    logger.info("classical melt and quench with %s", md.classical.potential)
    rng = generator(seed, "md", "start", glass)
    return classical_start(
        random_start(md.composition, md.atoms, md.start_density_g_cm3, rng),
        md.classical.potential,
        (md.classical.melt_K, md.classical.end_K),
        md.classical.melt_ps,
        md.classical.quench_K_per_ps,
        md.classical.pressure_GPa,
        md.classical.timestep_fs,
        derive_seed(seed, "md", "classical", glass),
    )


def _why_skipped(parent_record: Path, parent: str) -> str:
    """Tell why a child cannot be run, or give an empty text where it can."""
    from glassml.campaign.errors import StructureError

    try:
        record = json.loads(parent_record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StructureError(f"{parent_record}: cannot be read ({error}): run {parent}") from None
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


def coupling(md: "MolecularDynamics") -> Any:
    """Give the time constants of the configuration."""
    from glassml.md.protocol import Coupling

    return Coupling(md.thermostat_fs, md.barostat_fs, md.bulk_modulus_GPa)


def limits(md: "MolecularDynamics") -> Any:
    """Give the guards' limits of the configuration."""
    from glassml.md.guards import Limits

    guards = md.guards
    return Limits(
        guards.temperature_ratio,
        guards.energy_jump_eV,
        guards.density_g_cm3,
        guards.min_distance_A,
        guards.max_force_spread_eV_A,
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
