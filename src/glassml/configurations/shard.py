"""A shard: the numbered configurations of a family, and what became of each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from tqdm import tqdm

from glassml.campaign.config.configurations import AnyFamily
from glassml.campaign.errors import StructureError
from glassml.campaign.files import atomic_path, write_csv
from glassml.campaign.seeds import derive_seed
from glassml.campaign.units import density_g_cm3
from glassml.configurations.fingerprint import fingerprints
from glassml.configurations.generators import Candidate, Draw, candidate
from glassml.configurations.screening import (
    check_distances,
    check_sanity,
    farthest_points,
    near_duplicates,
    shortest_distances,
)

COLUMNS = (
    "config_id",
    "status",
    "reason",
    "config_type",
    "parent",
    "candidate",
    "attempts",
    "atoms",
    "density_g_cm3",
    "shortest_Si_O_A",
    "shortest_O_O_A",
    "shortest_Si_Si_A",
)
DECIMALS = 8
# Their point is what others are refused for: short distances, few atoms.
_EXEMPT = {"dimer", "isolated_atom", "short_pair"}


@dataclass
class Slot:
    """A candidate, or why there is none."""

    candidate: int
    attempts: int
    result: Candidate | None
    reason: str = ""


def generate_shard(
    family: str, shard: int, section: AnyFamily, *, shard_size: int, seed: int
) -> tuple[list[Atoms], list[dict[str, object]]]:
    """Make configurations `shard * shard_size` up to the next shard's first or `count`.

    Candidate numbers are those of the configurations times `oversample`; the most diverse are kept
    by farthest-point selection on the fingerprints.

    Parameters
    ----------
    family
        Its name.
    section
        How it is made.
    shard_size
        Configurations of a shard.
    seed
        Of the campaign.

    Returns
    -------
    structures : list of Atoms
        Those delivered, in order, with `config_type`, `family`, `parent`, `config_id`, `seed`.
    rows : list of dict
        One per configuration with `COLUMNS`; `status` is `made` or `refused`.
    """
    first, last = shard * shard_size, min((shard + 1) * shard_size, section.count)
    slots = [
        _slot(family, index, seed, section)
        for index in tqdm(
            range(first * section.oversample, last * section.oversample),
            desc=f"{family}/{shard:04d}",
            unit="",
        )
    ]
    prints = _fingerprints(slots)
    _refuse_duplicates(slots, prints, section.duplicate_distance)
    structures, rows = [], []
    for index, slot in zip(range(first, last), _select(slots, prints, last - first), strict=True):
        config_id = f"{family}/{index:06d}"
        rows.append(_row(config_id, slot))
        if slot.result is not None:
            atoms = slot.result.atoms
            atoms.info.update(
                config_type=slot.result.config_type,
                family=family,
                parent=slot.result.parent,
                config_id=config_id,
                seed=derive_seed(seed, "configurations", family, slot.candidate),
            )
            structures.append(atoms)
    return structures, rows


def write_shard(path: str | Path, structures: list[Atoms], rows: list[dict[str, object]]) -> None:
    """Write the structures to `path` (extxyz) and the rows to the CSV beside it.

    Positions and cells have 8 decimals, in the file as in `generate_shard`. A shard of which
    nothing is left is an empty file.
    """
    path = Path(path)
    write_csv(path.with_suffix(".csv"), rows, COLUMNS)
    with atomic_path(path) as temporary:
        write(temporary, structures, format="extxyz")


def tidy(atoms: Atoms) -> Atoms:
    """Wrap into the cell and round positions and cell, so that a file holds them exactly."""
    tidied = atoms.copy()
    tidied.set_cell(np.round(tidied.cell[:], DECIMALS) + 0.0)
    tidied.wrap()
    tidied.positions = np.round(tidied.positions, DECIMALS) + 0.0
    return tidied


def _slot(family: str, index: int, seed: int, section: AnyFamily) -> Slot:
    """Try until a candidate passes; a file has only one try."""
    tries = 1 if section.generator == "file" else section.attempts
    reason = ""
    for attempt in range(tries):
        try:
            made = candidate(Draw(family, index, attempt, seed), section)
            check_sanity(made.atoms, {"Si", "O"})
            if made.config_type not in _EXEMPT:
                check_distances(made.atoms, section.shortest_distances.limits())
        except StructureError as error:
            reason = str(error)
            continue
        made.atoms.pbc = True
        made = Candidate(tidy(made.atoms), made.config_type, made.parent)
        return Slot(index, attempt + 1, made)
    return Slot(index, tries, None, reason)


def _fingerprints(slots: list[Slot]) -> np.ndarray:
    """Describe all candidates; rows of those that failed are NaN."""
    made = [slot.result.atoms for slot in slots if slot.result is not None]
    if not made:
        return np.full((len(slots), 1), np.nan)
    values = fingerprints(made)
    prints = np.full((len(slots), values.shape[1]), np.nan)
    prints[[slot.result is not None for slot in slots]] = values
    return prints


def _refuse_duplicates(slots: list[Slot], prints: np.ndarray, threshold: float) -> None:
    for later, earlier, distance in near_duplicates(prints, threshold):
        slots[later].result = None
        slots[
            later
        ].reason = (
            f"near-duplicate of candidate {slots[earlier].candidate} (distance {distance:.4f})"
        )


def _select(slots: list[Slot], prints: np.ndarray, number: int) -> list[Slot]:
    """Keep `number` slots, the most diverse first; failed ones only where too few are left."""
    if number == len(slots):
        return slots
    good = [index for index, slot in enumerate(slots) if slot.result is not None]
    bad = [slot for slot in slots if slot.result is None]
    chosen = [good[k] for k in farthest_points(np.nan_to_num(prints[good]), number)]
    return [slots[index] for index in sorted(chosen)] + bad[: number - len(chosen)]


def _row(config_id: str, slot: Slot) -> dict[str, object]:
    row: dict[str, object] = {
        "config_id": config_id,
        "status": "refused" if slot.result is None else "made",
        "reason": slot.reason,
        "candidate": slot.candidate,
        "attempts": slot.attempts,
    }
    if slot.result is not None:
        atoms = slot.result.atoms
        shortest = shortest_distances(atoms)
        row |= {
            "config_type": slot.result.config_type,
            "parent": slot.result.parent,
            "atoms": len(atoms),
            "density_g_cm3": f"{density_g_cm3(atoms):.4f}",
        }
        for name, pair in (("Si_O", ("O", "Si")), ("O_O", ("O", "O")), ("Si_Si", ("Si", "Si"))):
            if pair in shortest:
                row[f"shortest_{name}_A"] = f"{shortest[pair]:.4f}"
    return row
