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
    _register_fsdp(actions)
    _register_network(actions)
    crystals = actions.add_parser("crystals", help="check the ring searches on known crystals")
    crystals.set_defaults(run=run_crystals)
    _register_campaign(actions)


def _file_command(actions: Any, name: str, about: str, run: Any) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=about, description=about)
    parser.add_argument("file", help="structure or trajectory that ASE or MDAnalysis reads")
    parser.add_argument(
        "--topology", help="structure with the elements of an MDAnalysis trajectory"
    )
    parser.add_argument(
        "--cell", type=float, nargs="+", help="3 lengths in Å (and 3 angles in degrees)"
    )
    parser.add_argument("--frames", type=int, default=1, help="how many of the last frames")
    parser.add_argument("--stride", type=int, default=1, help="every how many frames")
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")
    parser.add_argument("--threads", type=int, help="threads (default: all cores)")
    parser.set_defaults(run=run)
    return parser


def _register_rings(actions: Any) -> None:
    parser = _file_command(actions, "rings", "Count rings, and measure their shape.", run_rings)
    criteria = ("primitive", "king", "king-shell", "guttman")
    parser.add_argument("--criterion", choices=criteria, default="primitive")
    parser.add_argument("--max-size", type=int, default=12, help="largest ring in Si atoms")
    parser.add_argument("--cutoff", type=float, help="longest Si-O bond in Å")
    parser.add_argument("--atoms", choices=("Si+O", "Si"), default="Si+O", help="shape of which")
    parser.add_argument("--export", help="write the rings of the last frame: .json, .cif or .xyz")


def _register_sq(actions: Any) -> None:
    parser = _file_command(actions, "sq", "Compute structure factors.", run_sq)
    parser.add_argument("--q-max", type=float, default=25.0, help="in 1/Å")
    parser.add_argument("--q-bin", type=float, default=0.02, help="in 1/Å")
    parser.add_argument("--q-lattice", type=float, help="beyond it, transform g(r); in 1/Å")
    parser.add_argument("--resolution", type=float, help="broaden by a Gaussian of this FWHM, 1/Å")


def _register_fsdp(actions: Any) -> None:
    parser = _file_command(actions, "fsdp", "Fit the first sharp diffraction peak.", run_fsdp)
    parser.add_argument("--weighting", choices=("neutron", "xray"), default="neutron")
    parser.add_argument("--search", type=float, nargs=2, default=(1.0, 2.3), help="range in 1/Å")
    parser.add_argument("--half-window", type=float, default=0.5, help="of the fit, in 1/Å")
    parser.add_argument("--background", choices=("none", "constant", "linear"), default="linear")
    parser.add_argument("--q-bin", type=float, default=0.02, help="in 1/Å")


def _register_network(actions: Any) -> None:
    parser = _file_command(actions, "network", "Coordination, angles, bonds.", run_network)
    parser.add_argument("--cutoff", type=float, help="longest Si-O bond in Å")


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


def _frames(args: argparse.Namespace) -> list[Any]:
    from glassml.structure.frames import read_frames

    _set_threads(args.threads)
    if args.cell is not None and len(args.cell) not in (1, 3, 6):
        raise StructureError("--cell: 1 edge, 3 lengths, or 3 lengths and 3 angles")
    cell = args.cell * 3 if args.cell is not None and len(args.cell) == 1 else args.cell
    return list(read_frames(args.file, args.topology, cell, args.frames, args.stride))


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
    """Print ring counts per Si and ring shapes, means over frames."""
    import numpy as np

    from glassml.structure.network import find_bonds, find_cutoff
    from glassml.structure.ring_export import write_rings
    from glassml.structure.ring_shape import RingShapes, ring_shapes, shape_by_size
    from glassml.structure.rings import find_rings
    from glassml.structure.statistics import mean_and_error

    frames = _frames(args)
    cutoff = args.cutoff or find_cutoff(frames)
    found = [
        find_rings(
            atoms,
            args.criterion,
            args.max_size,
            find_bonds(atoms, cutoff),
            progress=sys.stderr.isatty(),
        )
        for atoms in frames
    ]
    sizes = sorted({size for rings in found for size in rings.counts()})
    per_si = [rings.per_si() for rings in found]
    shapes = [ring_shapes(rings, args.atoms) for rings in found]
    together = RingShapes(
        np.concatenate([shape.size for shape in shapes]),
        np.concatenate([shape.lengths for shape in shapes]),
        args.atoms,
    )
    document = {
        "atoms": len(frames[-1]),
        "si": int(found[-1].is_si.sum()),
        "criterion": args.criterion,
        "cutoff": cutoff,
        "frames": len(frames),
        "rings_per_si": {
            str(size): float(np.mean([frame.get(size, 0.0) for frame in per_si])) for size in sizes
        },
        "shape": {str(size): row for size, row in shape_by_size(together).items()},
    }
    if len(frames) > 1:
        document["rings_per_si_error"] = {
            str(size): mean_and_error([frame.get(size, 0.0) for frame in per_si])[1]
            for size in sizes
        }
    if args.export:
        write_rings(args.export, frames[-1], found[-1])
    _show(document, args.json)


def run_sq(args: argparse.Namespace) -> None:
    """Print neutron, X-ray and partial structure factors."""
    from glassml.structure.sq import average, broaden, structure_factor

    factor = average(
        [structure_factor(atoms, args.q_max, args.q_bin, args.q_lattice) for atoms in _frames(args)]
    )
    curves = {"neutron": factor.total("neutron"), "xray": factor.total("xray")}
    curves |= factor.partials
    if args.resolution:
        curves = {
            name: broaden(factor.q, curve, factor.counts, args.resolution)
            for name, curve in curves.items()
        }
    document: dict[str, Any] = {"q": factor.q.tolist()}
    document |= {name: curves[name].tolist() for name in ("neutron", "xray")}
    document["partials"] = {pair: curves[pair].tolist() for pair in factor.partials}
    document["counts"] = factor.counts.tolist()
    for name in ("neutron", "xray"):
        document[f"{name}_error"] = factor.standard_error(name).tolist()
    _show(document, args.json)


def run_fsdp(args: argparse.Namespace) -> None:
    """Print the fit of the first peak, or the reason why there is none."""
    from glassml.structure.fsdp import NoPeakError, fit_peak
    from glassml.structure.sq import average, structure_factor

    factor = average([structure_factor(atoms, 6.0, args.q_bin, 6.0) for atoms in _frames(args)])
    try:
        peak = fit_peak(
            factor.q,
            factor.total(args.weighting),
            factor.standard_error(args.weighting),
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

    from glassml.structure import network
    from glassml.structure.frames import OXYGEN, SILICON, density_g_cm3
    from glassml.structure.statistics import mean_and_error

    frames = _frames(args)
    cutoff = args.cutoff or network.find_cutoff(frames)
    bonds = [network.find_bonds(atoms, cutoff) for atoms in frames]
    pairs = list(zip(frames, bonds, strict=True))
    coordination = {}
    for symbol, number in (("Si", SILICON), ("O", OXYGEN)):
        values = np.concatenate([b.coordination[a.numbers == number] for a, b in pairs])
        coordination[symbol] = network.fractions(values)
    angles = {}
    for name, centre in (("O-Si-O", SILICON), ("Si-O-Si", OXYGEN)):
        values = np.concatenate([network.bond_angles(a, b, centre) for a, b in pairs])
        angles[name] = _mean_sd(values)
    scalars = [network.network_scalars(a, b) for a, b in pairs]
    names = sorted({name for frame in scalars for name in frame})
    document = {
        "density_g_cm3": float(np.mean([density_g_cm3(atoms) for atoms in frames])),
        "cutoff": cutoff,
        "coordination": coordination,
        "angles": angles,
        "bond": {"Si-O": _mean_sd(np.concatenate([b.length for b in bonds]))},
        "observables": {
            name: float(np.mean([frame.get(name, 0.0) for frame in scalars])) for name in names
        },
    }
    if len(frames) > 1:
        document["observables_error"] = {
            name: mean_and_error([frame.get(name, 0.0) for frame in scalars])[1] for name in names
        }
    _show(document, args.json)


def _mean_sd(values: Any) -> dict[str, float | None]:
    if len(values) == 0:
        return {"mean": None, "sd": None}
    return {"mean": float(values.mean()), "sd": float(values.std())}


def run_crystals(_args: argparse.Namespace) -> None:
    """Print rings per Si of crystals, known and computed; an error if they differ."""
    from glassml.structure.known_rings import compare_crystals

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
