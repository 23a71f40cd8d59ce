"""`glassml dataset`: build the sets from labels, export them for other trainers."""

import argparse
from pathlib import Path

from glassml.campaign.files import read_json
from glassml.campaign.options import Commands, add_command, add_stage


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "dataset", "training, validation and test sets")
    build = add_command(
        actions, "build", _build, "flag, split and describe the labels of a campaign"
    )
    build.add_argument("--generation", type=int, default=0, help="round of active learning")
    build.add_argument(
        "--labels", type=Path, required=True, help="folder with {family}/{shard}.extxyz and .csv"
    )
    build.add_argument(
        "--explored", type=Path, nargs="*", default=[], help="labels of earlier generations"
    )
    build.add_argument("--output-dir", type=Path, required=True)
    describe = actions.add_parser("describe", help="count and range the labels of files")
    describe.add_argument("files", type=Path, nargs="+", help="labelled extxyz, also compressed")
    describe.add_argument(
        "--page", type=Path, help="write a Markdown page about it, and a figure (.png) beside it"
    )
    describe.set_defaults(run=_describe)

    compare = actions.add_parser("compare", help="labels of the same structures, side by side")
    compare.add_argument("one", type=Path, help="labelled extxyz, also compressed")
    compare.add_argument("other", type=Path, nargs="+", help="whose labels are subtracted")
    compare.add_argument("--table", type=Path, help="CSV")
    compare.set_defaults(run=_compare)
    export = actions.add_parser("export", help="write the sets for another trainer")
    export.add_argument("--dataset", type=Path, required=True, help="folder of a built dataset")
    export.add_argument("--format", choices=("mace", "ace", "nep"), required=True)
    export.add_argument("--output-dir", type=Path, required=True)
    export.set_defaults(run=_export)


def _build(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.config.dataset import LabelKeys
    from glassml.campaign.files import file_sha256
    from glassml.dataset.build import (
        assign_sets,
        count_provenance,
        unique_names,
        write_dataset,
        write_flags,
    )
    from glassml.dataset.flags import flag_entries
    from glassml.dataset.labels import check_functional, included_entries, shard_entries

    campaign = load_campaign(args.config)
    section, families = campaign.dataset, campaign.configurations
    entries = [
        entry
        for family in families.families
        for entry in shard_entries(args.labels, family, families.shards(family))
    ]
    for file in section.include:
        entries += included_entries(file.path, file.labels, file.config_type, file.labels.named())
    for path in args.explored:
        entries += included_entries(path, LabelKeys(), "explored")
    check_functional(entries, campaign.dft.xc)
    unique_names(entries)
    flag_entries(
        entries,
        force_max_eV_A=section.filters.force_max_eV_A,
        stress_max_GPa=section.filters.stress_max_GPa,
        limits=section.filters.shortest_distances.limits(),
        duplicate_distance=section.filters.duplicate_distance,
    )
    # What is wrong is written first: a refusal below points to it.
    write_flags(args.output_dir, entries, {})
    sets, moved = assign_sets(
        entries,
        seed=campaign.seed,
        validation_fraction=section.validation_fraction,
        test_fraction=section.test_fraction,
        train_only=section.train_only,
        exclude=section.filters.exclude,
    )
    manifest = write_dataset(
        args.output_dir,
        entries,
        sets,
        {
            "campaign": campaign.name,
            "generation": args.generation,
            "seed": campaign.seed,
            "dft": campaign.dft.model_dump(mode="json"),
            "dataset": section.model_dump(mode="json"),
            "included": {file.path: file_sha256(file.path) for file in section.include},
            "functionals": count_provenance(entries),
            "moved_to_fill_a_set": moved,
        },
    )
    print(f"{args.output_dir}: {manifest['counts']}; flags {manifest['flags'] or 'none'}")


def _describe(args: argparse.Namespace) -> None:
    from glassml.campaign.config.dataset import LabelKeys
    from glassml.campaign.files import atomic_path, write_text
    from glassml.dataset import describing
    from glassml.dataset.labels import included_entries

    entries = [
        entry
        for file in args.files
        for entry in included_entries(str(file), LabelKeys(), "unknown")
    ]
    rows = [describing.TABLE, *describing.family_rows(entries)]
    widths = {key: max(len(row[key]) for row in rows) for key in describing.TABLE}
    for row in rows:
        print("  ".join(f"{row[key]:>{width}}" for key, width in widths.items()))
    if args.page is None:
        return
    figure = args.page.with_suffix(".png")
    with atomic_path(figure) as temporary:
        describing.plot(entries).savefig(temporary, dpi=110)
    names = [file.as_posix() for file in args.files]
    manifest = describing.joined_manifest(args.files)
    write_text(args.page, describing.page(entries, names, figure.name, manifest))


def _compare(args: argparse.Namespace) -> None:
    from glassml.campaign.errors import GlassmlError
    from glassml.campaign.extxyz import read_extxyz
    from glassml.campaign.files import write_csv
    from glassml.dataset.differences import COLUMNS, difference_rows, pairs_of

    others = [atoms for path in args.other for atoms in read_extxyz(path)]
    rows = difference_rows(pairs_of(read_extxyz(args.one), others))
    if not rows:
        raise GlassmlError(f"{args.one}: none of its structures has a label in the other files")
    print(",".join(COLUMNS))
    for row in rows:
        print(",".join(str(row[name]) for name in COLUMNS))
    if args.table:
        write_csv(args.table, rows, COLUMNS)


def _export(args: argparse.Namespace) -> None:
    from glassml.dataset.export import export_dataset

    isolated = read_json(args.dataset / "isolated_atoms.json")
    for path in export_dataset(args.dataset, args.output_dir, args.format, isolated):
        print(path)
