"""How far labels are from converged: cutoff, k points and SCF criteria, one at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import GPa

from glassml.campaign.config.dft import Dft
from glassml.campaign.store import LabelRecord, LabelStore
from glassml.dft.settings import kpoint_grid
from glassml.dft.shard import label_shard

COLUMNS = (
    "structure",
    "parameter",
    "value",
    "production",
    "kpoints",
    "energy_meV_per_atom",
    "energy_difference_meV_per_atom",
    "force_max_eV_per_A",
    "force_rms_eV_per_A",
    "stress_max_GPa",
    "pressure_GPa",
    "iterations",
    "seconds",
)
FROM_COARSE_DOWN = ("kpoint_spacing_per_A", "density_tolerance", "eigenstates_tolerance_eV2")


@dataclass(frozen=True)
class Variation:
    """The settings with one parameter changed."""

    parameter: str
    value: float
    dft: Dft


def variations(dft: Dft, values: Mapping[str, Sequence[float]]) -> list[Variation]:
    """List the settings to calculate: each parameter's values, the others as in production.

    Parameters
    ----------
    dft
        Section `dft` of a campaign: the production settings.
    values
        Values of each parameter; the production value is added, where it lacks.

    Returns
    -------
    list of Variation
        Sorted by parameter and from coarse to fine.
    """
    return [
        Variation(parameter, value, dft.model_copy(update={parameter: value}))
        for parameter, given in values.items()
        for value in sorted(
            {*given, getattr(dft, parameter)},
            reverse=parameter in FROM_COARSE_DOWN,
        )
    ]


def study(
    structures: Mapping[str, Atoms],
    dft: Dft,
    values: Mapping[str, Sequence[float]],
    store: LabelStore,
    processes: int = 1,
) -> list[dict[str, object]]:
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
        Calculations at once, whatever their settings.

    Returns
    -------
    list of dict
        One row of `COLUMNS` per structure, parameter and value: the errors against the finest
        value of the same parameter, and the pressure itself. Empty where the SCF did not
        converge; the first structure has no energy difference.
    """
    chosen = variations(dft, values)
    pieces = [(item, name) for item in chosen for name in structures]
    # The longest first, so that the last ones to run are short.
    order = sorted(
        range(len(pieces)), key=lambda i: -_effort(structures[pieces[i][1]], pieces[i][0])
    )
    atoms = [structures[pieces[i][1]] for i in order]
    labels = label_shard(atoms, [pieces[i][0].dft for i in order], store, processes).records
    records = {
        (pieces[i][0].parameter, pieces[i][0].value, pieces[i][1]): record
        for i, record in zip(order, labels, strict=True)
    }
    finest = {item.parameter: item.value for item in chosen}
    rows = []
    for item, name in pieces:
        row: dict[str, object] = {
            "structure": name,
            "parameter": item.parameter,
            "value": item.value,
            "production": item.value == getattr(dft, item.parameter),
            "kpoints": "x".join(
                map(str, kpoint_grid(structures[name], item.dft.kpoint_spacing_per_A))
            ),
        }
        here = {other: records[item.parameter, item.value, other] for other in structures}
        best = {
            other: records[item.parameter, finest[item.parameter], other] for other in structures
        }
        rows.append(row | _errors(here, best, name, structures))
    return rows


def _effort(atoms: Atoms, variation: Variation) -> float:
    """Give what a calculation costs, up to a factor."""
    grid = kpoint_grid(atoms, variation.dft.kpoint_spacing_per_A)
    return float(len(atoms) * atoms.get_volume() * np.prod(grid) * variation.dft.cutoff_eV)


def _errors(
    here: Mapping[str, LabelRecord],
    finest: Mapping[str, LabelRecord],
    name: str,
    structures: Mapping[str, Atoms],
) -> dict[str, object]:
    """Compare one structure's label with its finest one."""
    first = next(iter(structures))
    needed = (here[name], here[first], finest[name], finest[first])
    if any(record["status"] != "converged" for record in needed):
        return {}

    def shift(other: str) -> float:
        change = here[other]["energy"] - finest[other]["energy"]
        return float(1000 * change / len(structures[other]))

    force = np.array(here[name]["forces"]) - np.array(finest[name]["forces"])
    stress = (np.array(here[name]["stress"]) - np.array(finest[name]["stress"])) / GPa
    errors: dict[str, float] = {
        "energy_meV_per_atom": shift(name),
        "force_max_eV_per_A": float(np.abs(force).max()),
        "force_rms_eV_per_A": float(np.sqrt(np.mean(force**2))),
        "stress_max_GPa": float(np.abs(stress).max()),
        "pressure_GPa": float(-np.array(here[name]["stress"])[:3].mean() / GPa),
    }
    if name != first:
        errors["energy_difference_meV_per_atom"] = shift(name) - shift(first)
    errors = {key: float(f"{value:.6g}") for key, value in errors.items()}
    return errors | {
        "iterations": here[name].get("scf", {}).get("iterations", ""),
        "seconds": sum(attempt["seconds"] for attempt in here[name]["attempts"]),
    }
