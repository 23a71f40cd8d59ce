"""`glassml campaign`, `plan`, `status` and `doctor`: what belongs to no single stage."""

import argparse
import json
import os
from pathlib import Path

from glassml.campaign.options import Commands, add_command, add_stage


def register(commands: Commands) -> None:
    """Add the campaign's own commands to the parser."""
    actions = add_stage(commands, "campaign", "the configuration of a campaign")
    config = actions.add_parser("config", help="check a configuration, and print it whole")
    config.add_argument("config", type=Path, help="the campaign's YAML file")
    config.set_defaults(run=_print_config)
    keys = actions.add_parser("keys", help="list every key, its default and its meaning")
    keys.add_argument("--markdown", action="store_true", help="as the page docs/keys.md")
    keys.set_defaults(run=_print_keys)
    schema = actions.add_parser("schema", help="print the JSON schema, for editors")
    schema.set_defaults(run=_print_schema)
    check = add_command(actions, "check", _check, "check that the results are consistent")
    check.add_argument("--output", type=Path, required=True, help="written if all is well")
    _register_doctor(commands)
    _register_plan(commands)
    _register_status(commands)
    _register_why(commands)


def _check(args: argparse.Namespace) -> None:
    from glassml.campaign import checks
    from glassml.campaign.config import load_campaign
    from glassml.campaign.files import write_text

    findings = checks.check_all(load_campaign(args.config), args.output.parent)
    text = checks.render(findings)
    print(text)
    failed = [finding.check for finding in findings if finding.faults]
    if failed:
        raise checks.CheckError(f"{len(failed)} checks failed: {'; '.join(failed)}")
    write_text(args.output, text + "\n")


def _register_doctor(commands: Commands) -> None:
    parser = commands.add_parser("doctor", help="check this machine, and say what to mend")
    parser.add_argument("config", type=Path, nargs="?", help="campaign whose needs are checked")
    parser.add_argument("--profile", type=Path, help="Snakemake's, checked against the cluster")
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from glassml.campaign import cluster, doctor

    findings: list[doctor.Finding]
    if args.profile is not None and args.config is None:
        findings = []
    elif args.config is None:
        findings = doctor.examine()
    else:
        from glassml.campaign.config import load_campaign

        campaign = load_campaign(args.config)
        findings = doctor.examine(campaign.dft.xc, campaign.configurations.elements())
    if args.profile is not None:
        findings += cluster.examine_profile(args.profile)
    print(doctor.render(findings))
    return int(any(finding.status == "fail" for finding in findings))


def _print_config(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign, resolved_text

    print(resolved_text(load_campaign(args.config)), end="")


def _print_keys(args: argparse.Namespace) -> None:
    from glassml.campaign.config.reference import describe_keys, keys_page

    print(keys_page() if args.markdown else "\n".join(describe_keys()) + "\n", end="")


def _print_schema(_args: argparse.Namespace) -> None:
    from glassml.campaign.config import Campaign

    print(json.dumps(Campaign.model_json_schema(), indent=1))


def _register_plan(commands: Commands) -> None:
    parser = commands.add_parser("plan", help="what a campaign costs, before anything runs")
    parser.add_argument("config", type=Path, help="the campaign's YAML file")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="cores at hand")
    parser.add_argument("--gpu", action="store_true", help="train and simulate on a GPU")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_plan)


def _plan(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from glassml.campaign import plan
    from glassml.campaign.config import load_campaign

    campaign = load_campaign(args.config)
    items = plan.make_plan(campaign, Path("results") / campaign.name, args.gpu)
    if args.json:
        lines = {"items": [asdict(item) for item in items], "total": plan.total(items)}
        print(json.dumps(lines, indent=1))
    else:
        print(plan.render(items, args.cores))


def _register_status(commands: Commands) -> None:
    parser = commands.add_parser("status", help="what is done, running, failed and waiting")
    parser.add_argument(
        "config",
        type=Path,
        nargs="?",
        default=Path("config/config.yaml"),
        help="the campaign's YAML file (default: %(default)s)",
    )
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="cores at hand")
    parser.set_defaults(run=_status)


def _status(args: argparse.Namespace) -> None:
    from glassml.campaign import status
    from glassml.campaign.config import load_campaign

    print(status.render(status.examine(load_campaign(args.config)), args.cores))


def _register_why(commands: Commands) -> None:
    parser = commands.add_parser("why", help="which input, setting or code makes a file stale")
    parser.add_argument("file", help="below results/, as Snakemake names it")
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("config/config.yaml"),
        help="the campaign's YAML file (default: %(default)s)",
    )
    parser.add_argument("--snakefile", type=Path, default=Path("Snakefile"), help="the workflow")
    parser.set_defaults(run=_why)


def _why(args: argparse.Namespace) -> None:
    from glassml.campaign.why import render, why

    print(render(args.file, why(args.file, args.config, args.snakefile)))
