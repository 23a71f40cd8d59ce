"""Glasses at rest by labels, with no force and no pressure: what a potential's angles are held to.

Unlike `glassml.dft.polymorphs`, the cell follows the stress of the labels, Pulay stress included:
a potential learns that stress too, so that both rest at the same wrong pressure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ase import Atoms
from tqdm import tqdm

from glassml.campaign.store import LabelStore
from glassml.dft.labels import label_key, labelled_atoms
from glassml.dft.polymorphs import on_grid
from glassml.dft.relaxation import Relaxation
from glassml.dft.settings import kpoint_grid
from glassml.dft.shard import label_shard

COLUMNS = ("config_id", "status", "reason", "steps", "largest_force_eV_A", "volume_ratio")


@dataclass
class Rest:
    """What became of one structure.

    Attributes
    ----------
    start
        Where it began, with its `info`.
    relaxation
        Its course.
    reason
        Why it was given up; empty where it was not.
    """

    start: Atoms
    relaxation: Relaxation
    reason: str = ""

    @property
    def moves(self) -> bool:
        """Tell whether it needs another label."""
        return not (self.reason or self.relaxation.at_rest)


def relax_glasses(
    starts: Sequence[Atoms],
    dft: Mapping[str, Any],
    store: LabelStore,
    *,
    fmax_eV_A: float,
    max_steps: int,
    processes: int = 1,
) -> list[Rest]:
    """Relax positions and cells side by side; what cannot be is set aside with its reason.

    Parameters
    ----------
    starts
        Structures, best from a potential that is nearly right. Each keeps its grid of k points.
    dft
        Section `dft` of a campaign as a mapping.
    store
        Every label goes through it: called again, it goes on where it was.
    fmax_eV_A, max_steps
        When a relaxation is at rest, and when it is given up.
    processes
        Structures at once.
    """
    rests = [Rest(atoms, Relaxation(atoms, fmax_eV_A, constant_volume=False)) for atoms in starts]
    grids = [kpoint_grid(atoms, dft["kpoint_spacing_per_A"]) for atoms in starts]
    with tqdm(total=len(rests), desc="relaxations", unit="structure") as progress:
        while moving := [
            (rest, grid) for rest, grid in zip(rests, grids, strict=True) if rest.moves
        ]:
            now = [rest.relaxation.atoms for rest, _ in moving]
            sections = [on_grid(rest.relaxation.atoms, grid, dft) for rest, grid in moving]
            records = label_shard(now, sections, store, processes).records
            for (rest, _), record in zip(moving, records, strict=True):
                _tell(rest, record, max_steps)
            progress.update(sum(not rest.moves for rest in rests) - progress.n)
            progress.set_postfix(steps=max(rest.relaxation.steps for rest in rests))
    return rests


def _tell(rest: Rest, record: Mapping[str, Any], max_steps: int) -> None:
    if record["status"] != "converged":
        rest.reason = f"{record['status']}: {record['reason']}"
        return
    rest.relaxation.tell(record)
    if rest.relaxation.steps > max_steps:
        rest.reason = f"not at rest after {max_steps} steps"


def labelled(rests: Sequence[Rest]) -> list[Atoms]:
    """Give those at rest, labelled, with the `info` of where they began."""
    frames = []
    for rest in rests:
        if rest.relaxation.at_rest:
            atoms, record = rest.relaxation.result(), rest.relaxation.record
            atoms.info = dict(rest.start.info)
            frames.append(labelled_atoms(atoms, label_key(atoms, record["settings"]), record))
    return frames


def rows(rests: Sequence[Rest]) -> list[dict[str, Any]]:
    """List what became of each: rows with `COLUMNS`; the volume is over that of the start."""
    return [
        {
            "config_id": rest.start.info.get("config_id", str(number)),
            "status": "at rest" if rest.relaxation.at_rest else "given up",
            "reason": rest.reason,
            "steps": rest.relaxation.steps,
            "largest_force_eV_A": f"{rest.relaxation.largest_force:.4f}",
            "volume_ratio": f"{rest.relaxation.atoms.get_volume() / rest.start.get_volume():.6f}",
        }
        for number, rest in enumerate(rests)
    ]
