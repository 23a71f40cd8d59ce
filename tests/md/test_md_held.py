"""States of other runs are held on by another potential, and nothing is done to them before."""

import json

import numpy as np
import pytest
import tiny_runs
from ase import units
from tiny_runs import make_runs, run_all

from glassml.campaign.config import load_campaign
from glassml.campaign.errors import ConfigError
from glassml.campaign.files import file_sha256
from glassml.cli import main
from glassml.md.jobs import prepare
from glassml.md.outputs import read_restart
from glassml.report.states import describe

STAGES = {
    "melt": [{"name": "melt", "ensemble": "nvt", "temperature_K": 900, "duration_ps": 0.004}],
    "pressed": [
        {
            "name": "compress",
            "ensemble": "npt",
            "temperature_K": [900, 600],
            "pressure_GPa": [0, 5],
            "duration_ps": 0.004,
        }
    ],
}
STATES = {
    "melt": {"stages": STAGES["melt"]},
    "melt/pressed": {"parent": "melt", "stages": STAGES["pressed"]},
}
LENGTHS = {"settle_ps": 0.004, "hold_ps": 0.008}


def configuration(folder, states=STATES, **changes):
    return tiny_runs.configuration(folder, states, **changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a folder with runs by SHIK, `md`, and what was exported of them, `given`."""
    return make_runs(tmp_path_factory.mktemp("made"), STATES)


@pytest.mark.parametrize("kept", ["md", "given"])
def test_each_state_goes_on_from_its_own_end(made, kept, tmp_path):
    config = configuration(tmp_path, held={"runs": str(made / kept)} | LENGTHS)
    assert run_all(config, tmp_path / "md", "bks") == 0
    end = "final.extxyz" + (".gz" if kept == "given" else "")
    for state, temperature, pressure in (("melt", 900, None), ("melt/pressed", 600, 5)):
        record = json.loads((tmp_path / "md" / state / "glass01/record.json").read_text())
        assert (record["status"], record["parent"]) == ("finished", None)
        assert record["potential"]["path"] == "bks"
        assert record["origin"] == {
            "held": f"{state}/glass01",
            "held_sha256": file_sha256(made / kept / state / "glass01" / end),
        }
        assert [(one["name"], one["steps"]) for one in record["protocol"]] == [
            ("settle", 4),
            ("hold", 8),
        ]
        for stage in record["protocol"]:
            assert stage["temperature_K"] == [temperature] * 2
            assert stage["pressure_GPa"] == (None if pressure is None else [pressure] * 2)


def test_positions_cell_and_momenta_are_those_of_the_end(made, tmp_path, monkeypatch):
    config = configuration(tmp_path, held={"runs": str(made / "md")} | LENGTHS)
    seen = {}

    def look(campaign, args, glass, *others):
        job, atoms, why_not = prepare(campaign, args, glass, *others)
        seen[args.state, glass] = atoms.copy()
        return job, atoms, why_not

    monkeypatch.setattr("glassml.md.jobs.prepare", look)
    assert run_all(config, tmp_path / "md", "bks") == 0
    assert len(seen) == 4
    for (state, glass), atoms in seen.items():
        end = read_restart(made / "md" / state / glass / "restart.npz")
        assert np.abs(atoms.positions - end.positions).max() < 1e-6
        assert np.abs(atoms.cell.array - end.cell.array).max() < 1e-6
        velocity_unit = 1.0 / (1000.0 * units.fs)
        assert np.abs(atoms.get_velocities() - end.get_velocities()).max() < 1e-3 * velocity_unit


def test_a_state_is_what_it_was_before(made, tmp_path):
    one = load_campaign(configuration(tmp_path)).md
    other = load_campaign(configuration(tmp_path, held={"runs": str(made / "md")})).md
    for state in one.states:
        assert describe(one, state) == describe(other, state)
        assert (other.parents(state), other.begins_with(state)) == (one.parents(state), None)


def test_one_of_two_states_can_be_asked_for(made, tmp_path, capsys):
    config = configuration(tmp_path, held={"runs": str(made / "given")} | LENGTHS)
    assert run_all(config, tmp_path / "md", "bks", "--states", "melt/pressed") == 0
    assert not (tmp_path / "md/melt/glass00").exists()
    assert (tmp_path / "md/melt/pressed/glass01/record.json").exists()
    assert main(["md", "protocol", "--config", str(config)]) == 0
    assert f"melt/pressed  (from {made / 'given'})" in capsys.readouterr().out


def test_runs_that_are_not_there_are_named(made, tmp_path):
    states = STATES | {"melt/other": STATES["melt/pressed"]}
    config = configuration(tmp_path, held={"runs": str(made / "given")}, states=states)
    with pytest.raises(ConfigError, match=r"held: runs: .* lacks 2 of 6 runs: melt/other/glass00"):
        load_campaign(config)


def test_a_run_that_was_made_in_another_way_is_refused(made, tmp_path, capsys):
    hotter = [STAGES["melt"][0] | {"temperature_K": 950}]
    states = STATES | {"melt": {"stages": hotter}}
    held = {"runs": str(made / "given")} | LENGTHS
    assert run_all(configuration(tmp_path, held=held, states=states), tmp_path / "md", "bks") == 2
    error = capsys.readouterr().err
    assert "given/melt/glass00: was run with other stages than states: melt has (melt)" in error
    longer = [STAGES["melt"][0] | {"duration_ps": 0.01}]
    states = STATES | {"melt": {"stages": longer}}
    assert run_all(configuration(tmp_path, held=held, states=states), tmp_path / "md", "bks") == 2
    assert "other stages" in capsys.readouterr().err
    # what was run with another time step is the same glass
    config = configuration(tmp_path, held=held, timestep_fs=0.5)
    assert run_all(config, tmp_path / "md", "bks") == 0


def test_a_glass_of_another_size_is_refused(made, tmp_path, capsys):
    config = configuration(tmp_path, held={"runs": str(made / "given")} | LENGTHS, atoms=48)
    assert run_all(config, tmp_path / "md", "bks") == 2
    assert "has 24 atoms, and md.atoms is 48" in capsys.readouterr().err


def test_a_run_that_is_cut_off_is_named(made, tmp_path, capsys):
    folder = tmp_path / "given"
    for state in ("melt", "melt/pressed"):
        for glass in ("glass00", "glass01"):
            source = made / "given" / state / glass
            target = folder / state / glass
            target.mkdir(parents=True)
            (target / "record.json").write_bytes((source / "record.json").read_bytes())
            data = (source / "final.extxyz.gz").read_bytes()
            (target / "final.extxyz.gz").write_bytes(data[: len(data) // 2])
    config = configuration(tmp_path, held={"runs": str(folder)} | LENGTHS)
    assert run_all(config, tmp_path / "md", "bks") == 2
    assert "given/melt/glass00/final.extxyz.gz" in capsys.readouterr().err
