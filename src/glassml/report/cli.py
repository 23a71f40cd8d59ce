"""`glassml report`: the page of a campaign."""

import argparse
from pathlib import Path

from glassml.campaign.options import Commands, add_command, add_stage


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "report", "the page of a campaign")
    build = add_command(actions, "build", _build, "write the page, its figures and tables")
    build.add_argument("--results", type=Path, required=True, help="folder results/{campaign}")
    build.add_argument("--output-dir", type=Path, required=True)
    build.add_argument(
        "--rules", type=Path, help="rules and thresholds of the findings (default: the program's)"
    )
    compare = actions.add_parser("compare", help="two campaigns side by side")
    compare.add_argument("one", type=Path, help="folder results/{campaign}")
    compare.add_argument("other", type=Path, help="folder results/{campaign}")
    compare.add_argument("--output-dir", type=Path, required=True)
    compare.set_defaults(run=_compare)


def _compare(args: argparse.Namespace) -> None:
    from glassml.report.compare import compare, text_of

    print(text_of(compare(args.one, args.other, args.output_dir)))
    print(args.output_dir / "report.html")


def _build(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.report.build import build

    config = load_campaign(args.config).model_dump(mode="json")
    summary = build(args.results, args.output_dir, config, args.rules)
    verdicts = [row["verdict"] for row in summary["acceptance"]]
    print(summary["banner"]["headline"])
    print(", ".join(f"{verdicts.count(v)} {v}" for v in ("pass", "fail", "not reached")))
    print(args.output_dir / "report.html")
