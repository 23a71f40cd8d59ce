"""`glassml campaign check`: whether a campaign's results are consistent, stage by stage.

A check that fails is an error of the program or a broken file, and not a poor potential or glass:
those are judged by gates and by the acceptance table. Files are read as they are documented, so
that this module needs no code of the stages.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import iread

from glassml.campaign.config import Campaign
from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import UnreadableError, read_json, read_rows
from glassml.campaign.limits import net_force_excess

SETS = ("train", "validation", "test")
DENSITY_RANGE_g_cm3 = (0.5, 8.0)
HIGH_Q_PER_A = 15.0
# S(Q) of a solid still oscillates at 15 1/Å; its mean is 1 within a few percent.
HIGH_Q_TOLERANCE = 0.1
SHARE_TOLERANCE = 1e-3


class CheckError(GlassmlError):
    """Results that contradict themselves."""


@dataclass(frozen=True)
class Finding:
    """What one check found: nothing if `faults` is empty."""

    check: str
    looked_at: int
    faults: list[str]


def check_all(campaign: Campaign, results: Path) -> list[Finding]:
    """Run all checks of a finished campaign.

    Parameters
    ----------
    campaign
        The configuration.
    results
        Folder ``results/{campaign}``.

    Returns
    -------
    list of Finding
        One per check. A file that cannot be read is a fault of its check.
    """
    checks: tuple[tuple[str, Callable[[Campaign, Path], Iterator[str | None]]], ...] = (
        ("every configuration has a label or a reason", every_configuration_accounted),
        ("labels are finite, with forces that add up to zero", labels_sound),
        ("sets share no parent", sets_disjoint),
        ("the data set holds the labels of its manifest", manifest_true),
        ("series of dynamics are finite, densities in range", series_sound),
        ("S(Q) is finite and goes to 1", structure_factor_limit),
        ("coordination numbers add up to one", coordination_closed),
        ("ring counts add up", rings_closed),
    )
    findings = []
    for name, check in checks:
        looked_at, faults = 0, []
        try:
            for fault in check(campaign, results):
                looked_at += 1
                if fault is not None:
                    faults.append(fault)
        except UnreadableError as error:
            faults.append(str(error))
        except (OSError, ValueError, KeyError) as error:
            faults.append(f"{type(error).__name__}: {error}")
        findings.append(Finding(name, looked_at, faults))
    return findings


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def every_configuration_accounted(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Follow each configuration from the one asked for to its label, or the reason for none."""
    for family, section in campaign.configurations.families.items():
        made = _family_rows(results / "configurations" / family)
        labelled = _family_rows(results / "dft" / family)
        yield (
            None
            if len(made) == section.count
            else f"{family}: {section.count} were asked for, {len(made)} are accounted for"
        )
        wanted = sorted(row["config_id"] for row in made if row["status"] == "made")
        found = sorted(row["config_id"] for row in labelled)
        if wanted != found:
            yield f"{family}: {len(wanted)} configurations were made, {len(found)} have rows in dft"
        for row in (*made, *labelled):
            silent = row["status"] not in {"made", "converged"} and not row["reason"]
            yield f"{row['config_id']}: {row['status']} without a reason" if silent else None


def _family_rows(folder: Path) -> list[dict[str, str]]:
    return [row for path in sorted(folder.glob("[0-9]*.csv")) for row in read_rows(path)]


def labels_sound(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Check each label: finite energy, forces, stress, and no net force to speak of."""
    for family in campaign.configurations.families:
        for path in sorted((results / "dft" / family).glob("[0-9]*.extxyz")):
            if path.stat().st_size == 0:
                continue
            for atoms in iread(path, index=":", format="extxyz"):
                name = atoms.info.get("config_id", path)
                if "REF_energy" not in atoms.info or "REF_forces" not in atoms.arrays:
                    yield f"{name}: no REF_energy or REF_forces"
                    continue
                forces = atoms.arrays["REF_forces"]
                numbers = [atoms.info["REF_energy"], *forces.ravel()]
                numbers += list(np.ravel(atoms.info.get("REF_stress", [])))
                if not np.isfinite(np.array(numbers, dtype=float)).all():
                    yield f"{name}: a label is not finite"
                elif net := net_force_excess(forces):
                    yield f"{name}: mean force {net:.3f} eV/Å"
                else:
                    yield None


def sets_disjoint(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Check that no parent and no configuration is in two sets of a generation."""
    for generation in range(campaign.potential.generations):
        parents: dict[str, set[str]] = {name: set() for name in SETS}
        folder = results / "dataset" / f"g{generation}"
        for name in SETS:
            for atoms in _frames(folder / f"{name}.extxyz"):
                parents[name].add(str(atoms.info.get("parent", "")))
        for one, other in itertools.combinations(SETS, 2):
            common = parents[one] & parents[other]
            yield (
                f"g{generation}: {one} and {other} share {', '.join(sorted(common)[:3])}"
                if common
                else None
            )
        yield None if parents["train"] else f"g{generation}: the training set is empty"


def _frames(path: Path) -> Iterator:
    if path.stat().st_size:
        yield from iread(path, index=":", format="extxyz")


def manifest_true(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Check the counts of each set against the manifest."""
    for generation in range(campaign.potential.generations):
        folder = results / "dataset" / f"g{generation}"
        manifest = read_json(folder / "manifest.json")
        for name in SETS:
            count = sum(1 for _ in _frames(folder / f"{name}.extxyz"))
            wanted = manifest["counts"][name]
            yield None if count == wanted else f"g{generation}: {name} has {count}, not {wanted}"


def _glasses(
    campaign: Campaign, folder: Path, file: str
) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Give of each glass in each state its name, its folder in a stage, and a document there."""
    for state in campaign.md.states:
        for glass in campaign.md.glass_names():
            place = folder / state / glass
            yield f"{state}/{glass}", place, read_json(place / file)


def series_sound(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Check that dynamics are finite, in the range of densities, and stopped only with reasons."""
    for name, folder, record in _glasses(campaign, results / "md", "record.json"):
        if record["status"] != "finished":
            yield None if record.get("reason") else f"{name}: stopped, but no reason"
            continue
        rows = read_rows(folder / "series.csv")
        numbers = np.array(
            [[_number(value) for key, value in row.items() if key != "stage"] for row in rows]
        )
        density = np.array([_number(row["density_g_cm3"]) for row in rows])
        low, high = DENSITY_RANGE_g_cm3
        if not rows or not np.isfinite(numbers).all():
            yield f"{name}: the series is empty or not finite"
        elif density.min() < low or density.max() > high:
            yield f"{name}: density {density.min():.2f}-{density.max():.2f} g/cm³"
        else:
            yield None


def structure_factor_limit(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Check that the neutron and X-ray S(Q) of each state are finite, with mean 1 at high Q."""
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for row in read_rows(results / "structure" / "summary" / "sq.csv"):
        point = (_number(row["q_per_A"]), _number(row["neutron"]), _number(row["xray"]))
        curves.setdefault(row["state"], []).append(point)
    low = min(HIGH_Q_PER_A, 0.8 * campaign.structure.q_max_per_A)
    for state, points in curves.items():
        table = np.array(points)
        if not np.isfinite(table).all():
            yield f"{state}: S(Q) is not finite"
            continue
        means = table[table[:, 0] >= low, 1:].mean(axis=0)
        wrong = np.abs(means - 1.0) > HIGH_Q_TOLERANCE
        yield f"{state}: S(Q) goes to {means[0]:.3f}, {means[1]:.3f}" if wrong.any() else None


def coordination_closed(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Check for each element and state that the shares of coordination numbers add up to 1."""
    del campaign
    sums: dict[tuple[str, str], float] = {}
    for row in read_rows(results / "structure" / "summary" / "states.csv"):
        words = row["observable"].split("_")
        if words[0] == "coordination" and words[-1] != "mean":
            key = (row["state"], words[1])
            sums[key] = sums.get(key, 0.0) + _number(row["mean"])
    for (state, element), total in sums.items():
        good = abs(total - 1.0) < SHARE_TOLERANCE
        yield None if good else f"{state}: shares of {element} add up to {total:.4f}"


def rings_closed(campaign: Campaign, results: Path) -> Iterator[str | None]:
    """Check that ring counts, counts per Si and shares of each glass agree with each other."""
    for name, folder, network in _glasses(campaign, results / "structure", "network.json"):
        if network["status"] != "analysed":
            continue
        groups: dict[str, list[dict[str, str]]] = {}
        for row in read_rows(folder / "rings.csv"):
            groups.setdefault(row["criterion"], []).append(row)
        for criterion, rows in groups.items():
            yield _ring_fault(f"{name} {criterion}", rows, network["si"])


def _ring_fault(name: str, rows: list[dict[str, str]], si: int) -> str | None:
    counts = np.array([_number(row["count"]) for row in rows])
    shares = np.array([_number(row["fraction"]) for row in rows])
    per_si = np.array([_number(row["per_si"]) for row in rows])
    if abs(shares.sum() - 1.0) > SHARE_TOLERANCE:
        return f"{name}: shares of ring sizes add up to {shares.sum():.4f}"
    if np.abs(counts / si - per_si).max() > SHARE_TOLERANCE:
        return f"{name}: rings per Si are not the counts over {si} Si"
    return None


def render(findings: list[Finding]) -> str:
    """Write findings as text, at most five faults of each check."""
    lines = []
    for finding in findings:
        verdict = "ok" if not finding.faults else "FAILED"
        lines.append(f"{verdict:<7} {finding.check} ({finding.looked_at} looked at)")
        lines += [f"        {fault}" for fault in finding.faults[:5]]
        if len(finding.faults) > 5:
            lines.append(f"        … and {len(finding.faults) - 5} more")
    return "\n".join(lines)
