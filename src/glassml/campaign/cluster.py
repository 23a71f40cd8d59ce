"""`glassml doctor --profile`: whether a profile of Snakemake fits the cluster of this node."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassml.campaign.config.inheritance import read_yaml
from glassml.campaign.doctor import Finding
from glassml.campaign.errors import GlassmlError

if TYPE_CHECKING:
    from collections.abc import Callable

EXECUTOR = "glassml-slurm"
TOOLS = ("sbatch", "squeue", "sinfo", "scontrol", "scancel")

#: A profile of Snakemake, as its YAML has it.
Profile = dict[str, Any]


def read_profile(folder: Path) -> Profile:
    """Read a profile: the file `profile.yaml`, or `config.yaml`, of a folder.

    Raises
    ------
    GlassmlError
        If there is none, or it is no mapping.
    """
    paths = [folder / name for name in ("profile.yaml", "config.yaml")]
    path = next(filter(Path.exists, paths), None)
    if path is None:
        raise GlassmlError(f"{folder}: has neither profile.yaml nor config.yaml")
    profile = read_yaml(path)
    if not isinstance(profile, dict):
        raise GlassmlError(f"{path}: is no profile, which is a mapping of keys")
    return profile


def examine_profile(folder: Path) -> list[Finding]:
    """Check a profile against the cluster.

    Parameters
    ----------
    folder
        The profile's.

    Returns
    -------
    list of Finding
        A sentence each on tools, executor, slurmctld, partitions, account, status of jobs, GPUs
        and requeueing.
    """
    profile = read_profile(folder)
    executor = str(profile.get("executor", "local"))
    if not executor.endswith("slurm"):
        return [Finding("executor", "ok", f"{executor}: this profile submits nothing to SLURM")]
    findings = [_check_executor(executor), _check_tools()]
    if findings[-1].status == "fail":
        return findings
    findings.append(_check_controller())
    if findings[-1].status == "fail":
        return findings
    checks: list[Callable[[Profile, str], Finding]] = [
        _check_partition,
        _check_account,
        _check_status,
        _check_gpus,
        _check_requeue,
    ]
    return [*findings, *(check(profile, executor) for check in checks)]


def _check_executor(executor: str) -> Finding:
    if executor == EXECUTOR:
        return Finding("executor", "ok", f"{executor}: waits while slurmctld is away")
    found = f"{executor}: loses sight of its jobs while slurmctld is away"
    return Finding("executor", "warn", found, f"Set executor: {EXECUTOR}.")


def _check_tools() -> Finding:
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        found = f"there is no {', '.join(missing)} here"
        return Finding("SLURM", "fail", found, "Run on a node that may submit jobs.")
    return Finding("SLURM", "ok", (_ask("sbatch", "--version") or "slurm").strip())


def _check_controller() -> Finding:
    if _ask("squeue", "--noheader", "--me") is None:
        advice = "Is slurmctld running, and munge? `scontrol ping` says."
        return Finding("slurmctld", "fail", "does not answer", advice)
    return Finding("slurmctld", "ok", "answers")


def _named(profile: Profile, section: str, name: str) -> Any:
    """Give a resource: profiles may have them as a mapping or as a list of `name=value`."""
    resources = profile.get(section) or {}
    if isinstance(resources, list):
        resources = dict(str(each).split("=", 1) for each in resources)
    return resources.get(name)


def _default(profile: Profile, name: str) -> Any:
    return _named(profile, "default-resources", name)


def _check_partition(profile: Profile, executor: str) -> Finding:
    lines = (_ask("sinfo", "--noheader", "--format=%P|%a|%l") or "").split()
    partitions = {line.split("|")[0].rstrip("*"): line.split("|")[1:] for line in lines}
    standard = [line.split("|")[0].rstrip("*") for line in lines if "*" in line.split("|")[0]]
    known = ", ".join(partitions)
    named = _default(profile, "slurm_partition")
    if named is None and profile.get(f"{executor}-partition-config"):
        return Finding("partition", "ok", f"chosen by each job's needs among {known}")
    if named is None and not standard:
        advice = f"Set default-resources: slurm_partition to one of {known}."
        return Finding("partition", "fail", "none is named, and the cluster has no default", advice)
    name = str(named or standard[0])
    if name not in partitions:
        advice = f"Set default-resources: slurm_partition to one of {known}, or leave it out."
        return Finding("partition", "fail", f"there is no partition {name}", advice)
    state, limit = partitions[name]
    if state != "up":
        return Finding(
            "partition", "warn", f"{name} is {state}: jobs will wait", f"Known: {known}."
        )
    kind = "named" if named else "the cluster's default"
    return Finding("partition", "ok", f"{name} ({kind}), up to {limit} a job")


def _check_account(profile: Profile, executor: str) -> Finding:
    del executor
    named = _default(profile, "slurm_account")
    if named is None:
        return Finding("account", "ok", "none is named: SLURM takes your default one")
    text = _ask(
        "sacctmgr", "--noheader", "--parsable2", "list", "user", "withassoc", "format=account"
    )
    known = sorted(set((text or "").split()))
    if not known:
        return Finding("account", "warn", f"{named}: this cluster does not say which there are")
    if str(named) not in known:
        advice = f"Set default-resources: slurm_account to one of {', '.join(known)}."
        return Finding("account", "fail", f"{named} is none of yours", advice)
    return Finding("account", "ok", str(named))


def _check_status(profile: Profile, executor: str) -> Finding:
    command = str(profile.get(f"{executor}-status-command", "sacct"))
    accounting = _ask("sacct", "--noheader", "--format=jobid") is not None
    if command == "sacct" and not accounting:
        advice = f"Set {executor}-status-command: squeue."
        found = "sacct does not answer (no slurmdbd): jobs would never be seen to end"
        return Finding("status", "fail", found, advice)
    if command == "sacct":
        return Finding("status", "ok", "by sacct, which answers")
    kept = re.search(r"MinJobAge\s*=\s*(\d+)", _ask("scontrol", "show", "config") or "")
    wanted = 3 * int(profile.get(f"{executor}-init-seconds-before-status-checks", 40))
    beside = "; there is accounting too" if accounting else "; there is no accounting, and no need"
    if kept is not None and int(kept[1]) < wanted:
        advice = f"Set {executor}-init-seconds-before-status-checks to {int(kept[1]) // 3} or less."
        found = f"by squeue, which lists ended jobs for {kept[1]} s only{beside}"
        return Finding("status", "warn", found, advice)
    return Finding("status", "ok", f"by squeue, every {wanted // 3} s{beside}")


def _check_gpus(profile: Profile, executor: str) -> Finding:
    del executor
    lines = set((_ask("sinfo", "--noheader", "--format=%G") or "").split())
    there = sorted(line for line in lines if line.startswith("gpu"))
    if str(_named(profile, "resources", "gpu")) == "0":
        if there:
            advice = "Set resources: gpu to how many jobs may use at once."
            return Finding("GPUs", "warn", f"{', '.join(there)}, and none is asked for", advice)
        return Finding("GPUs", "ok", "none is asked for, and there are none")
    if not there:
        return Finding(
            "GPUs", "fail", "no node has one, and jobs ask for them", "Set resources: gpu: 0."
        )
    return Finding("GPUs", "ok", f"{', '.join(there)}; jobs ask for them")


def _check_requeue(profile: Profile, executor: str) -> Finding:
    extra = str(_default(profile, "slurm_extra") or "")
    again = bool(profile.get(f"{executor}-requeue"))
    if "--signal=URG@" in extra and again:
        return Finding("time limit", "ok", "jobs keep what they have before it, and run again")
    advice = (
        f"Set {executor}-requeue: true and default-resources: slurm_extra: \"'--signal=URG@180'\"."
    )
    return Finding("time limit", "warn", "a job whose time is up counts as failed", advice)


def _ask(*command: str) -> str | None:
    """Give what a command of SLURM prints; None where it is not there, fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
