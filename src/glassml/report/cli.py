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
    budget = actions.add_parser("budget", help="what the FSDP is uncertain by, source by source")
    budget.add_argument("results", type=Path, help="folder results/{campaign}")
    budget.add_argument(
        "others",
        nargs="*",
        metavar="SOURCE=RESULTS",
        help="a campaign that differs in functional, committee, rate, size or anneal",
    )
    budget.add_argument("--output", type=Path, required=True, help="the table, as CSV")
    budget.set_defaults(run=_budget)


def _compare(args: argparse.Namespace) -> None:
    from glassml.report.compare import compare, text_of

    print(text_of(compare(args.one, args.other, args.output_dir)))
    print(args.output_dir / "report.html")


def _budget(args: argparse.Namespace) -> None:
    from glassml.campaign.files import write_text
    from glassml.report.budget import as_table, budget, for_page
    from glassml.report.campaigns import CompareError, load_results
    from glassml.report.evidence import Evidence
    from glassml.report.figures import table_text

    others = []
    for text in args.others:
        source, equals, folder = text.partition("=")
        if not equals:
            raise CompareError(f"{text!r}: expected SOURCE=RESULTS, as size=results/silica_9000")
        others.append((source, Evidence(load_results(Path(folder)))))
    entries = budget(Evidence(load_results(args.results)), others)
    write_text(args.output, table_text(as_table(entries)))
    print(for_page(entries).to_string(index=False))
    print(args.output)


def _build(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.report.build import build

    config = load_campaign(args.config)
    summary = build(args.results, args.output_dir, config, args.rules)
    verdicts = [row["verdict"] for row in summary["acceptance"]]
    print(summary["banner"]["headline"])
    print(", ".join(f"{verdicts.count(v)} {v}" for v in ("pass", "fail", "not reached")))
    print(args.output_dir / "report.html")
