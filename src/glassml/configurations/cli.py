"""`glassml configurations`."""

import argparse


def register(commands: argparse._SubParsersAction) -> None:
    """Add the stage's commands to the parser."""
    parser = commands.add_parser("configurations")
    parser.add_subparsers(dest="action", required=True, metavar="ACTION")
