"""Glasses at rest by labels, with no force and no pressure: what a potential's angles are held to.

Unlike `glassml.dft.polymorphs`, the cell follows the stress of the labels, Pulay stress included:
a potential learns that stress too, so that both rest at the same wrong pressure.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from ase import Atoms

from glassml.campaign.config.dft import Dft
from glassml.campaign.store import LabelRecord, LabelStore
from glassml.dft.labels import label_key, labelled_atoms
from glassml.dft.polymorphs import on_grid
from glassml.dft.relaxation import Guide, Relaxation, guided_rest, relax_together
from glassml.dft.settings import kpoint_grid
from glassml.dft.shard import label_shard
from glassml.potential.packages import telling_what_is_wrong

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
        As for `relax_together`, as `package_guide` gives it.
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


def package_guide(package: Path, device: str, processes: int) -> Guide:
    """Make a guide of a NequIP package, which works in processes of its own.

    The labels are forked from this process: they could not use a GPU that a potential touched here.

    Parameters
    ----------
    package
        A NequIP package.
    device
        "cpu", where the same labels give the same steps, or "cuda", where sums come in any order.
    processes
        Relaxations at once.
    """
    with telling_what_is_wrong(package):  # before anything is labelled
        pass

    def guide(relaxations: Sequence[Relaxation]) -> Sequence[Atoms]:
        workers = min(processes, len(relaxations))
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            return list(pool.map(partial(_guided, package, device), relaxations))

    return guide


def _guided(package: Path, device: str, relaxation: Relaxation) -> Atoms:
    import torch  # noqa: PLC0415  (seconds to import)

    from glassml.potential.calculators import load_calculator  # noqa: PLC0415

    torch.set_num_threads(1)  # the relaxations share the cores; and sums keep their order
    return guided_rest(load_calculator(package, device=device), relaxation)


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
