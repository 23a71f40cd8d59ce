"""Structures and labels from files of others."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import GPa

from glassml.campaign.config.configurations import LabelKeys
from glassml.campaign.errors import StructureError
from glassml.campaign.limits import IMPORTED_NET_FORCE_EV_A, MAX_FORCE_EV_A
from glassml.campaign.provenance import CODE, XC, same_functional, stated_functional

# Of strained, rattled and compressed silica from -26 to 275 GPa is known here; beyond these it is
# another unit, another sign, or no stress.
STRESS_LIMIT_GPA, TENSION_LIMIT_GPA = 1000.0, 60.0
NO_STRESS = "is it a virial"
UNITS_EV_A3 = {"eV/A3": 1.0, "GPa": GPa, "kbar": 0.1 * GPa}


def imported(
    path: str | Path,
    frame: int,
    *,
    file_format: str | None = None,
    labels: LabelKeys | None = None,
) -> Atoms:
    """Read one frame of a file; keep its geometry, and its labels under `REF_*` if asked for.

    Parameters
    ----------
    path
        Any format that ASE reads.
    frame
        Its number, from 0.
    labels
        Names under which the file has them, and what they are of; None: they are dropped.

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
        atoms.info |= stated_provenance(source, path, labels)
    return atoms


def copy_labels(source: Atoms, target: Atoms, keys: LabelKeys) -> None:
    """Copy labels from `source` to `REF_energy`, `REF_forces`, `REF_stress` of `target`.

    Parameters
    ----------
    keys
        As of `imported`.

    Raises
    ------
    StructureError
        If energy or forces are missing, of the wrong shape, not finite, or beyond what any
        structure has (forces above 1000 eV/Å, a net force above 0.1 eV/Å per atom, a stress above
        1000 GPa, a tension above 60 GPa).
    """
    energy = _label(source, keys.energy, ())
    forces = _label(source, keys.forces, (len(source), 3))
    largest = float(np.abs(forces).max())
    if largest > MAX_FORCE_EV_A:
        raise StructureError(f"label {keys.forces}: a force of {largest:.0f} eV/Å")
    net = float(np.abs(forces.sum(axis=0)).max()) / len(source)
    if net > IMPORTED_NET_FORCE_EV_A:
        raise StructureError(
            f"label {keys.forces}: forces do not add up to zero ({net:.2f} eV/Å per atom)"
        )
    if abs(energy) / len(source) > 1e5:
        raise StructureError(f"label {keys.energy}: {float(energy):.3g} eV is not a total energy")
    target.info["REF_energy"] = float(energy)
    target.arrays["REF_forces"] = forces
    stress = _stress(source, keys)
    if stress is not None:
        target.info["REF_stress"] = stress


def stated_provenance(source: Atoms, path: str | Path, labels: LabelKeys) -> dict[str, str]:
    """Give the functional and the program of a frame's labels, under `REF_xc` and `REF_code`.

    Raises
    ------
    StructureError
        If the frame states another functional than `labels` does.
    """
    told, stated = labels.xc, source.info.get(XC)
    if told and stated and not same_functional(told, str(stated)):
        raise StructureError(f"{path}: a frame states {stated}, but labels.xc says {told}")
    found = {XC: stated or told or stated_functional(path)}
    found[CODE] = source.info.get(CODE) or labels.code
    return {key: str(value) for key, value in found.items() if value}


def label_names(atoms: Atoms) -> list[str]:
    """Name all that a frame has beside its geometry, sorted."""
    results = atoms.calc.results if isinstance(atoms.calc, SinglePointCalculator) else {}
    return sorted({*atoms.info, *(set(atoms.arrays) - {"numbers", "positions"}), *results})


def has_label(atoms: Atoms, key: str) -> bool:
    """Whether a frame has a label, in info, arrays or, where ASE puts its own names, results."""
    results = atoms.calc.results if isinstance(atoms.calc, SinglePointCalculator) else {}
    return key in atoms.info or key in atoms.arrays or key in results


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
    results = atoms.calc.results if isinstance(atoms.calc, SinglePointCalculator) else {}
    for place in (atoms.info, atoms.arrays, results):
        if key in place:
            return place[key]
    raise StructureError(
        f"label {key} is missing; the frame has {', '.join(label_names(atoms)) or 'none'}"
    )


def _stress(atoms: Atoms, keys: LabelKeys) -> np.ndarray | None:
    """Give the stress in eV/Å³, of its own key or of the virial; None where there is none."""
    if keys.virial is not None:
        name = str(keys.virial)
        stress = -_voigt(atoms, name, (9,)) / atoms.get_volume()
    elif keys.stress is not None:
        name = str(keys.stress)
        stress = _voigt(atoms, name, (6, 9)) * UNITS_EV_A3[keys.stress_unit]
    else:
        return None
    largest, pressure = float(np.abs(stress).max()) / GPa, -float(stress[:3].mean()) / GPa
    if largest > STRESS_LIMIT_GPA or pressure < -TENSION_LIMIT_GPA:
        what = (
            f"a tension of {-pressure:.0f} GPa, which no solid bears"
            if pressure < -TENSION_LIMIT_GPA
            else f"a stress of {largest:.0f} GPa"
        )
        raise StructureError(
            f"label {name}: {what}; {NO_STRESS} (in eV, of the other sign: labels.virial), or in "
            f"another unit (labels.stress_unit)?"
        )
    return stress


def _voigt(atoms: Atoms, key: str, sizes: tuple[int, ...]) -> np.ndarray:
    """Give a tensor of 6 or 3 x 3 numbers in ASE's Voigt order."""
    expected = " or ".join(map(str, sizes))
    try:
        tensor = np.array(_lookup(atoms, key), dtype=float)
    except (TypeError, ValueError):
        raise StructureError(f"label {key}: expected {expected} numbers") from None
    if tensor.size not in sizes or not np.isfinite(tensor).all():
        raise StructureError(
            f"label {key}: expected {expected} finite numbers, shape {tensor.shape}"
        )
    if tensor.size == 9:
        return full_3x3_to_voigt_6_stress(tensor.reshape(3, 3))
    return tensor.reshape(6)


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
