"""Checks that a potential must pass before it is used: consistency, invariances, conservation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms, units
from ase.build import make_supercell
from ase.calculators.calculator import Calculator
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.stress import voigt_6_to_full_3x3_stress
from scipy.spatial.transform import Rotation

from glassml.campaign.config.potential import Verification
from glassml.campaign.units import GPA_PER_EV_A3

# Central differences: the step balances curvature against the rounding of float32 energies.
DISPLACEMENT_A = 0.01
STRAIN = 0.002
DRIFT_STEPS = 100
DRIFT_TIMESTEP_FS = 0.5
DRIFT_TEMPERATURE_K = 300.0


def choose_frames(frames: Sequence[Atoms], rng: np.random.Generator) -> list[Atoms]:
    """Give up to four periodic configurations, of different types, with atoms off their sites."""
    types: dict[str, Atoms] = {}
    for atoms in frames:
        if atoms.pbc.all() and len(atoms) > 1:
            types.setdefault(str(atoms.info.get("config_type", "")), atoms)
    chosen = [atoms.copy() for atoms in list(types.values())[:4]]
    for atoms in chosen:
        atoms.positions += rng.normal(0.0, 0.03, (len(atoms), 3))
    return chosen


@dataclass(frozen=True)
class Check:
    """A number, its bound, and whether it is within."""

    name: str
    value: float
    bound: float
    unit: str

    @property
    def passed(self) -> bool:
        """Tell whether the value is a number within its bound."""
        return bool(np.isfinite(self.value) and self.value <= self.bound)


def verify(
    reference: Calculator,
    calculator: Calculator,
    frames: Sequence[Atoms],
    *,
    bounds: Verification,
    rng: np.random.Generator,
) -> list[Check]:
    """Run all checks on `calculator`.

    Parameters
    ----------
    reference
        The package, evaluated eagerly.
    calculator
        What MD will use: a compiled model, or the package again.
    frames
        Configurations with atoms off their sites; the first is used for the costly checks.
    bounds
        Between calculator and reference and under symmetries; of slopes and of the drift.
    rng
        For the rotation, the permutation and the velocities.
    """
    same = (bounds.energy_meV_per_atom, bounds.force_eV_per_A, bounds.stress_GPa)
    checks = []
    for atoms in frames:
        checks += _compare(
            "package", _evaluate(calculator, atoms), _evaluate(reference, atoms), same
        )
    checks = _worst(checks)
    atoms = frames[0]
    for name, (moved, back) in _symmetries(atoms, rng).items():
        checks += _compare(
            name, back(_evaluate(calculator, moved)), _evaluate(calculator, atoms), same
        )
    checks += slope_checks(calculator, atoms, bounds.slope_relative)
    checks.append(drift_check(calculator, atoms, bounds.drift_meV_per_atom_per_ps, rng))
    return checks


def as_record(checks: Sequence[Check], backend: Mapping[str, object]) -> dict[str, object]:
    """Give what `verification.json` holds."""
    rows = [
        asdict(check)
        | {"value": check.value if np.isfinite(check.value) else None, "passed": check.passed}
        for check in checks
    ]
    return {"passed": all(check.passed for check in checks), "checks": rows, **backend}


Prediction = tuple[float, np.ndarray, np.ndarray]  # eV/atom, eV/Å, 3x3 eV/Å³


def _evaluate(calculator: Calculator, atoms: Atoms) -> Prediction:
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    atoms.calc = calculator
    return (
        atoms.get_potential_energy() / len(atoms),
        atoms.get_forces(),
        voigt_6_to_full_3x3_stress(atoms.get_stress()),
    )


def _compare(
    name: str, found: Prediction, expected: Prediction, bounds: tuple[float, float, float]
) -> list[Check]:
    """Compare energy, forces and stress."""
    energy, force, stress = (
        float(np.max(np.abs(np.asarray(a) - np.asarray(b))))
        for a, b in zip(found, expected, strict=True)
    )
    return [
        Check(f"{name}: energy", 1e3 * energy, bounds[0], "meV/atom"),
        Check(f"{name}: forces", force, bounds[1], "eV/Å"),
        Check(f"{name}: stress", GPA_PER_EV_A3 * stress, bounds[2], "GPa"),
    ]


def _worst(checks: Sequence[Check]) -> list[Check]:
    """Keep the largest value of each check; one that is no number counts as the largest."""
    worst: dict[str, Check] = {}
    for check in checks:
        value = check.value if np.isfinite(check.value) else np.inf
        known = worst.get(check.name)
        if known is None or not value <= known.value:
            worst[check.name] = check
    return list(worst.values())


def _symmetries(
    atoms: Atoms, rng: np.random.Generator
) -> dict[str, tuple[Atoms, Callable[[Prediction], Prediction]]]:
    """Give configurations that are physically the same, and how to map their results back."""
    Q = Rotation.random(rng=rng).as_matrix()
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell[:] @ Q.T)
    rotated.positions = atoms.positions @ Q.T
    order = rng.permutation(len(atoms))
    shifted = atoms.copy()
    shifted.positions += rng.uniform(-3, 3, 3)
    shifted.wrap()
    doubled = make_supercell(atoms, np.diag([2, 1, 1]))
    size = len(atoms)
    return {
        "rotation": (rotated, lambda p: (p[0], p[1] @ Q, Q.T @ p[2] @ Q)),
        "permutation": (atoms[order], lambda p: (p[0], p[1][np.argsort(order)], p[2])),
        "translation": (shifted, lambda p: p),
        "supercell": (doubled, lambda p: (p[0], p[1][:size], p[2])),
    }


def slope_checks(calculator: Calculator, atoms: Atoms, bound: float) -> list[Check]:
    """Compare forces and stress with central differences of the energy, relative to their size.

    The error is the root mean square difference over the root mean square value, plus a floor
    that keeps rounding from mattering where forces vanish (0.1 eV/Å, 1 GPa).
    """
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    atoms.calc = calculator
    forces, stress = atoms.get_forces(), atoms.get_stress()
    chosen = np.argsort(-np.abs(forces).max(axis=1))[:4].tolist()
    numerical = calculate_numerical_forces(atoms, eps=DISPLACEMENT_A, iatoms=chosen)
    force_error = _relative(forces[chosen] - numerical, forces, 0.1)
    numerical_stress = calculate_numerical_stress(atoms, eps=STRAIN)
    stress_error = _relative(stress - numerical_stress, stress, 1.0 / GPA_PER_EV_A3)
    return [
        Check("slope of the energy: forces", force_error, bound, ""),
        Check("slope of the energy: stress", stress_error, bound, ""),
    ]


def _relative(difference: np.ndarray, values: np.ndarray, floor: float) -> float:
    return float(np.sqrt(np.mean(difference**2)) / (np.sqrt(np.mean(values**2)) + floor))


def drift_check(
    calculator: Calculator, atoms: Atoms, bound: float, rng: np.random.Generator
) -> Check:
    """Fit the drift of the total energy in MD at constant energy.

    The integrator's own error goes with the square of the time step: two runs from the same
    start, one with half the step, extrapolate it away. What is left is that forces are not the
    slope of the energy.
    """
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    thermalize_momenta(atoms, temperature_K=DRIFT_TEMPERATURE_K, rng=rng)
    Stationary(atoms)
    coarse, fine = (_total_energies(calculator, atoms, halvings) for halvings in (0, 1))
    energies = (4 * fine - coarse) / 3 / len(atoms)
    picoseconds = 1e-3 * DRIFT_TIMESTEP_FS * np.arange(DRIFT_STEPS + 1)
    slope = np.polyfit(picoseconds, energies, 1)[0] if np.isfinite(energies).all() else np.inf
    return Check("drift of the total energy", 1e3 * abs(float(slope)), bound, "meV/atom/ps")


def _total_energies(calculator: Calculator, start: Atoms, halvings: int) -> np.ndarray:
    """Give total energies in eV after each `DRIFT_TIMESTEP_FS` of dynamics."""
    atoms = start.copy()
    atoms.calc = calculator
    substeps = 2**halvings
    dynamics = VelocityVerlet(atoms, timestep=DRIFT_TIMESTEP_FS / substeps * units.fs)
    energies = np.full(DRIFT_STEPS + 1, np.nan)
    for step in range(DRIFT_STEPS + 1):
        # neighbour lists of atoms that are nowhere never end
        if not np.isfinite(atoms.get_forces()).all():
            break
        energies[step] = atoms.get_total_energy()
        dynamics.run(substeps)
    return energies
