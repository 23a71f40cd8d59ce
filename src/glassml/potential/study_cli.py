"""`glassml potential`: active learning, the size search, the learning curve."""

# ruff: noqa: PLC0415  (commands import their stage when called, so that help is fast)
import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase import Atoms

Add = Callable[[Any, str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]


def register(actions: Any, add: Add) -> None:
    """Add the commands.

    Parameters
    ----------
    actions
        Of `glassml potential`.
    add
        Adds a command by name, function and help.
    """
    _register_exploration(actions, add)
    _register_studies(actions, add)


def _register_exploration(actions: Any, add: Add) -> None:
    """Add active learning: exploration, selection, and what generations changed."""
    explore = add(actions, "explore", _explore, "run dynamics and ask the committee")
    explore.add_argument("name", help="of a run of potential.exploration")
    explore.add_argument("--generation", type=int, required=True)
    explore.add_argument("--members", type=Path, nargs="+", required=True, help="their folders")
    explore.add_argument("--labels", type=Path, required=True, help="where to begin, extxyz")
    explore.add_argument("--output", type=Path, required=True, help="candidates, extxyz")
    explore.add_argument("--table", type=Path, required=True, help="a row per trajectory, CSV")
    explore.add_argument("--device", help="cpu or cuda; default: a GPU if there is one")

    select = add(actions, "select", _select, "choose candidates to label")
    select.add_argument("--candidates", type=Path, nargs="+", required=True, help="extxyz")
    select.add_argument("--labels", type=Path, required=True, help="what is known, extxyz")
    select.add_argument("--output", type=Path, required=True, help="selected, extxyz")
    select.add_argument("--table", type=Path, required=True, help="a row per candidate, CSV")

    generations = add(actions, "generations", _generations, "what each generation changed")
    generations.add_argument("--folder", type=Path, required=True, help="with g0, g1, …")
    generations.add_argument("--train", type=Path, nargs="+", required=True, help="of each, extxyz")
    generations.add_argument("--table", type=Path, required=True, help="CSV")


def _register_studies(actions: Any, add: Add) -> None:
    """Add the size search and the learning curve."""
    speed = add(actions, "speed", _speed, "time evaluations of a package")
    speed.add_argument("--package", type=Path, required=True)
    speed.add_argument("--labels", type=Path, required=True, help="configurations, extxyz")
    speed.add_argument("--output", type=Path, required=True, help="JSON")
    speed.add_argument("--device", help="cpu or cuda; default: a GPU if there is one")

    search = add(actions, "search", _search, "join the size search: table and Pareto plot")
    search.add_argument("--folder", type=Path, required=True, help="with a folder per variant")
    search.add_argument("--table", type=Path, required=True, help="CSV")
    search.add_argument("--figure", type=Path, required=True, help="PNG")
    search.add_argument(
        "--glasses", type=Path, nargs="*", default=[], help="CSV and PNG, if variants made glasses"
    )

    curve = add(actions, "learning-curve", _learning_curve, "errors against number of labels")
    curve.add_argument("--folder", type=Path, required=True, help="with a folder per number")
    curve.add_argument("--train", type=Path, required=True, help="all training labels, extxyz")
    curve.add_argument("--table", type=Path, required=True, help="CSV")
    curve.add_argument("--fit", type=Path, required=True, help="CSV")
    curve.add_argument("--figure", type=Path, required=True, help="PNG")


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
    rows: list[dict[str, Any]] = []
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


def _generations(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import write_csv
    from glassml.potential.labels import read_labels
    from glassml.potential.studies import GENERATION_COLUMNS, generation_rows

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
    from glassml.potential.calculators import CUDA_GRAPH, EAGER, choose_device, load_backend
    from glassml.potential.labels import read_labels
    from glassml.potential.speed import measure_speed

    atoms = load_campaign(args.config).potential.search.atoms
    device = choose_device(args.device)
    # as dynamics on such a device would
    backend = CUDA_GRAPH if device.startswith("cuda") else EAGER
    calculator = load_backend(args.package, backend, device)
    write_json(args.output, measure_speed(calculator, read_labels(args.labels), atoms))


def _search(args: argparse.Namespace) -> None:
    import json

    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import atomic_path, write_csv
    from glassml.potential.plots import plot_search, plot_search_glasses
    from glassml.potential.search_glasses import CURVES_COLUMNS, SUMMARY, glass_curves
    from glassml.potential.studies import SEARCH_COLUMNS, search_rows

    campaign = load_campaign(args.config)
    section, md = campaign.potential, campaign.md
    folders = {name: args.folder / name for name in section.search.variants}
    rows = search_rows(
        folders,
        {name: section.variant(name)[0].model_dump() for name in folders},
        {name: json.loads((each / "speed.json").read_text()) for name, each in folders.items()},
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
    from glassml.potential.plots import plot_learning_curve
    from glassml.potential.studies import CURVE_COLUMNS, FIT_COLUMNS, curve_rows, fit_curve

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
