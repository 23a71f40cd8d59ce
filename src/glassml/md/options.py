"""Options that commands of `glassml md` share."""

import argparse
from pathlib import Path

from glassml.campaign.options import add_config, add_device


def add_state_options(command: argparse.ArgumentParser) -> None:
    """Add which state is run, and where it begins."""
    command.add_argument("--state", required=True, help="name of the state")
    command.add_argument(
        "--parent",
        type=Path,
        nargs="*",
        default=[],
        help="restart.npz and record.json in the parent state, of each glass that is run",
    )


def add_common_options(command: argparse.ArgumentParser) -> None:
    """Add what all runs need."""
    add_config(command)
    command.add_argument(
        "--potential",
        type=Path,
        required=True,
        help="NequIP package, or the name of a published potential, as a negative control: bks, "
        "chik or shik with engine torch or lammps, vashishta or tersoff with lammps",
    )
    command.add_argument("--gates", type=Path, help="gates.json of the potential; red is refused")
    add_device(command)
    command.add_argument(
        "--start",
        type=Path,
        nargs="*",
        default=[],
        help="restart.npz of classical quenches, each in a folder with the glass's name; without "
        "them a melt that begins so makes its own",
    )
    command.add_argument(
        "--committee",
        type=Path,
        nargs="*",
        default=[],
        help="packages of further members, for guards.max_force_spread_eV_A",
    )
    add_labels(command)
    command.add_argument("--output-dir", type=Path, required=True)


def add_labels(command: argparse.ArgumentParser) -> None:
    """Add by what shortcuts are verified."""
    command.add_argument(
        "--labels",
        type=Path,
        nargs="*",
        default=[],
        help="test labels, on which md.shortcuts of a neural network are verified",
    )


def add_pressure(command: argparse.ArgumentParser) -> None:
    """Add under which pressure a classical potential melts and quenches."""
    command.add_argument(
        "--pressure-GPa",
        type=float,
        required=True,
        help="of the melt and of its quench: that at which a state without a parent begins",
    )


def add_glasses(command: argparse.ArgumentParser) -> None:
    """Add which glasses are run."""
    command.add_argument(
        "--glasses",
        nargs="+",
        default=[],
        help="these in a batch of their own, with random numbers of their own; default: all",
    )


def positive(text: str) -> int:
    """Read a number that is at least 1."""
    if not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1")
    return int(text)
