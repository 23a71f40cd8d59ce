"""Labels: read them, and refuse a set that would train a wrong potential without a word."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread
from ase.stress import voigt_6_to_full_3x3_stress

from glassml.potential.calculators import PotentialError

GPA = 160.21766208  # per eV/Å³
KEYS = ("REF_energy", "REF_forces", "REF_stress")
# Bounds that no silica label in the right unit passes: in Hartree/Bohr or kcal/mol it does.
MAX_FORCE = 200.0  # eV/Å
MAX_STRESS_GPA = 2000.0
BULK_MODULUS_GPA = (1.0, 1500.0)  # silica: 12 (cristobalite) to 310 (stishovite), liquid less
MAX_STRAIN = 0.15  # between two copies of which energies and stress are compared
MAX_SHIFT_A = 0.3
NET_FORCE = 0.02  # eV/Å per atom


def read_labels(path: Path) -> list[Atoms]:
    """Read labelled configurations from extxyz.

    Raises
    ------
    PotentialError
        If the file cannot be read or is empty.
    """
    try:
        frames = list(iread(path))
    except (OSError, ValueError, StopIteration) as error:
        raise PotentialError(f"{path}: cannot be read: {error}") from None
    if not frames:
        raise PotentialError(f"{path}: there is no label in it")
    return frames


def stress_voigt(atoms: Atoms) -> np.ndarray:
    """Give the labelled stress in eV/Å³ in ASE's Voigt order, also where it is a 3x3 matrix."""
    stress = np.asarray(atoms.info["REF_stress"], dtype=float)
    if stress.size == 6:
        return stress.reshape(6)
    full = stress.reshape(3, 3)
    return full[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def stress_matrix(atoms: Atoms) -> np.ndarray:
    """Give the labelled stress in eV/Å³ as a 3x3 matrix."""
    return voigt_6_to_full_3x3_stress(stress_voigt(atoms))


def name(atoms: Atoms, index: int) -> str:
    """Give the name of a configuration for messages."""
    return str(atoms.info.get("config_id", f"configuration {index}"))


def check_labels(frames: Sequence[Atoms]) -> dict[str, float | int | str]:
    """Check that labels are there, finite, in eV and Å, and that stress has ASE's sign.

    Parameters
    ----------
    frames
        Labelled configurations; those with periodic boundaries must have a stress.

    Returns
    -------
    dict
        What was found about the sign of the stress: see `stress_sign`.

    Raises
    ------
    PotentialError
        With one line per mistake.
    """
    mistakes = [line for index, atoms in enumerate(frames) for line in _mistakes(atoms, index)]
    if not mistakes:
        sign = stress_sign(frames)
        if sign["verdict"] == "wrong":
            mistakes.append(
                f"REF_stress has the wrong sign or unit (expected eV/Å³, tension positive): "
                f"{sign}; a bulk modulus within {BULK_MODULUS_GPA} GPa and a slope of the energy's "
                "change against the stress' work near 1 are right"
            )
    if mistakes:
        shown = mistakes[:10] + ([f"... {len(mistakes) - 10} more"] if len(mistakes) > 10 else [])
        raise PotentialError("labels are refused:\n  " + "\n  ".join(shown))
    return sign


def _mistakes(atoms: Atoms, index: int) -> list[str]:
    """List what is wrong with one label."""
    label = name(atoms, index)
    missing = [
        key for key in KEYS if key not in (atoms.arrays if key == "REF_forces" else atoms.info)
    ]
    if missing:
        hint = (
            "; energy, forces or stress without REF_ are not read" if atoms.calc is not None else ""
        )
        return [f"{label}: {', '.join(missing)} missing{hint}"]
    energy = float(atoms.info["REF_energy"])
    forces = np.asarray(atoms.arrays["REF_forces"], dtype=float)
    stress = np.asarray(atoms.info["REF_stress"], dtype=float)
    if forces.shape != (len(atoms), 3) or stress.size not in (6, 9):
        return [f"{label}: REF_forces {forces.shape} or REF_stress {stress.shape} has wrong shape"]
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        return [f"{label}: a label is not finite"]
    mistakes = []
    if np.abs(forces).max() > MAX_FORCE:
        mistakes.append(f"{label}: force of {np.abs(forces).max():.0f}: expected eV/Å")
    if np.abs(stress).max() * GPA > MAX_STRESS_GPA:
        mistakes.append(f"{label}: stress of {np.abs(stress).max():.3g}: expected eV/Å³")
    net = np.abs(forces.mean(axis=0)).max()
    if net > NET_FORCE + 0.01 * np.abs(forces).max():
        mistakes.append(f"{label}: forces sum to {net:.3f} eV/Å per atom, not to zero")
    return mistakes


def stress_sign(frames: Sequence[Atoms]) -> dict[str, float | int | str]:
    """Judge sign and unit of the labelled stress from the labels alone, in two ways.

    First, matter resists compression: within a family, pressure falls with the logarithm of the
    volume per atom, and minus the slope is a bulk modulus of silica's order. A flipped sign makes
    it negative, GPa in place of eV/Å³ makes it 160 times too large.

    Second, the energy's change between two copies of a cell is the work of stress and forces,
    E2 - E1 = V ε:σ - F·u, by the trapezoid rule correct to second order in the strain ε and the
    displacements u. Where copies are close enough for that, the slope of E2 - E1 + F·u against
    V ε:σ is 1.

    Parameters
    ----------
    frames
        Labelled configurations; those of the same `family` are compared.

    Returns
    -------
    dict
        `bulk_modulus_GPa` and `work_slope`, where there is enough to tell them, and `verdict`:
        "right", "wrong", or "unknown".
    """
    families: dict[str, list[Atoms]] = {}
    for atoms in frames:
        if atoms.pbc.all():
            families.setdefault(str(atoms.info.get("family", "")), []).append(atoms)
    found: dict[str, float | int | str] = {}
    verdicts = set()
    modulus = _bulk_modulus(families.values())
    if modulus is not None:
        found["bulk_modulus_GPa"] = modulus
        verdicts.add(BULK_MODULUS_GPA[0] < modulus < BULK_MODULUS_GPA[1])
    slope = _work_slope(families.values())
    if slope is not None:
        found["work_slope"] = slope
        verdicts.add(0.5 < slope < 2.0)
    verdict = "unknown" if not verdicts else "right" if verdicts == {True} else "wrong"
    return found | {"verdict": verdict}


def _bulk_modulus(families: Iterable[list[Atoms]]) -> float | None:
    """Give -dP/d ln V over all families in GPa, or None where volumes hardly differ."""
    logs, pressures = [], []
    for copies in families:
        volume = np.log([atoms.get_volume() / len(atoms) for atoms in copies])
        pressure = [-GPA * stress_voigt(atoms)[:3].mean() for atoms in copies]
        logs.append(volume - volume.mean())
        pressures.append(pressure - np.mean(pressure))
    x, y = (np.concatenate(parts) if parts else np.zeros(0) for parts in (logs, pressures))
    return _slope(x, -y, spread=0.01, least_correlation=0.5)


def _work_slope(families: Iterable[list[Atoms]]) -> float | None:
    """Give the slope of the energy's change against the stress' work, or None."""
    pairs = [
        pair
        for copies in families
        for first, second in itertools.pairwise(copies)
        if (pair := _pair_work(first, second)) is not None
    ]
    if not pairs:
        return None
    energy, work = np.array(pairs).T
    return _slope(work, energy, spread=0.0, least_correlation=0.9)


def _slope(x: np.ndarray, y: np.ndarray, spread: float, least_correlation: float) -> float | None:
    """Give the slope of y against x through the origin, if there is a clear one."""
    if len(x) < 4 or np.sqrt(np.mean(x**2)) <= spread or not y.any():
        return None
    if abs(x @ y) / np.sqrt((x @ x) * (y @ y)) < least_correlation:
        return None
    return float(x @ y / (x @ x))


def _pair_work(first: Atoms, second: Atoms) -> tuple[float, float] | None:
    """Give the energy that forces don't explain and the stress' work between two copies, in eV."""
    if str(first.symbols) != str(second.symbols):
        return None
    deformation = np.linalg.solve(first.cell[:], second.cell[:])
    # the trapezoid rule is of second order only with the strain of the cell halfway
    strain = (deformation - np.eye(3)) @ np.linalg.inv((np.eye(3) + deformation) / 2)
    shift = second.get_scaled_positions(wrap=False) - first.get_scaled_positions(wrap=False)
    shift -= np.round(shift)
    shift -= shift.mean(axis=0)
    if np.abs(strain).max() > MAX_STRAIN or np.abs(shift @ first.cell[:]).max() > MAX_SHIFT_A:
        return None
    energy = second.info["REF_energy"] - first.info["REF_energy"]
    work = 0.0
    for atoms in (first, second):
        energy += 0.5 * np.sum(atoms.arrays["REF_forces"] * (shift @ atoms.cell[:]))
        work += 0.5 * atoms.get_volume() * np.sum(stress_matrix(atoms) * strain)
    return float(energy), float(work)
