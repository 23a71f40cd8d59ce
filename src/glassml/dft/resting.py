"""Glasses at rest by labels, with no force and no pressure: what a potential's angles are held to.

Unlike `glassml.dft.polymorphs`, the cell follows the stress of the labels, Pulay stress included:
a potential learns that stress too, so that both rest at the same wrong pressure.
"""

from collections.abc import Sequence

from ase import Atoms

from glassml.campaign.config.dft import Dft
from glassml.campaign.store import LabelRecord, LabelStore
from glassml.dft.labels import label_key, labelled_atoms
from glassml.dft.polymorphs import on_grid
from glassml.dft.relaxation import Guide, Relaxation, relax_together
from glassml.dft.settings import kpoint_grid
from glassml.dft.shard import label_shard

COLUMNS = ("config_id", "status", "reason", "steps", "largest_force_eV_A", "volume_ratio")


def relax_glasses(
    starts: Sequence[Atoms],
    dft: Dft,
    store: LabelStore,
    *,
    fmax_eV_A: float,
    max_steps: int,
    processes: int = 1,
    guide: Guide | None = None,
) -> list[Relaxation]:
    """Relax positions and cells side by side; what cannot be is set aside with its reason.

    Parameters
    ----------
    starts
        Structures, best from a potential that is nearly right. Each keeps its grid of k points.
    dft
        Section `dft` of a campaign.
    store
        Every label goes through it: called again, it goes on where it was.
    fmax_eV_A, max_steps
        When a relaxation is at rest, and when it is given up.
    processes
        Structures at once.
    guide
        As for `relax_together`, as `glassml.dft.guide.package_guide` gives it.
    """
    grids = [kpoint_grid(atoms, dft.kpoint_spacing_per_A) for atoms in starts]
    numbered = [atoms.copy() for atoms in starts]
    for number, atoms in enumerate(numbered):
        atoms.info["start"] = number

    def label(structures: Sequence[Atoms]) -> Sequence[LabelRecord]:
        sections = [on_grid(atoms, grids[atoms.info["start"]], dft) for atoms in structures]
        return label_shard(structures, sections, store, processes).records

    return relax_together(
        numbered,
        label,
        fmax_eV_A=fmax_eV_A,
        max_steps=max_steps,
        constant_volume=False,
        guide=guide,
    )


def labelled(starts: Sequence[Atoms], relaxations: Sequence[Relaxation]) -> list[Atoms]:
    """Give those at rest, labelled, with the `info` of where they began."""
    frames = []
    for start, relaxation in zip(starts, relaxations, strict=True):
        if relaxation.at_rest:
            atoms, record = relaxation.result(), relaxation.record
            atoms.info = dict(start.info)
            frames.append(labelled_atoms(atoms, label_key(atoms, record["settings"]), record))
    return frames


def rows(starts: Sequence[Atoms], relaxations: Sequence[Relaxation]) -> list[dict[str, object]]:
    """List what became of each: rows with `COLUMNS`; the volume is over that of the start."""
    return [
        {
            "config_id": start.info.get("config_id", str(number)),
            "status": "at rest" if relaxation.at_rest else "given up",
            "reason": relaxation.reason,
            "steps": relaxation.steps,
            "largest_force_eV_A": f"{relaxation.largest_force:.4f}",
            "volume_ratio": f"{relaxation.atoms.get_volume() / start.get_volume():.6f}",
        }
        for number, (start, relaxation) in enumerate(zip(starts, relaxations, strict=True))
    ]
