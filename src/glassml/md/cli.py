"""`glassml md`: runs a state of a glass, and shows the protocol."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassml.campaign.defaults import CUT_UNITS, REST_FORCE_EV_A, STRAIN
from glassml.campaign.errors import GlassmlError
from glassml.campaign.options import Commands, add_command, add_device, add_stage
from glassml.md import batch_cli
from glassml.md.options import add_common_options, add_pressure, add_state_options

if TYPE_CHECKING:
    from glassml.campaign.config import Campaign


#: So many of the runs that did not end are named.
SHOWN = 6


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "md", "melt-quench, compression and recovery of glasses")
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
    start = add_command(
        actions, "start", _start, "melt and quench a glass with a classical potential"
    )
    start.add_argument("--glass", required=True, help="name of the glass, as glass00")
    add_pressure(start)
    start.add_argument("--output", type=Path, required=True, help="restart.npz")
    batch_cli.register(actions)
    moduli = actions.add_parser("moduli", help="bulk, shear and Young's modulus by small strains")
    moduli.add_argument("structure", type=Path, help="final.extxyz of a glass")
    moduli.add_argument("--potential", type=Path, required=True, help="NequIP package")
    moduli.add_argument("--compiled", type=Path, help="the package compiled on this machine")
    add_device(moduli)
    moduli.add_argument("--strain", type=float, default=STRAIN)
    moduli.add_argument(
        "--force-eV-A", type=float, default=REST_FORCE_EV_A, help="atoms at rest have less"
    )
    moduli.add_argument("--output", type=Path, required=True, help="JSON")
    moduli.set_defaults(run=_moduli)
    export = add_command(actions, "export", _export, "keep of finished runs what analysis needs")
    export.add_argument("--input-dir", type=Path, required=True, help="with {state}/{glass}/")
    export.add_argument("--output-dir", type=Path, required=True, help="for md.given")
    adopt = add_command(actions, "adopt", _adopt, "take up an exported run as it is: md.given")
    adopt.add_argument("--state", required=True, help="name of the state")
    adopt.add_argument("--glass", required=True, help="name of the glass, as glass00")
    adopt.add_argument("--output-dir", type=Path, required=True)
    cut = actions.add_parser(
        "cut-out",
        help="cut cells for DFT from finished runs, around the atoms that a committee doubts",
    )
    cut.add_argument("--input-dir", type=Path, required=True, help="with {state}/{glass}/")
    cut.add_argument("--state", required=True, help="name of the state")
    cut.add_argument("--committee", type=Path, nargs="+", required=True, help="NequIP packages")
    add_device(cut)
    cut.add_argument("--cells", type=int, default=10, help="of all glasses together (10)")
    cut.add_argument("--units", type=int, default=CUT_UNITS, help=f"SiO2 in a cell ({CUT_UNITS})")
    cut.add_argument("--output", type=Path, required=True, help="extxyz")
    cut.set_defaults(run=_cut_out)
    protocol = add_command(
        actions, "protocol", _print_protocol, "print states, stages, steps and times"
    )
    protocol.add_argument(
        "--ms-per-atom-step",
        type=float,
        default=0.07,
        help="cost of the potential on this machine, for the estimated times",
    )


def _export(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from glassml.campaign.config import load_campaign
    from glassml.md.given import export_run

    md = load_campaign(args.config).md
    runs = [Path(state) / glass for state in md.states for glass in md.glass_names()]
    there = [run for run in runs if (args.input_dir / run / "record.json").is_file()]
    if not there:
        raise GlassmlError(f"{args.input_dir}: no run of {args.config} has ended there")
    for run in tqdm(there, unit="run"):
        export_run(args.input_dir / run, args.output_dir / run)
    if absent := [str(run) for run in runs if run not in there]:
        some = ", ".join(absent[:SHOWN]) + (", …" if len(absent) > SHOWN else "")
        print(f"left out, not ended: {len(absent)} of {len(runs)} runs: {some}")


def _adopt(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.md.given import adopt_run
    from glassml.md.jobs import build_stages

    md = load_campaign(args.config).md
    md.check_state(args.state)
    md.check_glass(args.glass)
    if md.given is None:
        raise GlassmlError(f"{args.config}: md.given does not say where the runs are")
    given = Path(md.given) / args.state / args.glass
    adopt_run(given, build_stages(md, args.state), args.output_dir)


def _cut_out(args: argparse.Namespace) -> None:
    from ase.io import write
    from tqdm import tqdm

    from glassml.campaign.files import atomic_path
    from glassml.md.cutout import cut_doubted
    from glassml.md.given import read_finals
    from glassml.md.potential import check_potential, load_potential

    if len(args.committee) < 2:
        raise GlassmlError("--committee: a spread takes two potentials or more")
    if args.cells < 1 or args.units < 1:
        raise GlassmlError(f"--cells {args.cells}, --units {args.units}: are counts, from 1 on")
    glasses = read_finals(args.input_dir / args.state)
    committee = [load_potential(package, None, args.device)[0] for package in args.committee]
    for calculator in committee:
        check_potential(calculator, next(iter(glasses.values())))
    cells = []
    for number, (name, glass) in enumerate(tqdm(glasses.items(), unit="glass")):
        # the remainder goes to the first ones
        share = (args.cells + len(glasses) - 1 - number) // len(glasses)
        parent = f"cut_out/{args.state}/{name}"
        if share:
            cells += cut_doubted(glass, committee, share, units=args.units, parent=parent)
    with atomic_path(args.output) as temporary:
        write(temporary, cells, format="extxyz")
    print(f"{args.output}: {len(cells)} cells of {3 * args.units} atoms")


def _run(args: argparse.Namespace) -> int:
    from glassml.campaign.seeds import derive_seed
    from glassml.md.jobs import control, load, prepare
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
    return 0


def _run_lammps(campaign: "Campaign", args: argparse.Namespace, warnings: list[str]) -> int:
    """Run a state of a glass with LAMMPS."""
    from glassml.campaign.seeds import derive_seed
    from glassml.md.engines.lammps_input import classical_potential, network_potential
    from glassml.md.engines.lammps_run import find_program, run_lammps
    from glassml.md.jobs import control, prepare
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
    run_lammps(
        job,
        atoms,
        potential,
        find_program(settings.command),
        args.output_dir,
        restart_every_fs=settings.restart_every_fs,
        warnings=warnings,
    )
    return 0


def _moduli(args: argparse.Namespace) -> None:
    from glassml.campaign.extxyz import read_extxyz
    from glassml.campaign.files import reading, write_json
    from glassml.md.elasticity import isotropic_moduli, stiffness_matrix
    from glassml.md.potential import check_potential, load_potential

    with reading(args.structure, "an extxyz file"):
        atoms = next(read_extxyz(args.structure), None)
    if atoms is None:
        raise GlassmlError(f"{args.structure}: is empty")
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
    from glassml.md.jobs import quench_glass
    from glassml.md.outputs import write_restart

    campaign = load_campaign(args.config)
    md = campaign.md
    md.check_glass(args.glass)
    md.check_start(args.pressure_GPa)
    write_restart(args.output, quench_glass(md, args.pressure_GPa, campaign.seed, args.glass))


def _print_protocol(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.md.jobs import build_stages

    md = load_campaign(args.config).md
    print(f"{md.glasses} glass(es) of {md.atoms} atoms, engine {md.engine}, start {md.start}")
    print(f"{'state / stage':34}{'ensemble':>9}{'T, K':>14}{'P, GPa':>13}{'ps':>9}{'steps':>10}")
    for name in md.states:
        print(f"{name}  (from {md.begins_with(name) or md.origin()})")
        for stage in build_stages(md, name):
            print(
                f"  {stage.name:32}{stage.ensemble:>9}{_ends(stage.temperature_K):>14}"
                f"{_ends(stage.pressure_GPa):>13}{stage.length_fs() / 1000.0:>9g}{stage.steps:>10}"
            )
    steps = sum(md.steps(name) for name in md.states)
    longest = max(sum(md.steps(each) for each in md.before(name)) for name in md.states)
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
