"""Snakemake's executor for SLURM, made patient: `executor: glassml-slurm` in a profile.

Everything is that of `snakemake-executor-plugin-slurm`, of which version 2.8.0 was read, but:

- While slurmctld does not answer, it waits. There, jobs whose status is not known are dropped, and
  Snakemake waits for ever or gives up, although they go on.
- It asks at one interval, which a profile sets; where that says squeue, it never asks sacct, also
  where SLURM forgets jobs soon.
- No job asks for more time than its partition allows.
- A job that SLURM no longer lists has ended: well, if all its outputs are newer than the job.
- Jobs of an earlier Snakemake that was killed are ended first, so that nothing is computed twice.
- `resources: gpu: 0` holds within the jobs too.
- A job that waits until somebody acts is said, once.
- A job's name says the campaign, the rule and the shard or glass.
- No account is guessed. What sbatch refuses is said in a sentence, with what to edit.
"""

import re
import shlex
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_executor_plugin_slurm.utils import get_job_wildcards
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

#: By what sbatch says; PROFILE is the folder that `--profile` names.
ADVICE = {
    "invalid partition": "set slurm_partition in PROFILE/profile.yaml to one that sinfo lists, or "
    "leave it out",
    "invalid account": "set slurm_account in PROFILE/profile.yaml to one of yours",
    "generic resource": "no node has such a GPU: set resources: gpu: 0 in PROFILE/profile.yaml",
    "node configuration is not available": "no node has that many cores or that much memory: see "
    "set-resources in docs/cluster.md",
    "time limit": "the partition allows less time: name another, or see set-resources in "
    "docs/cluster.md",
    "unable to contact": "slurmctld does not answer: is this a node that may submit?",
}
#: Why a job waits that will not start by itself, as `squeue --format=%r` says it.
STUCK = {
    "BadConstraints",
    "InvalidAccount",
    "InvalidQOS",
    "JobHeldAdmin",
    "JobHeldUser",
    "PartitionDown",
    "PartitionInactive",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "launch failed requeued held",
}
#: States of jobs that have failed; one whose node failed may run again.
FAILED = {"BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}
ENDED_WITHIN_S = 60.0
#: What a run's name ends with, as Snakemake's executor makes it.
RUN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Executor(SlurmExecutor):
    """Submits jobs to SLURM and follows them, whatever happens to slurmctld meanwhile."""

    def __post_init__(self, test_mode: bool = False) -> None:
        """Name the run by the campaign, so that `squeue` tells campaigns apart."""
        settings = self.workflow.executor_settings
        parts = [settings.jobname_prefix, str(self.workflow.config.get("name", "trial"))]
        settings.jobname_prefix = "_".join(part for part in parts if part)[:50]
        self._submitting = threading.local()
        self._settled: set[str] = set()
        self._stuck: set[str] = set()
        self._submitted_s: dict[str, float] = {}
        self._silent_since_s: float | None = None
        self._looked_for_orphans = False
        super().__post_init__(test_mode)

    @property
    def run_uuid(self) -> str:
        """Name of the run, or of the job that this thread submits: sbatch gets it as the name."""
        return getattr(self._submitting, "name", None) or self._run

    @run_uuid.setter
    def run_uuid(self, name: str) -> None:
        self._run = name

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Submit jobs, after what is left of an earlier run has ended."""
        if not self._looked_for_orphans:
            self._looked_for_orphans = True
            self._end_orphans()
        super().run_jobs(jobs)

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submit a job, for no longer than its partition allows: else it would wait for ever."""
        if self._partitions is None and job.resources.get("runtime"):
            partition = self.get_partition_arg(job).removeprefix(" -p ").strip()
            allowed = longest_minutes(partition)
            if allowed is not None and job.resources.runtime > allowed:
                self._warn(
                    f"{job.name} asks for {job.resources.runtime} minutes, partition {partition} "
                    f"allows {allowed}: what goes on from where it was runs in pieces"
                )
                job.resources.runtime = allowed
        self._submitting.name = self._name(job)
        try:
            super().run_job(job)
        finally:
            del self._submitting.name

    def _name(self, job: JobExecutorInterface) -> str:
        """Give the name of a job: campaign, rule, and shard or glass; the run stands at its end."""
        if self.get_status_command() == "sacct":
            return self._run  # by which it is asked
        campaign, _, run = self._run.rpartition("_")
        return ".".join(part for part in (campaign, job.name, get_job_wildcards(job), run) if part)

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Give the jobs that wait or run, after reporting those that ended."""
        if not active_jobs:
            return
        states = self._states()
        self.next_seconds_between_status_checks = self._interval_s()
        if states is None:
            for job in active_jobs:
                yield job
            return
        known = [
            job for job in active_jobs if job.external_jobid in states or not self._is_over(job)
        ]
        if self.get_status_command() == "sacct":
            async for job in self._by_sacct(known):
                yield job
            return
        for job in known:
            # without a state it was submitted just now
            if not self._has_ended(job, states.get(job.external_jobid, "PENDING")):
                yield job

    def _has_ended(self, job: SubmittedJobInfo, state: str) -> bool:
        """Report a job that squeue lists as ended."""
        settings = self.workflow.executor_settings
        log = job.aux.get("slurm_logfile")
        if state == "COMPLETED":
            self.report_job_success(job)
            if log is not None and not settings.keep_successful_logs:
                Path(log).unlink(missing_ok=True)
            return True
        if state in FAILED or (state == "NODE_FAIL" and not settings.requeue):
            message = f"SLURM ended job {job.external_jobid} as {state}"
            self.report_job_error(job, msg=message, aux_logs=[str(log)] if log else [])
            return True
        return False

    async def _by_sacct(self, jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        """Let Snakemake's own executor ask sacct, which knows why a job failed."""
        if not jobs:
            return
        given = set()
        async for job in super().check_active_jobs(jobs):
            given.add(job.external_jobid)
            yield job
        self.next_seconds_between_status_checks = self._interval_s()
        for job in jobs:  # slurmctld may have gone between the two questions
            if job.external_jobid not in given | self._settled:
                yield job

    def additional_general_args(self) -> str:
        """Tell the Snakemake within each job too, where there are no GPUs to ask for."""
        limit = self.workflow.resource_settings.resources.get("gpu")
        none = limit is not None and limit.value == 0
        return super().additional_general_args() + (" --resources gpu=0" if none else "")

    def get_account_arg(self, job: JobExecutorInterface) -> Iterator[str]:
        """Give the account that the profile names; without one, SLURM takes the user's own."""
        account = job.resources.get("slurm_account")
        yield f" -A {shlex.quote(str(account))}" if account else ""

    def report_job_submission(self, job_info: SubmittedJobInfo, *args: Any, **kwargs: Any) -> None:
        """Note when the job was submitted."""
        self._submitted_s[str(job_info.external_jobid)] = time.time()
        super().report_job_submission(job_info, *args, **kwargs)

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Note that the job has ended."""
        self._settled.add(str(job_info.external_jobid))
        super().report_job_success(job_info)

    def report_job_error(
        self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any
    ) -> None:
        """Note that the job has ended, and say in a sentence why sbatch refused it."""
        self._settled.add(str(job_info.external_jobid))
        said = explain(msg or "")
        if said and job_info.job.is_group():  # of a group, Snakemake drops it
            self._warn(said)
        super().report_job_error(job_info, msg=said, **kwargs)

    def _states(self) -> dict[str, str] | None:
        """Give the states of this run's jobs, by number; None while slurmctld does not answer."""
        try:
            text = _slurm("squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r|%j")
        except (OSError, subprocess.SubprocessError) as error:
            if self._silent_since_s is None:
                self._silent_since_s = time.time()
                said = str(getattr(error, "stderr", None) or error).strip()
                self._warn(f"SLURM does not answer ({said}): waiting, jobs go on")
            return None
        if self._silent_since_s is not None:
            away = round(time.time() - self._silent_since_s)
            self._warn(f"SLURM answers again, after {away} s")
            self._silent_since_s = None
        run = self._run.rpartition("_")[2]
        rows = [line.split("|", 3) for line in text.splitlines() if line.endswith(run)]
        for number, state, reason, _ in rows:
            if state == "PENDING" and reason in STUCK and number not in self._stuck:
                self._stuck.add(number)
                self._warn(f"SLURM job {number} waits until somebody acts: {reason}")
        return {number: state for number, state, _, _ in rows}

    def _warn(self, message: str) -> None:
        self.logger.warning(message)

    def _interval_s(self) -> int:
        return int(self.workflow.executor_settings.init_seconds_before_status_checks)

    def _is_over(self, job: SubmittedJobInfo) -> bool:
        """Report a job that SLURM has forgotten; tell whether there was enough to tell by."""
        submitted = self._submitted_s.get(str(job.external_jobid), 0.0)
        if time.time() - submitted < ENDED_WITHIN_S:
            return False  # it may not be listed yet
        paths = [Path(str(path)) for path in job.job.output]
        if paths and all(path.exists() and path.stat().st_mtime > submitted for path in paths):
            self.report_job_success(job)
        else:
            self.report_job_error(
                job,
                msg=f"SLURM no longer lists job {job.external_jobid}; its outputs are not there",
            )
        return True

    def _end_orphans(self) -> None:
        """End the jobs of an earlier Snakemake in this folder: the campaign has but one."""
        try:
            text = _slurm("squeue", "--me", "--noheader", "--format=%i|%j|%Z")
        except (OSError, subprocess.SubprocessError):
            return
        campaign = self._run.rpartition("_")[0]
        of_this = re.compile(rf"{re.escape(campaign)}(?:_|\..*\.){RUN}")
        found = []
        for line in text.splitlines():
            number, name, folder = line.split("|", 2)
            if of_this.fullmatch(name) and Path(folder) == Path(self.workflow.workdir_init):
                found.append(number)
        if not found:
            return
        self._warn(f"Ending {len(found)} jobs of an earlier run: what they did is kept")
        _slurm("scancel", *found)
        deadline = time.monotonic() + ENDED_WITHIN_S
        while time.monotonic() < deadline and _slurm(
            "squeue", "--noheader", "--format=%i", f"--jobs={','.join(found)}"
        ):
            time.sleep(1.0)


@cache
def longest_minutes(partition: str) -> int | None:
    """Give the longest time of a job in a partition in minutes; None where there is no limit."""
    try:
        text = _slurm("sinfo", "--noheader", "--format=%l", f"--partition={partition}")
    except (OSError, subprocess.SubprocessError):
        return None
    limit = text.split()[0] if text.split() else "infinite"
    if not limit[0].isdigit():
        return None
    days, _, clock = limit.rpartition("-")
    hours, minutes, _ = [0, 0, *map(int, clock.split(":"))][-3:]
    return (24 * int(days or 0) + hours) * 60 + minutes


def explain(message: str) -> str:
    """Shorten what sbatch said to a sentence, with what to edit."""
    if not message.startswith("SLURM sbatch failed"):
        return message
    said = message.split("\n    sbatch call:", maxsplit=1)[0].partition("'")[2].rstrip("'.\n ")
    said = " ".join(said.replace("sbatch: error:", "").split())
    advice = [text for sign, text in ADVICE.items() if sign in said.lower()]
    return ": ".join(["SLURM refused the job", said, *advice[:1]]) + ". "


def _slurm(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout
