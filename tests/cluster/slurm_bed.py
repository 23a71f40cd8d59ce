"""A real SLURM on one machine: munged, slurmctld and a slurmd for each of two nodes.

`python tests/cluster/slurm_bed.py FOLDER` starts one and keeps it until Ctrl-C; the tests use
`SlurmBed`. It takes Debian's packages `slurm-wlm` and `munge`, and root. There is no slurmdbd, as
on many small clusters, and no GPU. Everything listens on 127.0.0.1.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

# Steps that Snakemake starts lose SLURM_CONF, so that the configuration has to be here.
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
NODES = {"n1": 17001, "n2": 17002}
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
CONF = """\
ClusterName=testbed
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is requeued waits for so long.
AuthInfo=cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=16817
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
MinJobAge={min_job_age_s}
MpiDefault=none
SlurmctldTimeout=10
SlurmdTimeout=10
KillWait=5
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=01:00:00 State=UP
"""
NODE = (
    "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=2 "
    "RealMemory=6000 State=UNKNOWN"
)


def why_not() -> str:
    """Say why no SLURM can be started here; empty where it can."""
    if os.geteuid() != 0:
        return "starting a SLURM takes root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurm-wlm munge"
    if SYSTEM_CONF.exists():
        return f"{SYSTEM_CONF} exists: this machine has a SLURM, or another test runs one"
    return ""


def wait_until(holds: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until something holds.

    Raises
    ------
    TimeoutError
        If it does not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)


class SlurmBed:
    """The daemons of a cluster with two nodes.

    Parameters
    ----------
    folder
        Keeps configuration, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self._munged: subprocess.Popen | None = None

    def start(self) -> None:
        """Start everything, and wait until both nodes are idle."""
        for name in ("run", "log", "state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.configure(min_job_age_s=300)
        SYSTEM_CONF.symlink_to(self.conf)
        self._start_munge()
        self.start_controller()
        for name in NODES:
            self.start_node(name)
        wait_until(self.idle, "both nodes are idle")

    def configure(self, min_job_age_s: int) -> None:
        """Write the configuration: for so long ended jobs are listed, from the next start on."""
        nodes = "\n".join(NODE.format(name=name, port=port) for name, port in NODES.items())
        text = CONF.format(
            folder=self.folder, nodes=nodes, names=",".join(NODES), min_job_age_s=min_job_age_s
        )
        self.conf.write_text(text, encoding="utf-8")

    def start_controller(self) -> None:
        """Start slurmctld, which takes up the state that it left."""
        subprocess.run(["slurmctld"], check=True)

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        subprocess.run(["slurmd", "-N", name], check=True)

    def lose_node(self, name: str) -> None:
        """Kill the slurmd of a node and all that runs there, as if its power had gone."""
        self.end(f"slurmd.{name}", signal.SIGKILL)
        lost = run("squeue", "--noheader", "--format=%i", f"--nodelist={name}").split()
        processes = list(psutil.process_iter(["cmdline", "environ"]))
        # what would report the job's end goes first
        for process in processes:
            title = " ".join(process.info["cmdline"] or [])
            if any(title.startswith(f"slurmstepd: [{job}.") for job in lost):
                process.kill()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                if (process.info["environ"] or {}).get("SLURM_JOB_ID") in lost:
                    process.kill()

    def end(self, daemon: str, number: int = signal.SIGTERM) -> None:
        """End a daemon, "slurmctld" or "slurmd.n1", and wait until it is gone."""
        file = self.folder / "run" / f"{daemon}.pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int(file.read_text())
            os.kill(pid, number)
            wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"{daemon} has ended")
            file.unlink(missing_ok=True)

    def idle(self) -> bool:
        """Tell whether both nodes are idle."""
        states = run("sinfo", "--noheader", "--Node", "--format=%t")
        return states.split() == ["idle"] * len(NODES)

    def stop(self) -> None:
        """Cancel what runs, and end everything."""
        with contextlib.suppress(subprocess.CalledProcessError, TimeoutError):
            run("scancel", "--user=root", "--signal=KILL", "--full")
            run("scancel", "--user=root")
            wait_until(lambda: not jobs(), "the queue is empty", 20)
        for daemon in (*(f"slurmd.{name}" for name in NODES), "slurmctld"):
            self.end(daemon)
        if self._munged is not None:
            self._munged.terminate()
            self._munged.wait()
        if SYSTEM_CONF.is_symlink() and SYSTEM_CONF.readlink() == self.conf:
            SYSTEM_CONF.unlink()

    def _start_munge(self) -> None:
        if _munge_answers():
            return
        subprocess.run(
            ["install", "-d", "-o", "munge", "-g", "munge", "-m", "0755", "/run/munge"], check=True
        )
        user = ["setpriv", "--reuid", "munge", "--regid", "munge", "--init-groups"]
        self._munged = subprocess.Popen([*user, "/usr/sbin/munged", "--foreground", "--force"])
        wait_until(_munge_answers, "munged answers")


def _munge_answers() -> bool:
    return subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0


@contextmanager
def slurm(folder: Path) -> Iterator[SlurmBed]:
    """Run a SLURM for the length of a block."""
    bed = SlurmBed(folder)
    try:
        bed.start()
        yield bed
    finally:
        bed.stop()


def run(*command: str) -> str:
    """Run one of SLURM's commands, and give what it prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def jobs(field: str = "%i") -> list[str]:
    """List a field of the jobs that wait or run, as `squeue --format` names it."""
    return run("squeue", "--noheader", f"--format={field}").splitlines()


def main() -> int:
    """Start a SLURM, and keep it until Ctrl-C."""
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with slurm(Path(sys.argv[1]).resolve()):
        print("SLURM runs: sinfo, sbatch, squeue; Ctrl-C ends it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
