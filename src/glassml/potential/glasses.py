"""Glasses at rest: those of a potential beside those of the labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.neighborlist import neighbor_list
from ase.optimize import BFGS

from glassml.campaign.defaults import FIRST_SHELL_A
from glassml.potential.labels import name

FMAX_EV_A = 0.005
MAX_STEPS = 500


def relaxed(calculator: Calculator, atoms: Atoms) -> Atoms | None:
    """Give the structure at rest, positions and cell; None if it does not come to rest.

    Parameters
    ----------
    calculator
        The potential.
    atoms
        A glass that labels took to rest.
    """
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    atoms.calc = calculator
    cell = FrechetCellFilter(atoms, exp_cell_factor=max(1.0, len(atoms) / 4))
    done = BFGS(cell, logfile=None).run(  # type: ignore[arg-type]
        fmax=FMAX_EV_A, steps=MAX_STEPS
    )
    return atoms if done else None


def mean_angle(atoms: Atoms) -> float:
    """Give the mean Si-O-Si angle in degrees; NaN where no O has two bonds.

    Parameters
    ----------
    atoms
        Silica; Si and O within 2.2 Å are bonded.
    """
    first, vector = neighbor_list("iD", atoms, {("O", "Si"): FIRST_SHELL_A})
    of_oxygen = atoms.numbers[first] == 8
    first, vector = first[of_oxygen], vector[of_oxygen]
    vector = vector / np.linalg.norm(vector, axis=1, keepdims=True)
    cosines = [
        (bonds @ bonds.T)[np.triu_indices(len(bonds), 1)]
        for bonds in (vector[first == oxygen] for oxygen in np.unique(first))
    ]
    angles = np.degrees(np.arccos(np.clip(np.concatenate([*cosines, []]), -1.0, 1.0)))
    return float(angles.mean()) if angles.size else float("nan")


def glass_points(calculator: Calculator, frames: Sequence[Atoms], member: str) -> pd.DataFrame:
    """Relax glasses with a potential, from where they rest by labels.

    Parameters
    ----------
    calculator
        The potential.
    frames
        Labelled glasses at rest, as `glassml dft relax` writes them.
    member
        Name of the potential.

    Returns
    -------
    DataFrame
        glass, member, label_angle_deg, angle_deg (mean Si-O-Si), label_volume_A3, volume_A3 (per
        SiO2); NaN where the potential does not come to rest.
    """
    rows = []
    for index, atoms in enumerate(frames):
        found = relaxed(calculator, atoms)
        units = len(atoms) / 3
        rows.append(
            {
                "glass": name(atoms, index),
                "member": member,
                "label_angle_deg": mean_angle(atoms),
                "angle_deg": mean_angle(found) if found else float("nan"),
                "label_volume_A3": atoms.get_volume() / units,
                "volume_A3": found.get_volume() / units if found else float("nan"),
            }
        )
    return pd.DataFrame(rows)
