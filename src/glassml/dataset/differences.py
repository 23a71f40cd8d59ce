"""Two sets of labels of the same structures, side by side: two functionals, or two settings."""

from collections.abc import Iterable, Sequence

import numpy as np
from ase import Atoms
from ase.units import GPa

COLUMNS = (
    "kind",
    "structures",
    "energy_meV_per_atom",
    "energy_sd_meV_per_atom",
    "force_rms_eV_per_A",
    "force_max_eV_per_A",
    "pressure_GPa",
    "pressure_sd_GPa",
)


def pairs_of(ones: Iterable[Atoms], others: Iterable[Atoms]) -> list[tuple[Atoms, Atoms]]:
    """Pair labels of the same structure: elements, positions and cell within 10⁻⁵ Å.

    Returns
    -------
    list of tuple
        In the order of `ones`; what only one of the two has is left out.
    """
    known = {_identity(atoms): atoms for atoms in others}
    return [(atoms, known[key]) for atoms in ones if (key := _identity(atoms)) in known]


def _identity(atoms: Atoms) -> tuple[object, ...]:
    numbers = np.concatenate([atoms.positions.ravel(), atoms.cell.array.ravel()])
    return (tuple(atoms.numbers), tuple(np.round(numbers, 5) + 0.0))


def difference_rows(pairs: Sequence[tuple[Atoms, Atoms]]) -> list[dict[str, object]]:
    """Give the first label minus the second, by kind and for all.

    Parameters
    ----------
    pairs
        From `pairs_of`; with ``REF_energy``, ``REF_forces``, ``REF_stress`` and ``config_type``.

    Returns
    -------
    list of dict
        `COLUMNS`. Means and standard deviations over structures; forces over all components.
        Pressure is minus a third of the trace of the stress; isolated atoms have none.
    """
    kinds: dict[str, list[tuple[Atoms, Atoms]]] = {}
    for pair in pairs:
        kinds.setdefault(str(pair[0].info.get("config_type", "unknown")), []).append(pair)
    rows = [_row(kind, kinds[kind]) for kind in sorted(kinds)]
    return [*rows, _row("all", pairs)] if pairs else []


def _row(kind: str, pairs: Sequence[tuple[Atoms, Atoms]]) -> dict[str, object]:
    energies = [
        1000 * (one.info["REF_energy"] - other.info["REF_energy"]) / len(one)
        for one, other in pairs
    ]
    forces = np.concatenate(
        [(one.arrays["REF_forces"] - other.arrays["REF_forces"]).ravel() for one, other in pairs]
    )
    pressures = [
        -(np.array(one.info["REF_stress"]) - np.array(other.info["REF_stress"]))[:3].mean() / GPa
        for one, other in pairs
        if "REF_stress" in one.info and "REF_stress" in other.info
    ]
    return {
        "kind": kind,
        "structures": len(pairs),
        "energy_meV_per_atom": round(float(np.mean(energies)), 3),
        "energy_sd_meV_per_atom": round(float(np.std(energies)), 3),
        "force_rms_eV_per_A": round(float(np.sqrt((forces**2).mean())), 5),
        "force_max_eV_per_A": round(float(np.abs(forces).max()), 5),
        "pressure_GPa": round(float(np.mean(pressures)), 4) if pressures else "",
        "pressure_sd_GPa": round(float(np.std(pressures)), 4) if pressures else "",
    }
