"""A package of one functional on labels of another: found, refused, or bridged by shifts."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

SAME_FUNCTIONAL_eV = 0.5  # per atom; functionals on foreign setups differ by several
SAMPLE = 60


def energy_gap(calculator: Calculator, labels: Sequence[Atoms]) -> tuple[dict[str, float], float]:
    """Fit what labels have more than a potential, as a constant per element.

    Parameters
    ----------
    calculator
        The potential.
    labels
        With ``REF_energy``; some, evenly taken, are looked at.

    Returns
    -------
    dict
        Least-squares constants in eV per atom, by symbol; of elements that never vary in
        proportion, the smallest that do.
    float
        The median difference in eV per atom, before the fit: isolated atoms are no measure.
    """
    sample = labels[:: max(1, len(labels) // SAMPLE)]
    species = sorted({symbol for atoms in sample for symbol in atoms.symbols})
    counts = np.array([[list(atoms.symbols).count(s) for s in species] for atoms in sample])
    differences = []
    for atoms in sample:
        bare = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        bare.calc = calculator
        differences.append(float(atoms.info["REF_energy"]) - bare.get_potential_energy())
    sizes = counts.sum(axis=1)
    per_atom = np.array(differences) / sizes
    constants, *_ = np.linalg.lstsq(counts / sizes[:, None], per_atom, rcond=1e-6)
    return dict(zip(species, constants.tolist(), strict=True)), float(np.median(per_atom))


def shifts_of(calculator: Calculator) -> dict[str, float]:
    """Read the energies of atoms without neighbours from a NequIP calculator, in eV by symbol."""
    for module in calculator.model.modules():  # type: ignore[attr-defined]
        if hasattr(module, "shifts") and hasattr(module, "type_names"):
            values = module.shifts.detach().cpu().reshape(-1).tolist()
            values *= len(module.type_names) if len(values) == 1 else 1
            return dict(zip(module.type_names, values, strict=True))
    return {}
