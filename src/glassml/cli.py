"""The `glassml` command: one subcommand per stage, and those of the campaign itself."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from glassml.campaign.errors import GlassmlError, Interrupted, file_trouble
from glassml.campaign.names import STAGES
from glassml.campaign.process import live_for, output_is_closed
from glassml.campaign.signals import ends_its_time, listen, wait_to_be_ended
from glassml.campaign.trust import trust_campaign

#: Stages whose commands load potentials.
LOADING = {"potential", "md", "studies"}


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command from each stage's `cli.register`."""
    parser = argparse.ArgumentParser(prog="glassml", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="log more, and show tracebacks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for stage in ("campaign", *STAGES):
        import_module(f"glassml.{stage}.cli").register(commands)
    return parser


def _trust_packages(args: argparse.Namespace) -> None:
    """Trust the potentials that the campaign made or names, for the commands that load some."""
    config = getattr(args, "config", None)
    if args.command not in LOADING or config is None:
        return
    from glassml.campaign.config import load_campaign

    campaign = load_campaign(config)
    for results in (config.parent, Path("results") / campaign.name):
        trust_campaign(results, campaign.potential.trust)


def _tell(error: GlassmlError | OSError) -> int | None:
    """Tell of an error that a user can mend, and give the exit code; None of any other."""
    if isinstance(error, BrokenPipeError) and output_is_closed():
        return 128 + signal.SIGPIPE  # a reader as `head` has read enough
    trouble = str(error) if isinstance(error, GlassmlError) else file_trouble(error)
    if trouble is None:
        return None
    print(f"glassml: {trouble}", file=sys.stderr)
    return 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, of this process where none is given.

    Errors that a user can mend are one message and exit code 2.
    """
    if argv is None:
        return live_for(partial(main, sys.argv[1:]))
    args = build_parser().parse_args(argv)
    args.argv = list(argv)
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    listen()
    try:
        _trust_packages(args)
        return args.run(args) or 0
    except (GlassmlError, OSError) as error:
        code = None if args.verbose else _tell(error)
        if code is None:
            raise
        return code
    except Interrupted as interruption:
        logging.getLogger(__name__).warning("%s", interruption)
        if ends_its_time(interruption):
            wait_to_be_ended()
        return 128 + interruption.number
    except KeyboardInterrupt:
        print("glassml: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
