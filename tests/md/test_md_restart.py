"""A run that is killed and goes on ends with the same bytes as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from ase.build import bulk
from matscipy.calculators.pair_potential import LennardJonesCut, PairPotential
from glassml.campaign.errors import Interrupted
from glassml.md.guards import Limits
from glassml.md.protocol import Coupling, Stage
from glassml.md.run import Job, run_job
from glassml.md.start import maxwell_boltzmann

atoms = bulk("Ar", cubic=True, a=5.3) * (2, 2, 2)
maxwell_boltzmann(atoms, 80.0, np.random.default_rng(0))
length = int(sys.argv[3])
stages = [
    Stage("heat", "npt", 150 * length, 4.0, (40.0, 90.0), (0.0, 0.5), 7, 20),
    Stage("hold", "nvt", 100 * length, 2.0, (90.0, 90.0), None, 7, 20),
    Stage("free", "nve", 100 * length, 4.0, None, None, 7, 20),
    Stage("cool", "npt", 150 * length, 4.0, (90.0, 40.0), (0.5, 0.0), 7, 20),
]
job = Job("cold", "glass00", None, stages, Coupling(100.0, 300.0, 3.0),
          Limits(4.0, 1.0, (0.5, 20.0), 1.0), 1, 2, {}, {"sha256": "x"})
calculator = PairPotential({(18, 18): LennardJonesCut(0.0104, 3.4, 5.0)})
try:
    run_job(job, atoms, calculator, Path(sys.argv[1]), checkpoint_every_s=float(sys.argv[2]),
            show_progress=False)
except Interrupted as interruption:
    sys.exit(128 + interruption.number)
"""


def start(folder, every=1000, length=1):
    """Run 500 steps times `length`."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    arguments = [str(folder), str(every), str(length)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment)


def start_and_wait_for_segments(folder, more, length=1):
    """Start a run that saves all the time, and wait until it has saved some times; None: ended."""
    process = start(folder, 0.01, length)
    wanted = segments(folder) + more
    while segments(folder) < wanted:
        if process.poll() is not None:
            assert process.returncode == 0
            return None
        time.sleep(0.002)
    return process


def trajectory(folder):
    arrays = {}
    with h5py.File(folder / "trajectory.h5md") as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
        arrays["json"] = file["parameters/glassml"].attrs["json"]
    return arrays


def assert_same(folder, reference):
    for name in ("series.csv", "final.extxyz", "restart.npz"):
        assert (folder / name).read_bytes() == (reference / name).read_bytes(), name
    ours, theirs = trajectory(folder), trajectory(reference)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), name


def segments(folder):
    return len(list((folder / "checkpoint").glob("segment_*.npz")))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    # No checkpoint until the end: nothing is cut anywhere.
    assert start(folder).wait(600) == 0
    return folder


def test_sigterm_writes_a_checkpoint_and_the_same_command_goes_on(tmp_path, reference):
    process = start_and_wait_for_segments(tmp_path, 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 143
    assert (tmp_path / "checkpoint" / "state.npz").exists()
    assert not (tmp_path / "record.json").exists()
    assert start(tmp_path).wait(600) == 0
    assert not (tmp_path / "checkpoint").exists()
    assert_same(tmp_path, reference)


@pytest.mark.slow
def test_killed_at_random_eight_times_ends_with_the_same_bytes(tmp_path):
    reference, killed = tmp_path / "reference", tmp_path / "killed"
    length = 10  # so that no machine is done before the last kill
    assert start(reference, length=length).wait(600) == 0
    chance = random.Random(20)
    for _ in range(8):
        process = start_and_wait_for_segments(killed, chance.randint(1, 4), length)
        assert process is not None, "it ended before it was killed often enough"
        time.sleep(0.02 * chance.random())
        process.kill()
        process.wait()
    assert start(killed, length=length).wait(600) == 0
    assert json.loads((killed / "record.json").read_text())["pieces"] > 6
    assert_same(killed, reference)


def test_a_checkpoint_of_another_protocol_is_not_taken_up(tmp_path, reference):
    process = start_and_wait_for_segments(tmp_path, 3)
    process.kill()
    process.wait()
    state = tmp_path / "checkpoint" / "state.npz"
    with np.load(state) as file:
        arrays = dict(file)
    arrays["json"] = np.array(str(arrays["json"]).replace('"identity": "', '"identity": "0'))
    arrays["positions"] = arrays["positions"] + 0.1 * np.arange(96).reshape(32, 3)
    np.savez(state, **arrays)
    assert start(tmp_path).wait(600) == 0
    assert_same(tmp_path, reference)


def test_a_damaged_checkpoint_costs_time_and_nothing_else(tmp_path, reference):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "state.npz").write_bytes(b"PK\x03\x04 torn")
    assert start(tmp_path).wait(600) == 0
    assert_same(tmp_path, reference)


def test_two_processes_on_one_state_do_not_mix(tmp_path):
    reference = tmp_path / "alone"
    assert start(reference).wait() == 0
    first = start(tmp_path / "both", 0.01)
    second = start(tmp_path / "both", 0.01)
    assert (first.wait(), second.wait()) == (0, 0)
    assert_same(tmp_path / "both", reference)


def test_a_checkpoint_that_lost_a_segment_is_begun_anew(tmp_path):
    reference = tmp_path / "alone"
    assert start(reference).wait() == 0
    folder = tmp_path / "lost"
    process = start_and_wait_for_segments(folder, 3)
    assert process is not None
    process.kill()
    process.wait()
    (folder / "checkpoint" / "segment_000000.npz").unlink()
    assert start(folder).wait() == 0
    assert_same(folder, reference)
