"""What a label is: its key, its record, and how it is written to extxyz."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from glassml.campaign.provenance import CODE, XC
from glassml.campaign.store import LabelRecord

# Everything that determines a label's value and is neither structure nor setting. Change it when,
# and only when, the same settings would give other values: it makes all stored labels stale.
PROTOCOL = "gpaw-pw-1"

DECIMALS = 8  # positions and cells are rounded to what extxyz keeps, before they are hashed


def canonical(atoms: Atoms) -> Atoms:
    """Give the structure as it is labelled and stored: numbers, cell, positions, nothing else.

    Parameters
    ----------
    atoms
        The structure; positions and cell in Å are rounded to 8 decimals.
    """
    return Atoms(
        numbers=atoms.numbers,
        positions=np.round(atoms.positions, DECIMALS) + 0.0,  # + 0.0 makes -0.0 equal to 0.0
        cell=np.round(atoms.cell.array, DECIMALS) + 0.0,
        pbc=atoms.pbc,
    )


def label_key(atoms: Atoms, settings: Mapping[str, object]) -> str:
    """Hash a structure and everything that determines its label.

    Parameters
    ----------
    atoms
        The structure.
    settings
        What else determines the value, as plain JSON types; see
        `glassml.dft.settings.determining_settings`.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    atoms = canonical(atoms)
    identity = {
        "protocol": PROTOCOL,
        "settings": settings,
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def structure_record(atoms: Atoms) -> dict[str, list[Any]]:
    """Give a structure as plain JSON types."""
    atoms = canonical(atoms)
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
    }


def labelled_atoms(atoms: Atoms, key: str, record: LabelRecord) -> Atoms:
    """Combine a configuration's own information with its label.

    Parameters
    ----------
    atoms
        The configuration; its `info` is kept.
    key, record
        The label's key and its converged record from the store.

    Returns
    -------
    Atoms
        With ``REF_energy`` in eV, ``REF_forces`` in eV/Å and ``REF_stress`` in eV/Å³ (Voigt order
        xx, yy, zz, yz, xz, xy, tension positive), the functional, and no calculator. A structure
        that is not periodic has no stress.
    """
    labelled = canonical(atoms)
    labelled.info = dict(atoms.info)
    labelled.info["REF_energy"] = record["energy"]
    labelled.arrays["REF_forces"] = np.array(record["forces"])
    if record["stress"] is not None:
        labelled.info["REF_stress"] = np.array(record["stress"])
    labelled.info[XC], labelled.info[CODE] = record["settings"]["xc"], "GPAW"
    labelled.info["recipe"] = record["recipe"]
    labelled.info["label_key"] = key
    return labelled
