"""The labels that ship, read once for all tests of a process."""

from functools import cache
from pathlib import Path

from glassml.campaign.extxyz import read_extxyz

RESOURCES = Path(__file__).parents[1] / "resources"


@cache
def shipped(name):
    return tuple(read_extxyz(RESOURCES / name))
