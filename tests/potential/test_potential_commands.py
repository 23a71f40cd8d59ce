"""The commands as rules call them: given, fine-tuned and bagged members; planted faults."""

import json
import subprocess
import sys
from collections import Counter

import pytest
import yaml
from ase.io import read, write
from test_potential_verification import Faulty, scaled_forces

from glassml.campaign.files import file_sha256
from glassml.campaign.trust import trust
from glassml.cli import main
from glassml.potential import calculators, members, training, verification
from glassml.potential.packages import COMPILED_MODEL, machine
from silica_labels import SHORT, SMALL, silica_calculator

BASE = {"name": "test", "seed": 1, "configurations": {"families": {}}, "md": {}}


@pytest.fixture
def campaign(tmp_path):
    """Write a campaign with this section `potential`, and give its path."""

    def write_campaign(**potential):
        path = tmp_path / "campaign.yaml"
        path.write_text(yaml.safe_dump(BASE | {"potential": potential}))
        return path

    return write_campaign


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "silica_m0.nequip.zip"
    path.write_bytes(b"a package")
    trust([file_sha256(path)])
    return path


def train_command(config, labels_of, folder, **paths):
    given = {"train": labels_of.train, "validation": labels_of.validation} | paths
    return [
        *["potential", "train", "--config", str(config), "--generation", "0", "--member", "0"],
        *["--train", str(given["train"]), "--validation", str(given["validation"])],
        *["--isolated-atoms", str(labels_of.isolated_atoms)],
        *["--folder", str(folder), "--device", "cpu"],
    ]


@pytest.fixture
def without_trainer(monkeypatch):
    """Prepare trainings, and do not run them; collect their folders."""
    folders = []

    def train(folder, **_):
        folders.append(folder)
        (folder / training.HISTORY).write_text("epoch\n")

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "package", lambda _, output: output.write_bytes(b"trained"))
    monkeypatch.setattr(members, "package_species_and_cutoff", lambda _: (["O", "Si"], 4.0))
    # That a package fits its labels is for tests that have real ones: test_potential_functionals.
    monkeypatch.setattr(members, "_new_shifts", lambda *_: None)
    return folders


def test_a_given_package_is_used_as_it_is(campaign, package, labels_of, tmp_path):
    config = campaign(
        mode="given", package=f"{tmp_path}/silica_m{{member}}.nequip.zip", committee=1
    )
    assert main(train_command(config, labels_of, tmp_path / "m0")) == 0
    assert (tmp_path / "m0" / "model.nequip.zip").read_bytes() == package.read_bytes()
    assert len((tmp_path / "m0" / "history.csv").read_text().splitlines()) == 1
    assert "given" in (tmp_path / "m0" / "train.yaml").read_text()


def test_commands_without_a_network_do_not_wait_for_torch(campaign, package, labels_of, tmp_path):
    config = campaign(mode="given", package=str(package))
    results = tmp_path / "errors.json"
    results.write_text(json.dumps({"results": []}))
    gates = ["potential", "gates", "--config", str(config), "--results", str(results)]
    gates += ["--output", str(tmp_path / "gates.json")]
    displace = ["potential", "displace", "alpha_quartz", "--config", str(config)]
    displace += ["--output", str(tmp_path / "cells.extxyz")]
    for command in (train_command(config, labels_of, tmp_path / "m0"), gates, displace):
        program = (
            "import sys; from glassml.cli import main; code = main(sys.argv[1:]); "
            "sys.exit(code or 'torch' in sys.modules)"
        )
        assert (
            subprocess.run([sys.executable, "-c", program, *command], check=False).returncode == 0
        )


def test_fine_tuning_starts_from_the_package(
    campaign, package, labels_of, tmp_path, without_trainer
):
    config = campaign(mode="finetune", package=str(package), training=SHORT)
    assert main(train_command(config, labels_of, tmp_path / "m0")) == 0
    written = yaml.safe_load((tmp_path / "m0" / "train.yaml").read_text())
    model = written["training_module"]["model"]
    assert model == {"_target_": "nequip.model.ModelFromPackage", "package_path": str(package)}
    assert len(without_trainer) == 1


@pytest.mark.parametrize("kernels", ["eager", "compile"])
def test_kernels_are_those_of_the_configuration(
    kernels, campaign, labels_of, tmp_path, without_trainer
):
    config = campaign(model=SMALL, training=SHORT | {"kernels": kernels})
    assert main(train_command(config, labels_of, tmp_path / "m0")) == 0
    written = yaml.safe_load((tmp_path / "m0" / "train.yaml").read_text())
    model = written["training_module"]["model"]
    assert model.get("compile_mode", "eager") == kernels


def test_kernels_of_a_gpu_are_refused_on_a_cpu(campaign, labels_of, tmp_path, capsys):
    config = campaign(model=SMALL, training=SHORT | {"kernels": "openequivariance"})
    assert main(train_command(config, labels_of, tmp_path / "m0")) == 2
    assert "need a GPU" in capsys.readouterr().err


def test_bagged_members_see_samples_of_their_own(campaign, labels_of, tmp_path, without_trainer):
    config = campaign(model=SMALL, training=SHORT | {"bagging": True})
    for member in ("0", "1"):
        command = train_command(config, labels_of, tmp_path / f"m{member}")
        command[command.index("--member") + 1] = member
        assert main(command) == 0
    samples = [
        [atoms.info["config_id"] for atoms in read(folder / "train.extxyz", ":")]
        for folder in without_trainer
    ]
    assert sorted(samples[0]) != sorted(samples[1])
    known = {atoms.info["config_id"] for atoms in read(labels_of.train, ":")}
    assert all(set(sample) <= known for sample in samples)


def test_labels_of_a_kind_count_several_times(
    campaign, labels_of, tmp_path, without_trainer, capsys
):
    once = [atoms.info for atoms in read(labels_of.train, ":")]
    (kind,) = {info["config_type"] for info in once}
    config = campaign(model=SMALL, training=SHORT | {"repeats": {kind: 3}})
    assert main(train_command(config, labels_of, tmp_path / "m0")) == 0
    names = Counter(
        atoms.info["config_id"] for atoms in read(without_trainer[0] / "train.extxyz", ":")
    )
    assert names == {info["config_id"]: 3 for info in once}
    config = campaign(model=SMALL, training=SHORT | {"repeats": {"cristal": 3}})
    assert main(train_command(config, labels_of, tmp_path / "m1")) == 2
    assert f"of config_type cristal; there are {kind}" in capsys.readouterr().err


def test_fewer_labels_train_for_as_many_steps(campaign, labels_of, tmp_path, without_trainer):
    config = campaign(model=SMALL, training=SHORT)
    command = [*train_command(config, labels_of, tmp_path / "m0"), "--labels", "6"]
    assert main(command) == 0
    assert len(read(without_trainer[0] / "train.extxyz", ":")) == 6
    written = yaml.safe_load((tmp_path / "m0" / "train.yaml").read_text())
    assert written["trainer"]["max_epochs"] == SHORT["max_epochs"] * 2
    assert written["trainer"]["check_val_every_n_epoch"] == 2


def test_variants_train_a_network_of_their_own(campaign, labels_of, tmp_path, without_trainer):
    config = campaign(model=SMALL, training=SHORT, search={"variants": {"wide": {"features": 12}}})
    command = [*train_command(config, labels_of, tmp_path / "m0"), "--variant", "wide"]
    assert main(command) == 0
    written = yaml.safe_load((tmp_path / "m0" / "train.yaml").read_text())
    assert written["training_module"]["model"]["num_features"] == 12


def flip_stress(atoms):
    atoms.info["REF_stress"] = -atoms.info["REF_stress"]


def drop_forces(atoms):
    del atoms.arrays["REF_forces"]


@pytest.mark.parametrize(
    ("fault", "reason"), [(flip_stress, "signs or units"), (drop_forces, "REF_forces missing")]
)
def test_faulty_labels_stop_the_command(fault, reason, campaign, labels_of, tmp_path, capsys):
    frames = read(labels_of.train, ":")
    for atoms in frames:
        fault(atoms)
    write(tmp_path / "train.extxyz", frames)
    config = campaign(model=SMALL, training=SHORT)
    command = train_command(config, labels_of, tmp_path / "m0", train=tmp_path / "train.extxyz")
    assert main(command) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "m0").exists()


def verify_command(config, folder, labels):
    return [
        *["potential", "verify", "--config", str(config), "--device", "cpu"],
        *["--package", str(folder / "model.nequip.zip"), "--compiled", str(folder / "compiled")],
        *["--labels", str(labels), "--output", str(folder / "verification.json")],
    ]


def test_a_kernel_with_slightly_wrong_forces_is_refused(
    campaign, labels_of, tmp_path, monkeypatch, capsys
):
    """One percent: the energy is right, and dynamics with it would look fine for a while."""
    monkeypatch.setattr(verification, "DRIFT_STEPS", 10)

    def load(package, compiled=None, device=None):
        found = silica_calculator() if compiled is None else Faulty(scaled_forces)
        found.parameters["backend"] = "aotinductor"
        return found

    monkeypatch.setattr(calculators, "load_calculator", load)
    (tmp_path / "compiled").mkdir()
    record = {"backend": "aotinductor", "reason": "", "machine": {}}
    (tmp_path / "compiled" / "compiled.json").write_text(json.dumps(record))
    assert main(verify_command(campaign(), tmp_path, labels_of.train)) == 2
    assert "refused" in capsys.readouterr().err
    assert not (tmp_path / "verification.json").exists()
    refused = json.loads((tmp_path / "refused.json").read_text())
    wrong = {check["name"] for check in refused["checks"] if not check["passed"]}
    assert {"package: forces", "slope of the energy: forces"} <= wrong
    assert "package: energy" not in wrong


@pytest.mark.slow
def test_a_corrupted_compiled_model_is_refused(campaign, trained, labels_of, tmp_path, capsys):
    (tmp_path / "compiled").mkdir()
    (tmp_path / "model.nequip.zip").symlink_to(trained / "model.nequip.zip")
    (tmp_path / "compiled" / COMPILED_MODEL).write_bytes(b"PK\x03\x04 torn")
    record = {"backend": "aotinductor", "reason": "", "machine": machine("cpu")}
    (tmp_path / "compiled" / "compiled.json").write_text(json.dumps(record))
    assert main(verify_command(campaign(), tmp_path, labels_of.train)) == 2
    assert "cannot be loaded as a potential" in capsys.readouterr().err
    assert not (tmp_path / "verification.json").exists()
