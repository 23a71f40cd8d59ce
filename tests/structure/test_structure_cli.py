"""The command line: JSON keys, exports, errors; a campaign's glasses and their summary."""

import csv
import json

import numpy as np
import pytest
import yaml
from ase.io import read, write

from glassml.campaign.config import parse_campaign
from glassml.campaign.config.structure import Structure
from glassml.campaign.units import density_g_cm3
from glassml.cli import main
from glassml.structure import summary
from glassml.structure.tables import COLUMNS, SUMMARY_TABLES


@pytest.fixture(scope="module")
def quartz_file(quartz, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "quartz.cif"
    write(path, quartz)
    return str(path)


def output(capsys, *arguments):
    assert main(["structure", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_rings(capsys, quartz_file):
    document = output(
        capsys,
        *("rings", quartz_file, "--criterion", "king", "--max-size", "12"),
        *("--cutoff", "2.2", "--json"),
    )
    assert document["atoms"] == 9
    assert document["si"] == 3
    assert document["criterion"] == "king"
    assert document["rings_per_si"] == {"6": 1.0, "8": 7.0}
    row = document["shape"]["6"]
    assert row["count"] == 3
    for name in ("l1", "l2", "l3", "aspect_ratio"):
        assert set(row[name]) == {"mean", "sd"}
    assert row["l1"]["mean"] < row["l2"]["mean"] < row["l3"]["mean"]


def test_sq(capsys, quartz_file):
    document = output(capsys, "sq", quartz_file, "--q-max", "8", "--q-bin", "0.05", "--json")
    assert {"q", "neutron", "xray", "partials", "counts"} <= set(document)
    assert set(document["partials"]) == {"Si-Si", "Si-O", "O-O"}
    lengths = {len(document[key]) for key in ("q", "neutron", "xray", "counts")}
    lengths |= {len(curve) for curve in document["partials"].values()}
    assert len(lengths) == 1
    assert np.all(np.diff(document["q"]) > 0)


def test_fsdp_without_a_peak(capsys, quartz_file):
    document = output(capsys, "fsdp", quartz_file, "--weighting", "xray", "--json")
    assert document["position"] is None
    assert document["reason"]
    keys = {"position", "position_error", "height", "height_error", "fwhm", "fwhm_error"}
    assert keys | {"definition"} <= set(document)


def test_fsdp_of_a_glass(capsys, glass999, tmp_path):
    """Against an own fit by another program: 1.624, 1.40 (see the shared reference)."""
    write(tmp_path / "glass.extxyz", glass999)
    document = output(capsys, "fsdp", str(tmp_path / "glass.extxyz"), "--json")
    assert document["position"] == pytest.approx(1.624, abs=0.03)
    assert document["height"] == pytest.approx(1.46, abs=0.11)  # two routes gave 1.40, 1.46
    assert 0 < document["position_error"] < 0.06


def test_network(capsys, quartz_file):
    document = output(capsys, "network", quartz_file, "--json")
    assert document["density_g_cm3"] == pytest.approx(2.65, abs=0.01)
    assert document["coordination"] == {"Si": {"4": 1.0}, "O": {"2": 1.0}}
    assert document["angles"]["O-Si-O"]["mean"] == pytest.approx(109.47, abs=0.1)
    assert document["angles"]["Si-O-Si"]["mean"] == pytest.approx(143.6, abs=0.5)
    assert document["bond"]["Si-O"]["mean"] == pytest.approx(1.609, abs=0.005)
    assert 1.7 < document["cutoff"] < 2.8


def test_errors_over_frames(capsys, h5md):
    trajectory, final, frames = h5md
    arguments = (str(trajectory), "--topology", str(final), "--frames", "3", "--json")
    network = output(capsys, "network", *arguments)
    density = [density_g_cm3(atoms) for atoms in frames[1:]]
    assert network["density_g_cm3"] == pytest.approx(np.mean(density), rel=1e-4)
    error = np.std(density, ddof=1) / np.sqrt(3)
    assert network["observables_error"]["density_g_cm3"] == pytest.approx(error, rel=1e-3)
    rings = output(capsys, "rings", *arguments, "--max-size", "8", "--cutoff", "2.2")
    assert rings["frames"] == 3
    assert rings["rings_per_si_error"]["6"] == 0.0


def test_crystals(capsys):
    assert main(["structure", "crystals"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11 * 4
    assert all(line.endswith("equal") for line in lines)


def test_standard_output_is_json_alone(capsys, quartz_file):
    main(["structure", "rings", quartz_file, "--json"])
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    json.loads(captured.out)


@pytest.mark.parametrize("suffix", [".json", ".xyz", ".cif"])
def test_export(capsys, quartz_file, tmp_path, suffix):
    path = tmp_path / f"rings{suffix}"
    output(capsys, "rings", quartz_file, "--json", "--export", str(path))
    if suffix == ".json":
        rings = json.loads(path.read_text())["rings"]
        assert len(rings) == 18
        assert len(rings[0]["members"]) == len(rings[0]["images"]) == 2 * rings[0]["size"]
        return
    if suffix == ".cif":
        sites = [line for line in path.read_text().splitlines() if line.startswith(("Si", "O"))]
        assert len(sites) == 3 * 12 + 15 * 16
        # Copies of an atom in several rings are one atom again.
        assert len(read(path)) == 9
        return
    atoms = read(path, format="extxyz")
    assert len(atoms) == 3 * 12 + 15 * 16
    assert atoms.arrays["ring_id"].max() == 17
    first = atoms[atoms.arrays["ring_id"] == 0].positions
    steps = np.linalg.norm(first - np.roll(first, 1, axis=0), axis=1)
    assert steps.max() < 1.65


def test_errors_are_one_message(capsys, tmp_path):
    assert main(["structure", "rings", str(tmp_path / "no.xyz"), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("glassml: ")


@pytest.fixture(scope="module")
def campaign(h5md, tmp_path_factory):
    """A campaign of two states and three glasses, one of which was stopped."""
    root = tmp_path_factory.mktemp("campaign")
    stage = {"name": "hold", "ensemble": "nvt", "temperature_K": 300, "duration_ps": 1}
    md = {
        "glasses": 3,
        "states": {
            "ambient": {"stages": [stage]},
            "cold/recovered": {"parent": "ambient", "stages": [stage]},
        },
    }
    structure = {"q_max_per_A": 6.0, "frames": 2, "ring_criteria": ["king"], "max_ring_size": 8}
    data = {"name": "test", "configurations": {}, "md": md, "structure": structure}
    config = root / "campaign.yaml"
    config.write_text(yaml.safe_dump(parse_campaign(data).model_dump(mode="json")))
    trajectory, final, _ = h5md
    for state in md["states"]:
        for number in range(3):
            glass = f"glass{number:02d}"
            record = {"status": "finished", "stages": [{"frames": [0, 4]}]}
            if state == "ambient" and number == 2:
                record = {"status": "stopped", "reason": "it flew apart", "stages": []}
            path = root / f"{number}.json"
            path.write_text(json.dumps(record))
            assert (
                main(
                    [
                        *("structure", "analyse", "--config", str(config), "--state", state),
                        *("--glass", glass, "--trajectory", str(trajectory)),
                        *("--final", str(final), "--record", str(path)),
                        *("--output-dir", str(root / "structure" / state / glass)),
                    ]
                )
                == 0
            )
    output_dir = root / "structure" / "summary"
    arguments = ["--input-dir", str(root / "structure"), "--output-dir", str(output_dir)]
    assert main(["structure", "summary", "--config", str(config), *arguments]) == 0
    return root / "structure"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_glass_has_all_files(campaign):
    folder = campaign / "cold" / "recovered" / "glass01"
    for name, columns in COLUMNS.items():
        table = rows(folder / name)
        assert tuple(table[0]) == columns, name
    network = json.loads((folder / "network.json").read_text())
    assert network["status"] == "analysed"
    assert network["frames"] == 2
    fsdp = json.loads((folder / "fsdp.json").read_text())
    for weighting in ("neutron", "xray"):
        for peak in ("Q1", "Q2", "Q3"):
            assert (fsdp[weighting][peak]["position"] is None) == bool(
                fsdp[weighting][peak]["reason"]
            )


def test_a_stopped_glass_is_set_aside(campaign):
    network = json.loads((campaign / "ambient" / "glass02" / "network.json").read_text())
    assert network["status"] == "set aside"
    assert "it flew apart" in network["reason"]
    states = rows(campaign / "summary" / "states.csv")
    ambient = [row for row in states if row["state"] == "ambient"]
    assert {(row["glasses"], row["set_aside"]) for row in ambient} == {("2", "1")}
    assert "glass02" in ambient[0]["reasons"]


def test_summary_is_mean_and_error_of_glasses(campaign):
    assert set(SUMMARY_TABLES) == {path.name for path in (campaign / "summary").iterdir()}
    table = rows(campaign / "summary" / "rings.csv")
    six = [row for row in table if row["state"] == "cold/recovered" and row["size"] == "6"]
    single = rows(campaign / "cold" / "recovered" / "glass00" / "rings.csv")
    expected = next(row["per_si"] for row in single if row["size"] == "6")
    assert len(six) == 1
    assert float(six[0]["per_si"]) == pytest.approx(float(expected))
    assert float(six[0]["per_si_error"]) == 0.0  # the three glasses are the same
    assert six[0]["glasses"] == "3"
    fsdp = rows(campaign / "summary" / "fsdp.csv")
    assert len(fsdp) == 2 * 2 * 3
    for row in fsdp:
        assert bool(row["position"]) != bool(row["reason"])


def test_summary_of_one_state_has_the_rows_that_the_whole_has(campaign, tmp_path):
    config, state = campaign.parent / "campaign.yaml", "cold/recovered"
    folders = ["--input-dir", str(campaign), "--output-dir", str(tmp_path / "one")]
    command = ["structure", "summary", "--config", str(config), *folders, "--states"]
    assert main([*command, state]) == 0
    for name in ("states.csv", "rings.csv", "sq.csv"):
        whole = [row for row in rows(campaign / "summary" / name) if row["state"] == state]
        assert rows(tmp_path / "one" / name) == whole
    assert {row["state"] for row in rows(tmp_path / "one" / "fsdp.csv")} == {state}


def test_summary_of_a_state_that_is_none_is_refused(campaign, tmp_path, capsys):
    config = str(campaign.parent / "campaign.yaml")
    folders = ["--input-dir", str(campaign), "--output-dir", str(tmp_path)]
    assert main(["structure", "summary", "--config", config, *folders, "--states", "warm"]) == 2
    assert "there is no such state" in capsys.readouterr().err


def test_summary_of_glasses_that_all_failed(campaign, tmp_path):
    from glassml.structure.glass import set_aside, write_glass

    write_glass(tmp_path / "bad", *set_aside("no network"))
    rng = np.random.default_rng(0)
    summary.summarise({"poor": [tmp_path / "bad"]}, tmp_path / "out", rng, Structure())
    (state,) = rows(tmp_path / "out" / "states.csv")
    assert state["glasses"] == "0"
    assert state["reasons"] == "bad: no network"
    assert all(row["reason"] for row in rows(tmp_path / "out" / "fsdp.csv"))
