"""Structures and labels from files of others."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from ase.stress import full_3x3_to_voigt_6_stress

from glassml.campaign.errors import StructureError

FORCE_LIMIT_EV_A = 1000.0


def imported(
    path: str | Path,
    frame: int,
    *,
    file_format: str | None = None,
    labels: dict[str, str | None] | None = None,
) -> Atoms:
    """Read one frame of a file; keep its geometry, and its labels under `REF_*` if asked for.

    Parameters
    ----------
    path
        Any format that ASE reads.
    frame
        Its number, from 0.
    labels
        Names under which the file has `energy` (eV), `forces` (eV/Å) and `stress` (eV/Å³, None
        where there is none). None: the labels of the file are dropped.

    Raises
    ------
    StructureError
        If the file cannot be read or has fewer frames, or labels are missing or wrong.
    """
    modified = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
    frames = _frames(str(path), file_format, modified)
    if frame >= len(frames):
        raise StructureError(f"{path} has {len(frames)} frames; there is no number {frame}")
    source = frames[frame]
    atoms = Atoms(source.numbers, positions=source.positions, cell=source.cell[:], pbc=source.pbc)
    for key in ("config_type", "parent"):
        if key in source.info:
            atoms.info[key] = source.info[key]
    if labels is not None:
        copy_labels(source, atoms, labels)
    return atoms


def copy_labels(source: Atoms, target: Atoms, keys: dict[str, str | None]) -> None:
    """Copy labels from `source` to `REF_energy`, `REF_forces`, `REF_stress` of `target`.

    Raises
    ------
    StructureError
        If energy or forces are missing, of the wrong shape, not finite, or beyond what any
        structure has (forces above 1000 eV/Å, a net force above 0.1 eV/Å per atom).
    """
    energy = _label(source, keys["energy"], ())
    forces = _label(source, keys["forces"], (len(source), 3))
    largest = float(np.abs(forces).max())
    if largest > FORCE_LIMIT_EV_A:
        raise StructureError(f"label {keys['forces']}: a force of {largest:.0f} eV/Å")
    net = float(np.abs(forces.sum(axis=0)).max()) / len(source)
    if net > 0.1:
        raise StructureError(
            f"label {keys['forces']}: forces do not add up to zero ({net:.2f} eV/Å per atom)"
        )
    if abs(energy) / len(source) > 1e5:
        raise StructureError(
            f"label {keys['energy']}: {float(energy):.3g} eV is not a total energy"
        )
    target.info["REF_energy"] = float(energy)
    target.arrays["REF_forces"] = forces
    if keys.get("stress") is not None:
        target.info["REF_stress"] = _voigt(source, str(keys["stress"]))


def _label(atoms: Atoms, key: str | None, shape: tuple[int, ...]) -> np.ndarray:
    value = _lookup(atoms, str(key))
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise StructureError(f"label {key} is not a number: {value!r}") from None
    if array.shape != shape:
        raise StructureError(f"label {key} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise StructureError(f"label {key} is not finite")
    return array


def _lookup(atoms: Atoms, key: str) -> Any:
    """Find a label in info, arrays, or, since ASE moves some names there, the calculator."""
    if key in atoms.info:
        return atoms.info[key]
    if key in atoms.arrays:
        return atoms.arrays[key]
    if isinstance(atoms.calc, SinglePointCalculator) and key in atoms.calc.results:
        return atoms.calc.results[key]
    known = sorted({*atoms.info, *(set(atoms.arrays) - {"numbers", "positions"})})
    raise StructureError(f"label {key} is missing; the frame has {', '.join(known) or 'none'}")


def _voigt(atoms: Atoms, key: str) -> np.ndarray:
    """Give a stress of 6 or 3 x 3 numbers in ASE's Voigt order."""
    stress = np.array(_lookup(atoms, key), dtype=float)
    if stress.size == 9:
        stress = stress.reshape(3, 3)
        stress = full_3x3_to_voigt_6_stress(stress)
    if stress.shape != (6,) or not np.isfinite(stress).all():
        raise StructureError(f"label {key}: expected 6 or 9 finite numbers, shape {stress.shape}")
    return stress


@lru_cache(maxsize=4)
def _frames(path: str, file_format: str | None, modified: int) -> list[Atoms]:
    """Read all frames; `modified` keeps a changed file from being taken from the cache."""
    del modified
    try:
        frames = read(path, index=":", format=file_format)
    except FileNotFoundError:
        raise StructureError(f"{path}: there is no such file") from None
    except Exception as error:  # noqa: BLE001  (readers raise anything at all)
        raise StructureError(f"{path}: ASE cannot read it: {error!r}") from None
    return frames if isinstance(frames, list) else [frames]
