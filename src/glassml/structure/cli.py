"""`glassml structure`: observables of one file, of a glass of a campaign, of all its states."""

import argparse
import json
import math
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from glassml.campaign.errors import StructureError


def register(commands: argparse._SubParsersAction) -> None:
    """Add the stage's commands to the parser."""
    parser = commands.add_parser("structure", help="S(Q), FSDP, rings, network of structures")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _register_rings(actions)
    _register_sq(actions)
    _register_gr(actions)
    _register_fsdp(actions)
    _register_network(actions)
    crystals = actions.add_parser("crystals", help="check the ring searches on known crystals")
    crystals.set_defaults(run=run_crystals)
    _register_campaign(actions)


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return value


def _file_command(actions: Any, name: str, about: str, run: Any) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=about, description=about)
    parser.add_argument("file", help="structure or trajectory (docs/structure.md lists formats)")
    parser.add_argument(
        "--topology", help="structure with the elements of a trajectory that has none"
    )
    parser.add_argument("--format", help="of the file, by ASE's name (default: by its content)")
    parser.add_argument(
        "--elements",
        nargs="+",
        metavar="SYMBOL",
        help="of numbered types, in order (O Si), or of names (T=Si OB=O)",
    )
    parser.add_argument(
        "--cell",
        type=float,
        nargs="+",
        help="1 edge, 3 lengths in Å (and 3 angles in degrees), where the file has none",
    )
    parser.add_argument("--frames", type=_count, default=1, help="how many of the last frames")
    parser.add_argument("--stride", type=_count, default=1, help="every how many frames")
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")
    parser.add_argument("--threads", type=_count, help="threads (default: all cores)")
    parser.set_defaults(run=run)
    return parser


def _bond_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cutoff", type=_positive, help="longest bond in Å (default: first minimum of each g(r))"
    )
    parser.add_argument(
        "--formers",
        nargs="+",
        metavar="SYMBOL",
        help="elements of the network's corners (default: Si; Ge Al B P Be Zn with 3 to 5 bridges)",
    )
    parser.add_argument(
        "--bridges",
        nargs="+",
        metavar="SYMBOL",
        help="elements that join them (default: O S Se F)",
    )


def _register_rings(actions: Any) -> None:
    parser = _file_command(actions, "rings", "Count rings, and measure their shape.", run_rings)
    criteria = ("primitive", "king", "king-shell", "guttman")
    parser.add_argument("--criterion", choices=criteria, default="primitive")
    parser.add_argument("--max-size", type=_count, default=12, help="largest ring, in formers")
    _bond_options(parser)
    parser.add_argument(
        "--atoms",
        choices=("Si+O", "Si"),
        default="Si+O",
        help="shape of which: formers and bridges, or formers",
    )
    parser.add_argument("--export", help="write the rings of the last frame: .json, .cif or .xyz")


def _register_sq(actions: Any) -> None:
    parser = _file_command(actions, "sq", "Compute structure factors.", run_sq)
    parser.add_argument("--q-max", type=_positive, default=25.0, help="in 1/Å")
    parser.add_argument("--q-bin", type=_positive, default=0.02, help="in 1/Å")
    parser.add_argument("--q-lattice", type=_positive, help="beyond it, transform g(r); in 1/Å")
    parser.add_argument(
        "--resolution", type=_positive, help="broaden by a Gaussian of this FWHM, 1/Å"
    )


def _register_gr(actions: Any) -> None:
    parser = _file_command(actions, "gr", "Compute g(r), T(r) and D(r).", run_gr)
    parser.add_argument(
        "--r-max", type=_positive, help="in Å (default: half the cell, at most 20 Å)"
    )
    parser.add_argument("--r-bin", type=_positive, default=0.02, help="in Å")


def _register_fsdp(actions: Any) -> None:
    parser = _file_command(actions, "fsdp", "Fit the first sharp diffraction peak.", run_fsdp)
    parser.add_argument("--weighting", choices=("neutron", "xray"), default="neutron")
    parser.add_argument(
        "--search", type=_positive, nargs=2, default=(1.0, 2.3), help="range in 1/Å"
    )
    parser.add_argument("--half-window", type=_positive, default=0.5, help="of the fit, in 1/Å")
    parser.add_argument("--background", choices=("none", "constant", "linear"), default="linear")
    parser.add_argument("--q-bin", type=_positive, default=0.02, help="in 1/Å")


def _register_network(actions: Any) -> None:
    parser = _file_command(actions, "network", "Coordination, angles, bonds.", run_network)
    _bond_options(parser)


def _register_campaign(actions: Any) -> None:
    analyse = actions.add_parser("analyse", help="all observables of a glass of a campaign")
    analyse.add_argument("--config", required=True)
    analyse.add_argument("--state", required=True)
    analyse.add_argument("--glass", required=True)
    analyse.add_argument("--trajectory", required=True)
    analyse.add_argument("--final", required=True)
    analyse.add_argument("--record", help="record.json of the run")
    analyse.add_argument("--output-dir", required=True)
    analyse.add_argument("--threads", type=int)
    analyse.set_defaults(run=run_analyse)
    summary = actions.add_parser("summary", help="means and errors over glasses, by state")
    summary.add_argument("--config", required=True)
    summary.add_argument("--input-dir", required=True, help="results/…/structure")
    summary.add_argument("--output-dir", required=True)
    summary.add_argument("--states", nargs="+", help="these alone; default: all")
    summary.set_defaults(run=run_summary)


def _set_threads(threads: int | None) -> None:
    import numba

    available = len(os.sched_getaffinity(0))
    wanted = min(threads or available, int(numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    if wanted < 1:
        raise StructureError(f"--threads {threads}: at least 1")
    numba.set_num_threads(wanted)


def _frames(args: argparse.Namespace, bulk: bool = False) -> list[Any]:
    """Read the frames that are asked for, of one composition; refuse what is no bulk if asked."""
    from glassml.structure.frames import check_bulk, read_frames
    from glassml.structure.observables import check_one_composition

    _set_threads(args.threads)
    if args.cell is not None and len(args.cell) not in (1, 3, 6):
        raise StructureError("--cell: 1 edge, 3 lengths, or 3 lengths and 3 angles")
    cell = args.cell * 3 if args.cell is not None and len(args.cell) == 1 else args.cell
    options = {"file_format": args.format, "elements": args.elements}
    frames = list(read_frames(args.file, args.topology, cell, args.frames, args.stride, **options))
    check_one_composition(frames)
    if bulk:
        check_bulk(frames[-1], args.file)
    return frames


def _rule(args: argparse.Namespace) -> Any:
    from glassml.structure.observables import BondRule

    return BondRule(args.cutoff, args.formers, args.bridges)


def _mean(observable: Any, frames: list[Any]) -> Any:
    return observable.mean([observable.measure(atoms) for atoms in frames])


def _network_keys(network: Any) -> dict[str, Any]:
    """Say which elements make the network, and which are left out of it."""
    return {
        "formers": list(network.formers),
        "bridges": list(network.bridges),
        "left_out": list(network.others),
    }


def _show(document: Any, as_json: bool) -> None:
    """Print a document: as JSON on one line, or indented for people; NaN becomes null."""
    text = json.dumps(_finite(document), indent=None if as_json else 1, allow_nan=False)
    print(text, file=sys.stdout)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_rings(args: argparse.Namespace) -> None:
    """Print ring counts per former and ring shapes, means over frames."""
    from glassml.structure.observables import RingObservables
    from glassml.structure.rings.export import write_rings
    from glassml.structure.rings.shape import joined, shape_by_size

    frames = _frames(args)
    rule = _rule(args).settled(frames)
    progress = sys.stderr.isatty()
    means = _mean(RingObservables(args.criterion, args.max_size, rule, progress), frames)
    last = means.frames[-1]
    document: dict[str, Any] = {
        "atoms": len(frames[-1]),
        "si": int(last.is_former.sum()),
        "criterion": args.criterion,
        "cutoff": rule.largest_cutoff,
        "frames": len(frames),
        "rings_per_si": {str(size): means.per_former[size] for size in means.sizes},
        "shape": {
            str(size): row for size, row in shape_by_size(joined(means.shapes(args.atoms))).items()
        },
        **_network_keys(rule.network),
    }
    if len(frames) > 1:
        document["rings_per_si_error"] = {str(size): means.error[size] for size in means.sizes}
    if args.export:
        write_rings(args.export, frames[-1], last)
    _show(document, args.json)


def run_sq(args: argparse.Namespace) -> None:
    """Print neutron, X-ray and partial structure factors."""
    from glassml.structure.observables import FactorObservables
    from glassml.structure.scattering import bhatia_thornton
    from glassml.structure.sq import broaden

    frames = _frames(args, bulk=True)
    factor = _mean(FactorObservables(args.q_max, args.q_bin, args.q_lattice), frames)

    def curve(values: Any) -> list[float]:
        if args.resolution:
            values = broaden(factor.q, values, factor.counts, args.resolution)
        return values.tolist()

    totals, reasons = _totals(factor.total)
    document: dict[str, Any] = {"q": factor.q.tolist()}
    document |= {name: curve(values) for name, values in totals.items()}
    document["partials"] = {pair: curve(values) for pair, values in factor.partials.items()}
    document["counts"] = factor.counts.tolist()
    for name in totals:
        document[f"{name}_error"] = factor.standard_error(name).tolist()
    document["shares"] = factor.shares
    if len(factor.shares) == 2:
        mixed = bhatia_thornton(factor.partials, factor.shares)
        document["bhatia_thornton"] = {name: curve(values) for name, values in mixed.items()}
    _show(document | reasons, args.json)


def _totals(total: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the totals that can be, and null with a reason for an element without a length."""
    found: dict[str, Any] = {}
    reasons: dict[str, Any] = {}
    for name in ("neutron", "xray"):
        try:
            found[name] = total(name)
        except StructureError as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            reasons |= {name: None, f"{name}_reason": str(reason)}
    return found, reasons


def run_gr(args: argparse.Namespace) -> None:
    """Print partial and total g(r), T(r) and D(r), means over frames."""
    from glassml.structure.observables import PairObservables

    means = _mean(PairObservables(args.r_max, args.r_bin), _frames(args, bulk=True))
    curves = {
        "neutron": means.neutron,
        "xray": means.xray,
        "T_neutron_per_A2": means.t_neutron,
        "D_neutron_per_A2": means.d_neutron,
    }
    document: dict[str, Any] = {"r": means.r.tolist()}
    document |= {n: None if c is None else c.tolist() for n, c in curves.items()}
    document["partials"] = {pair: values.tolist() for pair, values in means.partials.items()}
    document["partials_error"] = {pair: values.tolist() for pair, values in means.errors.items()}
    document["density_per_A3"] = means.density
    _show(document, args.json)


def run_fsdp(args: argparse.Namespace) -> None:
    """Print the fit of the first peak, or the reason why there is none."""
    from glassml.structure.fsdp import NoPeakError, fit_peak
    from glassml.structure.observables import FactorObservables

    factor = _mean(FactorObservables(6.0, args.q_bin, 6.0), _frames(args, bulk=True))
    total, error = factor.total(args.weighting), factor.standard_error(args.weighting)
    try:
        peak = fit_peak(
            factor.q,
            total,
            error,
            search=tuple(args.search),
            half_window=args.half_window,
            background=args.background,
            q_bin=args.q_bin,
        )
        document = peak.as_dict() | {"reason": None}
    except NoPeakError as reason:
        keys = ("position", "height", "fwhm")
        document = {f"{key}{end}": None for key in keys for end in ("", "_error")}
        document |= {"definition": "no peak", "reason": str(reason)}
    _show(document | {"weighting": args.weighting}, args.json)


def run_network(args: argparse.Namespace) -> None:
    """Print density, coordination, angles and bonds, means over frames."""
    import numpy as np

    from glassml.structure.network import fractions
    from glassml.structure.observables import NetworkObservables

    frames = _frames(args)
    observable = NetworkObservables(_rule(args)).settled(frames)
    means = _mean(observable, frames)

    def pooled(name: str) -> dict[str, Any]:
        items = [getattr(frame, name) for frame in means.frames]
        return {key: np.concatenate([item[key] for item in items]) for key in items[0]}

    names = sorted(means.mean)
    document = {
        "density_g_cm3": float(np.mean([frame.density for frame in means.frames])),
        "cutoff": observable.rule.largest_cutoff,
        "coordination": {s: fractions(numbers) for s, numbers in pooled("coordination").items()},
        "angles": {name: _mean_sd(values) for name, values in pooled("angles").items()},
        "bond": {pair: _mean_sd(values) for pair, values in pooled("lengths").items()},
        "observables": {name: means.mean[name] for name in names},
        "cutoffs": means.frames[-1].cutoffs,
        "cutoffs_left_out": observable.others,
        **_network_keys(means.frames[-1].network),
    }
    if len(frames) > 1:
        document["observables_error"] = {name: means.error[name] for name in names}
    _show(document, args.json)


def _mean_sd(values: Any) -> dict[str, float | None]:
    if len(values) == 0:
        return {"mean": None, "sd": None}
    return {"mean": float(values.mean()), "sd": float(values.std())}


def run_crystals(_args: argparse.Namespace) -> None:
    """Print rings per Si of crystals, known and computed; an error if they differ."""
    from glassml.structure.rings.known import compare_crystals

    rows = compare_crystals()
    for row in rows:
        known, computed = (
            " ".join(f"{size}:{Fraction(count).limit_denominator(12)}" for size, count in counts)
            for counts in (sorted(row[name].items()) for name in ("known", "computed"))
        )
        mark = "equal" if row["equal"] else "DIFFERENT"
        print(f"{row['crystal']:18s} {row['criterion']:10s} {known:48s} {computed:48s} {mark}")
    if not all(row["equal"] for row in rows):
        raise StructureError("the rings of some crystals are not those known")


def run_analyse(args: argparse.Namespace) -> None:
    """Write all observables of a glass; one without a network is set aside with its reason."""
    from glassml.campaign.config import load_campaign
    from glassml.structure.glass import Settings, analyse_glass, set_aside, write_glass

    section = load_campaign(args.config).structure
    _set_threads(args.threads)
    settings = Settings(
        cutoff=section.cutoff_A,
        r_max=section.r_max_A,
        r_bin=section.r_bin_A,
        q_max=section.q_max_per_A,
        q_bin=section.q_bin_per_A,
        q_lattice=section.q_lattice_per_A,
        criteria=section.ring_criteria,
        max_ring_size=section.max_ring_size,
        ring_centre_q_max=section.ring_centre_q_max_per_A,
        fsdp_search=section.fsdp.search_per_A,
        fsdp_half_window=section.fsdp.half_window_per_A,
        fsdp_background=section.fsdp.background,
    )
    try:
        frames = _campaign_frames(args, section.frames, section.stride)
        documents, tables = analyse_glass(frames, settings, progress=True)
    except StructureError as reason:
        print(f"{args.state} {args.glass} is set aside: {reason}", file=sys.stderr)
        documents, tables = set_aside(str(reason))
    documents["network.json"] |= {"state": args.state, "glass": args.glass}
    write_glass(args.output_dir, documents, tables)


def _campaign_frames(args: argparse.Namespace, last: int, stride: int) -> list[Any]:
    """Frames of the last stage; none of a run that did not finish."""
    from glassml.structure.frames import read_frames

    start = 0
    if args.record is not None:
        record = json.loads(Path(args.record).read_text(encoding="utf-8"))
        if record["status"] != "finished":
            raise StructureError(f"the run is {record['status']}: {record.get('reason')}")
        start = record["stages"][-1]["frames"][0]
    frames = read_frames(args.trajectory, args.final, None, last, stride, start)
    try:
        return list(frames)
    except StructureError as reason:
        # A last stage without a frame: where it ended is one.
        if "holds no frame" not in str(reason):
            raise
        return list(read_frames(args.final))


def run_summary(args: argparse.Namespace) -> None:
    """Write the tables of all states, or of those that are asked for."""
    from glassml.campaign.config import load_campaign
    from glassml.campaign.seeds import generator
    from glassml.md.cli import check_state
    from glassml.structure.summary import summarise

    campaign = load_campaign(args.config)
    section, md = campaign.structure, campaign.md
    root = Path(args.input_dir)
    states = args.states or list(md.states)
    for state in states:
        check_state(md, state)
    summarise(
        {state: [root / state / glass for glass in md.glass_names()] for state in states},
        args.output_dir,
        generator(campaign.seed, "structure", "bootstrap"),
        section.q_bin_per_A,
        bootstrap=section.fsdp.bootstrap,
        search=section.fsdp.search_per_A,
        half_window=section.fsdp.half_window_per_A,
        background=section.fsdp.background,
    )
