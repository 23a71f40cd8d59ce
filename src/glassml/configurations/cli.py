"""`glassml configurations`: make the structures of a shard."""

import argparse
from pathlib import Path

from glassml.campaign.errors import GlassmlError
from glassml.campaign.options import Commands, add_command, add_stage


def register(commands: Commands) -> None:
    """Add the stage's commands to the parser."""
    actions = add_stage(commands, "configurations", "structures to label")
    generate = add_command(actions, "generate", _generate, "make one shard of a family")
    generate.add_argument("--family", required=True, help="name of the family")
    generate.add_argument("--shard", type=int, required=True, help="number of the shard, from 0")
    generate.add_argument("--output", type=Path, required=True, help="extxyz; a CSV beside it")


def _generate(args: argparse.Namespace) -> None:
    from glassml.campaign.config import load_campaign
    from glassml.configurations.shard import generate_shard, write_shard

    campaign = load_campaign(args.config)
    section = campaign.configurations
    if args.family not in section.families:
        known = ", ".join(section.families) or "none"
        raise GlassmlError(f"--family {args.family}: no such family; known: {known}")
    if not 0 <= args.shard < section.shards(args.family):
        raise GlassmlError(
            f"--shard {args.shard}: {args.family} has shards 0 to {section.shards(args.family) - 1}"
        )
    family = section.families[args.family]
    structures, rows = generate_shard(
        args.family,
        args.shard,
        family,
        shard_size=section.family_shard_size(args.family),
        seed=campaign.seed,
    )
    write_shard(args.output, structures, rows)
    refused = [row for row in rows if row["status"] == "refused"]
    print(f"{args.output}: {len(structures)} configurations made, {len(refused)} refused")
    for row in refused:
        print(f"  {row['config_id']}: {row['reason']}")
