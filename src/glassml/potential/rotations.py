"""Crystals along a soft rotation: energies of a potential beside those of the labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.calculator import Calculator

from glassml.potential.glasses import mean_angle
from glassml.potential.labels import name, read_labels
from glassml.potential.packages import PotentialError

CONFIG_TYPE = "strained"


def read_rotations(path: Path) -> list[Atoms]:
    """Read labelled crystals along a soft rotation.

    Parameters
    ----------
    path
        File of them, extxyz, of config_type "strained". Those of a rotation have one parent, which
        begins with {family}/{crystal}.

    Returns
    -------
    list of Atoms
        With `info["REF_energy"]` in eV.

    Raises
    ------
    PotentialError
        If it cannot be read, or holds anything else or nothing.
    """
    frames = read_labels(path)
    found = ((name(atoms, index), _mistake(atoms)) for index, atoms in enumerate(frames))
    mistake = next((f"{label}: {wrong}" for label, wrong in found if wrong), "")
    if mistake or not frames:
        raise PotentialError(
            f"{path}: not labelled crystals along a rotation: {mistake or 'it is empty'}"
        )
    return frames


def _mistake(atoms: Atoms) -> str:
    """Tell why this is no label of a rotation; empty where it is one."""
    kind, parent = atoms.info.get("config_type"), str(atoms.info.get("parent", ""))
    if kind != CONFIG_TYPE:
        return f"its config_type is {kind}, not {CONFIG_TYPE}"
    if "/" not in parent:
        return f"its parent is {parent!r}, without the name of a crystal"
    if not np.isfinite(atoms.info.get("REF_energy", np.nan)):
        return "its REF_energy is missing or not finite"
    return ""


def rotation_points(calculator: Calculator, frames: Sequence[Atoms], member: str) -> pd.DataFrame:
    """Predict the energies of crystals along a rotation, as they stand, beside the labels.

    Parameters
    ----------
    calculator
        The potential.
    frames
        Labelled crystals, from `read_rotations`.
    member
        Name of the potential.

    Returns
    -------
    DataFrame
        parent, crystal, member, angle_deg (mean Si-O-Si; NaN where no O has two bonds), label_eV,
        prediction_eV (per atom).
    """
    return pd.DataFrame(
        {
            "parent": atoms.info["parent"],
            "crystal": atoms.info["parent"].split("/")[1],
            "member": member,
            "angle_deg": mean_angle(atoms),
            "label_eV": atoms.info["REF_energy"] / len(atoms),
            "prediction_eV": calculator.get_potential_energy(atoms) / len(atoms),
        }
        for atoms in frames
    )


def rotation_errors(points: pd.DataFrame) -> np.ndarray:
    """Give a member's errors along a rotation, above the configuration of lowest label.

    Parameters
    ----------
    points
        From `rotation_points`, of one member and one parent.

    Returns
    -------
    ndarray, (n_points,)
        Predicted less labelled energies, meV/atom; zero where the label is lowest.
    """
    label = points["label_eV"].to_numpy()
    error = 1e3 * (points["prediction_eV"].to_numpy() - label)
    return error - error[label.argmin()]
