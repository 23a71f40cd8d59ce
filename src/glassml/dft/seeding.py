"""Labels that come with the repository: they fill the store before anything is calculated."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase import Atoms

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import StructureError
from glassml.campaign.extxyz import read_extxyz
from glassml.campaign.store import LabelRecord, LabelStore
from glassml.dft.labels import label_key, structure_record
from glassml.dft.settings import determining_settings


def seed_store(store: LabelStore, path: Path, dft: Dft) -> dict[str, int]:
    """Fill the store with the labels of a file that were calculated with these settings.

    Parameters
    ----------
    store
        The store; what it holds already wins.
    path
        Labelled extxyz, also compressed, as `glassml dft label` and `glassml dft collect` write.
    dft
        Section `dft` of a campaign.

    Returns
    -------
    dict
        Numbers of labels ``"taken"`` and of those with ``"other_settings"``, which are not.

    Raises
    ------
    StructureError
        If the file is missing, lacks ``REF_`` labels, or has none of these settings.
    """
    if not path.exists():
        raise StructureError(f"dft.seed_labels: {path} does not exist")
    records: dict[str, LabelRecord] = {}
    other = 0
    for number, atoms in enumerate(read_extxyz(path)):
        if "REF_energy" not in atoms.info or "REF_forces" not in atoms.arrays:
            raise StructureError(f"{path}, frame {number}: REF_energy or REF_forces is missing")
        settings = determining_settings(atoms, dft)
        key = label_key(atoms, settings)
        if key == atoms.info.get("label_key"):
            records[key] = _record(atoms, settings)
        else:
            other += 1
    if other and not records:
        raise StructureError(
            f"dft.seed_labels: none of the {other} labels of {path} was calculated with the "
            f"settings of this campaign (dft.xc: {dft.xc}, {dft.cutoff_eV:g} eV, k points at "
            f"most {dft.kpoint_spacing_per_A:g} per Å apart): leave it out, or take its settings"
        )
    if records:
        # The keys say which labels these are, whatever the file is called.
        digest = hashlib.sha256("".join(sorted(records)).encode()).hexdigest()[:16]
        store.put_many(records, f"seed-{digest}")
    return {"taken": len(records), "other_settings": other}


def _record(atoms: Atoms, settings: Mapping[str, object]) -> LabelRecord:
    stress = atoms.info.get("REF_stress")
    return {
        "status": "converged",
        "recipe": atoms.info.get("recipe", "standard"),
        "energy": float(atoms.info["REF_energy"]),
        "forces": np.asarray(atoms.arrays["REF_forces"]).tolist(),
        "stress": None if stress is None else np.asarray(stress, dtype=float).ravel().tolist(),
        "scf": {},
        "attempts": [],
        "structure": structure_record(atoms),
        "settings": dict(settings),
        "versions": {},
        "seeded": True,
    }
