"""Commands and options that stages declare alike."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

#: What commands are added to.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def add_stage(commands: Commands, name: str, help_text: str) -> Commands:
    """Add a stage's command, and give what its own commands are added to."""
    parser = commands.add_parser(name, help=help_text)
    return parser.add_subparsers(dest="action", required=True, metavar="ACTION")


def add_command(
    actions: Commands, name: str, run: Callable[[argparse.Namespace], object], help_text: str
) -> argparse.ArgumentParser:
    """Add a command that takes the campaign's configuration."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text)
    add_config(parser)
    parser.set_defaults(run=run)
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the campaign's configuration."""
    parser.add_argument("--config", type=Path, required=True, help="the campaign's configuration")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where a potential is evaluated."""
    parser.add_argument("--device", help="cpu or cuda; default: a GPU if there is one")
