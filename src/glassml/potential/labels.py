"""Labels: read them, and refuse a set that would train a wrong potential without a word."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from glassml.campaign.extxyz import read_extxyz
from glassml.campaign.limits import MAX_FORCE_EV_A, net_force_excess
from glassml.campaign.units import GPA_PER_EV_A3
from glassml.potential.packages import PotentialError

KEYS = ("REF_energy", "REF_forces", "REF_stress")
MAX_STRESS_GPA = 10000.0
BULK_MODULUS_GPA = (1.0, 1500.0)  # silica: 12 (cristobalite) to 310 (stishovite), liquid less
SLOPES = (0.4, 2.5)
MAX_STRAIN = 0.15  # between two copies whose energies are compared
MAX_SHIFT_A = 0.3
MIN_PAIRS = 4
MIN_WORK_EV = 0.01
MIN_CORRELATION = 0.8
FAMILY_CORRELATION = 0.9  # one family alone is few labels


def read_labels(path: Path) -> list[Atoms]:
    """Read labelled configurations from extxyz; a small dataset may leave a set empty.

    Raises
    ------
    PotentialError
        If the file cannot be read.
    """
    try:
        return list(read_extxyz(path)) if path.stat().st_size else []
    except (OSError, ValueError, StopIteration) as error:
        raise PotentialError(f"{path}: cannot be read: {error}") from None


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


def check_labels(frames: Sequence[Atoms]) -> dict[str, float | str]:
    """Check that labels are there, finite, in eV and Å, and that stress has ASE's sign.

    Parameters
    ----------
    frames
        Labelled configurations.

    Returns
    -------
    dict
        What was found about signs and units: see `check_consistency`.

    Raises
    ------
    PotentialError
        With one line per mistake.
    """
    mistakes = [line for index, atoms in enumerate(frames) for line in _mistakes(atoms, index)]
    found = check_consistency(frames) if not mistakes else {}
    if "wrong" in (found.get("forces"), found.get("stress")):
        mistakes.append(
            "signs or units are wrong (expected eV, eV/Å, and eV/Å³ with tension positive): "
            f"{found}; a bulk modulus within {BULK_MODULUS_GPA} GPa, and slopes of the energy's "
            f"change against the work of forces and stress within {SLOPES} are right"
        )
    mistakes += _wrong_families(frames) if not mistakes else []
    if mistakes:
        shown = mistakes[:10] + ([f"... {len(mistakes) - 10} more"] if len(mistakes) > 10 else [])
        raise PotentialError("labels are refused:\n  " + "\n  ".join(shown))
    return found


def _mistakes(atoms: Atoms, index: int) -> list[str]:
    """List what is wrong with one label. What is not periodic needs no stress."""
    label = name(atoms, index)
    held = {**atoms.info, **atoms.arrays}
    missing = [key for key in KEYS if key not in held]
    if not atoms.pbc.all() and "REF_stress" in missing:
        missing.remove("REF_stress")
    if missing:
        hint = "; energy, forces and stress without REF_ are not read" if atoms.calc else ""
        return [f"{label}: {', '.join(missing)} missing{hint}"]
    forces = np.asarray(held["REF_forces"], dtype=float)
    stress = np.asarray(held.get("REF_stress", np.zeros(6)), dtype=float)
    if forces.shape != (len(atoms), 3) or stress.size not in (6, 9):
        return [f"{label}: REF_forces {forces.shape} or REF_stress {stress.shape} has wrong shape"]
    if not np.isfinite([float(held["REF_energy"]), *forces.ravel(), *stress.ravel()]).all():
        return [f"{label}: a label is not finite"]
    mistakes = []
    if np.abs(forces).max() > MAX_FORCE_EV_A:
        mistakes.append(f"{label}: a force of {np.abs(forces).max():.0f}: expected eV/Å")
    if np.abs(stress).max() * GPA_PER_EV_A3 > MAX_STRESS_GPA:
        mistakes.append(f"{label}: a stress of {np.abs(stress).max():.3g}: expected eV/Å³")
    if net := net_force_excess(forces):
        mistakes.append(f"{label}: forces sum to {net:.3f} eV/Å per atom, and not to zero")
    return mistakes


def check_consistency(frames: Sequence[Atoms]) -> dict[str, float | str]:
    """Judge signs and units of the labels from the labels alone, in two ways.

    First, matter resists compression: within a kind, pressure falls with the logarithm of the
    volume per atom, and minus the slope is a bulk modulus of silica's order. A flipped sign makes
    it negative, GPa in place of eV/Å³ makes it 160 times too large.

    Second, the energy's change between two copies of a cell is the work of forces and stress,
    E2 - E1 = a (-F·u) + b V ε:σ with a = b = 1, by the trapezoid rule correct to second order in
    the displacements u and the strain ε. Copies that are too far apart for that are not compared.

    Parameters
    ----------
    frames
        Labelled configurations; those of the same polymorph or family are compared.

    Returns
    -------
    dict
        `bulk_modulus_GPa`, `force_slope` (a) and `stress_slope` (b), those that the labels tell;
        `forces` and `stress`: "right", "wrong", or "unknown" where there is too little to judge.
    """
    families: dict[str, list[Atoms]] = {}
    for atoms in frames:
        if atoms.pbc.all():
            families.setdefault(_kind(atoms), []).append(atoms)
    found: dict[str, float | str] = {}
    modulus = _bulk_modulus(families.values())
    force, stress = _work_slopes(families.values())
    for key, value in (
        ("bulk_modulus_GPa", modulus),
        ("force_slope", force),
        ("stress_slope", stress),
    ):
        if value is not None:
            found[key] = round(value, 4)
    found["forces"] = _verdict([force], [SLOPES])
    found["stress"] = _verdict([modulus, stress], [BULK_MODULUS_GPA, SLOPES])
    return found


def _wrong_families(frames: Sequence[Atoms]) -> list[str]:
    """Name families whose stress alone has another sign or unit, where that is clear."""
    families: dict[str, list[Atoms]] = {}
    for atoms in frames:
        if atoms.pbc.all():
            families.setdefault(str(atoms.info.get("family", "")), []).append(atoms)
    mistakes = []
    for family, copies in families.items():
        kinds: dict[str, list[Atoms]] = {}
        for atoms in copies:
            kinds.setdefault(_kind(atoms), []).append(atoms)
        modulus = _bulk_modulus(kinds.values(), FAMILY_CORRELATION)
        if modulus is not None and not BULK_MODULUS_GPA[0] < modulus < BULK_MODULUS_GPA[1]:
            mistakes.append(
                f"family {family!r}: signs or units of its stress are wrong (a bulk modulus of "
                f"{modulus:.3g} GPa): expected eV/Å³ with tension positive"
            )
    return mistakes


def _kind(atoms: Atoms) -> str:
    """Name what a configuration may be compared with: its polymorph, or else its family.

    Parents are {family}/{polymorph}/{cell} or {family}/{number}. Polymorphs of one family differ
    in volume at the same pressure.
    """
    kind = str(atoms.info.get("parent", "")).rpartition("/")[0]
    return kind or str(atoms.info.get("family", ""))


def _verdict(values: list[float | None], ranges: list[tuple[float, float]]) -> str:
    within = [
        low < value < high
        for value, (low, high) in zip(values, ranges, strict=True)
        if value is not None
    ]
    return "unknown" if not within else "right" if all(within) else "wrong"


def _bulk_modulus(families: Iterable[list[Atoms]], least_correlation: float = 0.5) -> float | None:
    """Give -dP/d ln V within all families in GPa, or None where it is not clear."""
    logs, pressures = [np.zeros(0)], [np.zeros(0)]
    for copies in families:
        volume = np.log([atoms.get_volume() / len(atoms) for atoms in copies])
        pressure = [-GPA_PER_EV_A3 * stress_voigt(atoms)[:3].mean() for atoms in copies]
        logs.append(volume - volume.mean())
        pressures.append(pressure - np.mean(pressure))
    x, y = np.concatenate(logs), -np.concatenate(pressures)
    # each family takes a degree of freedom, its mean
    if len(x) - len(logs) + 1 < MIN_PAIRS or np.sqrt(np.mean(x**2)) < 0.01 or not y.any():
        return None
    correlation = x @ y / np.sqrt((x @ x) * (y @ y))
    return float(x @ y / (x @ x)) if abs(correlation) > least_correlation else None


def _work_slopes(families: Iterable[list[Atoms]]) -> tuple[float | None, float | None]:
    """Give the slopes a and b of the energy's change against the work of forces and stress."""
    pairs = [
        pair
        for copies in families
        for first, second in itertools.pairwise(copies)
        if (pair := _pair_work(first, second)) is not None
    ]
    if len(pairs) < MIN_PAIRS:
        return None, None
    energy, force, stress = np.array(pairs).T
    slopes: list[float | None] = []
    for own, other in ((force, stress), (stress, force)):
        # the part of the energy's change that only this work can explain
        rest, work = (v - other * (v @ other) / max(other @ other, 1e-12) for v in (energy, own))
        clear = work @ work > MIN_WORK_EV**2 * len(work) and (work @ rest) ** 2 > (
            MIN_CORRELATION**2 * (work @ work) * (rest @ rest)
        )
        slopes.append(float(work @ rest / (work @ work)) if clear else None)
    return slopes[0], slopes[1]


def _pair_work(first: Atoms, second: Atoms) -> tuple[float, float, float] | None:
    """Give the energy's change and the work of forces and of stress between two copies, in eV."""
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
    force = stress = 0.0
    for atoms in (first, second):
        force -= 0.5 * np.sum(atoms.arrays["REF_forces"] * (shift @ atoms.cell[:]))
        stress += 0.5 * atoms.get_volume() * np.sum(stress_matrix(atoms) * strain)
    return float(second.info["REF_energy"] - first.info["REF_energy"]), float(force), float(stress)
