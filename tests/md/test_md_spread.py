"""Several processes take the states of batches of glasses, and make what one process makes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from ase.io import write

from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import file_sha256
from glassml.campaign.units import density_g_cm3
from glassml.cli import main
from glassml.md.outputs import read_restart
from glassml.md.spread import Task, batches, devices
from silica_labels import make_labels

STATES = {
    "hot": (None, 0.2),
    "cold": ("hot", 0.03),
    "cold/later": ("cold", 0.02),
    "warm": ("hot", 0.04),
}
CAMPAIGN = {
    "name": "tiny",
    "configurations": {"families": {}},
    "md": {
        "potential": "shik",
        "engine": "torch",
        "glasses": 3,
        "atoms": 24,
        "start": "random",
        "timestep_fs": 1.0,
        "frame_every_fs": 10,
        "sample_every_fs": 5,
        "checkpoint_every_s": 0.001,
        "guards": {"temperature_ratio": 1000, "energy_jump_eV": 1000},  # the start is random
        "states": {
            name: {
                "parent": parent,
                "stages": [
                    {"name": "hold", "ensemble": "nvt", "temperature_K": 300, "duration_ps": ps}
                ],
            }
            for name, (parent, ps) in STATES.items()
        },
    },
}
SMALL = "resources/potential_small/m{}.nequip.zip"
FILES = ("series.csv", "final.extxyz", "restart.npz")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "campaign.yaml"
    path.write_text(yaml.safe_dump(CAMPAIGN))
    return path


def command(config, results, *more):
    paths = ["--config", str(config), "--output-dir", str(results)]
    return ["md", "all", *paths, "--potential", "shik", "--device", "cpu", *more]


def start(config, results, *more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "glassml", *command(config, results, *more)]
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def one_by_one(config, tmp_path_factory):
    results = tmp_path_factory.mktemp("one_by_one")
    assert main(command(config, results, "--batches", "2")) == 0
    return results


def assert_same(results, reference):
    for state in STATES:
        for glass in ("glass00", "glass01", "glass02"):
            for file in FILES:
                place = f"{state}/{glass}/{file}"
                assert (results / place).read_bytes() == (reference / place).read_bytes(), place


def children(process):
    """Give the process ids of the workers."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(each) for each in path.read_text().split()]


def test_several_processes_make_what_one_makes(config, one_by_one, tmp_path):
    process = start(config, tmp_path, "--batches", "2", "--processes", "3")
    assert process.wait(300) == 0
    assert_same(tmp_path, one_by_one)
    assert json.loads((tmp_path / "batches.json").read_text()) == [
        ["glass00", "glass01"],
        ["glass02"],
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_killed_goes_on_to_the_same_digits(config, one_by_one, tmp_path, number):
    process = start(config, tmp_path, "--batches", "2", "--processes", "2")
    while not list(tmp_path.glob("**/checkpoint_*/state.npz")):
        assert process.poll() is None
        time.sleep(0.002)
    victim = process.pid if number == signal.SIGTERM else children(process)[0]
    os.kill(victim, number)
    assert process.wait(300) != 0
    assert not all(Task(state, None, ("glass02",)).is_done(tmp_path) for state in STATES)
    assert main(command(config, tmp_path)) == 0
    assert_same(tmp_path, one_by_one)


def test_groups_that_run_at_once_have_checkpoints_of_their_own(config, one_by_one, tmp_path):
    groups = (["glass00", "glass01"], ["glass02"])
    running = [start(config, tmp_path, "--glasses", *group) for group in groups]
    assert [process.wait(300) for process in running] == [0, 0]
    assert_same(tmp_path, one_by_one)


def test_what_is_there_is_said_before_anything_is_loaded(config, one_by_one, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "glassml.md.engines.torchmd", None)  # cannot be imported
    with caplog.at_level("INFO"):
        assert main(command(config, one_by_one, "--processes", "2")) == 0
        assert main(command(config, one_by_one, "--states", "warm", "--glasses", "glass01")) == 0
    every, one = (record.message for record in caplog.records if "nothing" in record.message)
    states, glasses = ", ".join(sorted(STATES)), "glass00, glass01, glass02"  # as in the file
    assert every == f"{one_by_one}: nothing to run: {states} of {glasses} are there"
    assert one == f"{one_by_one}: nothing to run: warm of glass01 are there"


def test_a_state_that_is_missing_is_run_by_no_more_processes_than_it_needs(
    config, one_by_one, tmp_path, monkeypatch
):
    results = tmp_path / "md"
    shutil.copytree(one_by_one, results)
    shutil.rmtree(results / "cold/later/glass02")
    # more than one would be processes
    monkeypatch.setattr("glassml.md.spread.spread", None)
    assert main(command(config, results, "--processes", "3")) == 0
    assert_same(results, one_by_one)


def test_melts_are_quenched_each_under_its_own_pressure(tmp_path, capsys):
    way = {"melt_K": 3000, "melt_ps": 0.3, "quench": [{"end_K": 2700, "rate_K_per_ps": 1000}]}
    stage = {"name": "hold", "ensemble": "npt", "temperature_K": 2700, "duration_ps": 0.02}
    states = {f"melt_{p:g}GPa": {"stages": [stage | {"pressure_GPa": p}]} for p in (0.0, 20.0)}
    more = {"start": "classical", "classical": way, "states": states, "glasses": 2}
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(CAMPAIGN | {"md": CAMPAIGN["md"] | more}))
    assert main(command(path, tmp_path)) == 0

    density = {}
    for p in ("0", "20"):
        start, melt = (
            json.loads((tmp_path / name / "glass01/record.json").read_text())
            for name in (f"start/{p}GPa", f"melt_{p}GPa")
        )
        assert start["protocol"][-1]["pressure_GPa"] == [float(p)] * 2
        assert melt["origin"]["classical"]["pressure_GPa"] == float(p)
        restart = tmp_path / f"start/{p}GPa/glass01/restart.npz"
        assert melt["origin"]["start_sha256"] == file_sha256(restart)
        density[p] = density_g_cm3(read_restart(restart))
    assert density["20"] > 1.05 * density["0"]

    wrong = str(tmp_path / "start/20GPa/glass00/restart.npz")
    assert main([*command(path, tmp_path / "wrong"), "--start", wrong]) == 2
    assert "was quenched under 20 GPa, and melt_0GPa begins at 0 GPa" in capsys.readouterr().err

    alone = ["md", "starts", "--config", str(path), "--device", "cpu", "--pressure-GPa", "20"]
    assert main([*alone, "--output-dir", str(tmp_path / "alone")]) == 0
    for glass in ("glass00", "glass01"):
        made = [tmp_path / f / glass / "restart.npz" for f in ("alone", "start/20GPa")]
        assert made[0].read_bytes() == made[1].read_bytes()


def in_stage(folder):
    """Give the number of the stage in which a batch was saved last, -1 before the first time."""
    try:
        (path,) = folder.glob("checkpoint_*/state.npz")
        with np.load(path) as saved:
            return json.loads(str(saved["json"]))["header"]["stage"]
    except ValueError:
        return -1


def test_a_quench_of_two_ramps_goes_on_where_it_was_interrupted(tmp_path):
    quench = [{"end_K": 2000, "rate_K_per_ps": 2000}, {"end_K": 300, "rate_K_per_ps": 850}]
    more = {"start": "classical", "glasses": 2}
    more |= {"classical": {"melt_K": 3000, "melt_ps": 0.3, "quench": quench}}
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(CAMPAIGN | {"md": CAMPAIGN["md"] | more}))
    starts = ["md", "starts", "--config", str(path), "--device", "cpu", "--pressure-GPa", "0"]
    assert main([*starts, "--output-dir", str(tmp_path / "whole")]) == 0

    starts += ["--output-dir", str(tmp_path / "cut")]
    process = subprocess.Popen([sys.executable, "-m", "glassml", *starts])
    while in_stage(tmp_path / "cut") < 3:  # after mix, melt and the first ramp
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 143
    assert not (tmp_path / "cut/glass00/restart.npz").exists()
    assert main(starts) == 0

    temperature = []
    for glass in ("glass00", "glass01"):
        whole, cut = tmp_path / "whole" / glass, tmp_path / "cut" / glass
        for file in FILES:
            assert (whole / file).read_bytes() == (cut / file).read_bytes()
        protocol = json.loads((cut / "record.json").read_text())["protocol"]
        assert [stage["name"] for stage in protocol] == ["mix", "melt", "quench1", "quench2"]
        assert [stage["steps"] for stage in protocol] == [1000, 300, 500, 2000]
        assert protocol[2]["temperature_K"] == [3000, 2000]
        assert protocol[3]["temperature_K"] == [2000, 300]
        series = pd.read_csv(cut / "series.csv")
        temperature.append(series.groupby("stage").temperature_K.last())
    reached = sum(temperature) / 2
    assert reached["quench1"] == pytest.approx(2000, rel=0.4)
    assert reached["quench2"] == pytest.approx(300, rel=0.4)


def test_a_student_goes_on_from_the_classical_melt_and_hands_over(tmp_path):
    way = {"melt_K": 2500, "melt_ps": 0.1, "quench": []}
    student = {
        "package": SMALL.format(0),
        "hold_ps": 0.004,
        "quench": [{"end_K": 2490, "rate_K_per_ps": 2000}, {"end_K": 2480, "rate_K_per_ps": 1000}],
        "timestep_fs": 0.5,
    }
    stage = {"name": "hold", "ensemble": "npt", "temperature_K": 2480, "duration_ps": 0.02}
    states = {"ambient": {"stages": [stage | {"pressure_GPa": 0}]}}
    more = {"start": "classical", "classical": way, "student": student, "states": states}
    more |= {"glasses": 2, "potential": "trained", "shortcuts": ["pair_kernels", "tf32"]}
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(CAMPAIGN | {"md": CAMPAIGN["md"] | more}))
    labels = tmp_path / "labels.extxyz"
    write(labels, make_labels(2, 1))
    network = ["--potential", SMALL.format(1), "--labels", str(labels)]  # the last one counts
    assert main(command(path, tmp_path, *network)) == 0

    melt, start, end = (
        json.loads((tmp_path / folder / "glass01/record.json").read_text())
        for folder in ("start/0GPa/classical", "start/0GPa", "ambient")
    )
    assert melt["potential"]["path"] == "shik"
    assert start["potential"]["path"] == SMALL.format(0)
    assert end["potential"]["path"] == SMALL.format(1)
    assert start["potential"]["verification"].keys() == {"exact", "short"}
    assert [stage["name"] for stage in start["protocol"]] == ["hold", "quench1", "quench2"]
    assert start["protocol"][-1]["temperature_K"] == [2490, 2480]
    assert end["origin"]["student"]["package"] == SMALL.format(0)
    for before, after in (("start/0GPa/classical", start), ("start/0GPa", end)):
        digest = file_sha256(tmp_path / before / "glass01/restart.npz")
        assert digest in after["origin"].values()

    alone = ["md", "starts", "--config", str(path), "--device", "cpu", "--pressure-GPa", "0"]
    alone += ["--labels", str(labels), "--output-dir", str(tmp_path / "alone")]
    assert main(alone) == 0
    for glass in ("glass00", "glass01"):
        made = [tmp_path / f / glass / "restart.npz" for f in ("alone", "start/0GPa")]
        assert made[0].read_bytes() == made[1].read_bytes()


def test_a_process_that_fails_stops_the_others_by_its_code(config, tmp_path):
    (tmp_path / "hot/glass02").mkdir(parents=True)
    (tmp_path / "hot/glass02/record.json").write_text("{")  # so its children cannot begin
    process = start(config, tmp_path, "--batches", "2", "--processes", "2")
    assert process.wait(300) == 2


def test_a_started_campaign_keeps_its_batches(tmp_path):
    names = ["glass00", "glass01", "glass02"]
    assert batches(tmp_path, names, None, gpus=2) == [names[:2], names[2:]]
    assert batches(tmp_path, names, None, gpus=8) == [names[:2], names[2:]]
    assert batches(tmp_path, names, 2, gpus=1) == [names[:2], names[2:]]
    with pytest.raises(GlassmlError, match=r"--batches 3: .* says 2, with which the runs began"):
        batches(tmp_path, names, 3, gpus=8)
    assert batches(tmp_path, [*names, "glass03"], None, gpus=1) == [[*names, "glass03"]]


def test_processes_are_dealt_over_the_gpus_that_are_visible(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices(None, None) == ["0", "1", "2"]
    assert devices("cuda", 4) == ["0", "1", "2", "0"]
    assert devices("cuda", 1) == [None]
    assert devices("cpu", 2) == [None, None]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,GPU-1a")
    assert devices(None, None) == ["5", "7", "GPU-1a"]


def test_no_process_is_refused(config, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(command(config, tmp_path, "--processes", "0"))
    assert "must be a whole number from 1" in capsys.readouterr().err
