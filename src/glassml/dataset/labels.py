"""Labelled configurations from the shards of a campaign and from files of elsewhere."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.stats import spearmanr

from glassml.campaign.config.configurations import LabelKeys
from glassml.campaign.errors import StructureError
from glassml.campaign.extxyz import read_extxyz
from glassml.campaign.files import read_rows
from glassml.campaign.provenance import XC, same_functional
from glassml.configurations.imported import (
    NO_STRESS,
    copy_labels,
    has_label,
    label_names,
    stated_provenance,
)
from glassml.configurations.screening import check_sanity, shortest_distances

DOUBTFUL_SHARE = 0.02  # of stresses that cannot be: one may be a broken frame


LABELLED = {"converged", "imported"}  # what a shard's table says of frames of its extxyz


@dataclass
class Entry:
    """A configuration with its label, or the reason why it has none.

    Attributes
    ----------
    atoms
        With `REF_*`; None where there is no label.
    source
        The file that it came from.
    flags
        What is wrong with it, as short words.
    reason
        More about it, for people.
    """

    config_id: str
    family: str
    config_type: str
    parent: str
    source: str
    atoms: Atoms | None
    flags: list[str] = field(default_factory=list)
    reason: str = ""

    @property
    def isolated(self) -> bool:
        """Whether this is one atom in a box."""
        return self.config_type == "isolated_atom"


def shard_entries(folder: Path, family: str, shards: int) -> Iterator[Entry]:
    """Read the labels of a family and, from the tables beside them, what has none.

    Parameters
    ----------
    folder
        Has `{family}/{shard}.extxyz` and `.csv`.
    shards
        How many; each must be there.

    Raises
    ------
    StructureError
        If a shard is missing, unreadable, or has another number of labels than its table says.
    """
    for shard in range(shards):
        path = folder / family / f"{shard:04d}.extxyz"
        table = path.with_suffix(".csv")
        frames, rows = _frames(path), read_rows(table) if table.exists() else []
        labelled = sum(row["status"] in LABELLED for row in rows)
        if rows and len(frames) != labelled:
            raise StructureError(
                f"{path}: has {len(frames)} labels, its table {labelled}: one is cut off; "
                "remove both, and run again"
            )
        for atoms in frames:
            yield _entry(
                atoms, path, LabelKeys(), family, str(atoms.info.get("config_type", "unknown"))
            )
        for row in rows:
            if row["status"] not in LABELLED:
                yield _set_aside(row, table)


def included_entries(
    path: str | Path,
    keys: LabelKeys,
    config_type: str,
    named: Sequence[str] = (),
) -> list[Entry]:
    """Read the labels of a file from elsewhere; frames that cannot be used say why.

    Parameters
    ----------
    keys
        Names under which the file has them, and what it does not state of itself.
    config_type
        For frames that have none.
    named
        Those of the names that some frame must have.

    Raises
    ------
    StructureError
        If the file cannot be read at all, no frame has a label that is named, many stresses
        cannot be, or pressures fall where the density rises.
    """
    path = Path(path)
    frames = _frames(path)
    for name in named:
        if frames and not any(has_label(atoms, name) for atoms in frames):
            has = sorted({key for atoms in frames[:100] for key in label_names(atoms)})
            raise StructureError(
                f"{path}: no frame has the label {name} that is named; they have {', '.join(has)}"
            )
    entries = []
    for number, atoms in enumerate(frames):
        family = str(atoms.info.get("family", _stem(path)))
        atoms.info.setdefault("config_id", f"{_stem(path)}/{number:06d}")
        kind = str(atoms.info.get("config_type", config_type))
        entries.append(_entry(atoms, path, keys, family, kind))
    _check_doubtful(entries, str(path))
    check_signs(entries, str(path))
    return entries


def _check_doubtful(entries: Sequence[Entry], source: str) -> None:
    """Refuse a file of which many stresses cannot be: then the others are misread too."""
    doubtful = [entry for entry in entries if NO_STRESS in entry.reason]
    if len(doubtful) > DOUBTFUL_SHARE * len(entries):
        raise StructureError(
            f"{source}: {len(doubtful)} of {len(entries)} frames have stresses that cannot be: "
            f"{doubtful[0].reason}"
        )


def check_signs(entries: Sequence[Entry], source: str) -> None:
    """Refuse stresses of the wrong sign: of denser frames the pressure is higher.

    Raises
    ------
    StructureError
        If, over ten frames or more of one composition, pressure falls with density (Spearman's
        rank correlation below -0.5).
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for entry in entries:
        if entry.atoms is not None and "REF_stress" in entry.atoms.info:
            atoms = entry.atoms
            pair = len(atoms) / atoms.get_volume(), -float(atoms.info["REF_stress"][:3].mean())
            formula = atoms.get_chemical_formula(empirical=True)
            groups.setdefault(formula, []).append(pair)
    for formula, pairs in groups.items():
        density, pressure = np.array(pairs).T
        if len(pairs) < 10 or np.ptp(density) < 0.02 * density.mean() or not np.ptp(pressure):
            continue
        correlation = float(spearmanr(density, pressure).statistic)
        if correlation < -0.5:
            raise StructureError(
                f"{source}: pressure falls with density over {len(pairs)} frames of {formula} "
                f"(rank correlation {correlation:.2f}): the stress has the wrong sign; is it a "
                f"virial (labels.virial)?"
            )


def check_functional(entries: Iterable[Entry], xc: str) -> None:
    """Refuse labels that state another functional than the campaign's.

    Raises
    ------
    StructureError
        With the first of them.
    """
    for entry in entries:
        stated = entry.atoms.info.get(XC) if entry.atoms is not None else None
        if stated is not None and not same_functional(str(stated), xc):
            raise StructureError(
                f"{entry.source}: {entry.config_id} states {stated}; this campaign's labels are of "
                f"{xc} (dft.xc), and two functionals must not be mixed"
            )


def isolated_energies(entries: Iterable[Entry]) -> dict[str, float]:
    """Give the energy in eV of each isolated atom; of several boxes that in the largest."""
    best: dict[str, tuple[float, float]] = {}
    for entry in entries:
        if entry.isolated and entry.atoms is not None and len(entry.atoms) == 1:
            symbol = entry.atoms.get_chemical_symbols()[0]
            volume = float(entry.atoms.get_volume())
            if symbol not in best or volume > best[symbol][0]:
                best[symbol] = (volume, float(entry.atoms.info["REF_energy"]))
    return {symbol: best[symbol][1] for symbol in sorted(best)}


def largest_force(atoms: Atoms) -> float:
    """Give the largest force of an atom in eV/Å."""
    return float(np.linalg.norm(atoms.arrays["REF_forces"], axis=1).max())


def shortest_by_limit(atoms: Atoms, limits: Mapping[tuple[str, str], float]) -> str:
    """Say which pair is closer than its limit; empty if none."""
    shortest = shortest_distances(atoms)
    for pair, limit in limits.items():
        if shortest.get(pair, np.inf) < limit:
            return f"{'-'.join(pair)} {shortest[pair]:.3f} Å"
    return ""


def _entry(source: Atoms, path: Path, keys: LabelKeys, family: str, config_type: str) -> Entry:
    """Check a frame and bring its labels under `REF_*`."""
    config_id = str(source.info.get("config_id", ""))
    parent = str(source.info.get("parent", config_id))
    entry = Entry(config_id, family, config_type, parent, str(path), None)
    atoms = Atoms(source.numbers, positions=source.positions, cell=source.cell[:], pbc=source.pbc)
    atoms.info = {k: source.info[k] for k in ("seed", "label_key", "recipe") if k in source.info}
    try:
        check_sanity(atoms, {"Si", "O"})
        optional = {"stress": keys.stress, "virial": keys.virial}
        absent = {k: None for k, name in optional.items() if name and not has_label(source, name)}
        copy_labels(source, atoms, keys.model_copy(update=absent))
        atoms.info |= stated_provenance(source, path, keys)
    except StructureError as error:
        entry.flags, entry.reason = ["unusable"], str(error)
        return entry
    atoms.info |= {
        "config_id": config_id,
        "family": family,
        "config_type": config_type,
        "parent": parent,
    }
    entry.atoms = atoms
    return entry


def _set_aside(row: Mapping[str, str], table: Path) -> Entry:
    flag = "unconverged" if row["status"] == "failed" else "refused"
    return Entry(
        row["config_id"],
        row["family"],
        row["config_type"],
        row["parent"],
        str(table),
        None,
        [flag],
        row["reason"],
    )


def _frames(path: Path) -> list[Atoms]:
    if not path.exists():
        raise StructureError(f"{path}: there is no such file of labels")
    if path.stat().st_size == 0:
        return []
    try:
        return list(read_extxyz(path))
    except Exception as error:  # noqa: BLE001  (readers raise anything at all)
        raise StructureError(f"{path}: cannot be read as extxyz: {error}") from None


def _stem(path: Path) -> str:
    return path.name.split(".")[0].lower()
