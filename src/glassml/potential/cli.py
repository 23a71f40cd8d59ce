"""`glassml potential`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from glassml.campaign.config.potential import EQUATIONS, GATES, GLASSES, PHONONS, ROTATIONS
from glassml.campaign.files import read_json
from glassml.campaign.options import Commands, add_command, add_device, add_stage

if TYPE_CHECKING:
    from ase import Atoms


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "potential", "train, verify and judge potentials")
    _register_members(actions)
    _register_exploration(actions)
    _register_judging(actions)


def _register_members(actions: Commands) -> None:
    """Add what makes a member: training, predictions, a compiled model, its verification."""
    train = add_command(
        actions, "train", _train, "train a member of a committee, or adopt a package"
    )
    train.add_argument("--generation", type=int, required=True)
    train.add_argument("--member", type=int, required=True)
    train.add_argument("--train", type=Path, required=True, help="labels, extxyz")
    train.add_argument("--validation", type=Path, required=True, help="labels, extxyz")
    train.add_argument("--isolated-atoms", type=Path, required=True, help="energies in eV, JSON")
    train.add_argument("--folder", type=Path, required=True, help="folder of the member")
    train.add_argument("--variant", help="a variant of the size search")
    train.add_argument("--labels", help="so many training labels, or all: the learning curve")
    train.add_argument("--threads", type=int, default=1)
    add_device(train)

    evaluate = add_command(
        actions, "evaluate", _evaluate, "predict labels: parity.csv and errors.csv"
    )
    evaluate.add_argument("--package", type=Path, required=True)
    for name in ("train", "validation", "test"):
        evaluate.add_argument(f"--{name}", type=Path, required=True, help="labels, extxyz")
    evaluate.add_argument("--parity", type=Path, required=True)
    evaluate.add_argument("--errors", type=Path, required=True)
    add_device(evaluate)

    compiling = add_command(actions, "compile", _compile, "compile a package for this machine")
    compiling.add_argument("--package", type=Path, required=True)
    compiling.add_argument("--folder", type=Path, required=True, help="receives compiled.json")
    compiling.add_argument("--threads", type=int, default=1)
    add_device(compiling)

    verify = add_command(actions, "verify", _verify, "check a compiled model, or refuse it")
    verify.add_argument("--package", type=Path, required=True)
    verify.add_argument("--compiled", type=Path, required=True, help="folder from compile")
    verify.add_argument("--labels", type=Path, required=True, help="configurations, extxyz")
    verify.add_argument("--output", type=Path, required=True, help="verification.json")
    add_device(verify)


def _register_exploration(actions: Commands) -> None:
    """Add what a committee says of new configurations: exploration, selection, teaching."""
    explore = add_command(actions, "explore", _explore, "run dynamics and ask the committee")
    explore.add_argument("name", help="of a run of potential.exploration")
    explore.add_argument("--generation", type=int, required=True)
    explore.add_argument("--members", type=Path, nargs="+", required=True, help="their folders")
    explore.add_argument("--labels", type=Path, required=True, help="where to begin, extxyz")
    explore.add_argument("--output", type=Path, required=True, help="candidates, extxyz")
    explore.add_argument("--table", type=Path, required=True, help="a row per trajectory, CSV")
    add_device(explore)

    select = add_command(actions, "select", _select, "choose candidates to label")
    select.add_argument("--candidates", type=Path, nargs="+", required=True, help="extxyz")
    select.add_argument("--labels", type=Path, required=True, help="what is known, extxyz")
    select.add_argument("--output", type=Path, required=True, help="selected, extxyz")
    select.add_argument("--table", type=Path, required=True, help="a row per candidate, CSV")

    teach = add_command(actions, "teach", _teach, "label configurations for a smaller potential")
    teach.add_argument(
        "--package", type=Path, nargs="+", required=True, help="two teachers or more"
    )
    teach.add_argument("--input", type=Path, nargs="+", required=True, help="extxyz")
    teach.add_argument("--output", type=Path, required=True, help="extxyz, .gz: compressed")
    teach.add_argument(
        "--largest-spread",
        type=float,
        default=1.0,
        help="of forces between teachers in eV/Å: what they agree on less is left out; default: 1",
    )
    add_device(teach)


def _register_judging(actions: Commands) -> None:
    """Add the gates and the model card."""
    gate = add_command(actions, "gate", _gate, "judge a committee at one gate")
    names = sorted([*GATES, EQUATIONS, GLASSES, PHONONS, ROTATIONS])
    gate.add_argument("name", choices=names, metavar="NAME", help=", ".join(names))
    gate.add_argument("--members", type=Path, nargs="+", required=True, help="their folders")
    gate.add_argument("--labels", type=Path, nargs="+", required=True, help="extxyz of all sets")
    gate.add_argument("--extra", type=Path, nargs="*", default=[], help="labels of this gate")
    gate.add_argument("--output", type=Path, required=True, help="results, JSON")
    gate.add_argument("--table", type=Path, required=True, help="curves behind them, CSV")
    gate.add_argument("--processes", type=int, default=1, help="stability runs at the same time")
    add_device(gate)

    displace = add_command(
        actions, "displace", _displace, "displace a crystal's atoms, for phonons"
    )
    displace.add_argument("crystal", help="name of a polymorph")
    displace.add_argument("--output", type=Path, required=True, help="cells to label, extxyz")

    gates = add_command(actions, "gates", _gates, "join the gates: red, amber or green")
    gates.add_argument("--results", type=Path, nargs="+", required=True, help="from gate, JSON")
    gates.add_argument("--output", type=Path, required=True, help="gates.json")

    card = add_command(actions, "card", _card, "write the model card")
    card.add_argument("--generation", type=int, required=True)
    card.add_argument("--gates", type=Path, required=True, help="gates.json")
    card.add_argument("--members", type=Path, nargs="+", required=True, help="their folders")
    card.add_argument("--manifest", type=Path, required=True, help="of the dataset, JSON")
    card.add_argument("--output", type=Path, required=True, help="model_card.md; JSON beside it")


def _train(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.trust import record_made
    from glassml.potential.members import Dataset, Member, adopt_member, train_member

    campaign = load_campaign(args.config)
    section = campaign.potential
    member = Member(args.folder, args.generation, args.member, campaign.seed)
    package = Path(section.package_of(args.member)) if section.package else None
    study = args.variant or args.labels
    if section.mode == "given" and package is not None and not study:
        adopt_member(member, package)
        return
    network, training, place = section.model, section.training, args.member
    if args.variant:
        network, training = section.variant(args.variant)
        place = list(section.search.variants).index(args.variant)
    if args.labels in (names := section.learning_curve.names()):
        place = names.index(args.labels)
    train_member(
        member,
        Dataset(args.train, args.validation, args.isolated_atoms),
        network=network,
        settings=training,
        package=None if study else package,
        package_functional=section.package_functional,
        labels=int(args.labels) if args.labels not in {None, "all"} else None,
        device=args.device,
        threads=args.threads,
        place=place,
    )
    record_made(args.config, campaign.name, args.folder / "model.nequip.zip")


def _evaluate(args: argparse.Namespace) -> None:
    from glassml.campaign.files import write_csv
    from glassml.potential.calculators import load_calculator
    from glassml.potential.errors import ERROR_COLUMNS, PARITY_COLUMNS, error_rows, parity_rows
    from glassml.potential.labels import read_labels

    calculator = load_calculator(args.package, device=args.device)
    rows = [
        row
        for subset in ("train", "validation", "test")
        for row in parity_rows(read_labels(getattr(args, subset)), calculator, subset)
    ]
    write_csv(args.parity, rows, PARITY_COLUMNS)
    write_csv(args.errors, error_rows(rows), ERROR_COLUMNS)


def _compile(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.trust import record_made
    from glassml.potential.calculators import package_species_and_cutoff
    from glassml.potential.compilation import compile_package
    from glassml.potential.packages import COMPILED_MODEL

    campaign = load_campaign(args.config)
    section = campaign.potential
    species, _ = package_species_and_cutoff(args.package)
    compiled = args.folder / COMPILED_MODEL
    compile_package(
        args.package,
        args.folder,
        wanted=section.compile,
        species=species[0],
        device=args.device,
        threads=args.threads,
    )
    if compiled.exists():
        record_made(args.config, campaign.name, compiled)


def _verify(args: argparse.Namespace) -> None:

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import write_json
    from glassml.campaign.seeds import generator
    from glassml.potential.calculators import load_calculator
    from glassml.potential.labels import read_labels
    from glassml.potential.packages import COMPILED_RECORD, PotentialError
    from glassml.potential.verification import as_record, choose_frames, verify

    campaign = load_campaign(args.config)
    rng = generator(campaign.seed, "potential", "verification")
    frames = choose_frames(read_labels(args.labels), rng)
    reference = load_calculator(args.package, device=args.device)
    calculator = load_calculator(args.package, args.compiled, args.device)
    bounds = campaign.potential.verification
    checks = verify(reference, calculator, frames, bounds=bounds, rng=rng)
    compiled = read_json(args.compiled / COMPILED_RECORD)
    record = as_record(
        checks,
        {
            "backend": calculator.parameters["backend"],
            "reason": compiled["reason"],
            "machine": compiled["machine"],
        },
    )
    if record["passed"]:
        write_json(args.output, record)
        return
    refused = args.output.with_name("refused.json")
    write_json(refused, record)
    failed = [check for check in checks if not check.passed]
    raise PotentialError(
        f"{args.compiled}: the potential is refused; all numbers are in {refused}\n"
        + "\n".join(
            f"  {check.name}: {check.value:.3g} {check.unit}, at most {check.bound:.3g}"
            for check in failed
        )
    )


def _explore(args: argparse.Namespace) -> None:
    import time

    from ase.io import write

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.campaign.seeds import generator
    from glassml.potential import exploration
    from glassml.potential.committee import Committee

    campaign = load_campaign(args.config)
    section = campaign.potential.exploration
    run = section.runs[args.name]
    committee = Committee(args.members, [args.labels], args.device)
    ratio = committee.calibration_ratio()
    calculators = [committee.calculator(folder) for folder in args.members]
    family = f"explored_g{args.generation}"
    rng = generator(campaign.seed, "potential", "exploration", args.generation, args.name)
    starts = committee.starts(run.start, section.atoms_max)
    rows: list[dict[str, object]] = []
    found: list[Atoms] = []
    for number in range(section.trajectories):
        start = starts[rng.integers(len(starts))]
        begin = time.monotonic()
        trajectory = exploration.explore(
            # each member leads in turn
            calculators[number % len(calculators) :] + calculators[: number % len(calculators)],
            start,
            temperature_K=run.temperature_K,
            pressure_GPa=run.pressure_GPa,
            picoseconds=section.duration_ps,
            check_steps=section.check_steps,
            ratio=ratio,
            accurate_eV_A=section.accurate_eV_A,
            failed_eV_A=section.failed_eV_A,
            rng=rng,
        )
        seconds = time.monotonic() - begin
        name = str(start.info.get("config_id", ""))
        rows.append(exploration.trajectory_row(args.name, number, name, trajectory, seconds))
        names = {"family": family, "parent": f"{family}/{args.name}/{number:04d}"}
        names["prefix"] = f"{family}/{args.name}"
        found += exploration.candidates_of(trajectory, names, len(found))
        print(rows[-1], flush=True)
    with atomic_path(args.output) as temporary:
        write(temporary, found, format="extxyz")
    write_csv(args.table, rows, exploration.TRAJECTORY_COLUMNS)


def _select(args: argparse.Namespace) -> None:
    from ase.io import write

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.configurations.fingerprint import fingerprints
    from glassml.potential.exploration import SELECTION_COLUMNS, select
    from glassml.potential.labels import read_labels

    count = load_campaign(args.config).potential.exploration.select
    candidates = [atoms for path in args.candidates for atoms in read_labels(path)]
    chosen, rows = select(candidates, read_labels(args.labels), count, fingerprints)
    with atomic_path(args.output) as temporary:
        write(temporary, chosen, format="extxyz")
    write_csv(args.table, rows, SELECTION_COLUMNS)
    print(f"{len(chosen)} of {len(candidates)} candidates are to be labelled")


def _teach(args: argparse.Namespace) -> None:
    import shutil

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import file_sha256, write_gzip, write_text
    from glassml.potential.calculators import load_calculator
    from glassml.potential.labels import read_labels
    from glassml.potential.packages import PotentialError
    from glassml.potential.teaching import teach_pieces

    if len(args.package) < 2:
        raise PotentialError("--package: whether teachers agree takes two or more")
    hashes = ",".join(file_sha256(path)[:16] for path in args.package)
    inputs = {path: read_labels(path) for path in args.input}
    folder = args.output.with_name(f"{args.output.name}.pieces")
    pieces = teach_pieces(
        inputs,
        [load_calculator(path, device=args.device) for path in args.package],
        folder,
        largest_spread_eV_A=args.largest_spread,
        functional=load_campaign(args.config).dft.xc,
        code=f"glassml_potential_{hashes}",
    )
    text = "".join(piece.read_text(encoding="utf-8") for piece in pieces)
    if args.output.suffix == ".gz":
        write_gzip(args.output, text.encode())
    else:
        write_text(args.output, text)
    shutil.rmtree(folder)
    taught, asked = len(read_labels(args.output)), sum(map(len, inputs.values()))
    print(
        f"{args.output}: {taught} of {asked} configurations; "
        f"{asked - taught} with spreads over {args.largest_spread:g} eV/Å left out"
    )


def _gate(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import write_csv, write_json
    from glassml.potential.committee import Committee, run_gate
    from glassml.potential.gates import as_record

    campaign = load_campaign(args.config)
    committee = Committee(args.members, args.labels, args.device, args.extra)
    thresholds = campaign.potential.gates
    kept = args.output.with_suffix(".runs")
    results, table = run_gate(args.name, committee, thresholds, campaign.seed, args.processes, kept)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]
    write_csv(args.table, rows, list(table.columns))
    write_json(args.output, as_record(results))
    for state in kept.glob("*.npz"):  # what stays tells of events
        state.unlink()
    if kept.is_dir() and not any(kept.iterdir()):
        kept.rmdir()


def _displace(args: argparse.Namespace) -> None:
    from ase.io import write

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path
    from glassml.potential.labels import read_labels
    from glassml.potential.phonons import displace, structure

    settings = load_campaign(args.config).potential.gates.phonons
    unit = structure(
        args.crystal, read_labels(Path(settings.structures)) if settings.structures else []
    )
    cells = displace(args.crystal, unit, settings.supercell, settings.displacement_A).cells
    with atomic_path(args.output) as temporary:
        write(temporary, cells, format="extxyz")


def _gates(args: argparse.Namespace) -> None:

    from glassml.campaign.files import write_json
    from glassml.potential.gates import as_record, from_record

    records = [read_json(path) for path in args.results]
    record = as_record([result for each in records for result in from_record(each)])
    write_json(args.output, record)
    print(f"the potential is {record['status']}: {record['gates']}")


def _card(args: argparse.Namespace) -> None:

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import file_sha256, write_json, write_text
    from glassml.potential.card import as_markdown, model_card
    from glassml.potential.committee import Committee

    def read(path: Path) -> dict[str, object]:
        return read_json(path)

    campaign = load_campaign(args.config)
    card = model_card(
        campaign=campaign.name,
        generation=args.generation,
        gates=read(args.gates),
        errors=Committee(args.members, []).table("errors.csv"),
        manifest=read(args.manifest),
        settings={
            "potential": campaign.potential.model_dump(mode="json"),
            "dft": campaign.dft.model_dump(mode="json"),
        },
        verifications=[read(folder / "verification.json") for folder in args.members],
        packages={folder.name: file_sha256(folder / "model.nequip.zip") for folder in args.members},
    )
    write_json(args.output.with_suffix(".json"), card)
    write_text(args.output, as_markdown(card))
