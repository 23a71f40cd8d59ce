"""Labels of a file calculated again from scratch, and held against the old ones."""

import hashlib
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.units import GPa

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import StructureError
from glassml.campaign.files import read_json, write_json
from glassml.campaign.seeds import generator
from glassml.campaign.store import LabelRecord, LabelStore
from glassml.dft.labels import label_key
from glassml.dft.settings import determining_settings
from glassml.dft.shard import label_shard

COLUMNS = (
    "config_id",
    "atoms",
    "status",
    "energy_meV_per_atom",
    "force_max_eV_A",
    "stress_max_GPa",
    "agrees",
)
MARKER = "recomputed.json"  # in the store
# What the SCF criteria leave open between a CPU and a GPU; the same code on the same kind of
# machine agrees to 1e-8.
PRECISION = {"energy_meV_per_atom": 0.1, "force_max_eV_A": 0.01, "stress_max_GPa": 0.01}


def recompute(
    labelled: Sequence[Atoms],
    count: int,
    seed: int,
    dft: Dft,
    store: LabelStore,
    processes: int = 1,
) -> list[dict[str, object]]:
    """Calculate a random sample of labels again, and compare.

    Parameters
    ----------
    labelled
        Structures with labels, as `glassml dft label` and `glassml dft collect` write them.
    count, seed
        How many are drawn, and from which stream of random numbers.
    dft
        Section `dft` of a campaign: the settings of the labels.
    store
        Where the new labels go: an empty one, or that of the same call, which was interrupted.
    processes
        Structures at once.

    Returns
    -------
    list of dict
        One row of `COLUMNS` per label drawn: new minus old energy, largest differences of a
        component of force and stress, and whether all are within `PRECISION`.

    Raises
    ------
    StructureError
        If a label drawn was calculated with other settings, or the store holds other labels: those
        to compare with might be among them.
    """
    order = generator(seed, "dft", "recompute").permutation(len(labelled))
    drawn = [labelled[index] for index in sorted(order[:count].tolist())]
    for atoms in drawn:
        name = atoms.info.get("config_id", "a label")
        key = label_key(atoms, determining_settings(atoms, dft))
        if key != atoms.info.get("label_key"):
            raise StructureError(f"{name} was calculated with other settings than the campaign's")
    _take(store, labelled)
    bare = [
        Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=atoms.pbc)
        for atoms in drawn
    ]
    records = label_shard(bare, dft, store, processes).records
    return [_compare(atoms, record) for atoms, record in zip(drawn, records, strict=True)]


def _take(store: LabelStore, labelled: Sequence[Atoms]) -> None:
    """Mark an empty store as that of labels calculated again, or find the mark there."""
    marker = store.root / MARKER
    keys = sorted(str(atoms.info.get("label_key")) for atoms in labelled)
    mark = {"calculated_again": hashlib.sha256("\n".join(keys).encode()).hexdigest()}
    if marker.is_file() and read_json(marker) == mark:
        return
    if store.keys():
        raise StructureError(
            f"{store.root} holds labels already, which are not these labels calculated again: "
            "give an empty folder"
        )
    write_json(marker, mark)


def _compare(atoms: Atoms, record: LabelRecord) -> dict[str, object]:
    row: dict[str, object] = {
        "config_id": atoms.info.get("config_id", ""),
        "atoms": len(atoms),
        "status": record["status"],
        "agrees": False,
    }
    if record["status"] != "converged":
        return row
    forces = np.array(record["forces"]) - atoms.arrays["REF_forces"]
    values = {
        "energy_meV_per_atom": 1000 * (record["energy"] - atoms.info["REF_energy"]) / len(atoms),
        "force_max_eV_A": float(np.abs(forces).max()),
        "stress_max_GPa": 0.0,
    }
    if record["stress"] is not None:
        stress = np.array(record["stress"]) - atoms.info["REF_stress"]
        values["stress_max_GPa"] = float(np.abs(stress).max() / GPa)
    row["agrees"] = all(abs(values[name]) <= limit for name, limit in PRECISION.items())
    return row | {name: f"{value:.2e}" for name, value in values.items()}
