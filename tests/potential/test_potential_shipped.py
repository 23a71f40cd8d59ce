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
SHIPPED = (
    "potential",
    "potential_study",
    "potential_small",
    "potential_pbesol",
    "potential_small_pbesol",
    "potential_student",
)


def card(name):
    return json.loads((ROOT / "resources" / name / "model_card.json").read_text())


def included(name):
    """Give the labels of DFT that were split for this potential; what others taught is not kept."""
    paths = [Path(path) for path in card(name)["held_out"]["included"]]
    kept = [path.relative_to("resources") for path in paths if path.parts[0] == "resources"]
    return [atoms for path in kept for atoms in shipped(str(path))]


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
        for atoms in included(name)
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
    ("name", "unseen", "count", "of_glass"),
    [
        ("potential", "reference/test/labels.extxyz.gz", 180, (2.0, 0.05, 0.12)),
        ("potential_pbesol", "reference_pbesol/unseen.extxyz.gz", 76, None),
    ],
)
def test_labels_of_unseen_parents_are_predicted_within_the_targets(name, unseen, count, of_glass):
    labels = shipped(unseen)
    assert not {a.info["parent"] for a in labels} & {a.info["parent"] for a in included(name)}
    frames = [atoms for atoms in labels if atoms.info["config_type"] in DISORDERED]
    assert len(frames) == count
    calculator = load_calculator(ROOT / "resources" / name / "m0.nequip.zip", device="cpu")
    predictions = [_errors(calculator, atoms) for atoms in frames]
    _assert_within(predictions, (3.0, 0.10, 0.2))
    for kind in DISORDERED if of_glass else ():
        if kind != "liquid":
            found = zip(frames, predictions, strict=True)
            _assert_within([e for a, e in found if a.info["config_type"] == kind], of_glass)


def _errors(calculator, atoms):
    """Give errors in meV/atom, eV/Å and GPa, of all nine components of the stress."""
    calculator.calculate(atoms, ["energy", "forces", "stress"])
    found = calculator.results
    return (
        1e3 * (found["energy"] - atoms.info["REF_energy"]) / len(atoms),
        (found["forces"] - atoms.arrays["REF_forces"]).ravel(),
        ((found["stress"] - atoms.info["REF_stress"]) / GPa)[[0, 1, 2, 3, 4, 5, 3, 4, 5]],
    )


def _assert_within(errors, limits):
    means = [np.abs(np.hstack(each)).mean() for each in zip(*errors, strict=True)]
    assert all(mean < limit for mean, limit in zip(means, limits, strict=True)), means
