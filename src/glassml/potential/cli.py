"""`glassml potential`."""

import argparse


def register(commands: argparse._SubParsersAction) -> None:
    """Add the stage's commands to the parser."""
    parser = commands.add_parser("potential")
    parser.add_subparsers(dest="action", required=True, metavar="ACTION")
