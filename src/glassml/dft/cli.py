"""`glassml dft`: label configurations with GPAW."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from glassml.campaign.options import Commands, add_command, add_stage

if TYPE_CHECKING:
    from ase import Atoms

    from glassml.campaign.store import LabelRecord
    from glassml.dft.relaxation import Guide

COLUMNS = (
    "config_id",
    "config_type",
    "family",
    "parent",
    "atoms",
    "status",
    "reason",
    "recipe",
    "attempts",
    "iterations",
    "seconds",
    "label_key",
)


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "dft", "label configurations with GPAW")

    label = add_command(actions, "label", _label, "label a shard of configurations")
    label.add_argument("--input", type=Path, required=True, help="configurations (extxyz)")
    label.add_argument("--output", type=Path, required=True, help="labelled extxyz")
    label.add_argument("--table", type=Path, required=True, help="one row per configuration (CSV)")

    seed = add_command(actions, "seed", _seed, "fill the label store from labelled extxyz files")
    seed.add_argument("--output", type=Path, required=True, help="how many, from where (JSON)")

    converge = add_command(actions, "converge", _converge, "study the convergence of labels")
    converge.add_argument("--input", type=Path, nargs="+", required=True, help="configurations")
    converge.add_argument("--table", type=Path, required=True, help="CSV")
    converge.add_argument("--figure", type=Path, required=True, help="PNG")

    polymorphs = add_command(actions, "polymorphs", _polymorphs, "equations of state of crystals")
    polymorphs.add_argument(
        "--output-dir",
        type=Path,
        required=True,
        help="gets polymorphs.csv, polymorph_volumes.csv, polymorphs.extxyz and polymorphs.png",
    )

    relax = add_command(actions, "relax", _relax, "take glasses to rest, cells too, by labels")
    relax.add_argument("--input", type=Path, required=True, help="where they start (extxyz)")
    relax.add_argument("--output", type=Path, required=True, help="those at rest (extxyz.gz)")
    relax.add_argument("--table", type=Path, required=True, help="what became of each (CSV)")
    relax.add_argument("--fmax", type=float, default=0.02, help="at rest below, eV/Å (0.02)")
    relax.add_argument("--max-steps", type=int, default=80, help="then it is given up (80)")

    collect = add_command(
        actions, "collect", _collect, "write what is labelled so far into one file"
    )
    collect.add_argument(
        "--input", type=Path, nargs="+", required=True, help="extxyz files, or folders of them"
    )
    collect.add_argument(
        "--output", type=Path, required=True, help="labelled extxyz.gz; a manifest.json beside it"
    )

    again = add_command(
        actions, "recompute", _recompute, "calculate a random sample of labels again"
    )
    again.add_argument("--input", type=Path, required=True, help="labelled extxyz, also .gz")
    again.add_argument("--table", type=Path, required=True, help="the differences (CSV)")
    sample = again.add_mutually_exclusive_group()
    sample.add_argument("--fraction", type=float, default=0.01, help="of the labels (0.01)")
    sample.add_argument("--count", type=int, help="number of labels")
    again.add_argument("--seed", type=int, default=0, help="which labels")
    again.add_argument(
        "--store", type=Path, help="folder for the new labels, to go on later; else none is kept"
    )

    for command in (polymorphs, relax):
        command.add_argument("--guide", type=Path, help="NequIP package that says where to step")
        command.add_argument(
            "--guide-device",
            choices=("cpu", "cuda"),
            default="cpu",
            help="of the guide (cpu); on cuda, a run that is stopped may label some steps again",
        )

    for command in (label, converge, polymorphs, relax, again):
        command.add_argument("--processes", type=int, default=1, help="calculations at once (1)")

    pack = actions.add_parser("pack", help="pack the records of a label store into one file")
    pack.add_argument("store", type=Path)
    pack.set_defaults(run=_pack)


def _label(args: argparse.Namespace) -> None:
    from ase.io import write

    from glassml.campaign.config import load_campaign
    from glassml.campaign.extxyz import read_extxyz
    from glassml.campaign.files import atomic_path, reading, write_csv
    from glassml.campaign.store import LabelStore
    from glassml.dft.labels import labelled_atoms
    from glassml.dft.shard import label_shard

    campaign = load_campaign(args.config)
    # A shard whose structures were all refused is an empty file, which is no extxyz.
    frames = read_extxyz(args.input) if args.input.stat().st_size else []
    with reading(args.input, "an extxyz file"):
        configurations = list(frames)
    result = label_shard(configurations, campaign.dft, LabelStore(campaign.store), args.processes)
    labelled = [
        atoms if record["status"] == "imported" else labelled_atoms(atoms, str(key), record)
        for atoms, key, record in zip(configurations, result.keys, result.records, strict=True)
        if record["status"] in {"converged", "imported"}
    ]
    rows = [
        _row(atoms, key, record)
        for atoms, key, record in zip(configurations, result.keys, result.records, strict=True)
    ]
    with atomic_path(args.output) as temporary:
        write(temporary, labelled, format="extxyz")
    write_csv(args.table, rows, COLUMNS)
    print(
        f"{len(labelled)} of {len(rows)} labelled, {result.computed} calculated now, "
        f"{len(rows) - len(labelled)} set aside"
    )


def _row(atoms: "Atoms", key: str | None, record: "LabelRecord") -> dict[str, object]:
    """Give a configuration's row of the table."""
    info = {name: atoms.info.get(name, "") for name in COLUMNS[:4]}
    return {
        **info,
        "atoms": len(atoms),
        "status": record["status"],
        "reason": record.get("reason", ""),
        "recipe": record.get("recipe", ""),
        "attempts": len(record["attempts"]),
        "iterations": record.get("scf", {}).get("iterations", ""),
        "seconds": round(sum(attempt["seconds"] for attempt in record["attempts"]), 1),
        "label_key": key or "",
    }


def _seed(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import write_json
    from glassml.campaign.store import LabelStore
    from glassml.dft.seeding import seed_store

    campaign = load_campaign(args.config)
    store = LabelStore(campaign.store)
    dft = campaign.dft
    counts = {path: seed_store(store, Path(path), dft) for path in dft.seed_labels}
    write_json(args.output, counts)
    for path, count in counts.items():
        print(f"{path}: {count['taken']} labels, {count['other_settings']} of other settings")


def _converge(args: argparse.Namespace) -> None:
    from ase.io import iread

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.campaign.store import LabelStore
    from glassml.dft.convergence import COLUMNS, study

    campaign = load_campaign(args.config)
    values = campaign.dft.convergence.model_dump(exclude={"families"})
    structures = {}
    for path in args.input:
        atoms = next(iread(path, index="0"))
        structures[atoms.info["config_id"]] = atoms
    rows = study(structures, campaign.dft, values, LabelStore(campaign.store), args.processes)
    write_csv(args.table, rows, COLUMNS)
    for row in rows:
        if row["production"]:
            print(" ".join(str(row.get(name, "")) for name in COLUMNS))
    from glassml.dft.plots import plot_convergence

    with atomic_path(args.figure) as temporary:
        plot_convergence(rows).savefig(temporary, dpi=150)


def _polymorphs(args: argparse.Namespace) -> None:
    from ase.io import write

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.campaign.store import LabelStore
    from glassml.dft import polymorphs

    campaign = load_campaign(args.config)
    section = campaign.dft.polymorphs
    points, minima, isolated = polymorphs.study(
        section.names,
        campaign.dft,
        LabelStore(campaign.store),
        volume_step=section.volume_step,
        fmax_eV_A=section.fmax_eV_A,
        processes=args.processes,
        guide=_guide(args),
    )
    rows = polymorphs.table(points, minima, isolated)
    folder = args.output_dir
    write_csv(folder / "polymorphs.csv", rows, polymorphs.COLUMNS)
    volumes = polymorphs.volume_rows([*points, *minima])
    write_csv(folder / "polymorph_volumes.csv", volumes, polymorphs.VOLUME_COLUMNS)
    with atomic_path(folder / "polymorphs.extxyz") as temporary:
        write(temporary, polymorphs.labelled([*points, *minima]), format="extxyz")
    for row in rows:
        above = row["energy_above_quartz_eV_per_SiO2"] or "-"
        print(
            f"{row['polymorph']:<20} {row['volume_A3_per_SiO2']:>9} Å³ "
            f"{row['bulk_modulus_GPa']:>7} GPa {above:>9} eV"
        )
    from glassml.dft.plots import plot_polymorphs

    with atomic_path(folder / "polymorphs.png") as temporary:
        plot_polymorphs(points, minima).savefig(temporary, dpi=150)


def _relax(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.extxyz import read_extxyz
    from glassml.campaign.files import reading, write_csv
    from glassml.campaign.store import LabelStore
    from glassml.dft import resting
    from glassml.dft.collecting import write_compressed
    from glassml.dft.relaxation import RelaxationError

    campaign = load_campaign(args.config)
    with reading(args.input, "an extxyz file"):
        starts = list(read_extxyz(args.input))
    relaxations = resting.relax_glasses(
        starts,
        campaign.dft,
        LabelStore(campaign.store),
        fmax_eV_A=args.fmax,
        max_steps=args.max_steps,
        processes=args.processes,
        guide=_guide(args),
    )
    rows = resting.rows(starts, relaxations)
    write_csv(args.table, rows, resting.COLUMNS)
    if not (frames := resting.labelled(starts, relaxations)):
        raise RelaxationError(f"none of {len(rows)} structures came to rest: see {args.table}")
    write_compressed(args.output, frames)
    for row in rows:
        print(" ".join(str(row[name]) for name in resting.COLUMNS))


def _guide(args: argparse.Namespace) -> "Guide | None":
    """Give the guide that is asked for, if any."""
    if args.guide is None:
        return None
    from glassml.dft.guide import package_guide

    return package_guide(args.guide, args.guide_device, args.processes)


def _collect(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from glassml.campaign.config import load_campaign
    from glassml.campaign.errors import StructureError
    from glassml.campaign.files import write_json
    from glassml.campaign.store import LabelStore
    from glassml.dft.collecting import labelled_configurations, manifest, write_compressed

    campaign = load_campaign(args.config)
    paths = [
        path
        for given in args.input
        for path in (sorted(given.rglob("*.extxyz")) if given.is_dir() else [given])
    ]
    missing = [str(path) for path in paths if not path.exists()]
    if missing or not paths:
        raise StructureError(f"--input: no such extxyz files: {', '.join(missing or args.input)}")
    store = LabelStore(campaign.store)
    found = list(tqdm(labelled_configurations(paths, store, campaign.dft), desc="configurations"))
    labelled = [atoms for atoms, _ in found if "REF_energy" in atoms.info]
    failed = sum(record is not None and record["status"] == "failed" for _, record in found)
    write_compressed(args.output, labelled)
    record = manifest(found, paths, args.output, campaign)
    write_json(args.output.with_name("manifest.json"), record)
    print(f"{len(labelled)} labelled, {failed} failed, {len(found)} configurations in all")


def _recompute(args: argparse.Namespace) -> int:
    import math
    import tempfile

    from glassml.campaign.config import load_campaign
    from glassml.campaign.extxyz import read_extxyz
    from glassml.campaign.files import write_csv
    from glassml.campaign.store import LabelStore
    from glassml.dft.recomputing import COLUMNS, PRECISION, recompute

    dft = load_campaign(args.config).dft
    labelled = list(read_extxyz(args.input))
    count = args.count or math.ceil(args.fraction * len(labelled))
    with tempfile.TemporaryDirectory(prefix="glassml-recompute-") as folder:
        store = LabelStore(args.store or folder)
        rows = recompute(labelled, count, args.seed, dft, store, args.processes)
    write_csv(args.table, rows, COLUMNS)
    for row in rows:
        print("  ".join(f"{name} {row.get(name, '')}" for name in COLUMNS))
    agreeing = sum(row["agrees"] is True for row in rows)
    limits = ", ".join(f"{name} {limit}" for name, limit in PRECISION.items())
    print(f"{agreeing} of {len(rows)} agree ({len(labelled)} labels in all; within {limits})")
    return int(agreeing < len(rows))


def _pack(args: argparse.Namespace) -> None:
    from glassml.campaign.store import LabelStore

    print(f"{LabelStore(args.store).pack()} records packed")
