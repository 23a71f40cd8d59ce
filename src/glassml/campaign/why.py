"""`glassml why`: which input, setting or code makes a file stale, as a difference.

Snakemake decides what is stale, from what it noted when a file was made; this says in what way what
it noted and what holds now differ. The code behind a command is noted beside the results when a run
starts, below `code/`, so that a changed digest can be told as changed lines.
"""

import ast
import contextlib
import difflib
import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassml.campaign.digests import command_texts
from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import file_sha256, write_json, write_text

CODE = "code"
DIGEST_LENGTH = 16
LONGEST_DIFF = 40
ABSENT = "(none)"


@dataclass(frozen=True)
class Cause:
    """Why a job would run: what it makes, and what differs, as lines of text."""

    rule: str
    output: str
    lines: list[str]


def record_code(results: str | Path, commands: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
    """Keep the code behind commands beside the results that they make.

    Parameters
    ----------
    results
        Folder of the campaign's results.
    commands
        By its digest, a command and the modules that it does not use.
    """
    folder = Path(results) / CODE
    for digest, (command, unused) in commands.items():
        record = folder / f"{digest}.json"
        if record.exists():
            continue
        names = {}
        for name, text in command_texts(command, unused).items():
            names[name] = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
            kept = folder / f"{names[name]}.txt"
            if not kept.exists():
                write_text(kept, text)
        write_json(record, {"command": command, "texts": names})


def why(target: str, config: Path, snakefile: Path, folder: Path = Path()) -> list[Cause]:
    """Find why a file would be made again.

    Parameters
    ----------
    target
        The file, as Snakemake names it.
    config
        The campaign's YAML file.
    snakefile
        The workflow.
    folder
        Where Snakemake runs.

    Returns
    -------
    list of Cause
        One for each job that runs for a reason of its own, in the order of running; none
        where the file is up to date.

    Raises
    ------
    GlassmlError
        If no rule makes the file, or the configuration is refused.
    """
    with _workflow(target, config, snakefile, folder) as workflow:
        dag = workflow.dag
        known = workflow.globals
        code = _Code(Path(known["RESULTS"]) / CODE, known["CODE"])
        campaign = known["CAMPAIGN"].model_dump(mode="json")
        causes = []
        for level in dag.toposorted(set(dag.needrun_jobs())):
            for job in sorted(level, key=str):
                if lines := list(_reasons(dag, job, campaign, code)):
                    output = str(next(iter(job.output), target))
                    causes.append(Cause(job.rule.name, output, lines))
        return causes


def render(target: str, causes: list[Cause]) -> str:
    """Write causes as text."""
    if not causes:
        return f"{target}: is up to date"
    lines = [f"{target}: would be made again, because of"]
    for cause in causes:
        lines.append(f"{cause.rule} ({cause.output}):")
        lines += [f"  {line}" for line in cause.lines]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Code:
    """The code behind digests: as it was noted in a folder, and as it is now, by command."""

    folder: Path
    now: Mapping[str, tuple[str, tuple[str, ...]]]

    def change(self, old: str, new: str) -> Iterator[str]:
        """Say which modules changed, and how, where the former code was noted."""
        before, after = self._noted(old), command_texts(*self.now[new])
        if before is None:
            yield f"code: digest {old} -> {new}; the former code was not noted"
            return
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"code of {name}:"
                yield from _diff(before.get(name, ""), after.get(name, ""))

    def _noted(self, digest: str) -> dict[str, str] | None:
        try:
            record = json.loads((self.folder / f"{digest}.json").read_text(encoding="utf-8"))
            return {
                name: (self.folder / f"{kept}.txt").read_text(encoding="utf-8")
                for name, kept in record["texts"].items()
            }
        except (OSError, ValueError, KeyError):
            return None


@contextlib.contextmanager
def _workflow(target: str, config: Path, snakefile: Path, folder: Path) -> Iterator[Any]:
    """Give Snakemake's workflow with its graph of jobs, built for a target; nothing runs."""
    from snakemake.api import SnakemakeApi  # noqa: PLC0415  (a second to import)
    from snakemake.settings.enums import Quietness  # noqa: PLC0415
    from snakemake.settings.types import (  # noqa: PLC0415
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
        StorageSettings,
        WorkflowSettings,
    )

    output = OutputSettings(quiet={Quietness.ALL}, dryrun=True)
    with SnakemakeApi(output) as api:
        logging.disable(logging.INFO)
        try:
            made = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[config]),
                storage_settings=StorageSettings(),
                workflow_settings=WorkflowSettings(),
                snakefile=snakefile.resolve(),
                workdir=folder.resolve(),
            )
            with contextlib.redirect_stdout(io.StringIO()):
                made.dag(dag_settings=DAGSettings(targets={target})).printrulegraph()
        except Exception as error:  # Snakemake raises many kinds
            raise GlassmlError(f"{target}: {error}") from error
        finally:
            logging.disable(logging.NOTSET)
        yield made._workflow  # noqa: SLF001  (the interface gives texts only)


def _reasons(dag: Any, job: Any, campaign: Any, code: "_Code") -> Iterator[str]:
    """Say what of a job itself differs; what its inputs' jobs do is said of these."""
    reason = dag.reason(job)
    persistence = dag.workflow.persistence
    missing = sorted(map(str, reason.missing_output))
    if missing:
        yield f"{_some(missing)} not there"
    for path in sorted(map(str, reason.updated_input - reason.updated_input_run)):
        yield _input_change(path, persistence.input_checksums(job, path))
    if reason.input_changed:
        recorded = {path for file in job.output for path in persistence.input(file) or ()}
        now = set(map(str, job.input))
        yield from (f"input {path}: is new" for path in sorted(now - recorded))
        yield from (f"input {path}: is no longer taken" for path in sorted(recorded - now))
    # Of a job that runs anyway Snakemake does not ask the rest, so it is asked here.
    if not missing and persistence.code_changed(job):
        recorded = {persistence.code(file) or "" for file in job.output}
        for before in sorted(recorded - {job.rule.shellcmd}):
            yield "the rule's command:"
            yield from _diff(before, job.rule.shellcmd or "")
    if not missing and (change := persistence.params_changed(job)):
        yield from _param_changes(change, job, campaign, code)
    if reason.software_stack_changed:
        yield "the software environment of the rule"


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - 1} more are" if len(paths) > 1 else " is"
    return f"{paths[0]}{more}"


def _input_change(path: str, checksums: set[Any]) -> str:
    before = ", ".join(sorted(str(each)[:15] for each in checksums if each)) or "newer than that"
    now = f"sha256:{file_sha256(path)[:8]}" if Path(path).is_file() else "changed"
    if before == now:
        return f"input {path}: newer, with the same content ({now})"
    return f"input {path}: {before} -> {now}"


def _param_changes(change: Any, job: Any, campaign: Any, code: "_Code") -> Iterator[str]:
    """Pair what was and what is, and say each pair by its key."""
    names = {repr(value): name for name, value in job.params.items()}
    old = [_value(text) for text in sorted(change.only_old)]
    for text in sorted(change.only_new):
        new, name = _value(text), names.get(text, "a parameter")
        before = max(old, key=lambda each: _likeness(each, new), default=ABSENT)
        if before in old:
            old.remove(before)
        if name == "code":
            yield from code.change(str(before), str(new))
        else:
            key = _place(campaign, new) or name
            yield from _differences(key, before, new)
    yield from (f"setting {each!r}: no longer matters" for each in old)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _likeness(one: object, other: object) -> float:
    """Tell how likely two values are the same setting before and after."""
    if type(one) is not type(other):
        return 0.0
    return difflib.SequenceMatcher(None, repr(one), repr(other)).ratio() + 1.0


def _place(tree: object, value: object, path: str = "") -> str:
    """Find a section of the configuration by its value; empty where it is not a whole section."""
    if not isinstance(tree, dict) or not isinstance(value, dict):
        return ""
    if tree == value:
        return path
    found = (
        _place(below, value, f"{path}.{key}" if path else str(key)) for key, below in tree.items()
    )
    return next(filter(None, found), "")


def _differences(key: str, old: object, new: object) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            if old.get(name, ABSENT) != new.get(name, ABSENT):
                yield from _differences(
                    f"{key}.{name}", old.get(name, ABSENT), new.get(name, ABSENT)
                )
    else:
        yield f"setting {key}: {old} -> {new}"


def _diff(old: str, new: str) -> list[str]:
    found = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "then", "now", lineterm="", n=1
    )
    lines = [f"  {line}" for line in found]
    more = len(lines) - LONGEST_DIFF
    return [*lines[:LONGEST_DIFF], f"  … and {more} lines more"] if more > 0 else lines
