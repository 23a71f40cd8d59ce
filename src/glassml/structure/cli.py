"""`glassml structure`: observables of one file, of a glass of a campaign, of all its states."""

import argparse
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from glassml.campaign.errors import StructureError
from glassml.campaign.files import read_json
from glassml.campaign.options import Commands, add_command, add_stage
from glassml.structure.file_commands import register_files, set_threads

if TYPE_CHECKING:
    from ase import Atoms


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "structure", "S(Q), FSDP, rings, network of structures")
    register_files(actions)
    crystals = actions.add_parser("crystals", help="check the ring searches on known crystals")
    crystals.set_defaults(run=run_crystals)
    _register_campaign(actions)


def _register_campaign(actions: Commands) -> None:
    analyse = add_command(
        actions, "analyse", run_analyse, "all observables of a glass of a campaign"
    )
    analyse.add_argument("--state", required=True)
    analyse.add_argument("--glass", required=True)
    analyse.add_argument("--trajectory", required=True)
    analyse.add_argument("--final", required=True)
    analyse.add_argument("--record", help="record.json of the run")
    analyse.add_argument(
        "--parent",
        nargs="*",
        default=[],
        help="final.extxyz of the state that the run continues, for the bonds that it kept",
    )
    analyse.add_argument("--output-dir", required=True)
    analyse.add_argument("--threads", type=int)
    summary = add_command(
        actions, "summary", run_summary, "means and errors over glasses, by state"
    )
    summary.add_argument("--input-dir", required=True, help="results/…/structure")
    summary.add_argument("--output-dir", required=True)
    summary.add_argument("--states", nargs="+", help="these alone; default: all")


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
    from glassml.structure.frames import read_frames
    from glassml.structure.glass import analyse_glass, set_aside, write_glass

    section = load_campaign(args.config).structure
    set_threads(args.threads)
    try:
        frames = _campaign_frames(args, section.frames, section.stride)
        parents = [atoms for path in args.parent for atoms in read_frames(path)]
        parent = parents[-1] if parents else None
        documents, tables = analyse_glass(frames, section, progress=True, parent=parent)
    except StructureError as reason:
        print(f"{args.state} {args.glass} is set aside: {reason}", file=sys.stderr)
        documents, tables = set_aside(str(reason))
    documents["network.json"] |= {"state": args.state, "glass": args.glass}
    write_glass(args.output_dir, documents, tables)


def _campaign_frames(args: argparse.Namespace, last: int, stride: int) -> "list[Atoms]":
    """Frames of the last MD stage; none of a run that did not finish."""
    from glassml.structure.frames import read_frames

    start = 0
    if args.record is not None:
        record = read_json(Path(args.record))
        if record["status"] != "finished":
            raise StructureError(f"the run is {record['status']}: {record.get('reason')}")
        start = record["stages"][-1]["frames"][0]
    frames = read_frames(args.trajectory, args.final, None, last, stride, start)
    try:
        return list(frames)
    except StructureError as reason:
        # A last MD stage without a frame: where it ended is one.
        if "holds no frame" not in str(reason):
            raise
        return list(read_frames(args.final))


def run_summary(args: argparse.Namespace) -> None:
    """Write the tables of all states, or of those that are asked for."""
    from glassml.campaign.config import load_campaign
    from glassml.campaign.seeds import generator
    from glassml.structure.summary import summarise

    campaign = load_campaign(args.config)
    section, md = campaign.structure, campaign.md
    root = Path(args.input_dir)
    states = args.states or list(md.states)
    for state in states:
        md.check_state(state)
    summarise(
        {state: [root / state / glass for glass in md.glass_names()] for state in states},
        args.output_dir,
        generator(campaign.seed, "structure", "bootstrap"),
        section,
    )
