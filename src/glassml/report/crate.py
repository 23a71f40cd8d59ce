"""What was run, as a Workflow Run Crate, which tells files, hashes, commands, times and versions.

It describes the folder in which Snakemake runs, and copies nothing: `ro-crate-metadata.json` lies
at its top and names every file that a job took or made with its SHA-256, and every job with its
command and times. That is the profile Provenance Run Crate 0.5, which is a Workflow Run Crate with
its steps: https://www.researchobject.org/workflow-run-crate/profiles/provenance_run_crate.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rocrate.model import ComputationalWorkflow, ContextEntity, Dataset, File
from rocrate.rocrate import ROCrate
from tqdm import tqdm

from glassml import __version__
from glassml.campaign.files import file_sha256, write_json
from glassml.report.sections.provenance import versions

NAME = "ro-crate-metadata.json"
RO_CRATE = "1.1"  # what version 0.5 of the profiles builds on
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
DONE = "http://schema.org/CompletedActionStatus"


class Workflow(ComputationalWorkflow):
    """A workflow that tells its steps."""

    TYPES = (*ComputationalWorkflow.TYPES, "HowTo")

    def _empty(self) -> dict[str, object]:
        return super()._empty() | {"@type": list(self.TYPES)}


def write_crate(
    snakefile: Path, jobs: Sequence[Any], name: str, description: str, licence: str
) -> Path:
    """Write ``ro-crate-metadata.json`` in the folder in which the jobs ran, the present one.

    Parameters
    ----------
    snakefile
        The workflow.
    jobs
        Snakemake's records of jobs that ran: `rule`, `starttime`, `endtime` (s), `output`, and
        `job` with `input`, `shellcmd` and `wildcards`.
    name, description
        Of the whole.
    licence
        What others may do with it: an address, or a name.

    Returns
    -------
    Path
        The file.
    """
    crate = ROCrate(version=RO_CRATE)
    crate.metadata.extra_contexts.append(CONTEXT)
    crate.name, crate.description, crate.license = name, description, licence
    _Run(crate).describe(snakefile, sorted(jobs, key=lambda job: job.endtime))
    write_json(Path(NAME), crate.metadata.generate())
    return Path(NAME)


class _Run:
    """Fills a crate with a run of a workflow."""

    def __init__(self, crate: ROCrate) -> None:
        self._crate = crate
        self._files: dict[str, object] = {}
        crate.root_dataset["conformsTo"] = [
            self._entity(address, "CreativeWork", name=name, version=address.rpartition("/")[2])
            for address, name in PROFILES.items()
        ]

    def describe(self, snakefile: Path, jobs: Sequence[Any]) -> None:
        """Add the workflow with its tools and steps, and the run with its jobs."""
        main = self._crate.add_workflow(
            *_source(snakefile),
            main=True,
            lang="snakemake",
            lang_version=versions()["snakemake"],
            cls=Workflow,
            properties={"sha256": file_sha256(snakefile), "version": __version__},
        )
        used = [
            self._entity(f"#{name}", "SoftwareApplication", name=name, softwareVersion=version)
            for name, version in versions().items()
            if version
        ]
        main["softwareRequirements"] = used
        rules = list(dict.fromkeys(job.rule for job in jobs))
        tools = {rule: self._tool(rule) for rule in rules}
        steps = {
            rule: self._entity(
                f"#step-{rule}", "HowToStep", position=number, name=rule, workExample=tools[rule]
            )
            for number, rule in enumerate(rules, start=1)
        }
        main["hasPart"], main["step"] = list(tools.values()), list(steps.values())
        actions, controls = [], []
        for number, job in enumerate(tqdm(jobs, desc="jobs", unit="job")):
            action = self._action(number, job, tools[job.rule])
            actions.append(action)
            controls.append(
                self._entity(
                    f"#control-{number}",
                    "ControlAction",
                    name=f"Ran {job.rule}",
                    instrument=steps[job.rule],
                    object=action,
                )
            )
        run = self._run(main, jobs)
        self._crate.root_dataset["mentions"] = [run, *actions]
        self._entity(
            "#snakemake-run",
            "OrganizeAction",
            name="Snakemake ran the jobs",
            instrument=self._crate.get("#snakemake"),
            object=controls,
            result=run,
        )

    def _run(self, main: Any, jobs: Sequence[Any]) -> Any:
        """Add the run of the whole workflow: from what no job made to what no job took."""
        made = {str(path) for job in jobs for path in job.output}
        taken = {str(path) for job in jobs for path in job.job.input}
        return self._crate.add_action(
            main,
            "#run",
            object=self._all(sorted(taken - made)),
            result=self._all(sorted(made - taken)),
            properties={
                "name": "The campaign",
                "description": "From what no job made to what no job took.",
                "startTime": _time(min(job.starttime for job in jobs)),
                "endTime": _time(max(job.endtime for job in jobs)),
                "actionStatus": DONE,
            },
        )

    def _tool(self, rule: str) -> Any:
        """Add what a rule runs."""
        return self._entity(
            f"#rule-{rule}",
            "SoftwareApplication",
            name=f"rule {rule}",
            softwareVersion=__version__,
        )

    def _action(self, number: int, job: Any, tool: Any) -> Any:
        """Add a job: its command, when it ran, what it took and what it made."""
        return self._crate.add_action(
            tool,
            f"#job-{number}",
            object=self._all(job.job.input),
            result=self._all(job.output),
            properties={
                "name": " ".join([job.rule, *map(str, job.job.wildcards)]),
                "description": (job.job.shellcmd or "no command: made by Snakemake").strip(),
                "startTime": _time(job.starttime),
                "endTime": _time(job.endtime),
                "actionStatus": DONE,
            },
        )

    def _all(self, paths: Iterable[str]) -> Any:
        """Give the entities of files: of one, not a list of one, as RO-Crate recommends."""
        files = [self._file(path) for path in dict.fromkeys(map(str, paths))]
        return files[0] if len(files) == 1 else files

    def _file(self, name: str) -> Any:
        """Give the entity of a file or folder, with its hash and size; each is read once."""
        if name not in self._files:
            path = Path(name)
            if path.is_dir():
                made = Dataset(self._crate, *_source(path))
            else:
                known = {"sha256": file_sha256(path), "contentSize": str(path.stat().st_size)}
                made = File(self._crate, *_source(path), properties=known)
            self._files[name] = self._crate.add(made)
        return self._files[name]

    def _entity(self, identifier: str, kind: str, **properties: Any) -> Any:
        """Add an entity that is no file."""
        entity = self._crate.add(ContextEntity(self._crate, identifier, properties={"@type": kind}))
        for key, value in properties.items():
            entity[key] = value
        return entity


def _source(path: Path) -> tuple[str, str | None]:
    """Name a file within this folder by its place in it, another by its address."""
    full, here = path.absolute(), Path.cwd()
    if full.is_relative_to(here):
        return str(full), full.relative_to(here).as_posix()
    return full.as_uri(), None


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
