"""A real SLURM, of two nodes on this machine: what goes wrong on clusters, and how jobs come out.

Nothing is lost, nothing is computed twice, and the same command ends it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from slurm_bed import jobs, run, slurm, wait_until, why_not

from glassml.campaign.cluster import examine_profile
from snakemake_executor_plugin_glassml_slurm import RUN

ROOT = Path(__file__).parents[2]
CAMPAIGN = Path(__file__).with_name("campaign.yaml")
SLEEPING = Path(__file__).with_name("sleeping.smk")
PROFILE = ROOT / "profiles" / "slurm"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "SLURM runs"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    # in the background it is ignored, also by what is started
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with slurm(tmp_path_factory.mktemp("slurm")) as bed:
        yield bed


@pytest.fixture
def bed(cluster):
    """The cluster, on which nothing is left of a test that failed."""
    yield cluster
    for started in Snakemake.started:
        if started.process.poll() is None:
            os.killpg(started.process.pid, signal.SIGKILL)
            started.process.wait()
    Snakemake.started.clear()
    run("scancel", "--user=root")


class Snakemake:
    """One run of Snakemake with the profile for SLURM, as a user starts it."""

    started: ClassVar[list["Snakemake"]] = []

    def __init__(self, folder, *arguments, snakefile=ROOT / "Snakefile"):
        self.log = folder / "snakemake.log"
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "OMP_NUM_THREADS": "1",
        }
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)),
            *("--directory", str(folder), "--profile", str(PROFILE)),
            *("--glassml-slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5"),
            *arguments,
        ]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self.started.append(self)

    def said(self):
        return self.log.read_text()

    def until(self, holds, what, seconds=240):
        def ended_or_holds():
            assert self.process.poll() is None, self.said()[-3000:]
            return holds()

        wait_until(ended_or_holds, what, seconds)

    def ends(self, seconds=600):
        return self.process.wait(seconds), self.said()


def campaign(folder, *targets, config=CAMPAIGN, options=()):
    return Snakemake(folder, *options, "--configfile", str(config), "--", *targets)


def sleeping(folder, *targets, seconds=1, options=()):
    arguments = [*options, "--rerun-incomplete", "--config", f"seconds={seconds}", "--", *targets]
    return Snakemake(folder, *arguments, snakefile=SLEEPING)


def starts(folder, name):
    path = folder / f"starts_{name}"
    return path.read_text().count("start") if path.exists() else 0


def running(name=""):
    return [line for line in jobs("%T %k") if line.startswith("RUNNING") and name in line]


STATE = "results/cluster/md/ambient"
RECORD = f"{STATE}/glass00/record.json"
TABLES = ["results/cluster/dft/crystals/0000.csv"]
SUMMARY = "results/cluster/structure/summary/states.csv"


def test_labels_dynamics_and_structure(bed, tmp_path):
    """The happy path, without accounting; the same command again has nothing to do."""
    code, said = campaign(tmp_path, *TABLES, SUMMARY).ends(900)
    assert code == 0, said[-3000:]
    assert "7 of 7 steps" in said
    # not a word about accounts, no names of files by the thousand
    assert "trying to guess" not in said
    lines = [line for line in said.splitlines() if "Command:" not in line]
    assert max(map(len, lines)) < 400
    assert (tmp_path / SUMMARY).exists()
    code, said = campaign(tmp_path, *TABLES, SUMMARY).ends()
    assert code == 0
    assert "Nothing to be done" in said


def _long(folder):
    """Write a campaign whose dynamics take a minute or two."""
    config = folder / "long.yaml"
    stage = {"name": "hold", "ensemble": "npt", "temperature_K": 300, "pressure_GPa": 0}
    states = {"ambient": {"stages": [stage | {"duration_ps": 100}]}}
    md = {"states": states, "sample_every_fs": 100, "frame_every_fs": 1000}
    md |= {"lammps": {"restart_every_fs": 1000}}
    config.write_text(yaml.safe_dump({"base": str(CAMPAIGN), "name": "cluster", "md": md}))
    return config


def test_the_time_limit_counts_as_no_failure(bed, tmp_path):
    """SLURM itself sends SIGURG before it, and runs the job again."""
    # of three minutes the first is for work, of which starting may take half
    options = ["--set-resources", "patient:runtime=3", "patient:slurm_extra='--signal=URG@120'"]
    code, said = sleeping(tmp_path, "patient", options=options).ends()
    assert code == 0, said[-3000:]
    assert starts(tmp_path, "patient") >= 2
    assert (tmp_path / "patient.state" / "seconds").read_text() == "90"
    assert "Trying to restart job" not in said


def test_dynamics_go_on_whatever_ends_them(bed, tmp_path):
    """Time nearly up, scancel, an administrator's requeue: each goes on from what is there."""
    started = campaign(tmp_path, RECORD, config=_long(tmp_path))
    place = tmp_path / STATE / "glass00" / "lammps"

    def runs(piece):
        """Tell whether so many pieces have begun, and the last has got on."""
        try:
            pieces = json.loads((place / "pieces.json").read_text())["pieces"]
        except FileNotFoundError:
            return False
        steps = [int(path.suffix[1:]) for path in place.glob("restart.*[0-9]")]
        return len(pieces) == piece and max(steps, default=0) > pieces[-1]["begin"]

    started.until(lambda: runs(1), "LAMMPS has a restart file")
    name = "md_run_wildcards_ambient_glass00"
    (job,) = [line.split()[0] for line in jobs("%i %k") if name in line]
    # what `--signal=URG@180` sends; SLURM's own clock for it is rough
    run("scancel", "--signal=URG", job)
    started.until(lambda: runs(2), "it goes on")
    run("scontrol", "requeue", job)
    started.until(lambda: runs(3), "it goes on after the requeue")
    run("scancel", job)
    code, said = started.ends()
    assert code == 0, said[-3000:]
    record = json.loads((tmp_path / RECORD).read_text())
    assert record["status"] == "finished"
    assert record["pieces"] >= 4
    assert record["steps"] == 500_000
    # only scancel counted as a failure
    assert said.count("Trying to restart job") == 1


def test_slurmctld_is_away_while_jobs_run_and_end(bed, tmp_path):
    """Also where it has forgotten the job when it is back."""
    started = sleeping(tmp_path, "slept/a", seconds=15)
    started.until(lambda: starts(tmp_path, "a"), "the job runs")
    bed.end("slurmctld")
    started.until((tmp_path / "slept/a").exists, "the job ends without slurmctld")
    time.sleep(10)
    bed.configure(min_job_age_s=2)
    bed.start_controller()
    code, said = started.ends()
    bed.end("slurmctld")
    bed.configure(min_job_age_s=300)
    bed.start_controller()
    assert code == 0, said[-3000:]
    assert "SLURM does not answer" in said
    assert "SLURM answers again" in said
    assert "sacct" not in said
    assert starts(tmp_path, "a") == 1


def test_shards_share_jobs_as_groups(bed, tmp_path):
    """Six of them are two jobs, each within the cores of a node."""
    names = [f"slept/{name}" for name in "abcdef"]
    groups = ["--groups", "sleep=shards", "--group-components", "shards=3", "--cores", "2"]
    code, said = sleeping(tmp_path, *names, options=groups).ends()
    assert code == 0, said[-3000:]
    assert len(re.findall(r"SLURM jobid \d+", said)) == 2
    assert "6 of 6 steps" in said
    assert [starts(tmp_path, name) for name in "abcdef"] == [1] * 6


def test_slurmctld_is_asked_for_all_jobs_at_once(bed, tmp_path):
    """However many there are, a check is one call."""
    run("sdiag", "--reset")
    began = time.monotonic()
    code, said = sleeping(tmp_path, *(f"slept/{name}" for name in "abcdefgh")).ends()
    checks = (time.monotonic() - began) / 3 + 1
    assert code == 0, said[-3000:]
    calls = dict(re.findall(r"^\s+(REQUEST_\w+) .*count:(\d+)", run("sdiag"), re.MULTILINE))
    # and one look for jobs of an earlier run
    assert 1 < int(calls["REQUEST_JOB_INFO"]) <= checks + 1
    assert int(calls["REQUEST_SUBMIT_BATCH_JOB"]) == 8


def test_a_node_goes_down(bed, tmp_path):
    """Its job is run again on the other node, and counts as no failure."""
    started = sleeping(tmp_path, "slept/a", seconds=20)
    started.until(lambda: starts(tmp_path, "a"), "the job runs")
    (node,) = [line.split()[1] for line in jobs("%T %N") if line.startswith("RUNNING")]
    bed.lose_node(node)
    code, said = started.ends()
    bed.start_node(node)
    wait_until(bed.idle, "the node is back")
    assert code == 0, said[-3000:]
    assert starts(tmp_path, "a") == 2
    assert "Trying to restart job" not in said


def test_no_gpu_is_asked_for_where_the_profile_says_that_there_is_none(bed, tmp_path):
    code, said = sleeping(tmp_path, "slept/a", options=["--set-resources", "sleep:gpu=1"]).ends()
    assert code == 0, said[-3000:]


def test_a_job_that_waits_for_somebody_is_said_once(bed, tmp_path):
    run("scontrol", "update", "PartitionName=main", "State=DOWN")
    try:
        started = sleeping(tmp_path, "slept/a")
        started.until(lambda: "waits until somebody acts" in started.said(), "it is said")
        time.sleep(7)
    finally:
        run("scontrol", "update", "PartitionName=main", "State=UP")
    code, said = started.ends()
    assert code == 0, said[-3000:]
    assert said.count("waits until somebody acts: PartitionDown") == 1


def test_out_of_memory_asks_for_more(bed, tmp_path):
    code, said = sleeping(tmp_path, "hog").ends()
    assert code == 0, said[-3000:]
    assert starts(tmp_path, "hog") == 2


def test_a_killed_snakemake_leaves_jobs_that_the_next_one_ends(bed, tmp_path):
    first = sleeping(tmp_path, "slept/a", seconds=60)
    first.until(lambda: starts(tmp_path, "a"), "the job runs")
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    (name,) = jobs("%j")
    assert re.fullmatch(rf"trial\.sleep\.a\.{RUN}", name)
    others = f"trial_2{name.removeprefix('trial')}"  # of another campaign in this folder
    run("sbatch", f"--job-name={others}", f"--chdir={tmp_path}", "--wrap=sleep 600")
    code, said = sleeping(tmp_path, "slept/a", "slept/b", seconds=3).ends()
    assert code == 0, said[-3000:]
    assert "Ending 1 jobs of an earlier run" in said
    assert jobs("%j") == [others]
    assert (tmp_path / "slept/a").read_text() == "slept\n"


def test_ctrl_c_ends_the_jobs(bed, tmp_path):
    started = sleeping(tmp_path, "slept/a", seconds=300)
    started.until(lambda: starts(tmp_path, "a"), "the job runs")
    os.killpg(started.process.pid, signal.SIGINT)
    assert started.ends()[0] != 0
    wait_until(lambda: not jobs(), "the queue is empty")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--default-resources", "slurm_partition=cpu"], "set slurm_partition in PROFILE"),
        (["--resources", "gpu=1", "--set-resources", "sleep:gpu=1"], "no node has such a GPU"),
        (["--set-resources", "sleep:mem_mb=900000"], "no node has that many cores"),
    ],
)
def test_what_sbatch_refuses_is_a_sentence(bed, tmp_path, options, sentence):
    code, said = sleeping(tmp_path, "slept/a", options=["--retries", "0", *options]).ends()
    assert code != 0
    assert sentence in said
    assert "sbatch call" not in said
    assert not starts(tmp_path, "a")


def _doctor(folder, **changes):
    profile = yaml.safe_load((PROFILE / "profile.yaml").read_text())
    for key, value in changes.items():
        if isinstance(value, dict):
            profile[key] |= value
        else:
            profile[key] = value
    (folder / "profile.yaml").write_text(yaml.safe_dump(profile))
    return {finding.check: finding for finding in examine_profile(folder)}


def test_the_doctor_finds_the_profile_fit(bed, tmp_path):
    findings = _doctor(tmp_path)
    assert {finding.status for finding in findings.values()} == {"ok"}
    assert findings["partition"].found == "main (the cluster's default), up to 1:00:00 a job"
    assert "there is no accounting, and no need" in findings["status"].found


@pytest.mark.parametrize(
    ("changes", "check", "status"),
    [
        ({"default-resources": {"slurm_partition": "cpu"}}, "partition", "fail"),
        ({"glassml-slurm-status-command": "sacct"}, "status", "fail"),
        ({"glassml-slurm-init-seconds-before-status-checks": 200}, "status", "warn"),
        ({"resources": {"gpu": 1}}, "GPUs", "fail"),
        ({"executor": "slurm"}, "executor", "warn"),
        ({"glassml-slurm-requeue": False}, "time limit", "warn"),
    ],
)
def test_the_doctor_says_what_to_edit(bed, tmp_path, changes, check, status):
    finding = _doctor(tmp_path, **changes)[check]
    assert finding.status == status
    assert "Set " in finding.advice
