"""Each check passes on sound results, and finds the fault that is planted for it."""

import csv
import json

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from glassml.campaign import checks
from glassml.campaign.config import parse_campaign
from glassml.cli import main

STAGE = {"name": "hold", "ensemble": "npt", "temperature_K": 300, "pressure_GPa": 0}


@pytest.fixture(scope="module")
def campaign():
    families = {"liquid": {"generator": "melt", "count": 3, "atoms": [6]}}
    return parse_campaign(
        {
            "name": "tiny",
            "configurations": {"shard_size": 2, "families": families},
            "md": {"atoms": 96, "states": {"ambient": {"stages": [STAGE | {"duration_ps": 1}]}}},
        }
    )


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def change(path, where, **values):
    """Change the values of the rows for which `where` holds."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    changed = [row | values if where(row) else row for row in rows]
    assert changed != rows
    write_rows(path, changed)


def labelled(index):
    rng = np.random.default_rng(index)
    forces = rng.normal(size=(6, 3))
    atoms = Atoms("Si2O4", rng.uniform(0, 5, (6, 3)), cell=[5, 5, 5], pbc=True)
    atoms.info |= {"config_id": f"liquid/{index:06d}", "parent": f"liquid/{index:05d}"}
    atoms.info |= {"REF_energy": -40.0 - index, "REF_stress": rng.normal(size=6)}
    atoms.arrays["REF_forces"] = forces - forces.mean(axis=0)
    return atoms


@pytest.fixture
def results(tmp_path):
    root = tmp_path / "results" / "tiny"
    for shard, indices in (("0000", (0, 1)), ("0001", (2,))):
        names = [{"config_id": f"liquid/{index:06d}"} for index in indices]
        made = [name | {"status": "made", "reason": ""} for name in names]
        done = [name | {"status": "converged", "reason": ""} for name in names]
        write_rows(root / "configurations" / "liquid" / f"{shard}.csv", made)
        write_rows(root / "dft" / "liquid" / f"{shard}.csv", done)
        write(root / "dft" / "liquid" / f"{shard}.extxyz", [labelled(i) for i in indices])
    folder = root / "dataset" / "g0"
    folder.mkdir(parents=True)
    for index, name in enumerate(checks.SETS):
        write(folder / f"{name}.extxyz", [labelled(index)])
    counts = dict.fromkeys(checks.SETS, 1)
    (folder / "manifest.json").write_text(json.dumps({"counts": counts}))
    glass = root / "md" / "ambient" / "glass00"
    series = [
        {"time_fs": 10.0 * k, "stage": "hold", "temperature_K": 300, "density_g_cm3": 2.2}
        for k in range(5)
    ]
    write_rows(glass / "series.csv", series)
    (glass / "record.json").write_text(json.dumps({"status": "finished", "reason": None}))
    q = np.arange(0.5, 25.0, 0.1)
    wave = 1 + np.sin(5 * q) / q**2
    rows = [
        {"state": "ambient", "q_per_A": x, "neutron": y, "xray": y}
        for x, y in zip(q, wave, strict=True)
    ]
    summary = root / "structure" / "summary"
    write_rows(summary / "sq.csv", rows)
    shares = {"coordination_Si_mean": 3.9, "coordination_Si_3": 0.1, "coordination_Si_4": 0.9}
    shares |= {"coordination_O_mean": 2.0, "coordination_O_2": 1.0}
    states = [{"state": "ambient", "observable": k, "mean": v} for k, v in shares.items()]
    write_rows(summary / "states.csv", states)
    glass = root / "structure" / "ambient" / "glass00"
    rings = [
        {"criterion": "king", "size": 5, "count": 8, "per_si": 0.25, "fraction": 0.25},
        {"criterion": "king", "size": 6, "count": 24, "per_si": 0.75, "fraction": 0.75},
    ]
    write_rows(glass / "rings.csv", rings)
    (glass / "network.json").write_text(json.dumps({"status": "analysed", "si": 32}))
    return root


def faults(campaign, results):
    return {finding.check: finding.faults for finding in checks.check_all(campaign, results)}


def only_fault(campaign, results, words):
    """Give the one fault that is found, of the check whose name has these words."""
    found = {name: list_ for name, list_ in faults(campaign, results).items() if list_}
    assert len(found) == 1, found
    name, list_ = found.popitem()
    assert words in name
    return list_[0]


def test_sound_results_pass_and_every_check_looks_at_something(campaign, results):
    findings = checks.check_all(campaign, results)
    assert [finding.faults for finding in findings] == [[]] * 8
    assert all(finding.looked_at > 0 for finding in findings)


def test_a_lost_configuration_is_found(campaign, results):
    (results / "dft" / "liquid" / "0001.csv").unlink()
    assert "3 configurations were made, 2" in only_fault(campaign, results, "every configuration")


def test_a_failure_without_a_reason_is_found(campaign, results):
    path = results / "dft" / "liquid" / "0001.csv"
    change(path, lambda row: True, status="failed")
    assert "without a reason" in only_fault(campaign, results, "every configuration")
    change(path, lambda row: True, reason="no recipe converged")
    assert not any(faults(campaign, results).values())


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda atoms: atoms.arrays["REF_forces"].__setitem__((0, 0), np.nan), "not finite"),
        (lambda atoms: atoms.arrays["REF_forces"].__iadd__(1.0), "mean force"),
        (lambda atoms: atoms.arrays.pop("REF_forces"), "no REF_energy or REF_forces"),
        (lambda atoms: atoms.info.pop("REF_energy"), "no REF_energy or REF_forces"),
    ],
)
def test_a_bad_label_is_found(campaign, results, spoil, fault):
    path = results / "dft" / "liquid" / "0000.extxyz"
    frames = read(path, index=":")
    spoil(frames[1])
    write(path, frames)
    found = only_fault(campaign, results, "labels are finite")
    assert fault in found
    assert "liquid/000001" in found


def test_a_parent_in_two_sets_is_found(campaign, results):
    write(results / "dataset" / "g0" / "test.extxyz", [labelled(0)])
    assert "train and test share" in only_fault(campaign, results, "share no parent")


def test_a_set_that_is_not_the_manifests_is_found(campaign, results):
    write(results / "dataset" / "g0" / "train.extxyz", [labelled(0), labelled(7)])
    assert "train has 2, not 1" in only_fault(campaign, results, "manifest")


@pytest.mark.parametrize(
    ("values", "fault"),
    [({"density_g_cm3": 9.5}, "density"), ({"temperature_K": "nan"}, "not finite")],
)
def test_dynamics_out_of_range_are_found(campaign, results, values, fault):
    path = results / "md" / "ambient" / "glass00" / "series.csv"
    change(path, lambda row: row["time_fs"] == "20.0", **values)
    assert fault in only_fault(campaign, results, "series of dynamics")


def test_a_stop_needs_a_reason(campaign, results):
    path = results / "md" / "ambient" / "glass00" / "record.json"
    path.write_text(json.dumps({"status": "stopped", "reason": "too hot"}))
    assert not any(faults(campaign, results).values())
    path.write_text(json.dumps({"status": "stopped", "reason": None}))
    assert "no reason" in only_fault(campaign, results, "series of dynamics")


def test_a_wrong_limit_of_s_of_q_is_found(campaign, results):
    path = results / "structure" / "summary" / "sq.csv"
    change(path, lambda row: float(row["q_per_A"]) > 14, neutron=1.3)
    assert "goes to 1.3" in only_fault(campaign, results, "S(Q)")


def test_shares_that_do_not_add_up_are_found(campaign, results):
    path = results / "structure" / "summary" / "states.csv"
    change(path, lambda row: row["observable"] == "coordination_Si_3", mean=0.2)
    assert "Si add up to 1.1" in only_fault(campaign, results, "coordination")


@pytest.mark.parametrize(("column", "fault"), [("fraction", "add up"), ("per_si", "rings per Si")])
def test_ring_counts_that_do_not_close_are_found(campaign, results, column, fault):
    path = results / "structure" / "ambient" / "glass00" / "rings.csv"
    change(path, lambda row: row["size"] == "5", **{column: 0.5})
    assert fault in only_fault(campaign, results, "ring counts")


def test_a_glass_that_was_set_aside_is_no_fault(campaign, results):
    folder = results / "structure" / "ambient" / "glass00"
    (folder / "network.json").write_text(json.dumps({"status": "set aside", "reason": "x"}))
    (folder / "rings.csv").write_text("criterion,size,count,per_si,per_si_error,fraction\n")
    assert not any(faults(campaign, results).values())


def test_a_missing_file_is_a_fault_and_no_crash(campaign, results):
    (results / "structure" / "summary" / "sq.csv").unlink()
    assert "FileNotFoundError" in only_fault(campaign, results, "S(Q)")


@pytest.mark.parametrize(
    "name",
    ["md/ambient/glass00/series.csv", "structure/summary/sq.csv", "md/ambient/glass00/record.json"],
)
def test_a_file_cut_off_is_a_fault(campaign, results, name):
    path = results / name
    path.write_text(path.read_text()[:-3])
    faults = [fault for finding in checks.check_all(campaign, results) for fault in finding.faults]
    assert any(str(path) in fault and "not the whole" in fault for fault in faults)


def test_the_command_writes_its_mark_only_if_all_is_well(campaign, results, capsys):
    config = results / "campaign.yaml"
    config.write_text(campaign.model_dump_json())
    mark = results / "test.success"
    command = ["campaign", "check", "--config", str(config), "--output", str(mark)]
    assert main(command) == 0
    assert mark.exists()
    mark.unlink()
    (results / "structure" / "summary" / "sq.csv").unlink()
    assert main(command) == 2
    assert not mark.exists()
    assert "1 checks failed: S(Q)" in capsys.readouterr().err
