"""Real training by NequIP: a package comes out, a kill costs nothing, faults are refused."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from ase.io import read, write

from glassml.potential import PotentialError, load_calculator
from glassml.potential.compilation import compile_package
from glassml.potential.members import Dataset, Member, adopt_member, train_member
from glassml.potential.training import (
    HISTORY_COLUMNS,
    _train_command,
    package,
    training_digest,
)
from silica_labels import NETWORK, SHORT, SMALL, TRAINING

CAMPAIGN = """
name: test
seed: 1
configurations: {{families: {{}}}}
md: {{}}
potential: {{model: {model}, training: {training}}}
"""


def test_a_training_is_named_by_all_that_determines_it():
    assert training_digest("a", "b") == training_digest("a", "b")
    assert training_digest("a", "b") != training_digest("ab", "")
    assert training_digest("a", "b") != training_digest("a", "c")


def test_a_killed_training_goes_on_from_its_checkpoint(tmp_path):
    command = _train_command(tmp_path, "cpu", threads=1, place=0)
    assert not any("ckpt_path" in part for part in command)
    (tmp_path / "last.ckpt").touch()
    command = _train_command(tmp_path, "cpu", threads=1, place=0)
    assert f"++ckpt_path={tmp_path}/last.ckpt" in command


def test_missing_package_is_named(tmp_path):
    with pytest.raises(PotentialError, match="no such potential"):
        load_calculator(tmp_path / "model.nequip.zip")
    with pytest.raises(PotentialError, match="no such package"):
        adopt_member(Member(tmp_path, 0, 0, 1), tmp_path / "absent.nequip.zip")


def test_what_is_no_package_is_refused(tmp_path):
    (tmp_path / "model.nequip.zip").write_bytes(b"nothing")
    with pytest.raises(PotentialError, match="cannot be loaded"):
        load_calculator(tmp_path / "model.nequip.zip", device="cpu")


def test_a_terminated_command_takes_its_trainer_along(tmp_path):
    """As `timeout` or a scheduler ends it: only the command itself is told."""
    program = (
        "import sys, subprocess\n"
        "from glassml.campaign.errors import Interrupted\n"
        "from glassml.potential import training\n"
        "Popen = subprocess.Popen\n"
        "def start(command, **options):\n"
        "    trainer = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'\n"
        "    return Popen([sys.executable, '-c', trainer])\n"
        "training.subprocess.Popen = start\n"
        "try:\n"
        "    training.run_nequip(['train'], 1, training.Path('x'))\n"
        "except Interrupted as interruption:\n"
        "    sys.exit(128 + interruption.number)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    trainer = int(process.stdout.readline())
    time.sleep(0.5)
    process.terminate()
    assert process.wait(120) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(trainer, 0)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_killed_command_takes_nequip_along(tmp_path, loaded):
    """Killed before its child can know, or while that loads NequIP."""
    pipe = tmp_path / "best.ckpt"
    os.mkfifo(pipe)  # once NequIP is loaded it waits for a checkpoint that never comes
    program = (
        "import sys; from pathlib import Path; from glassml.potential import training\n"
        "training.run_nequip(['package', sys.argv[1], sys.argv[2]], 1, Path(sys.argv[2]))"
    )
    arguments = [str(pipe), str(tmp_path / "model.nequip.zip")]
    with subprocess.Popen([sys.executable, "-c", program, *arguments]) as command:
        number = _wait_for(lambda: _child_of(command.pid))
        child = os.pidfd_open(number)
        if loaded:
            _wait_for(lambda: "libtorch" in Path(f"/proc/{number}/maps").read_text())
        assert not select.select([child], [], [], 0)[0]
        command.kill()
    ended = select.select([child], [], [], 20)[0]
    if not ended:
        os.kill(number, signal.SIGKILL)
    os.close(child)
    assert ended


def _wait_for(find, seconds=120):
    """Give what a function finds, once it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.01)
    raise TimeoutError


def _child_of(parent):
    """Give the process that another started; 0 if there is none."""
    command = ["ps", "--ppid", str(parent), "-o", "pid="]
    return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout or 0)


def test_flipped_virial_stops_before_training(labels_of, tmp_path):
    frames = read(labels_of.train, ":")
    for atoms in frames:
        atoms.info["REF_stress"] = -atoms.info["REF_stress"]
    write(tmp_path / "train.extxyz", frames)
    wrong = Dataset(tmp_path / "train.extxyz", tmp_path / "train.extxyz", labels_of.isolated_atoms)
    member = Member(tmp_path / "m0", 0, 0, 1)
    with pytest.raises(PotentialError, match="signs or units"):
        train_member(member, wrong, network=NETWORK, settings=TRAINING, device="cpu")
    assert not (tmp_path / "m0").exists()


@pytest.mark.slow
def test_trained_member(trained):
    history = pd.read_csv(trained / "history.csv")
    assert tuple(history.columns) == HISTORY_COLUMNS
    assert len(history) == SHORT["max_epochs"]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    config = yaml.safe_load((trained / "train.yaml").read_text())
    assert config["training_module"]["model"]["r_max"] == 4.0
    calculator = load_calculator(trained / "model.nequip.zip", device="cpu")
    atoms = read(config["data"]["val_file_path"], "0")
    atoms.calc = calculator
    assert atoms.get_forces().shape == (len(atoms), 3)
    assert calculator.parameters["backend"] == "eager"


@pytest.mark.slow
def test_a_member_of_fewer_labels_is_packaged_with_its_averaged_weights(labels_of, tmp_path):
    count = len(read(labels_of.train, ":")) // 2
    member = Member(tmp_path / "m0", 0, 0, 1)
    train_member(
        member,
        labels_of,
        network=NETWORK,
        settings=TRAINING,
        labels=count,
        device="cpu",
    )
    history = pd.read_csv(tmp_path / "m0/history.csv")
    assert history["epoch"].diff().dropna().eq(2).all()
    load_calculator(tmp_path / "m0/model.nequip.zip", device="cpu")


@pytest.mark.slow
def test_muon_and_hubers_loss_train_too(labels_of, tmp_path):
    member = Member(tmp_path / "m0", 0, 0, 1)
    changes = {"optimizer": "muon", "loss": "huber", "max_epochs": 12}
    settings = TRAINING.model_copy(update=changes)
    train_member(member, labels_of, network=NETWORK, settings=settings, device="cpu")
    history = pd.read_csv(tmp_path / "m0/history.csv")
    forces = history["validation_force_mae_eV_per_A"]
    assert forces.iloc[-1] < 0.8 * forces.iloc[0]
    (last,) = tmp_path.glob("m0/training/*/last.ckpt")
    groups = torch.load(last, weights_only=False)["optimizer_states"][0]["param_groups"]
    assert [group["use_muon"] for group in groups] == [True, False]
    assert all(group["params"] for group in groups)
    load_calculator(tmp_path / "m0/model.nequip.zip", device="cpu")


@pytest.mark.slow
def test_a_checkpoint_after_the_ramp_holds_the_final_weights(trained):
    (last,) = trained.glob("training/*/last.ckpt")
    held = torch.load(last, weights_only=False)["state_dict"]["loss._extra_state"]["coeff_dict"]
    final = {"per_atom_energy_mse": SHORT["final_energy_weight"], "forces_mse": 1.0}
    final["stress_mse"] = SHORT["final_stress_weight"]
    total = sum(final.values())
    assert held == pytest.approx({name: weight / total for name, weight in final.items()})


@pytest.mark.slow
def test_a_package_is_the_same_when_a_process_of_its_own_makes_it(trained, tmp_path):
    """That of the member was made where its training ended."""
    (folder,) = (each.parent for each in trained.glob("training/*/best.ckpt"))
    package(folder, tmp_path / "model.nequip.zip")
    assert (tmp_path / "model.nequip.zip").read_bytes() == (
        trained / "model.nequip.zip"
    ).read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == ["model.nequip.zip"]
    assert not list(folder.glob(".tmp-*"))


@pytest.mark.slow
def test_compile_never_records_the_fallback(trained):
    package = trained / "model.nequip.zip"
    folder = trained / "compiled"
    record = compile_package(package, folder, wanted="never", species="Si", device="cpu", threads=1)
    assert (record["backend"], record["reason"]) == ("eager", "compile: never")
    assert load_calculator(package, folder, "cpu").parameters["backend"] == "eager"


@pytest.mark.slow
def test_fine_tuning_starts_where_the_package_is(trained, labels_of, tmp_path):
    member = Member(tmp_path / "m0", 0, 0, 2)
    settings = TRAINING.model_copy(update={"max_epochs": 1, "learning_rate": 1e-6})
    package = trained / "model.nequip.zip"
    train_member(
        member, labels_of, network=NETWORK, settings=settings, package=package, device="cpu"
    )
    energies = []
    for path in (package, member.folder / "model.nequip.zip"):
        atoms = read(labels_of.validation, "0")
        atoms.calc = load_calculator(path, device="cpu")
        energies.append(atoms.get_potential_energy() / len(atoms))
    assert energies[0] == pytest.approx(energies[1], abs=2e-3)


@pytest.mark.slow
def test_killed_training_ends_bit_for_bit_the_same(trained, labels_of, tmp_path):
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN.format(model=SMALL, training=SHORT))
    folder = tmp_path / "m0"
    command = [sys.executable, "-m", "glassml", "potential", "train"]
    command += ["--config", str(tmp_path / "campaign.yaml"), "--generation", "0", "--member", "0"]
    command += ["--train", str(labels_of.train), "--validation", str(labels_of.validation)]
    command += ["--isolated-atoms", str(labels_of.isolated_atoms)]
    command += ["--folder", str(folder), "--device", "cpu"]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(folder.glob("training/*/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(folder.glob("training/*/last.ckpt"))
    assert not (folder / "model.nequip.zip").exists()
    subprocess.run(command, check=True)
    histories = [
        pd.read_csv(each / "history.csv").drop(columns="seconds") for each in (trained, folder)
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    best = [next(each.glob("training/*/best.ckpt")) for each in (trained, folder)]
    weights = [torch.load(path, weights_only=False)["state_dict"] for path in best]
    for name, value in weights[0].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, weights[1][name]), name
