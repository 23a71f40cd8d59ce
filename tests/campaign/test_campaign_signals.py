"""Signals at random moments of labels, dynamics and structure; a second Snakemake meanwhile.

Below a path with a blank and an ü, from another working directory, with umask 077.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAMPAIGN = ROOT / "tests" / "cluster" / "campaign.yaml"
TARGETS = [
    "results/cluster/dft/crystals/0000.csv",
    "results/cluster/structure/summary/states.csv",
]
SIGNALS = [signal.SIGINT, signal.SIGKILL, signal.SIGTERM]
#: A signal comes a random time after one of these was made: while labels, dynamics or structure
#: are at work, however fast the machine is.
MADE = [
    "labels/??/[!.]*.json",
    "cluster/md/**/restart*",
    "cluster/md/**/final.extxyz",
    "cluster/structure/**/*.csv",
]

pytestmark = [pytest.mark.slow, pytest.mark.campaign]


def _start(folder, log):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(CAMPAIGN), "--cores", "2"]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }
    return subprocess.Popen(
        [*command, "--", *TARGETS],
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment,
        umask=0o077,
        start_new_session=True,
    )


def _made(folder):
    return {path for pattern in MADE for path in (folder / "results").glob(pattern)}


def _wait(process, condition, seconds=1200):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_signals_at_random_moments_lose_nothing(tmp_path):
    # in the background it is ignored, also by what is started
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tmp_path / "ein Ort, größer"
    folder.mkdir()
    rng = random.Random(1)
    kept = {}
    with (folder / "log").open("w") as log:
        for number in SIGNALS:
            (folder / TARGETS[-1]).unlink(missing_ok=True)  # something is left to do
            before = _made(folder)
            process = _start(folder, log)
            _wait(process, lambda before=before: _made(folder) - before)
            time.sleep(rng.uniform(0, 2))
            os.killpg(process.pid, number)
            process.wait(600)
            records = folder.glob("results/labels/??/[!.]*.json")
            kept |= {path: path.stat().st_mtime_ns for path in records if path not in kept}
        # the first stands still while the second looks at its lock
        (folder / TARGETS[-1]).unlink(missing_ok=True)
        process = _start(folder, log)
        lock = folder / "results" / "cluster" / ".lock"
        _wait(process, lambda: str(process.pid) in lock.read_text())
        os.killpg(process.pid, signal.SIGSTOP)
        try:
            with (folder / "second").open("w") as second:
                assert _start(folder, second).wait(600) != 0
        finally:
            os.killpg(process.pid, signal.SIGCONT)
        assert process.wait(600) == 0, (folder / "log").read_text()[-3000:]
    said = (folder / "second").read_text()
    assert f"process {process.pid} on" in said
    assert "runs this campaign already: wait for it, or stop it" in said
    # a label that was there was never made again
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for target in TARGETS:
        assert (folder / target).stat().st_mode & 0o077 == 0
    assert not list(folder.rglob(".tmp-*.json"))
