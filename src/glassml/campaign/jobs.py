"""The jobs of a campaign, known from its configuration alone: what each one makes.

The names of the files are those of `docs/architecture.md`; a test compares them with what the
Snakefile would run.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glassml.campaign.config import Campaign

MEMBER_STEPS = {
    "train": ("train.yaml", "model.nequip.zip", "history.csv"),
    "evaluate": ("parity.csv", "errors.csv"),
    "compile": ("compiled",),
    "verify": ("verification.json",),
}


@dataclass(frozen=True)
class Job:
    """One job: its stage, its names, and the files that it makes below the results.

    Attributes
    ----------
    stage, name
        The stage, and the path of the log below ``logs/{campaign}``, without suffix.
    outputs
        Files relative to ``results/{campaign}``. The job is done when all are there.
    pieces
        Configurations of a shard, time steps of a state; 1 elsewhere.
    timed_as
        Path of the benchmark below ``benchmarks``, without suffix, where it is not `name`.
    """

    stage: str
    name: str
    outputs: tuple[str, ...]
    pieces: int = 1
    timed_as: str = ""

    @property
    def benchmark(self) -> str:
        """Give the path of the benchmark below the results."""
        return f"benchmarks/{self.timed_as or self.name}.tsv"


def list_jobs(campaign: Campaign) -> list[Job]:
    """List all jobs of `campaign` in the order in which data flow."""
    return [
        *_shards(campaign),
        *_potentials(campaign),
        *_phonons(campaign),
        *_glasses(campaign),
        *_studies(campaign),
        Job("report", "report/report", ("report/report.html", "report/acceptance.csv")),
        Job("campaign", "campaign/check", ("test.success",)),
    ]


def shard_sizes(campaign: Campaign, family: str) -> list[int]:
    """Give the number of configurations in each shard of `family`."""
    size = campaign.configurations.family_shard_size(family)
    count = campaign.configurations.families[family].count
    return [min(size, count - start) for start in range(0, count, size)]


def _shards(campaign: Campaign) -> Iterator[Job]:
    yield Job("dft", "dft/seed", ("dft/seeded.json",), 0)
    for stage in ("configurations", "dft"):
        for family in campaign.configurations.families:
            for index, size in enumerate(shard_sizes(campaign, family)):
                name = f"{stage}/{family}/{index:04d}"
                yield Job(stage, name, (f"{name}.extxyz", f"{name}.csv"), size)


def _potentials(campaign: Campaign) -> Iterator[Job]:
    for generation in range(campaign.potential.generations):
        data = f"dataset/g{generation}"
        yield Job("dataset", data, (f"{data}/train.extxyz", f"{data}/manifest.json"))
        folder = f"potential/g{generation}"
        for member in range(campaign.potential.committee):
            for step, files in MEMBER_STEPS.items():
                yield Job(
                    "potential",
                    f"{folder}/m{member}/{step}",
                    tuple(f"{folder}/m{member}/{file}" for file in files),
                    timed_as=f"potential/{step}/g{generation}_m{member}",
                )
        if generation + 1 < campaign.potential.generations:
            yield from _exploration(campaign, generation)
            continue  # only the last generation goes through the gates
        for gate in campaign.potential.gate_names():
            yield Job(
                "potential",
                f"{folder}/gate_{gate}",
                (f"{folder}/gates/{gate}.json",),
                timed_as=f"potential/gate/g{generation}_{gate}",
            )
        for step, file in {"gates": "gates.json", "card": "model_card.md"}.items():
            yield Job(
                "potential",
                f"{folder}/{step}",
                (f"{folder}/{file}",),
                timed_as=f"potential/{step}/g{generation}",
            )


def _exploration(campaign: Campaign, generation: int) -> Iterator[Job]:
    """List what finds the labels that the next generation adds."""
    folder = f"potential/g{generation}/exploration"
    files = {
        f"explore_{run}": (f"runs/{run}.extxyz", f"explore/g{generation}_{run}")
        for run in campaign.potential.exploration.runs
    } | {
        "select": ("selected.extxyz", f"select/g{generation}"),
        "label": ("labels.extxyz", f"label/g{generation}"),
    }
    for step, (file, timed) in files.items():
        yield Job(
            "potential", f"{folder}/{step}", (f"{folder}/{file}",), timed_as=f"potential/{timed}"
        )


def _phonons(campaign: Campaign) -> Iterator[Job]:
    """List what labels the crystals of the gate of phonons."""
    for crystal in campaign.potential.gates.phonons.crystals:
        folder = f"potential/phonons/{crystal}"
        for step, file in {"displace": "displaced.extxyz", "label": "labels.extxyz"}.items():
            timed = f"potential/phonons/{step}_{crystal}"
            yield Job("potential", f"{folder}/{step}", (f"{folder}/{file}",), timed_as=timed)


def _studies(campaign: Campaign) -> Iterator[Job]:
    """List the comparison of generations, and the studies that the page includes."""
    potential = campaign.potential
    if potential.generations > 1:
        yield Job("studies", "studies/generations", ("studies/generations.csv",))
    steps = {"train": "model.nequip.zip", "evaluate": "errors.csv"}
    studies = {
        "search": (potential.search.variants, steps | {"speed": "speed.json"}),
        "learning_curve": (potential.learning_curve.names(), steps),
    }
    for study in sorted(set(campaign.report.include)):
        names, made = studies[study]
        folder = f"studies/{study}"
        for name, (step, file) in itertools.product(names, made.items()):
            yield Job(
                "studies",
                f"{folder}/{name}/{step}",
                (f"{folder}/{name}/{file}",),
                timed_as=f"{folder}/{step}_{name}",
            )
        if study == "search":
            yield from _search_glasses(campaign)
        yield Job("studies", f"{folder}/{study}", (f"{folder}/{study}.csv",))


def _search_glasses(campaign: Campaign) -> Iterator[Job]:
    """List what makes the glasses of networks of the size search, and analyses them."""
    state, glasses = campaign.md.first_state(), campaign.md.glass_names()
    for name in campaign.potential.search.glasses:
        folder, timed = f"studies/search/{name}", "studies/search"
        made = tuple(f"{folder}/md/{state}/{glass}/record.json" for glass in glasses)
        yield Job("studies", f"{folder}/melt", made, timed_as=f"{timed}/melt_{name}")
        for glass in glasses:
            yield Job(
                "studies",
                f"{folder}/structure_{glass}",
                (f"{folder}/structure/{state}/{glass}/network.json",),
                timed_as=f"{timed}/structure_{name}_{glass}",
            )
        summary = (f"{folder}/structure/summary/states.csv",)
        yield Job("studies", f"{folder}/summary", summary, timed_as=f"{timed}/summary_{name}")


def _glasses(campaign: Campaign) -> Iterator[Job]:
    states = [(state, glass) for state in campaign.md.states for glass in campaign.md.glass_names()]
    if campaign.md.runs_starts():
        yield from _starts(campaign)
    for state in campaign.md.states:
        yield from _dynamics(campaign, state)
    for state, glass in states:
        name = f"structure/{state}/{glass}"
        yield Job("structure", name, (f"{name}/network.json", f"{name}/sq.csv"))
    summary = "structure/summary"
    yield Job("structure", summary, (f"{summary}/states.csv", f"{summary}/fsdp.csv"))


def _starts(campaign: Campaign) -> Iterator[Job]:
    """Give a job per pressure and glass, or one for all glasses that are quenched in a batch."""
    for pressure in campaign.md.start_pressures():
        folder = f"md/start/{pressure}GPa"
        outputs = {glass: f"{folder}/{glass}/restart.npz" for glass in campaign.md.glass_names()}
        if campaign.md.engine == "torch":
            yield Job("md", f"{folder}/batch", tuple(outputs.values()))
        else:
            for glass, made in outputs.items():
                yield Job("md", f"{folder}/{glass}", (made,))


def _dynamics(campaign: Campaign, state: str) -> Iterator[Job]:
    """Give a job per glass, or one for all glasses of a state where the engine takes a batch."""
    files = ("final.extxyz", "series.csv", "record.json")
    outputs = {
        glass: tuple(f"md/{state}/{glass}/{file}" for file in files)
        for glass in campaign.md.glass_names()
    }
    steps = campaign.md.steps(state)
    if not campaign.md.runs_batches():
        for glass, made in outputs.items():
            yield Job("md", f"md/{state}/{glass}", made, steps)
    else:
        yield Job("md", f"md/{state}/batch", tuple(itertools.chain(*outputs.values())), steps)


def existing(results: Path, job: Job) -> bool:
    """Tell whether all files of a job are there."""
    return all((results / output).exists() for output in job.outputs)
