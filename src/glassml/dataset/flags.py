"""Filters as flags: what is wrong with a label is written down, and nothing is deleted."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase.units import GPa
from scipy.spatial import cKDTree

from glassml.configurations.fingerprint import fingerprints
from glassml.dataset.labels import Entry, largest_force, shortest_by_limit

# Short distances are what these are for.
_SHORT_ON_PURPOSE = {"dimer", "short_pair", "isolated_atom"}


def flag_entries(
    entries: Sequence[Entry],
    *,
    force_max_eV_A: float,
    stress_max_GPa: float,
    limits: Mapping[tuple[str, str], float],
    duplicate_distance: float,
) -> None:
    """Add `force`, `stress`, `short_bond` and `duplicate` to the flags of entries with labels.

    Parameters
    ----------
    entries
        In order: of two near-copies the later one is flagged.
    limits
        Shortest distances in Å by pair of symbols, alphabetically ordered.
    duplicate_distance
        Of the fingerprints of `glassml.configurations.fingerprint`.
    """
    for entry in entries:
        if entry.atoms is None:
            continue
        if largest_force(entry.atoms) > force_max_eV_A:
            _flag(entry, "force", f"largest force {largest_force(entry.atoms):.1f} eV/Å")
        stress = np.abs(entry.atoms.info.get("REF_stress", np.zeros(6))).max() / GPa
        if stress > stress_max_GPa:
            _flag(entry, "stress", f"stress {stress:.0f} GPa")
        close = shortest_by_limit(entry.atoms, limits)
        if close and entry.config_type not in _SHORT_ON_PURPOSE:
            _flag(entry, "short_bond", close)
    _flag_duplicates([e for e in entries if e.atoms is not None], duplicate_distance)


def near_copies(prints: np.ndarray, threshold: float) -> dict[int, int]:
    """Find rows within `threshold` of an earlier row that is no copy itself.

    Parameters
    ----------
    prints
        Shape (structures, features), finite.

    Returns
    -------
    dict
        The earlier row by the later one.
    """
    copies: dict[int, int] = {}
    pairs = cKDTree(prints).query_pairs(threshold, output_type="ndarray")
    for first, second in sorted(pairs.tolist()):
        if first not in copies and second not in copies:
            copies[second] = first
    return copies


def _flag_duplicates(labelled: Sequence[Entry], threshold: float) -> None:
    prints = fingerprints([entry.atoms for entry in labelled if entry.atoms is not None])
    kinds: dict[bytes, list[int]] = {}
    for index, row in enumerate(prints):
        # A structure without an element has NaN there: it is compared with its like.
        kinds.setdefault(np.isnan(row).tobytes(), []).append(index)
    for members in kinds.values():
        for later, earlier in near_copies(np.nan_to_num(prints[members]), threshold).items():
            entry, other = labelled[members[later]], labelled[members[earlier]]
            if not entry.isolated:
                _flag(entry, "duplicate", f"of {other.config_id}{_disagreement(entry, other)}")


def _disagreement(entry: Entry, other: Entry) -> str:
    """Say by how much the energies of two near-copies differ, where it is more than 5 meV/atom."""
    one, two = (e.atoms.info["REF_energy"] / len(e.atoms) for e in (entry, other) if e.atoms)
    difference = 1000 * abs(one - two)
    return f", whose energy differs by {difference:.1f} meV/atom" if difference > 5 else ""


def _flag(entry: Entry, flag: str, reason: str) -> None:
    entry.flags.append(flag)
    entry.reason = "; ".join(part for part in (entry.reason, reason) if part)
