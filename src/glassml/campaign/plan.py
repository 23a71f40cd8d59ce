"""`glassml plan`: what a campaign will cost, before anything runs; refined by what ran.

Costs are rough and say so. Labels were measured on one core of a shared server: GPAW 26.7 in
plane-wave mode, 24 to 72 atoms of SiO2; the GPU is an NVIDIA H100. All else is processor time of
the trial campaign on two quiet cores, with the small potential that comes with glassml:
``snakemake --cores 2``, then ``cpu_time`` of ``results/trial/benchmarks/**/*.tsv``. Once shards,
trainings or states of the campaign have run, their own times replace the estimates.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from glassml.campaign.config import Campaign
from glassml.campaign.config.configurations import Classical, Glasses
from glassml.campaign.config.md import MolecularDynamics
from glassml.campaign.jobs import Job, list_jobs

# One k point of 24 atoms in 350 Å³ at 800 eV took 50 s of a core; 72 atoms took 550 s, so that
# the exponent of size is 2.2: one for the volume (plane waves), 1.2 for the bands.
DFT_SECONDS = 50.0
DFT_ATOMS, DFT_VOLUME_A3, DFT_CUTOFF_eV = 24.0, 350.0, 800.0
DFT_BAND_EXPONENT = 1.2
DFT_CUTOFF_EXPONENT = 0.6  # 34, 38, 42, 56 s at 400, 500, 700, 900 eV
DFT_START_SECONDS = 8.0
BOXES = ("dimer", "isolated_atom")
VOLUME_PER_ATOM_A3 = 14.6  # silica glass, 2.2 g/cm³
CLASSICAL_SECONDS_PER_ATOM_STEP = 5.5e-6  # SHIK by LAMMPS: 40 to 45 s for 288 atoms, 28,000 steps
CRYSTAL_SECONDS = 0.3
# 2 layers, l_max 1, 32 features, 4.5 Å, compiled, 288 atoms: 44 s for 2,500 steps, 104 s for 6,000;
# hot and compressed 104 to 133 s for 5,000.
NEQUIP_CPU_SECONDS_PER_ATOM_STEP = 7.0e-5
CHECKS_SECONDS_PER_MEMBER = 80.0  # compiled, verified, evaluated, and its share of the gates
ANALYSIS_SECONDS, ANALYSIS_SECONDS_PER_ATOM = 4.0, 0.005  # of a glass in a state
NEQUIP_GPU_ATOM_STEPS_PER_SECOND = 8.0e5
LABEL_BYTES_PER_ATOM = 3 * 90 + 60  # numbers in the store's record and twice in extxyz
MODEL_BYTES = 3.0e6
FRAME_BYTES_PER_ATOM = 2 * 3 * 4.0  # positions and velocities, single precision
SAMPLE_BYTES = 200.0

Basis = Literal["estimate", "measured"]


@dataclass(frozen=True)
class Item:
    """One line of a plan: a family, a training, a state …, with what it costs in all.

    Attributes
    ----------
    stage, name
        What is done.
    pieces, jobs
        Configurations (or trainings, glasses) and Snakemake jobs.
    core_hours, gpu_hours
        Processor time; dynamics and training are counted as one or the other.
    disk_MB
        What stays on disk.
    basis
        Whether the time is an estimate, or was measured on jobs of this campaign.
    """

    stage: str
    name: str
    pieces: int
    jobs: int
    core_hours: float
    gpu_hours: float
    disk_MB: float
    basis: Basis = "estimate"


def make_plan(campaign: Campaign, results: Path | None = None, gpu: bool = False) -> list[Item]:
    """Estimate what a campaign costs.

    Parameters
    ----------
    campaign
        The configuration.
    results
        Folder of the campaign's results, whose benchmarks replace estimates; None for none.
    gpu
        Count training and dynamics as GPU-hours instead of core-hours.

    Returns
    -------
    list of Item
        In the order of the stages.
    """
    jobs = list_jobs(campaign)
    items = [
        *(_configurations(campaign, family) for family in campaign.configurations.families),
        Item("dft", "labels at hand", 0, 1, 20 / 3600, 0.0, 0.0),
        *(_labels(campaign, family) for family in campaign.configurations.families),
        *_learning(campaign, jobs, gpu),
        *([_start(campaign, jobs, gpu)] if campaign.md.runs_starts() else []),
        *(_dynamics(campaign, state, gpu) for state in campaign.md.states),
        _analysis(campaign, jobs),
        *_studies(campaign, jobs, gpu),
        Item("report", "page", 1, 1, 20 / 3600, 0.0, 10.0),
        Item("campaign", "checks", 1, 1, 2 / 3600, 0.0, 0.0),
    ]
    return items if results is None else [_refine(item, results) for item in items]


def label_seconds(campaign: Campaign, family: str) -> float:
    """Estimate the core-seconds of one label of `family`, recipes for hard cases not counted."""
    atoms, volume = _typical_cell(campaign, family)
    if campaign.configurations.families[family].generator in BOXES:
        kpoints = 2  # Γ alone, but both spins
    else:
        length = 2 * math.pi / volume ** (1 / 3)
        per_axis = math.ceil(length / campaign.dft.kpoint_spacing_per_A)
        kpoints = math.ceil(per_axis**3 / 2)  # time reversal halves all but Γ
    size = volume / DFT_VOLUME_A3 * (atoms / DFT_ATOMS) ** DFT_BAND_EXPONENT
    cutoff = (campaign.dft.cutoff_eV / DFT_CUTOFF_eV) ** DFT_CUTOFF_EXPONENT
    return DFT_START_SECONDS + DFT_SECONDS * size * cutoff * kpoints


def _typical_cell(campaign: Campaign, family: str) -> tuple[float, float]:
    """Give the mean number of atoms of a family's cells, and their volume in Å³."""
    section = campaign.configurations.families[family]
    box = getattr(section, "box_A", None)
    if box is not None:
        return (1.0 if section.generator == "isolated_atom" else 2.0), box**3
    atoms = getattr(section, "atoms", None) or (DFT_ATOMS,)
    mean = sum(atoms) / len(atoms)
    return mean, mean * VOLUME_PER_ATOM_A3


def _shard_count(campaign: Campaign, family: str) -> int:
    return campaign.configurations.shards(family)


def _configurations(campaign: Campaign, family: str) -> Item:
    section = campaign.configurations.families[family]
    atoms, _ = _typical_cell(campaign, family)
    candidates = section.count * section.oversample
    seconds = candidates * CRYSTAL_SECONDS
    if isinstance(section, Classical):
        paths = candidates / section.snapshots
        duration = section.melt_ps + section.snapshots * getattr(section, "hold_ps", 2.0)
        if isinstance(section, Glasses):
            duration += 3700.0 / (sum(section.rate_K_per_ps) / 2) + 2 * section.compression_ps
        steps = duration * 1000.0 / section.timestep_fs
        seconds += paths * steps * atoms * CLASSICAL_SECONDS_PER_ATOM_STEP
    return Item(
        "configurations",
        family,
        section.count,
        _shard_count(campaign, family),
        seconds / 3600,
        0.0,
        section.count * atoms * 80 / 1e6,
    )


def _labels(campaign: Campaign, family: str) -> Item:
    count = campaign.configurations.families[family].count
    atoms, _ = _typical_cell(campaign, family)
    return Item(
        "dft",
        family,
        count,
        _shard_count(campaign, family),
        count * label_seconds(campaign, family) / 3600,
        0.0,
        count * (atoms * LABEL_BYTES_PER_ATOM + 2000) / 1e6,
    )


def _learning(campaign: Campaign, jobs: list[Job], gpu: bool) -> list[Item]:
    potential = campaign.potential
    total = sum(family.count for family in campaign.configurations.families.values())
    members = potential.generations * potential.committee
    # max_minutes ends a training, so that it is the upper bound.
    hours = 0.0 if potential.mode == "given" else members * potential.training.max_minutes / 60
    splits = Item(
        "dataset",
        "splits",
        potential.generations,
        _count(jobs, "dataset"),
        total * 0.002 / 3600,
        0.0,
        total * 24 * LABEL_BYTES_PER_ATOM / 2e6,
    )
    return [splits, _trainings("potential", "training, checks, gates", members, jobs, hours, gpu)]


def _studies(campaign: Campaign, jobs: list[Job], gpu: bool) -> list[Item]:
    potential = campaign.potential
    search = potential.search.training or potential.training
    studies = {
        "search": (len(potential.search.variants), search.max_minutes),
        "learning_curve": (len(potential.learning_curve.names()), potential.training.max_minutes),
    }
    included = [studies[study] for study in set(campaign.report.include)]
    hours = sum(number * minutes for number, minutes in included) / 60
    if "search" in campaign.report.include:
        melt = _dynamics_hours(campaign.md, campaign.md.first_state(), gpu)
        hours += len(potential.search.glasses) * melt
    number = sum(number for number, _ in included)
    if _count(jobs, "studies") == 0:
        return []
    return [_trainings("studies", "training, glasses, tables", number, jobs, hours, gpu)]


def _trainings(
    stage: str, name: str, number: int, jobs: list[Job], hours: float, gpu: bool
) -> Item:
    """Give what trainings cost that take so many hours, and the checks of each."""
    return Item(
        stage,
        name,
        number,
        _count(jobs, stage),
        number * CHECKS_SECONDS_PER_MEMBER / 3600 + (0.0 if gpu else hours),
        hours if gpu else 0.0,
        number * MODEL_BYTES / 1e6,
    )


def _count(jobs: list[Job], stage: str) -> int:
    return sum(job.stage == stage for job in jobs)


def _start(campaign: Campaign, jobs: list[Job], gpu: bool) -> Item:
    md = campaign.md
    number = sum(job.name.startswith("md/start") for job in jobs)
    glasses = md.glasses * len(md.start_pressures())
    classical = md.start_steps() * md.atoms * glasses * CLASSICAL_SECONDS_PER_ATOM_STEP / 3600
    student = _network_hours(md.student_steps() * md.atoms * glasses, gpu)
    hours = (classical, student) if gpu else (classical + student, 0.0)
    return Item("md", "start", glasses, number, *hours, 0.0)


def _network_hours(atom_steps: int, gpu: bool) -> float:
    """Estimate the GPU-hours or core-hours that a network takes."""
    if gpu:
        return atom_steps / NEQUIP_GPU_ATOM_STEPS_PER_SECOND / 3600
    return atom_steps * NEQUIP_CPU_SECONDS_PER_ATOM_STEP / 3600


def _dynamics_hours(md: MolecularDynamics, state: str, gpu: bool) -> float:
    """Estimate the GPU-hours or core-hours that a network takes for a state of all glasses."""
    return _network_hours(md.steps(state) * md.atoms * md.glasses, gpu)


def _dynamics(campaign: Campaign, state: str, gpu: bool) -> Item:
    md = campaign.md
    hours = 0.0 if md.given else _dynamics_hours(md, state, gpu)
    duration_fs = 1000.0 * sum(stage.length_ps() for stage in md.stages_of(state))
    frames = duration_fs / md.frame_every_fs * FRAME_BYTES_PER_ATOM * md.atoms
    series = duration_fs / md.sample_every_fs * SAMPLE_BYTES
    return Item(
        "md",
        state,
        md.glasses,
        1 if md.runs_batches() else md.glasses,
        0.0 if gpu else hours,
        hours if gpu else 0.0,
        md.glasses * (frames + series) / 1e6,
    )


def _analysis(campaign: Campaign, jobs: list[Job]) -> Item:
    count = len(campaign.md.states) * campaign.md.glasses
    seconds = count * (ANALYSIS_SECONDS + ANALYSIS_SECONDS_PER_ATOM * campaign.md.atoms)
    number = _count(jobs, "structure")
    return Item("structure", "all states", count, number, seconds / 3600, 0.0, count * 2.0)


def _refine(item: Item, results: Path) -> Item:
    """Replace an item's time by what its jobs took, where some have run."""
    if item.stage == "dft":
        seconds = _labelled_seconds(results / "dft" / item.name)
        if seconds:
            return _measured(item, sum(seconds) / len(seconds) * item.pieces)
        return item
    folder = results / "benchmarks" / item.stage
    if item.stage in {"configurations", "md"}:
        folder /= item.name
    times = [
        seconds
        # Below a state of dynamics are the states that continue it.
        for path in (folder.glob("*.tsv") if item.stage == "md" else folder.rglob("*.tsv"))
        for seconds in benchmark_seconds(path)
    ]
    # Training and its checks differ too much for one of them to stand for the others.
    if not times or (item.stage in {"potential", "studies"} and len(times) < item.jobs):
        return item
    return _measured(item, sum(times) / len(times) * item.jobs)


def _measured(item: Item, seconds: float) -> Item:
    hours = seconds / 3600
    on_gpu = item.gpu_hours > 0.0
    return Item(
        **asdict(item)
        | {
            "core_hours": 0.0 if on_gpu else hours,
            "gpu_hours": hours if on_gpu else 0.0,
            "basis": "measured",
        }
    )


def _labelled_seconds(folder: Path) -> list[float]:
    """Read the seconds of each calculated label of a family; those from the store cost none."""
    seconds = []
    for path in folder.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = float(row.get("seconds") or 0.0)
                if value > 0.0:
                    seconds.append(value)
    return seconds


def benchmark_seconds(path: Path) -> list[float]:
    """Read the wall-clock seconds of a Snakemake benchmark file, one per repetition."""
    with path.open(newline="", encoding="utf-8") as file:
        return [float(row["s"]) for row in csv.DictReader(file, delimiter="\t") if row.get("s")]


def total(items: Iterable[Item]) -> dict[str, float]:
    """Add up jobs, hours and disk."""
    items = list(items)
    keys = ("jobs", "core_hours", "gpu_hours", "disk_MB")
    return {key: sum(getattr(item, key) for item in items) for key in keys}


def render(items: list[Item], cores: int) -> str:
    """Write a plan as a table, with the time that it takes on `cores` cores."""
    header = f"{'stage':<15} {'what':<28} {'pieces':>7} {'jobs':>6} {'core-h':>9} {'GPU-h':>8}"
    lines = [f"{header} {'MB':>9}  basis"]
    lines += [
        f"{item.stage:<15} {item.name:<28} {item.pieces:>7} {item.jobs:>6} "
        f"{item.core_hours:>9.2f} {item.gpu_hours:>8.2f} {item.disk_MB:>9.1f}  {item.basis}"
        for item in items
    ]
    sums = total(items)
    labels = sum(item.pieces for item in items if item.stage == "dft")
    lines += [
        (
            f"{'total':<15} {f'{labels} configurations':<28} {'':>7} {sums['jobs']:>6} "
            f"{sums['core_hours']:>9.2f} {sums['gpu_hours']:>8.2f} {sums['disk_MB']:>9.1f}"
        ),
        "",
    ]
    graphics = f", and {duration(sums['gpu_hours'])} of one GPU" if sums["gpu_hours"] else ""
    lines.append(
        f"On {cores} cores about {duration(sums['core_hours'] / max(cores, 1))}{graphics}. "
        "Labels that are in the store, or that dft.seed_labels bring, cost nothing."
    )
    return "\n".join(lines)


def duration(hours: float) -> str:
    """Write hours in a unit that reads well."""
    if hours < 1.5:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 72 else f"{hours / 24:.1f} days"
