"""Gates, probes and the card, on numbers that are known."""

import numpy as np
import pandas as pd
import pytest
from test_potential_verification import Faulty

from glassml.potential import gates, probes, stability
from glassml.potential.card import as_markdown, model_card
from glassml.potential.errors import error_rows, parity_rows
from silica_labels import make_labels, quartz, silica_calculator


@pytest.mark.parametrize(
    ("value", "status"),
    [(0.5, "green"), (1.0, "green"), (1.5, "amber"), (2.0, "amber"), (2.1, "red")],
)
def test_judging_by_threshold(value, status):
    result = gates.judge("g", "n", value, threshold=1.0, unit="", amber_factor=2.0)
    assert result.status == status


def test_nothing_known_is_unknown_and_no_number_is_red():
    assert gates.judge("g", "n", None, threshold=1, unit="", amber_factor=2).status == "unknown"
    assert gates.judge("g", "n", np.nan, threshold=1, unit="", amber_factor=2).status == "red"


def _results(*statuses):
    return [gates.Result("g", "n", 1.0, 1.0, "", status) for status in statuses]


def test_the_worst_counts():
    assert gates.worst(_results("green", "unknown", "amber")) == "amber"
    assert gates.worst(_results("red", "green")) == "red"
    assert gates.worst(_results("unknown")) == "unknown"
    assert gates.worst(_results("green", "unknown")) == "green"


def test_record_and_back():
    results = _results("green", "red")
    assert gates.from_record(gates.as_record(results)) == results


@pytest.fixture(scope="module")
def parity():
    frames = make_labels(12, seed=1)
    rows = pd.DataFrame(parity_rows(frames, silica_calculator(), "test"))
    lone = {atoms.info["config_id"]: atoms for atoms in frames}
    energy = rows["quantity"] == "energy"
    # the classical potential knows no isolated atoms: predict the labels themselves
    rows.loc[energy, "prediction"] = rows.loc[energy, "label"]
    return frames, rows.assign(member="m0"), lone


def test_error_gate_takes_the_worst_member(parity):
    _, rows, _ = parity
    worse = rows.assign(member="m1", prediction=rows["prediction"] + 0.004)
    errors = pd.DataFrame(
        [
            {**row, "member": member}
            for member, part in (("m0", rows), ("m1", worse))
            for row in error_rows(part.to_dict("records"))
        ]
    )
    limits = {"energy": 3.0, "force": 0.1, "stress": 0.2}
    results = {r.name.split(":")[0]: r for r in gates.error_gate(errors, limits, 2.0)}
    assert results["energy"].value == pytest.approx(4.0)
    assert results["energy"].status == "amber"
    assert results["force"].status == "green"
    assert results["force"].name.endswith("held-out labels, worst member")
    glass = errors[errors["quantity"] == "energy"].assign(group="disordered", mae=1.0)
    judged = gates.error_gate(pd.concat([errors, glass]), limits, 2.0)
    assert judged[0].value == 1.0  # liquid and glass are what counts, where there are some
    assert "held-out liquid and glass" in judged[0].name
    nothing = gates.error_gate(errors[errors["set"] == "train"], limits, 2.0)
    assert {result.status for result in nothing} == {"unknown"}


def test_curves_separate_shape_from_level(parity):
    frames, rows, _ = parity
    rows = rows.copy()
    energy = rows["quantity"] == "energy"
    rows.loc[energy & rows["config_id"].str.startswith("stishovite"), "prediction"] += 0.020
    curves = gates.energy_curves(frames, rows)
    assert len(curves) == 12
    results = {r.name: r for r in gates.curve_gate(curves, 5.0, 2.0)}
    assert results["stishovite: shape"].value == pytest.approx(0.0, abs=1e-6)
    assert results["stishovite above cristobalite"].value == pytest.approx(20.0)
    assert results["stishovite above cristobalite"].status == "red"
    assert results["quartz above cristobalite"].status == "green"


def test_curves_without_crystals_are_unknown(parity):
    _, rows, _ = parity
    results = gates.curve_gate(gates.energy_curves([], rows), 5.0, 2.0)
    assert [result.status for result in results] == ["unknown"]


def test_calibration_of_a_committee_that_knows_its_error():
    rng = np.random.default_rng(0)
    size = 4000
    spread = rng.uniform(0.01, 0.2, size)
    truth = rng.normal(0, 1, size)
    members = [
        pd.DataFrame(
            {
                "set": "test",
                "quantity": "force",
                "label": truth,
                "prediction": truth + rng.normal(0, spread),
                "member": f"m{k}",
            }
        )
        for k in range(4)
    ]
    (result,) = gates.calibration_gate(pd.concat(members), 3.0, 2.0)
    # independent members: the mean of four is wrong by half the spread of one
    assert result.value == pytest.approx(0.5, rel=0.05)
    assert result.status == "green"
    (alone,) = gates.calibration_gate(members[0], 3.0, 2.0)
    assert alone.status == "unknown"


def test_hole_is_how_far_the_energy_falls():
    distances = np.array([0.5, 1.0, 1.5, 2.0])
    rising = probes.Approach("", distances, np.array([9.0, 3.0, 1.0, 0.0]))
    assert rising.hole(10.0) == 0.0
    hole = probes.Approach("", distances, np.array([4.0, 3.0, 5.0, 0.0]))
    assert hole.hole(10.0) == pytest.approx(2.0)
    broken = probes.Approach("", distances, np.array([4.0, np.nan, 5.0, 0.0]))
    assert broken.hole(10.0) == np.inf


def test_a_hole_behind_a_wall_is_out_of_reach():
    distances = np.array([0.5, 1.0, 1.5, 2.0])
    for depth in (-90.0, np.nan):
        walled = probes.Approach("", distances, np.array([depth, 11.0, 1.0, 0.5]))
        assert walled.hole(10.0) == 0.0
        assert walled.hole(11.0) > 90.0
    # the wall counts from the lowest point in front of it, and a hole before it is one
    before = probes.Approach("", distances, np.array([-90.0, 12.0, -2.0, 0.0]))
    assert before.hole(10.0) == pytest.approx(2.0)


def test_the_hole_of_a_buckingham_potential_is_found():
    # C/r⁶ wins over the repulsion below about 1.2 Å: known of BKS
    approach = probes.dimer_approach(silica_calculator(), ("O", "Si"))
    assert approach.hole(10.0) > 10.0
    crystal = probes.crystal_approach(silica_calculator(), quartz(), ("O", "Si"))
    assert crystal.hole(10.0) > 10.0
    (result, _) = gates.approach_gate({"m0": [approach, crystal]}, 0.05, 10.0, 2.0)
    assert result.status == "red"


@pytest.mark.parametrize("pressure", [None, 20.0])
def test_stable_dynamics(pressure):
    run = stability.stability_run(
        silica_calculator(),
        quartz(),
        temperature_K=300.0,
        pressure_GPa=pressure,
        picoseconds=0.02,
        rng=np.random.default_rng(0),
    )
    assert run.event == ""
    assert run.lost == 0.0
    assert gates.stability_gate([run])[0].status == "green"


def test_unphysical_dynamics_stop_with_the_reason():
    def explode(atoms, results):
        results["forces"] = -20 * results["forces"]

    atoms = quartz()
    atoms.rattle(0.1, seed=1)
    run = stability.stability_run(
        Faulty(explode),
        atoms,
        temperature_K=300.0,
        pressure_GPa=None,
        picoseconds=0.2,
        rng=np.random.default_rng(0),
    )
    assert run.event
    assert run.lost > 0.0
    assert gates.stability_gate([run])[0].status == "red"


def test_enlarged_cells_are_the_same_crystal():
    atoms = probes.enlarge(quartz(), 60)
    assert len(atoms) == 72
    assert atoms.get_volume() / len(atoms) == pytest.approx(quartz().get_volume() / 9)


def test_card_tells_status_numbers_and_origin():
    errors = pd.DataFrame(
        [
            {
                "set": "test",
                "group": "all",
                "name": "all",
                "quantity": "energy",
                "unit": "meV/atom",
                "values": 3,
                "mae": mae,
                "rmse": mae,
                "max": mae,
            }
            for mae in (4.0, 7.0)
        ]
    )
    result = gates.judge("errors", "energy", 7.0, threshold=3, unit="meV/atom", amber_factor=2)
    card = model_card(
        campaign="trial",
        generation=0,
        gates=gates.as_record([result]),
        errors=errors,
        manifest={
            "counts": {"train": 40, "test": 3},
            "taught": 12,
            "seed": 1,
            "dataset": {"test_fraction": 0.1, "train_only": ["crystal"]},
            "included": {"labels.extxyz": "c" * 64},
        },
        settings={
            "potential": {
                "mode": "scratch",
                "package": None,
                "model": {"cutoff_A": 4.5, "layers": 2, "l_max": 1, "features": 16},
            },
            "dft": {"xc": "PBEsol", "cutoff_eV": 900.0},
        },
        verifications=[{"backend": "eager"}] * 2,
        packages={"m0": "a" * 64, "m1": "b" * 64},
    )
    text = as_markdown(card)
    assert "**Status: red.**" in text
    assert "nothing about silica" in text
    assert "| errors | energy | 7 meV/atom | 3 meV/atom | red (fails) |" in text
    assert card["errors"][0]["mae"] == 7.0  # the worst member
    assert "40 train, 3 test; a larger potential made 12 of train." in text
    assert "a larger potential" not in as_markdown(card | {"taught": 0})
    assert "cutoff 4.5 Å, 2 layers" in text
    # the section's model says nothing about a package that training went on from
    card["settings"]["potential"] |= {"mode": "finetune", "package": "a.nequip.zip"}
    assert "fine-tuned from `a.nequip.zip`." in as_markdown(card)
    assert card["held_out"]["included"] == ["labels.extxyz"]
