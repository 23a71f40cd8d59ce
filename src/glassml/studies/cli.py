"""`glassml studies`."""

import argparse
from pathlib import Path

from glassml.campaign.files import read_json
from glassml.campaign.options import Commands, add_command, add_device, add_stage


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "studies", "join studies of a potential")

    generations = add_command(actions, "generations", _generations, "what each generation changed")
    generations.add_argument("--folder", type=Path, required=True, help="with g0, g1, …")
    generations.add_argument("--train", type=Path, nargs="+", required=True, help="of each, extxyz")
    generations.add_argument("--table", type=Path, required=True, help="CSV")

    speed = add_command(actions, "speed", _speed, "time evaluations of a package")
    speed.add_argument("--package", type=Path, required=True)
    speed.add_argument("--labels", type=Path, required=True, help="configurations, extxyz")
    speed.add_argument("--output", type=Path, required=True, help="JSON")
    add_device(speed)

    search = add_command(actions, "search", _search, "join the size search: table and Pareto plot")
    search.add_argument("--folder", type=Path, required=True, help="with a folder per variant")
    search.add_argument("--table", type=Path, required=True, help="CSV")
    search.add_argument("--figure", type=Path, required=True, help="PNG")
    search.add_argument(
        "--glasses", type=Path, nargs="*", default=[], help="CSV and PNG, if variants made glasses"
    )

    curve = add_command(
        actions, "learning-curve", _learning_curve, "errors against number of labels"
    )
    curve.add_argument("--folder", type=Path, required=True, help="with a folder per number")
    curve.add_argument("--train", type=Path, required=True, help="all training labels, extxyz")
    curve.add_argument("--table", type=Path, required=True, help="CSV")
    curve.add_argument("--fit", type=Path, required=True, help="CSV")
    curve.add_argument("--figure", type=Path, required=True, help="PNG")

    rates = add_command(actions, "rates", _rates, "glasses against the rate of their quench")
    rates.add_argument("--folder", type=Path, required=True, help="structure of the campaign")
    rates.add_argument("--table", type=Path, required=True, help="CSV")
    rates.add_argument("--fit", type=Path, required=True, help="CSV")
    rates.add_argument("--figure", type=Path, required=True, help="PNG")


def _generations(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import write_csv
    from glassml.potential.labels import read_labels
    from glassml.studies.training import GENERATION_COLUMNS, generation_rows

    section = load_campaign(args.config).potential
    rows = generation_rows(
        [args.folder / f"g{number}" for number in range(section.generations)],
        [f"m{number}" for number in range(section.committee)],
        [len(read_labels(path)) for path in args.train],
    )
    write_csv(args.table, rows, GENERATION_COLUMNS)


def _speed(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import write_json
    from glassml.potential.calculators import CUDA_GRAPH, EAGER, load_backend
    from glassml.potential.labels import read_labels
    from glassml.potential.packages import choose_device
    from glassml.studies.speed import measure_speed

    atoms = load_campaign(args.config).potential.search.atoms
    device = choose_device(args.device)
    # as dynamics on such a device would
    backend = CUDA_GRAPH if device.startswith("cuda") else EAGER
    calculator = load_backend(args.package, backend, device)
    write_json(args.output, measure_speed(calculator, read_labels(args.labels), atoms))


def _search(args: argparse.Namespace) -> None:

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.studies.glasses import CURVES_COLUMNS, SUMMARY, glass_curves
    from glassml.studies.plots import plot_search, plot_search_glasses
    from glassml.studies.training import SEARCH_COLUMNS, search_rows

    campaign = load_campaign(args.config)
    section, md = campaign.potential, campaign.md
    folders = {name: args.folder / name for name in section.search.variants}
    rows = search_rows(
        folders,
        {name: section.variant(name)[0] for name in folders},
        {name: read_json(each / "speed.json") for name, each in folders.items()},
        {
            name: [folders[name] / "structure" / md.first_state() / g for g in md.glass_names()]
            for name in section.search.glasses
        },
    )
    write_csv(args.table, rows, SEARCH_COLUMNS)
    with atomic_path(args.figure) as temporary:
        plot_search(rows).savefig(temporary, dpi=150)
    if args.glasses:
        table, figure = args.glasses
        curves = glass_curves({name: folders[name] / SUMMARY for name in section.search.glasses})
        write_csv(table, curves, CURVES_COLUMNS)
        with atomic_path(figure) as temporary:
            plot_search_glasses(curves).savefig(temporary, dpi=150)


def _learning_curve(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.potential.labels import read_labels
    from glassml.studies.plots import plot_learning_curve
    from glassml.studies.training import CURVE_COLUMNS, FIT_COLUMNS, curve_rows, fit_curve

    section = load_campaign(args.config).potential
    every = sum("REF_stress" in atoms.info for atoms in read_labels(args.train))
    rows = curve_rows(
        {
            every if name == "all" else min(int(name), every): args.folder / name
            for name in section.learning_curve.names()
        }
    )
    gates = section.gates
    targets = {
        "energy": gates.energy_mae_meV_per_atom,
        "force": gates.force_mae_eV_per_A,
        "stress": gates.stress_mae_GPa,
    }
    fits = fit_curve(rows, targets)
    write_csv(args.table, rows, CURVE_COLUMNS)
    write_csv(args.fit, fits, FIT_COLUMNS)
    with atomic_path(args.figure) as temporary:
        plot_learning_curve(rows, fits).savefig(temporary, dpi=150)


def _rates(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.studies.plots import plot_rates
    from glassml.studies.rates import (
        RATE_COLUMNS,
        RATE_FIT_COLUMNS,
        fit_rates,
        quench_rates,
        rate_rows,
    )

    md = load_campaign(args.config).md
    rows = rate_rows(quench_rates(md), args.folder, md.glass_names())
    fits = fit_rates(rows)
    write_csv(args.table, rows, RATE_COLUMNS)
    write_csv(args.fit, fits, RATE_FIT_COLUMNS)
    with atomic_path(args.figure) as temporary:
        plot_rates(rows, fits).savefig(temporary, dpi=150)
