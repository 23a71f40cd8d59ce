"""`glassml md`."""

import argparse


def register(commands: argparse._SubParsersAction) -> None:
    """Add the stage's commands to the parser."""
    parser = commands.add_parser("md")
    parser.add_subparsers(dest="action", required=True, metavar="ACTION")
