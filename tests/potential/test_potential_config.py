"""The section `potential`: what is refused, and what it becomes for the trainer."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from ase.units import GPa
from hydra.utils import instantiate

from glassml.campaign.config import parse_campaign
from glassml.campaign.config.potential import Network, Potential, Training
from glassml.campaign.errors import ConfigError
from glassml.potential.training_config import package_model, scratch_model, training_config

HOLD = {"name": "hold", "ensemble": "nvt", "temperature_K": 300, "duration_ps": 1}
STATE = {"stages": [HOLD]}


def _training_config(**changes):
    model = scratch_model(
        Network(),
        species=["O", "Si"],
        shifts_eV={"O": -5.0, "Si": -10.0},
        scale_eV=1.5,
        neighbours=20.0,
        seed=3,
    )
    return training_config(
        Training(**changes),
        model=model,
        species=["O", "Si"],
        cutoff_A=4.5,
        train_count=40,
        validate_every=1,
        folder=Path("here"),
        seed=4,
    )


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"mode": "finetune"}, "needs `package`"),
        ({"mode": "scratch", "package": "a.nequip.zip"}, "remove `package`"),
        ({"mode": "given", "package": "absent.nequip.zip"}, "not an existing"),
        ({"mode": "given", "package": "a.nequip.zip", "committee": 2}, "always agree"),
        ({"model": {"cutoff_A": 45}}, "less than or equal to 10"),
        ({"model": {"cutof_A": 4.5}}, "Extra inputs"),
        ({"training": {"ema_decay": 1.0}}, "less than 1"),
        ({"gates": {"amber_factor": 0.5}}, "greater than or equal to 1"),
        (
            {"search": {"variants": {"small": {}}, "glasses": ["smal"]}},
            "smal: no such variants; there are: small",
        ),
    ],
)
def test_wrong_sections_are_refused(section, reason):
    with pytest.raises(ValueError, match=reason):
        Potential(**section)


@pytest.fixture
def _trusting(monkeypatch):
    monkeypatch.setenv("GLASSML_TRUST", hashlib.sha256(b"").hexdigest())


@pytest.mark.usefixtures("_trusting")
def test_members_of_a_given_committee_have_packages_of_their_own(tmp_path):
    for member in range(2):
        (tmp_path / f"m{member}.nequip.zip").touch()
    section = Potential(mode="given", package=f"{tmp_path}/m{{member}}.nequip.zip", committee=2)
    assert section.packages() == [f"{tmp_path}/m0.nequip.zip", f"{tmp_path}/m1.nequip.zip"]


@pytest.mark.usefixtures("_trusting")
def test_one_given_package_is_a_committee_of_one(tmp_path):
    path = tmp_path / "silica.nequip.zip"
    path.touch()
    assert Potential(mode="given", package=str(path)).committee == 1
    assert Potential().committee == 4


@pytest.mark.usefixtures("_trusting")
@pytest.mark.parametrize("depth", [".", "m0"])
@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"seed": 8}, False),
        ({"dataset": {"test_fraction": 0.2}}, False),
        ({"dataset": {"test_fraction": 0.05}}, True),
        ({"dataset": {"train_only": []}}, False),
        ({"dataset": {"train_only": ["crystal", "dimer"]}}, True),
        ({"dataset": {"include": [{"path": "other.extxyz"}], "test_fraction": 0.2}}, True),
    ],
)
def test_a_package_is_not_tested_on_labels_it_has_seen(tmp_path, depth, changes, accepted):
    package = tmp_path / depth / "silica.nequip.zip"
    package.parent.mkdir(exist_ok=True)
    package.touch()
    made = {"seed": 7, "test_fraction": 0.1, "train_only": ["crystal"], "included": ["a.extxyz"]}
    (tmp_path / "model_card.json").write_text(json.dumps({"held_out": made}))
    dataset = {"include": [{"path": "a.extxyz"}], "train_only": ["crystal"]}
    campaign = {
        "name": "tuned",
        "seed": changes.get("seed", 7),
        "configurations": {"families": {}},
        "dataset": dataset | changes.get("dataset", {}),
        "potential": {"mode": "finetune", "package": str(package), "committee": 1},
        "md": {},
    }
    if accepted:
        parse_campaign(campaign)
        return
    with pytest.raises(ConfigError, match="trained on labels that would be in the test set"):
        parse_campaign(campaign)


@pytest.mark.parametrize(
    ("md", "reason"),
    [
        ({}, None),
        ({"engine": "ase"}, "needs md.engine torch"),
        ({"potential": "shik"}, "md.potential trained"),
        ({"guards": {"max_force_spread_eV_A": 1}}, "is alone"),
        ({"states": {"cold": STATE | {"parent": "ambient"}, "ambient": STATE}}, "cold, continues"),
        ({"states": {"ambient": STATE, "cold": STATE | {"parent": "ambient"}}}, None),
    ],
)
def test_networks_of_the_search_make_the_first_state_or_are_refused(md, reason):
    campaign = {
        "name": "searched",
        "configurations": {"families": {}},
        "potential": {"search": {"variants": {"small": {}}, "glasses": ["small"]}},
        "md": {"engine": "torch"} | md,
    }
    if reason is None:
        assert parse_campaign(campaign).md.first_state() == "ambient"
        return
    with pytest.raises(ConfigError, match=reason):
        parse_campaign(campaign)
    campaign["potential"] = {}
    assert parse_campaign(campaign).potential.search.glasses == []


@pytest.mark.parametrize("way", ["given", "held"])
def test_networks_make_no_glasses_of_runs_that_are_there(way, tmp_path):
    (tmp_path / "ambient/glass00").mkdir(parents=True)
    (tmp_path / "ambient/glass00/record.json").touch()
    campaign = {
        "name": "searched",
        "configurations": {"families": {}},
        "potential": {"search": {"variants": {"small": {}}, "glasses": ["small"]}},
        "md": {"engine": "torch", "states": {"ambient": STATE}},
    }
    campaign["md"][way] = str(tmp_path) if way == "given" else {"runs": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"with md\.given or md\.held no glass is made"):
        parse_campaign(campaign)


def test_energy_forces_and_stress_are_in_the_loss():
    config = _training_config(
        energy_weight=7, force_weight=2, stress_weight=90, final_energy_weight=8, max_epochs=11
    )
    loss = config["training_module"]["loss"]
    assert loss["_target_"] == "nequip.train.EnergyForceStressLoss"
    assert loss["coeffs"] == {"total_energy": 7, "forces": 2, "stress": 90}
    ramp = next(c for c in config["trainer"]["callbacks"] if "final_coeffs" in c)
    assert ramp["final_coeffs"]["per_atom_energy_mse"] == 8
    assert ramp["start_epoch"] + ramp["transition_epochs"] == 8


def test_large_errors_count_by_their_size():
    """Huber's loss is half the square below its limit, and grows linearly from there."""
    config = _training_config(loss="huber", energy_weight=7, force_weight=2, stress_weight=90)
    loss = instantiate(config["training_module"]["loss"])
    names = {"total_energy": (1, 1), "forces": (2, 3), "stress": (1, 3, 3)}
    label = {key: torch.zeros(shape, dtype=torch.float64) for key, shape in names.items()}
    label["num_atoms"] = torch.tensor([2])
    values = {}
    for error in (0.5, 1.0, 3.0):
        limits = {"total_energy": 2 * 0.003, "forces": 0.05, "stress": 0.1 * GPa}
        off = label | {key: label[key] + error * limit for key, limit in limits.items()}
        values[error] = {key: float(value) for key, value in loss(off, label).items()}
    for key, limit in {"per_atom_energy": 0.003, "forces": 0.05, "stress": 0.1 * GPa}.items():
        of_error = {error: found[f"{key}_mse"] for error, found in values.items()}
        expected = {0.5: limit**2 / 8, 1.0: limit**2 / 2, 3.0: 2.5 * limit**2}
        assert of_error == pytest.approx(expected)
    assert [part["coeff"] for part in config["training_module"]["loss"]["metrics"]] == [7, 2, 90]


def test_labels_are_read_from_their_own_keys():
    data = _training_config()["data"]
    assert data["key_mapping"] == {
        "REF_energy": "total_energy",
        "REF_forces": "forces",
        "REF_stress": "stress",
    }
    assert data["train_file_path"] == "here/train.extxyz"


def test_shifts_are_named_by_species():
    model = _training_config()["training_module"]["model"]
    assert model["per_type_energy_shifts"] == {"O": -5.0, "Si": -10.0}
    assert model["pair_potential"]["chemical_species"] == model["type_names"]


def test_checkpoints_come_every_hundred_steps():
    last = _training_config(batch_size=4)["trainer"]["callbacks"][-1]
    assert last["every_n_epochs"] == 10  # 40 labels in batches of 4 are 10 steps


@pytest.mark.parametrize(
    ("minutes", "text"), [(4, "00:00:04:00"), (0.001, "00:00:00:01"), (1501.5, "01:01:01:30")]
)
def test_time_limit_as_lightning_reads_it(minutes, text):
    callbacks = _training_config(max_minutes=minutes)["trainer"]["callbacks"]
    timer = next(each for each in callbacks if "duration" in each)
    assert timer["duration"] == text


def test_fine_tuning_starts_from_a_package():
    assert package_model(Path("x.nequip.zip"))["package_path"] == "x.nequip.zip"
