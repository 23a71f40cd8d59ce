"""How far labels are from converged: cutoff, k points and SCF criteria, one at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.units import GPa
from matplotlib.figure import Figure

from glassml.campaign.store import LabelStore
from glassml.dft.settings import kpoint_grid
from glassml.dft.shard import label_shard

QUANTITIES = {
    "energy_difference_meV_per_atom": "energy difference / meV per atom",
    "force_max_eV_per_A": "largest force error / eV/Å",
    "stress_max_GPa": "largest stress error / GPa",
}
TARGETS = {
    "energy_difference_meV_per_atom": 1.0,
    "force_max_eV_per_A": 0.01,
    "stress_max_GPa": 0.1,
}
PARAMETERS = {
    "cutoff_eV": "plane-wave cutoff / eV",
    "kpoint_spacing_per_A": "k-point spacing / Å⁻¹",
    "density_tolerance": "density tolerance / electrons per valence electron",
}


@dataclass(frozen=True)
class Variation:
    """The settings with one parameter changed."""

    parameter: str
    value: float
    dft: dict[str, Any]


def variations(dft: Mapping[str, Any], values: Mapping[str, Sequence[float]]) -> list[Variation]:
    """List the settings to calculate: each parameter's values, the others as in production.

    Parameters
    ----------
    dft
        Section `dft` of a campaign as a mapping: the production settings.
    values
        Values of each parameter; the production value is added, where it lacks.

    Returns
    -------
    list of Variation
        Sorted by parameter and from coarse to fine.
    """
    return [
        Variation(parameter, value, {**dft, parameter: value})
        for parameter, given in values.items()
        for value in sorted(
            {*given, dft[parameter]},
            reverse=parameter in {"kpoint_spacing_per_A", "density_tolerance"},
        )
    ]


def study(
    structures: Mapping[str, Atoms],
    dft: Mapping[str, Any],
    values: Mapping[str, Sequence[float]],
    store: LabelStore,
    processes: int = 1,
) -> pd.DataFrame:
    """Calculate structures with varied settings, and compare each with the finest ones.

    Parameters
    ----------
    structures
        By name. Energy differences are taken to the first one, per atom: what all have in
        common cancels, as it does in a potential.
    dft, values
        As for `variations`.
    store
        The label store: a study that was stopped goes on where it was.
    processes
        Structures at once.

    Returns
    -------
    DataFrame
        One row per structure, parameter and value: ``kpoints``, ``seconds`` and the errors
        against the finest value of the same parameter: ``energy_difference_meV_per_atom``,
        ``force_max_eV_per_A``, ``force_rms_eV_per_A``, ``stress_max_GPa`` and
        ``pressure_GPa``; NaN where the SCF did not converge.
    """
    names, atoms = list(structures), list(structures.values())
    rows: list[dict[str, Any]] = []
    for parameter in values:
        chosen = [item for item in variations(dft, values) if item.parameter == parameter]
        records = {
            item.value: label_shard(atoms, item.dft, store, processes).records for item in chosen
        }
        finest = records[chosen[-1].value]
        for item in chosen:
            for number, name in enumerate(names):
                row = {
                    "structure": name,
                    "parameter": parameter,
                    "value": item.value,
                    "production": item.value == dft[parameter],
                    "kpoints": "x".join(
                        map(str, kpoint_grid(atoms[number], item.dft["kpoint_spacing_per_A"]))
                    ),
                }
                errors = _errors(records[item.value], finest, number, atoms)
                rows.append(row | errors)
    return pd.DataFrame(rows)


def _errors(
    records: Sequence[Mapping[str, Any]],
    finest: Sequence[Mapping[str, Any]],
    number: int,
    atoms: Sequence[Atoms],
) -> dict[str, float]:
    """Compare one structure's label with its finest one."""
    needed = (records[number], records[0], finest[number], finest[0])
    if any(record["status"] != "converged" for record in needed):
        return dict.fromkeys([*QUANTITIES, "force_rms_eV_per_A", "pressure_GPa", "seconds"], np.nan)

    def difference(labels: Sequence[Mapping[str, Any]]) -> float:
        here = labels[number]["energy"] / len(atoms[number])
        # The first structure has nothing to be compared with but its own absolute energy.
        return here - (labels[0]["energy"] / len(atoms[0]) if number else 0.0)

    force = np.array(records[number]["forces"]) - np.array(finest[number]["forces"])
    stress = (np.array(records[number]["stress"]) - np.array(finest[number]["stress"])) / GPa
    return {
        "energy_difference_meV_per_atom": 1000 * (difference(records) - difference(finest)),
        "force_max_eV_per_A": float(np.abs(force).max()),
        "force_rms_eV_per_A": float(np.sqrt(np.mean(force**2))),
        "stress_max_GPa": float(np.abs(stress).max()),
        "pressure_GPa": float(-np.array(records[number]["stress"])[:3].mean() / GPa),
        "seconds": sum(attempt["seconds"] for attempt in records[number]["attempts"]),
    }


def plot(table: pd.DataFrame) -> Figure:
    """Draw the errors against each parameter, with the targets and the production settings."""
    parameters = list(dict.fromkeys(table["parameter"]))
    figure = Figure(figsize=(3.6 * len(parameters), 7.5), layout="constrained")
    axes = figure.subplots(len(QUANTITIES), len(parameters), squeeze=False)
    for column, parameter in enumerate(parameters):
        for row, (quantity, label) in enumerate(QUANTITIES.items()):
            axis = axes[row][column]
            for name in dict.fromkeys(table["structure"]):
                points = table.query("structure == @name and parameter == @parameter")
                axis.plot(points["value"], points[quantity].abs(), "o-", ms=3, label=name)
            axis.axhline(TARGETS[quantity], color="0.5", ls="--", lw=1, label="target")
            production = table.query("parameter == @parameter and production")["value"]
            axis.axvline(production.iloc[0], color="0.8", lw=4, zorder=0, label="production")
            axis.set_yscale("symlog", linthresh=TARGETS[quantity] / 10)
            axis.set_ylim(bottom=0)
            if parameter == "density_tolerance":
                axis.set_xscale("log")
            if row == len(QUANTITIES) - 1:
                axis.set_xlabel(PARAMETERS[parameter])
            if column == 0:
                axis.set_ylabel(f"|{label.split(' / ')[0]}| / {label.split(' / ')[1]}")
    axes[0][-1].legend(fontsize=7)
    return figure
