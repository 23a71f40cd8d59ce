"""What a potential gets wrong: predictions against labels, per configuration type and species."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.calculator import Calculator
from tqdm import tqdm

from glassml.campaign.names import DISORDERED
from glassml.campaign.units import GPA_PER_EV_A3
from glassml.potential.labels import name, stress_voigt

PARITY_COLUMNS = (
    "set",
    "config_id",
    "config_type",
    "atoms",
    "quantity",
    "species",
    "component",
    "label",
    "prediction",
)
ERROR_COLUMNS = ("set", "group", "name", "quantity", "unit", "values", "mae", "rmse", "max")
UNITS = {"energy": "meV/atom", "force": "eV/Å", "stress": "GPa"}
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
# Off-diagonal components appear twice in the stress tensor, so they count twice in its errors.
MULTIPLICITY = {component: 1 if component[0] == component[1] else 2 for component in VOIGT}


def parity_rows(
    frames: Sequence[Atoms], calculator: Calculator, subset: str
) -> list[dict[str, object]]:
    """Predict labelled configurations.

    Parameters
    ----------
    frames
        Labelled configurations.
    calculator
        The potential.
    subset
        "train", "validation" or "test".

    Returns
    -------
    list of dict
        One row per number, with the columns `PARITY_COLUMNS`: energies in eV/atom, force
        components in eV/Å with the species of the atom, stress components in GPa.
    """
    rows: list[dict[str, object]] = []
    for index, labelled in enumerate(tqdm(frames, desc=subset, unit="configuration")):
        atoms = Atoms(labelled.numbers, labelled.positions, cell=labelled.cell, pbc=labelled.pbc)
        atoms.calc = calculator
        common = {
            "set": subset,
            "config_id": name(labelled, index),
            "config_type": labelled.info.get("config_type", ""),
            "atoms": len(atoms),
        }
        size = len(atoms)
        values = [
            (
                "energy",
                "",
                "",
                labelled.info["REF_energy"] / size,
                atoms.get_potential_energy() / size,
            )
        ]
        pairs = zip(labelled.arrays["REF_forces"], atoms.get_forces(), strict=True)
        for symbol, (label, prediction) in zip(atoms.symbols, pairs, strict=True):
            values += [
                ("force", symbol, axis, label[k], prediction[k]) for k, axis in enumerate("xyz")
            ]
        if labelled.pbc.all():
            stresses = zip(VOIGT, stress_voigt(labelled), atoms.get_stress(), strict=True)
            values += [
                ("stress", "", c, GPA_PER_EV_A3 * label, GPA_PER_EV_A3 * p)
                for c, label, p in stresses
            ]
        for quantity, species, component, label, prediction in values:
            rows.append(
                common
                | {
                    "quantity": quantity,
                    "species": species,
                    "component": component,
                    "label": float(label),
                    "prediction": float(prediction),
                }
            )
    return rows


def error_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Summarise parity rows.

    Returns
    -------
    list of dict
        Columns `ERROR_COLUMNS`. Groups are "all", "disordered" (types `DISORDERED`),
        "config_type" and, for forces, "species"; errors are mean absolute, root mean square and
        largest, over configurations (energy), force components, and all nine stress components.
    """
    errors: dict[tuple[str, str, str, str], list[tuple[float, int]]] = {}
    for row in rows:
        quantity = row["quantity"]
        difference = row["prediction"] - row["label"]
        if quantity == "energy":
            difference *= 1e3
        weight = MULTIPLICITY[row["component"]] if quantity == "stress" else 1
        groups = [("all", "all"), ("config_type", row["config_type"])]
        if row["config_type"] in DISORDERED:
            groups.append(("disordered", "all"))
        if quantity == "force":
            groups.append(("species", row["species"]))
        for group, member in groups:
            key = (row["set"], group, member, quantity)
            errors.setdefault(key, []).append((difference, weight))
    return [
        {"set": subset, "group": group, "name": member, "quantity": quantity}
        | _summary(quantity, *np.array(values).T)
        for (subset, group, member, quantity), values in errors.items()
    ]


def held_out_rows(errors: pd.DataFrame) -> pd.DataFrame:
    """Give the rows that a potential is judged by: test labels of liquid and glass.

    Parameters
    ----------
    errors
        Rows of `errors.csv`.

    Returns
    -------
    DataFrame
        Where there are no such labels, the rows of all test labels.
    """
    test = errors[errors["set"] == "test"]
    chosen = test[test["group"] == "disordered"]
    return chosen if len(chosen) else test[test["group"] == "all"]


def _summary(quantity: str, differences: np.ndarray, weights: np.ndarray) -> dict[str, object]:
    """Give mean absolute, root mean square and largest error."""
    return {
        "unit": UNITS[quantity],
        "values": int(weights.sum()),
        "mae": float(np.average(np.abs(differences), weights=weights)),
        "rmse": float(np.sqrt(np.average(differences**2, weights=weights))),
        "max": float(np.abs(differences).max()),
    }
