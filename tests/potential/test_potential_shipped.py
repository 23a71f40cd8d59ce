"""The potentials that come with glassml are what their cards say."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from glassml.campaign.config import load_campaign
from glassml.campaign.config.potential import Potential
from glassml.campaign.files import file_sha256
from glassml.dataset.split import place
from glassml.potential.calculators import load_calculator

ROOT = Path(__file__).parents[2]
SHIPPED = ("potential", "potential_small")


def card(name):
    return json.loads((ROOT / "resources" / name / "model_card.json").read_text())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_is_of_these_packages_and_this_configuration(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    folder = ROOT / "resources" / name
    assert card(name)["packages"] == {
        member: file_sha256(folder / f"{member}.nequip.zip") for member in ("m0", "m1", "m2", "m3")
    }
    campaign = load_campaign(ROOT / "config" / f"{name}.yaml")
    assert Potential.model_validate(card(name)["settings"]["potential"]) == campaign.potential
    assert load_campaign(folder / "campaign.yaml") == campaign


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_held_out_glass_is_predicted_as_well_as_the_card_says(name):
    held_out = card(name)["held_out"]
    frames = [
        atoms
        for atoms in read(ROOT / "resources/reference/labels.extxyz.gz", index=":")
        if atoms.info["config_type"] == "glass"
        and place(atoms.info["parent"], held_out["seed"]) < held_out["test_fraction"]
    ]
    row = next(
        row
        for row in card(name)["errors"]
        if (row["set"], row["name"], row["quantity"]) == ("test", "glass", "force")
    )
    assert sum(3 * len(atoms) for atoms in frames) == row["values"]
    calculator = load_calculator(ROOT / "resources" / name / "m0.nequip.zip", device="cpu")
    differences = []
    for atoms in frames:
        reference = atoms.arrays["REF_forces"]
        calculator.reset()
        differences.append(calculator.get_forces(atoms) - reference)
    # the card has the worst of four members
    error = np.abs(np.concatenate(differences)).mean()
    assert 0.7 * row["mae"] < error <= 1.001 * row["mae"]
