"""The potentials that come with glassml are what their cards say."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.units import GPa

from glassml.campaign.config import load_campaign
from glassml.campaign.config.potential import Potential
from glassml.campaign.files import file_sha256
from glassml.campaign.names import DISORDERED
from glassml.dataset.split import place
from glassml.potential.calculators import load_calculator
from shipped_labels import shipped

ROOT = Path(__file__).parents[2]
SHIPPED = {  # and the labels that judge them
    "potential": "reference",
    "potential_pbesol": "reference_pbesol",
    "potential_small": "reference",
    "potential_small_pbesol": "reference_pbesol",
}


def card(name):
    return json.loads((ROOT / "resources" / name / "model_card.json").read_text())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_is_of_these_packages_and_this_configuration(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    folder = ROOT / "resources" / name
    campaign = load_campaign(ROOT / "config" / f"{name}.yaml")
    assert card(name)["packages"] == {
        f"m{member}": file_sha256(folder / f"m{member}.nequip.zip")
        for member in range(campaign.potential.committee)
    }
    assert Potential.model_validate(card(name)["settings"]["potential"]) == campaign.potential
    assert load_campaign(folder / "campaign.yaml") == campaign


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_held_out_glass_is_predicted_as_well_as_the_card_says(name):
    held_out = card(name)["held_out"]
    frames = [
        atoms
        for atoms in shipped(f"{SHIPPED[name]}/labels.extxyz.gz")
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
    # the card has the worst member
    error = np.abs(np.concatenate(differences)).mean()
    assert 0.7 * row["mae"] < error <= 1.001 * row["mae"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "unseen", "count"),
    [
        ("potential", "reference/test/labels.extxyz.gz", 180),
        ("potential_pbesol", "reference_pbesol/unseen.extxyz.gz", 76),
    ],
)
def test_labels_of_unseen_parents_are_predicted_within_the_targets(name, unseen, count):
    labels = shipped(unseen)
    known = shipped(f"{SHIPPED[name]}/labels.extxyz.gz")
    assert not {a.info["parent"] for a in labels} & {a.info["parent"] for a in known}
    frames = [atoms for atoms in labels if atoms.info["config_type"] in DISORDERED]
    assert len(frames) == count
    calculator = load_calculator(ROOT / "resources" / name / "m0.nequip.zip", device="cpu")
    energies, forces, stresses = [], [], []
    for atoms in frames:
        calculator.calculate(atoms, ["energy", "forces", "stress"])
        found = calculator.results
        energies.append(1e3 * (found["energy"] - atoms.info["REF_energy"]) / len(atoms))
        forces.append(found["forces"] - atoms.arrays["REF_forces"])
        stresses.append((found["stress"] - atoms.info["REF_stress"]) / GPa)
    assert np.abs(energies).mean() < 3.0
    assert np.abs(np.concatenate(forces)).mean() < 0.10
    # of all nine components: shear is there twice
    assert np.average(np.abs(stresses), weights=[[1, 1, 1, 2, 2, 2]] * len(frames)) < 0.2
