"""Equations of state of crystals: those of a potential beside those of the labels."""

from collections.abc import Sequence

import pandas as pd
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.constraints import FixSymmetry
from ase.optimize import BFGS

from glassml.dft.equation_of_state import Curve, fit
from glassml.dft.relaxation import RelaxationError
from glassml.potential.labels import name

FMAX_EV_A = 0.01
MAX_STEPS = 200


def relaxed_energy(calculator: Calculator, atoms: Atoms) -> float:
    """Give the energy in eV at rest in this cell, with the space group kept.

    Parameters
    ----------
    calculator
        The potential.
    atoms
        A crystal that labels took to rest.
    """
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    atoms.set_constraint(FixSymmetry(atoms))
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=FMAX_EV_A, steps=MAX_STEPS)
    return float(atoms.get_potential_energy())


def energy_points(calculator: Calculator, frames: Sequence[Atoms], member: str) -> pd.DataFrame:
    """Relax crystals at their volumes with a potential, beside the labelled energies.

    Parameters
    ----------
    calculator
        The potential.
    frames
        Labelled crystals at rest, several volumes of each, with `info["polymorph"]`.
    member
        Name of the potential.

    Returns
    -------
    DataFrame
        polymorph, member, config_id, a_A, c_A (lengths of the first and the last cell vector),
        volume_A3, label_eV, prediction_eV; the last three per SiO2.
    """
    rows = []
    for index, atoms in enumerate(frames):
        units = len(atoms) / 3
        rows.append(
            {
                "polymorph": atoms.info["polymorph"],
                "member": member,
                "config_id": name(atoms, index),
                "a_A": atoms.cell.lengths()[0],
                "c_A": atoms.cell.lengths()[2],
                "volume_A3": atoms.get_volume() / units,
                "label_eV": atoms.info["REF_energy"] / units,
                "prediction_eV": relaxed_energy(calculator, atoms) / units,
            }
        )
    return pd.DataFrame(rows)


def curves(points: pd.DataFrame, column: str) -> dict[str, Curve | None]:
    """Fit an equation of state to each polymorph; None where there is no minimum.

    Parameters
    ----------
    points
        From `energy_points`, of one member.
    column
        "label_eV" or "prediction_eV".
    """
    found: dict[str, Curve | None] = {}
    for polymorph, rows in points.groupby("polymorph", sort=False):
        ordered = rows.sort_values("volume_A3")
        try:
            found[str(polymorph)] = fit(ordered["volume_A3"].tolist(), ordered[column].tolist())
        except (RelaxationError, RuntimeError):  # no minimum, or no fit
            found[str(polymorph)] = None
    return found
