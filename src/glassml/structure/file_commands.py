"""`glassml structure rings, sq, gr, fsdp, network, homology`: observables of a file, as JSON."""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from glassml.campaign.defaults import (
    FSDP_BACKGROUND,
    FSDP_HALF_WINDOW_PER_A,
    FSDP_SEARCH_PER_A,
    MAX_RING_SIZE,
    Q_BIN_PER_A,
    Q_MAX_PER_A,
    R_BIN_A,
)
from glassml.campaign.errors import StructureError
from glassml.campaign.names import CRITERIA
from glassml.campaign.options import Commands

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms

    from glassml.structure.observables import BondRule
    from glassml.structure.species import Network


def register_files(actions: Commands) -> None:
    """Add the commands that take a file to the parser."""
    _register_rings(actions)
    _register_sq(actions)
    _register_gr(actions)
    _register_fsdp(actions)
    _register_network(actions)
    _register_homology(actions)


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


def _file_command(
    actions: Commands, name: str, about: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
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


def _register_rings(actions: Commands) -> None:
    parser = _file_command(actions, "rings", "Count rings, and measure their shape.", run_rings)
    parser.add_argument("--criterion", choices=CRITERIA, default="primitive")
    parser.add_argument(
        "--max-size", type=_count, default=MAX_RING_SIZE, help="largest ring, in formers"
    )
    _bond_options(parser)
    parser.add_argument(
        "--atoms",
        choices=("Si+O", "Si"),
        default="Si+O",
        help="shape of which: formers and bridges, or formers",
    )
    parser.add_argument("--export", help="write the rings of the last frame: .json, .cif or .xyz")


def _register_sq(actions: Commands) -> None:
    parser = _file_command(actions, "sq", "Compute structure factors.", run_sq)
    parser.add_argument("--q-max", type=_positive, default=Q_MAX_PER_A, help="in 1/Å")
    parser.add_argument("--q-bin", type=_positive, default=Q_BIN_PER_A, help="in 1/Å")
    parser.add_argument("--q-lattice", type=_positive, help="beyond it, transform g(r); in 1/Å")
    parser.add_argument(
        "--resolution", type=_positive, help="broaden by a Gaussian of this FWHM, 1/Å"
    )


def _register_gr(actions: Commands) -> None:
    parser = _file_command(actions, "gr", "Compute g(r), T(r) and D(r).", run_gr)
    parser.add_argument(
        "--r-max", type=_positive, help="in Å (default: half the cell, at most 20 Å)"
    )
    parser.add_argument("--r-bin", type=_positive, default=R_BIN_A, help="in Å")


def _register_fsdp(actions: Commands) -> None:
    parser = _file_command(actions, "fsdp", "Fit the first sharp diffraction peak.", run_fsdp)
    parser.add_argument("--weighting", choices=("neutron", "xray"), default="neutron")
    parser.add_argument(
        "--search", type=_positive, nargs=2, default=FSDP_SEARCH_PER_A, help="range in 1/Å"
    )
    parser.add_argument(
        "--half-window", type=_positive, default=FSDP_HALF_WINDOW_PER_A, help="of the fit, in 1/Å"
    )
    parser.add_argument(
        "--background", choices=("none", "constant", "linear"), default=FSDP_BACKGROUND
    )
    parser.add_argument("--q-bin", type=_positive, default=Q_BIN_PER_A, help="in 1/Å")


def _register_network(actions: Commands) -> None:
    parser = _file_command(actions, "network", "Coordination, angles, bonds.", run_network)
    _bond_options(parser)


def _register_homology(actions: Commands) -> None:
    about = "Persistent homology: loops of the atoms of an element, from birth to death."
    parser = _file_command(actions, "homology", about, run_homology)
    parser.add_argument("--element", metavar="SYMBOL", help="of which (default: each)")
    parser.add_argument("--diagram", action="store_true", help="all births and deaths as well")


def set_threads(threads: int | None) -> None:
    """Use so many threads, at most all cores; None for all."""
    import numba

    available = len(os.sched_getaffinity(0))
    wanted = min(threads or available, int(numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    if wanted < 1:
        raise StructureError(f"--threads {threads}: at least 1")
    numba.set_num_threads(wanted)


def _frames(args: argparse.Namespace, bulk: bool = False) -> "list[Atoms]":
    """Read the frames that are asked for, of one composition; of what is no bulk say so."""
    from glassml.structure.frames import check_bulk, read_frames
    from glassml.structure.observables import check_one_composition

    set_threads(args.threads)
    if args.cell is not None and len(args.cell) not in (1, 3, 6):
        raise StructureError("--cell: 1 edge, 3 lengths, or 3 lengths and 3 angles")
    cell = args.cell * 3 if args.cell is not None and len(args.cell) == 1 else args.cell
    options = {"file_format": args.format, "elements": args.elements}
    frames = list(read_frames(args.file, args.topology, cell, args.frames, args.stride, **options))
    check_one_composition(frames)
    try:
        check_bulk(frames[-1], args.file)
    except StructureError as reason:
        if bulk:
            raise
        print(f"glassml: {reason}", file=sys.stderr)
    return frames


def _rule(args: argparse.Namespace) -> "BondRule":
    from glassml.structure.observables import BondRule

    return BondRule(args.cutoff, args.formers, args.bridges)


def _network_keys(network: "Network | None") -> dict[str, object]:
    """Say which elements make the network, which frames have settled, and which are left out."""
    assert network is not None
    return {
        "formers": list(network.formers),
        "bridges": list(network.bridges),
        "left_out": list(network.others),
    }


def _show(document: object, as_json: bool) -> None:
    """Print a document: as JSON on one line, or indented for people; NaN becomes null."""
    text = json.dumps(_finite(document), indent=None if as_json else 1, allow_nan=False)
    print(text, file=sys.stdout)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_rings(args: argparse.Namespace) -> None:
    """Print ring counts per former and ring shapes, means over frames."""
    from glassml.structure.observables import RingObservables, mean_over
    from glassml.structure.rings.export import write_rings
    from glassml.structure.rings.shape import joined, shape_by_size

    frames = _frames(args)
    rule = _rule(args).settled(frames)
    progress = sys.stderr.isatty()
    means = mean_over(RingObservables(args.criterion, args.max_size, rule, progress), frames)
    last = means.frames[-1]
    document: dict[str, object] = {
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
    from glassml.structure.observables import FactorObservables, mean_over
    from glassml.structure.scattering import bhatia_thornton
    from glassml.structure.sq import broaden

    frames = _frames(args, bulk=True)
    factor = mean_over(FactorObservables(args.q_max, args.q_bin, args.q_lattice), frames)

    def curve(values: "np.ndarray") -> list[float]:
        if args.resolution:
            values = broaden(factor.q, values, factor.counts, args.resolution)
        return values.tolist()

    totals, reasons = _totals(factor.total)
    document: dict[str, object] = {"q": factor.q.tolist()}
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


def _totals(
    total: "Callable[[str], np.ndarray]",
) -> tuple[dict[str, "np.ndarray"], dict[str, object]]:
    """Give the totals that can be, and null with a reason for an element without a length."""
    found: dict[str, np.ndarray] = {}
    reasons: dict[str, object] = {}
    for name in ("neutron", "xray"):
        try:
            found[name] = total(name)
        except StructureError as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            reasons |= {name: None, f"{name}_reason": str(reason)}
    return found, reasons


def run_gr(args: argparse.Namespace) -> None:
    """Print partial and total g(r), T(r) and D(r), means over frames."""
    from glassml.structure.observables import PairObservables, mean_over

    means = mean_over(PairObservables(args.r_max, args.r_bin), _frames(args, bulk=True))
    curves = {
        "neutron": means.neutron,
        "xray": means.xray,
        "T_neutron_per_A2": means.t_neutron,
        "D_neutron_per_A2": means.d_neutron,
    }
    document: dict[str, object] = {"r": means.r.tolist()}
    document |= {n: None if c is None else c.tolist() for n, c in curves.items()}
    document["partials"] = {pair: values.tolist() for pair, values in means.partials.items()}
    document["partials_error"] = {pair: values.tolist() for pair, values in means.errors.items()}
    document["density_per_A3"] = means.density
    _show(document, args.json)


def run_fsdp(args: argparse.Namespace) -> None:
    """Print the fit of the first peak, or the reason why there is none."""
    from glassml.structure.fsdp import NoPeakError, fit_peak
    from glassml.structure.observables import FactorObservables, mean_over

    factor = mean_over(FactorObservables(6.0, args.q_bin, 6.0), _frames(args, bulk=True))
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
    from glassml.structure.observables import NetworkObservables, mean_over

    frames = _frames(args)
    observable = NetworkObservables(_rule(args)).settled(frames)
    means = mean_over(observable, frames)

    def pooled(name: str) -> dict[str, np.ndarray]:
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


def run_homology(args: argparse.Namespace) -> None:
    """Print loops per atom, their births, deaths and lives, means over frames."""
    import numpy as np

    from glassml.structure.homology import loop_statistics, persistence_diagram

    frames = _frames(args, bulk=True)
    elements = [args.element] if args.element else sorted(set(frames[-1].symbols))
    document: dict[str, object] = {"frames": len(frames)}
    for element in elements:
        diagrams = [persistence_diagram(atoms, element) for atoms in frames]
        each = [loop_statistics(*diagram) for diagram in diagrams]
        found: dict[str, object] = {
            name: float(np.mean([one[name] for one in each])) for name in each[0]
        }
        if args.diagram:
            found["diagram_A"] = diagrams[-1][0].tolist()
        document[element] = found
    _show(document, args.json)


def _mean_sd(values: "np.ndarray") -> dict[str, float | None]:
    if len(values) == 0:
        return {"mean": None, "sd": None}
    return {"mean": float(values.mean()), "sd": float(values.std())}
