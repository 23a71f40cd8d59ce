"""`glassml campaign`, `plan`, `status` and `doctor`: what belongs to no single stage."""

import argparse
import json
from pathlib import Path


def register(commands: argparse._SubParsersAction) -> None:
    """Add the campaign's own commands to the parser."""
    campaign = commands.add_parser("campaign", help="the configuration of a campaign")
    actions = campaign.add_subparsers(dest="action", required=True, metavar="ACTION")
    config = actions.add_parser("config", help="write the resolved configuration")
    config.add_argument("--json", required=True, help="the configuration, as JSON")
    config.add_argument("--output", type=Path, required=True)
    config.set_defaults(run=_write_config)


def _write_config(args: argparse.Namespace) -> None:
    import yaml

    from glassml.campaign.config import parse_campaign
    from glassml.campaign.files import write_text

    campaign = parse_campaign(json.loads(args.json), "--json")
    text = yaml.safe_dump(campaign.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(args.output, text)
