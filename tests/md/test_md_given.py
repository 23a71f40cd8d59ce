"""Runs made elsewhere: what is exported is taken up again, and nothing else is."""

import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
import tiny_runs
from tiny_runs import make_runs, run_all

from glassml.campaign.config import load_campaign
from glassml.campaign.errors import ConfigError, GlassmlError
from glassml.campaign.files import file_sha256, write_json
from glassml.cli import main
from glassml.md import GIVEN_FILES
from glassml.md.given import adopt_run, export_run
from glassml.md.jobs import build_stages
from glassml.md.outputs import read_restart, read_trajectory
from glassml.md.protocol import describe
from glassml.structure.frames import read_frames

ROOT = Path(__file__).parents[2]
STATES = {
    "hot": {
        "stages": [
            {"name": "melt", "ensemble": "nvt", "temperature_K": 500, "duration_ps": 0.004},
            {"name": "hold", "ensemble": "nvt", "temperature_K": 300, "duration_ps": 0.004},
        ]
    }
}


def configuration(folder, states=STATES, **changes):
    return tiny_runs.configuration(folder, states, **changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a folder with runs, `md`, and what was exported of them, `given`."""
    return make_runs(tmp_path_factory.mktemp("made"), STATES)


def test_an_exported_run_is_taken_up_as_it_was(made, tmp_path):
    config = configuration(tmp_path, given=str(made / "given"))
    command = ["md", "adopt", "--config", str(config), "--state", "hot", "--glass", "glass01"]
    assert main([*command, "--output-dir", str(tmp_path / "run")]) == 0
    original, adopted = made / "md/hot/glass01", tmp_path / "run"
    assert (adopted / "series.csv").read_text() == (original / "series.csv").read_text()
    first, second = (json.loads((each / "record.json").read_text()) for each in (original, adopted))
    begin, end = first["stages"][-1].pop("frames")
    assert second["stages"][-1].pop("frames") == [0, end - begin]
    assert first["stages"][0].pop("frames") != second["stages"][0].pop("frames") == [0, 0]
    assert first == second
    before = read_frames(original / "trajectory.h5md", original / "final.extxyz", start=begin)
    after = read_frames(adopted / "trajectory.h5md", adopted / "final.extxyz")
    for one, other in zip(before, after, strict=True):
        assert (one.numbers == other.numbers).all()
        shift = (one.positions - other.positions) @ np.linalg.inv(one.cell.array)
        shift = (shift - shift.round()) @ one.cell.array
        assert np.abs(shift).max() < 1e-4
    ends = [ase.io.read(each / "final.extxyz") for each in (original, adopted)]
    assert np.abs(ends[0].get_momenta() - ends[1].get_momenta()).max() < 1e-4
    assert ends[0].info == ends[1].info
    restart = read_restart(adopted / "restart.npz")
    assert np.array_equal(restart.get_momenta(), ends[1].get_momenta())
    assert read_trajectory(adopted / "trajectory.h5md").trajectory.ts.has_velocities is False


def test_exports_of_a_run_are_equal_to_the_byte(made, tmp_path):
    export_run(made / "md/hot/glass00", tmp_path)
    for name in GIVEN_FILES:
        assert (tmp_path / name).read_bytes() == (made / "given/hot/glass00" / name).read_bytes()


def test_of_a_campaign_in_progress_what_has_ended_is_exported(made, tmp_path, capsys):
    shutil.copytree(made / "md/hot/glass00", tmp_path / "md/hot/glass00")
    command = ["md", "export", "--config", str(made / "campaign.yaml")]
    command += ["--output-dir", str(tmp_path / "given"), "--input-dir"]
    assert main([*command, str(tmp_path / "md")]) == 0
    assert "left out, not ended: " in (told := capsys.readouterr().out)
    assert "hot/glass01" in told
    assert [path.name for path in tmp_path.glob("given/*/*")] == ["glass00"]
    assert main([*command, str(tmp_path / "nowhere")]) == 2
    assert "has ended there" in capsys.readouterr().err


def test_moduli_go_with_their_run(made, tmp_path):
    folder = shutil.copytree(made / "md/hot/glass00", tmp_path / "md")
    write_json(folder / "moduli.json", {"young_GPa": 72.0})
    export_run(folder, tmp_path / "given")
    stages = build_stages(load_campaign(made / "campaign.yaml").md, "hot")
    adopt_run(tmp_path / "given", stages, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "moduli.json").read_text()) == {"young_GPa": 72.0}


def test_a_run_of_another_protocol_is_refused_by_the_stage_that_differs(made, tmp_path):
    stages = build_stages(load_campaign(made / "campaign.yaml").md, "hot")
    adopt_run(made / "given/hot/glass00", stages, tmp_path / "run")
    changed = [stages[0], *build_stages(load_campaign(made / "campaign.yaml").md, "hot")[:1]]
    with pytest.raises(GlassmlError, match=r"other stages than the configuration has \(hold\)"):
        adopt_run(made / "given/hot/glass00", changed, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_missing_runs_are_named_before_anything_starts(made, tmp_path):
    config = configuration(tmp_path, given=str(made / "given"), glasses=3)
    with pytest.raises(ConfigError, match="lacks 1 of 3 runs: hot/glass02"):
        load_campaign(config)


def test_adopting_needs_a_place_and_a_glass_of_the_configuration(made, tmp_path, capsys):
    command = ["md", "adopt", "--state", "hot", "--output-dir", str(tmp_path / "run")]
    config = ["--config", str(made / "campaign.yaml")]
    assert main([*command, *config, "--glass", "glass00"]) == 2
    assert "md.given does not say where the runs are" in capsys.readouterr().err
    config = ["--config", str(configuration(tmp_path, given=str(made / "given")))]
    assert main([*command, *config, "--glass", "glass07"]) == 2
    assert "--glass glass07: there are glass00, glass01" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_state_needs_no_more_than_its_parent_to_be_there(made, tmp_path, caplog):
    hold = {"name": "hold", "ensemble": "nvt", "temperature_K": 300, "duration_ps": 0.004}
    states = STATES | {
        "hot/held": {"parent": "hot", "stages": [hold]},
        "hot/held/longer": {"parent": "hot/held", "stages": [hold]},
    }
    config = configuration(tmp_path, states)
    runs = (config, tmp_path / "md", "shik", "--states")
    caplog.set_level("INFO")
    for glass in ("glass00", "glass01"):
        shutil.copytree(made / "md/hot" / glass, tmp_path / "md/hot/held" / glass)
    assert run_all(*runs, "hot/held/longer") == 0
    assert (tmp_path / "md/hot/held/longer/glass01/record.json").exists()
    assert not (tmp_path / "md/hot/glass00").exists()
    assert run_all(*runs, "hot/held/longer") == 0
    assert "nothing to run: hot/held/longer of glass00, glass01 are there" in caplog.text


def test_a_run_that_was_stopped_is_not_exported(made, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    record = json.loads((made / "md/hot/glass00/record.json").read_text())
    record |= {"status": "stopped", "reason": "atoms 3 and 7 are 0.2 Å apart"}
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(GlassmlError, match="is stopped: atoms 3 and 7"):
        export_run(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_some_glasses_have_a_batch_and_random_numbers_of_their_own(made, tmp_path, capsys):
    runs = (configuration(tmp_path), tmp_path / "md", "shik", "--glasses")
    for glass in ("glass00", "glass01"):
        assert run_all(*runs, glass) == 0
        assert (tmp_path / "md/hot" / glass / "record.json").exists()
    records = [tmp_path / "md/hot/glass00", tmp_path / "md/hot/glass01", made / "md/hot/glass00"]
    seeds = [json.loads((each / "record.json").read_text())["dynamics_seed"] for each in records]
    assert len(set(seeds)) == 3
    assert run_all(*runs, "glass07") == 2
    assert "--glasses glass07: there are glass00, glass01" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "config", "package"),
    [
        ("study", "silica", "resources/study/m0.nequip.zip"),
        ("study_network", "silica_network", "resources/potential/m0.nequip.zip"),
        ("study_network_anneal", "silica_network_anneal", "resources/potential/m0.nequip.zip"),
        ("study_network_m1", "silica_network_m1", "resources/potential/m1.nequip.zip"),
        ("study_network_m2", "silica_network_m2", "resources/potential/m2.nequip.zip"),
        (
            "study_network_pbesol",
            "silica_network_pbesol",
            "resources/potential_pbesol/m0.nequip.zip",
        ),
        ("study_pbesol", "silica_pbesol", "resources/potential_pbesol/m0.nequip.zip"),
        ("study_remelted", "silica_remelted", "resources/potential_pbesol/m0.nequip.zip"),
    ],
)
def test_the_shipped_runs_are_those_of_their_configuration_and_potential(
    name, config, package, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    campaign = load_campaign(Path("resources") / name / "campaign.yaml")
    md = campaign.md
    assert md.given == f"resources/{name}"
    own = load_campaign(Path("config") / f"{config}.yaml").md
    moved_by = file_sha256(Path(package))
    for state in md.states:
        assert md.states[state] == own.states[state]
        asked = json.loads(json.dumps(describe(build_stages(md, state))))
        for glass in md.glass_names():
            record = json.loads((Path(md.given) / state / glass / "record.json").read_text())
            assert (record["state"], record["glass"], record["status"]) == (
                state,
                glass,
                "finished",
            )
            assert record["protocol"] == asked
            assert record["potential"]["sha256"] == moved_by
    adopt_run(Path(md.given) / state / glass, build_stages(md, state), tmp_path)
    assert len(read_restart(tmp_path / "restart.npz")) == md.atoms
