"""Training, validation and test set by parent: no near-copy crosses, and growth moves nobody."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from glassml.campaign.errors import StructureError

SETS = ("train", "validation", "test")
_GOLDEN = 0.6180339887498949


def place(parent: str, seed: int) -> float:
    """Give a parent its place in [0, 1): a function of its name and the seed alone.

    Parents that end in a number (`liquid/00017`) follow each other by the golden ratio from a
    hashed start, so that of any run of numbers each interval gets its share to within one or two
    (a stratified split of each family); others are hashed.
    """
    match = re.fullmatch(r"(.*?)(\d{1,9})", parent)
    stem, number = (match[1], int(match[2])) if match else (parent, 0)
    digest = hashlib.sha256(f"{seed}/dataset/{stem}".encode()).digest()
    return (int.from_bytes(digest[:6]) / 2**48 + number * _GOLDEN) % 1.0


def split_parents(
    sizes: Mapping[str, int],
    seed: int,
    validation_fraction: float,
    test_fraction: float,
) -> tuple[dict[str, str], list[str]]:
    """Assign each parent to a set.

    Parameters
    ----------
    sizes
        Number of configurations of each parent that may be held out.
    seed
        Of the campaign.
    validation_fraction, test_fraction
        Shares of parents.

    Returns
    -------
    assignment : dict
        `train`, `validation` or `test` by parent. A parent's set depends on its name only, and so
        stays when others come, with one exception:
    moved : list of str
        Parents that were taken from training since a set would have been empty. It happens with
        few parents only.

    Raises
    ------
    StructureError
        If there are fewer than three parents.
    """
    if len(sizes) < 3:
        raise StructureError(
            f"{len(sizes)} parent(s) cannot be split into three sets: make more families or "
            "raise their counts (config types in dataset.train_only do not count)"
        )
    assignment = {}
    for parent in sizes:
        at = place(parent, seed)
        held_out = "validation" if at < test_fraction + validation_fraction else "train"
        assignment[parent] = "test" if at < test_fraction else held_out
    moved = [_fill(name, assignment, seed) for name in SETS if name not in assignment.values()]
    return assignment, moved


def check_disjoint(parents: Mapping[str, Iterable[str]]) -> None:
    """Refuse sets that share a parent.

    Raises
    ------
    StructureError
        With the parent and the sets.
    """
    where = defaultdict(set)
    for name, members in parents.items():
        for parent in members:
            where[parent].add(name)
    for parent, names in where.items():
        if len(names) > 1:
            raise StructureError(f"parent {parent} is in {' and '.join(sorted(names))}")


def _fill(empty: str, assignment: dict[str, str], seed: int) -> str:
    """Move the parent of lowest place from the largest set to an empty one."""
    sets = list(assignment.values())
    largest = max(SETS, key=sets.count)
    parent = min(
        (p for p, name in assignment.items() if name == largest), key=lambda p: (place(p, seed), p)
    )
    assignment[parent] = empty
    return parent
