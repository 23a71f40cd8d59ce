"""`glassml status`: what is done, running, failed or waiting, and how long the rest takes."""

import base64
import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from glassml.campaign.config import Campaign
from glassml.campaign.jobs import Job, existing, list_jobs
from glassml.campaign.names import STAGES
from glassml.campaign.plan import Item, duration, make_plan

State = Literal["done", "running", "failed", "waiting"]
STATES: tuple[State, ...] = ("done", "running", "failed", "waiting")
DONE_LABEL = "converged"


@dataclass(frozen=True)
class Failure:
    """A job or a configuration that failed, with its reason."""

    where: str
    reason: str


@dataclass
class Report:
    """The state of a campaign.

    Attributes
    ----------
    counts
        Jobs per stage and state.
    failed_jobs
        With the last line of their logs.
    failed_configurations
        Labels that were set aside, with their reasons.
    labelled, configurations
        Configurations with a label, and all.
    hours_left
        Core-hours and GPU-hours of what is not done.
    """

    counts: dict[str, Counter[State]] = field(default_factory=dict)
    failed_jobs: list[Failure] = field(default_factory=list)
    failed_configurations: list[Failure] = field(default_factory=list)
    labelled: int = 0
    configurations: int = 0
    hours_left: tuple[float, float] = (0.0, 0.0)


def examine(campaign: Campaign, root: Path = Path()) -> Report:
    """Look at the files of a campaign below the working directory `root`."""
    results = root / "results" / campaign.name
    logs = root / "logs" / campaign.name
    begun = _begun_files(root)
    alive = is_snakemake_running(root)
    # A job that failed in an earlier run waits for its turn in this one.
    since = _run_began(root) if alive else 0.0
    report = Report(counts={stage: Counter() for stage in (*STAGES, "campaign")})
    left: Counter[tuple[str, str]] = Counter()
    for job in list_jobs(campaign):
        state = _state(job, results, logs, begun, alive, since)
        report.counts[job.stage][state] += 1
        if state != "done":
            left[job.stage, _item_name(job)] += job.pieces or 1 if job.stage == "dft" else 1
        if state == "failed":
            report.failed_jobs.append(Failure(job.name, _last_line(logs / f"{job.name}.log")))
    _count_labels(campaign, results, report)
    report.hours_left = _hours_left(make_plan(campaign, results), left)
    return report


def _state(
    job: Job, results: Path, logs: Path, begun: set[str], alive: bool, since: float
) -> State:
    marked = any(str(Path("results", results.name, name)) in begun for name in job.outputs)
    if marked:
        return "running" if alive else "waiting"
    if existing(results, job):
        return "done"
    log = logs / f"{job.name}.log"
    benchmark = results / job.benchmark
    # A log without outputs is a failure, unless the job ended well once and was deleted.
    if not log.exists() or (written := log.stat().st_mtime) < since:
        return "waiting"
    ended_well = benchmark.exists() and benchmark.stat().st_mtime >= written
    return "waiting" if ended_well else "failed"


def _begun_files(root: Path) -> set[str]:
    """List the outputs that Snakemake has marked as begun and not finished."""
    folder = root / ".snakemake" / "incomplete"
    names = set()
    for path in folder.rglob("*"):
        if path.is_file():
            # Long names are spread over folders that begin with an at sign.
            encoded = "".join(part.lstrip("@") for part in path.relative_to(folder).parts)
            try:
                names.add(base64.urlsafe_b64decode(encoded).decode())
            except ValueError:
                continue
    return names


def _run_began(root: Path) -> float:
    """Give when the running Snakemake took its locks, in seconds since the epoch."""
    locks = (root / ".snakemake" / "locks").glob("*")
    return max((lock.stat().st_mtime for lock in locks), default=0.0)


def is_snakemake_running(root: Path) -> bool:
    """Tell whether a Snakemake process of this machine works in `root`."""
    import psutil  # noqa: PLC0415

    here = os.path.realpath(root)
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        named = any(Path(word).name == "snakemake" for word in words[:4])
        if named and process.info["cwd"] and os.path.realpath(process.info["cwd"]) == here:
            return True
    return False


def _last_line(path: Path) -> str:
    """Give the last line of a log that says something."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "no message; the log is empty"


def read_labels(results: Path, families: Iterable[str]) -> Iterator[dict[str, str]]:
    """Read the rows of all shards' label tables, one per configuration."""
    for family in families:
        for path in sorted((results / "dft" / family).glob("[0-9]*.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield {"family": family, **row}


def _count_labels(campaign: Campaign, results: Path, report: Report) -> None:
    families = campaign.configurations.families
    report.configurations = sum(family.count for family in families.values())
    for row in read_labels(results, families):
        if row["status"] == DONE_LABEL:
            report.labelled += 1
        else:
            report.failed_configurations.append(
                Failure(row.get("config_id", "?"), f"{row['status']}: {row.get('reason') or '?'}")
            )


def _item_name(job: Job) -> str:
    """Give the name of the line of the plan that a job belongs to."""
    if job.stage in {"configurations", "dft"}:
        return job.outputs[0].split("/")[1].replace("seeded.json", "labels at hand")
    if job.stage == "md":
        return job.name.removeprefix("md/").rpartition("/")[0]
    return ""


def _hours_left(items: list[Item], left: Counter[tuple[str, str]]) -> tuple[float, float]:
    """Scale the plan's hours by the share of each line that is not done."""
    core, gpu = 0.0, 0.0
    for item in items:
        name = item.name if item.stage in {"configurations", "dft", "md"} else ""
        whole = item.pieces if item.stage == "dft" and item.pieces else item.jobs
        share = min(left[item.stage, name] / whole, 1.0) if whole else 0.0
        core += share * item.core_hours
        gpu += share * item.gpu_hours
    return core, gpu


def render(report: Report, cores: int, limit: int = 10) -> str:
    """Write the state of a campaign as text, with at most `limit` failures of a kind."""
    lines = [f"{'stage':<15}" + "".join(f"{state:>9}" for state in STATES)]
    lines += [
        f"{stage:<15}" + "".join(f"{counts[state] or '·':>9}" for state in STATES)
        for stage, counts in report.counts.items()
    ]
    lines += ["", f"{report.labelled} of {report.configurations} configurations are labelled."]
    for title, failures in (
        ("Set aside", report.failed_configurations),
        ("Failed jobs", report.failed_jobs),
    ):
        if failures:
            lines.append(f"{title} ({len(failures)}):")
            lines += [f"  {failure.where}: {failure.reason}" for failure in failures[:limit]]
            if len(failures) > limit:
                lines.append(f"  … and {len(failures) - limit} more")
    core, gpu = report.hours_left
    if core + gpu == 0.0:
        lines.append("Nothing is left to do.")
    else:
        hours = core / max(cores, 1) + gpu
        lines.append(f"About {duration(hours)} are left on {cores} cores.")
    return "\n".join(lines)
