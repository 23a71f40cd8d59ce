"""The potential that comes with glassml is what its card says."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from glassml.campaign.config import load_campaign
from glassml.campaign.files import file_sha256
from glassml.dataset.split import place
from glassml.potential.calculators import load_calculator

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "resources" / "potential"
CARD = json.loads((SHIPPED / "model_card.json").read_text())


def test_the_card_is_of_these_packages_and_this_configuration(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert CARD["packages"] == {
        name: file_sha256(SHIPPED / f"{name}.nequip.zip") for name in ("m0", "m1", "m2", "m3")
    }
    campaign = load_campaign(ROOT / "config" / "potential.yaml")
    assert CARD["settings"]["potential"] == campaign.potential.model_dump(mode="json")
    assert load_campaign(SHIPPED / "campaign.yaml") == campaign


@pytest.mark.slow
def test_held_out_glass_is_predicted_as_well_as_the_card_says():
    held_out = CARD["held_out"]
    frames = [
        atoms
        for atoms in read(ROOT / "resources/reference/labels.extxyz.gz", index=":")
        if atoms.info["config_type"] == "glass"
        and place(atoms.info["parent"], held_out["seed"]) < held_out["test_fraction"]
    ]
    row = next(
        row
        for row in CARD["errors"]
        if (row["set"], row["name"], row["quantity"]) == ("test", "glass", "force")
    )
    assert sum(3 * len(atoms) for atoms in frames) == row["values"]
    calculator = load_calculator(SHIPPED / "m0.nequip.zip", device="cpu")
    differences = []
    for atoms in frames:
        reference = atoms.arrays["REF_forces"]
        calculator.reset()
        differences.append(calculator.get_forces(atoms) - reference)
    # the card has the worst of four members
    error = np.abs(np.concatenate(differences)).mean()
    assert 0.7 * row["mae"] < error <= 1.001 * row["mae"]
