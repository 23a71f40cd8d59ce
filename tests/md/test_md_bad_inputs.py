"""Bad protocols and inputs of MD, and what each gets: `pytest -s tests/md/test_md_bad_inputs.py`.

All go through the command line or the check of the configuration, as a user's would.
"""

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest
import yaml

from glassml.campaign.config import parse_campaign
from glassml.campaign.errors import ConfigError
from glassml.cli import main

TINY = Path(__file__).parents[1] / "campaign" / "tiny.yaml"
HOLD = {
    "name": "hold",
    "ensemble": "npt",
    "temperature_K": 3000,
    "pressure_GPa": 0,
    "duration_ps": 0.004,
}


def campaign(stage=None, states=None, **values):
    data = yaml.safe_load(TINY.read_text())
    section = {"atoms": 72, "engine": "torch", "start": "random", "sample_every_fs": 2}
    states = states or {"ambient": {"stages": [HOLD | (stage or {})]}}
    data["md"] = section | {"states": states} | values
    return data


def two_states(**values):
    states = {"ambient": {"stages": [HOLD]}, "cold": {"parent": "ambient", "stages": [HOLD]}}
    return campaign(states=states, **values)


def circle():
    return campaign(states={a: {"parent": b, "stages": [HOLD]} for a, b in ("ab", "bc", "ca")})


PROTOCOLS = {
    "a pressure of -7700 GPa": (
        campaign({"pressure_GPa": -7700}),
        "pressure_GPa.0: -7700 GPa is outside -20 to 300: pressures are in GPa with compression",
    ),
    "7.7 GPa given in MPa": (
        campaign({"pressure_GPa": [0, 7700]}),
        "pressure_GPa.1: 7700 GPa is outside -20 to 300: .* divide MPa by 1000",
    ),
    "a stage of zero length": (
        campaign({"duration_ps": 0}),
        "duration_ps: Input should be greater than 0 .got 0",
    ),
    "an unknown ensemble": (
        campaign({"ensemble": "nph"}),
        "ensemble: Input should be 'npt', 'nvt' or 'nve' .got 'nph'",
    ),
    "a ramp with a rate and a duration": (
        campaign({"temperature_K": [3000, 300], "rate_K_per_ps": 10}),
        "give exactly one of duration_ps, rate_K_per_ps, rate_GPa_per_ps",
    ),
    "a time step of 10 fs": (
        campaign(timestep_fs=10),
        "md.timestep_fs: Input should be less than or equal to 8 .got 10",
    ),
    "a time step of 5 fs": (
        campaign(timestep_fs=5),
        "a time step of 5 fs is longer than 4 fs; see md.respa",
    ),
    "an unknown engine": (
        campaign(engine="gromacs"),
        "md.engine: Input should be 'ase', 'torch'.* .got 'gromacs'",
    ),
    "states that go in a circle": (circle(), "md: states: .* → .* → .* → .* goes in a circle"),
    "a parent that is no state": (
        campaign(states={"cold": {"parent": "ambiant", "stages": [HOLD]}}),
        "its parent 'ambiant' is no state; there are: cold",
    ),
}


@pytest.mark.parametrize("case", PROTOCOLS)
def test_a_bad_protocol_is_refused_before_anything_runs(case):
    data, expected = PROTOCOLS[case]
    with pytest.raises(ConfigError, match=expected) as refused:
        parse_campaign(data, "campaign.yaml")
    print(f"\n{case}\n  {refused.value}")


def run(folder, data, *, state="ambient", change=None, before=None):
    """Run a state of SHIK silica by the command line, after the states `before` it."""
    config = folder / "campaign.yaml"
    config.write_text(yaml.safe_dump(data))
    code, said = 0, io.StringIO()
    for name in [*(before or []), state]:
        if name == state and change:
            change(folder)
        options = ["--potential", "shik", "--device", "cpu", "--output-dir", str(folder / name)]
        if parent := data["md"]["states"][name].get("parent"):
            files = [folder / parent / "glass00" / f for f in ("restart.npz", "record.json")]
            options += ["--parent", *map(str, files)]
        with redirect_stderr(said):
            code = main(["md", "batch", "--config", str(config), "--state", name, *options])
    said = said.getvalue()
    return code, said[said.find("glassml: ") :].strip().replace(f"{folder}/", "")


def edit_restart(**values):
    def change(folder):
        path = folder / "ambient/glass00/restart.npz"
        with np.load(path) as file:
            arrays = dict(file)
        for key, edit in values.items():
            arrays[key] = edit(arrays[key])
        np.savez(path, **arrays)

    return change


def first_row_nan(array):
    array[0] = np.nan
    return array


def first_two_together(positions):
    positions[1] = positions[0] + [0.3, 0.0, 0.0]
    return positions


def delete(name):
    return lambda folder: (folder / "ambient/glass00" / name).unlink()


REFUSED = {
    "a potential for other elements": (
        {"data": campaign(composition={"Ge": 1, "O": 2})},
        "the potential is for O, Si; it does not know Ge: choose another potential",
    ),
    "positions in a restart that are not numbers": (
        {"change": edit_restart(positions=first_row_nan)},
        "restart.npz: 1 of 72 rows of its positions are not numbers: delete the folder",
    ),
    "a parent whose restart is missing": (
        {"change": delete("restart.npz")},
        "ambient/glass00/restart.npz: is not the end of a state",
    ),
    "a parent whose record is missing": (
        {"change": delete("record.json")},
        "ambient/glass00/record.json: cannot be read .*: run ambient",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_input_stops_the_command_with_what_to_do(case, tmp_path):
    setup, expected = REFUSED[case]
    if "data" in setup:
        code, message = run(tmp_path, setup["data"])
    else:
        code, message = run(tmp_path, two_states(), state="cold", before=["ambient"], **setup)
    print(f"\n{case}\n  {message}")
    assert code == 2
    assert re.search(expected, message)
    assert not (tmp_path / "cold/glass00/record.json").exists()


def test_atoms_on_top_of_each_other_set_the_run_aside(tmp_path):
    change = edit_restart(positions=first_two_together)
    code, _ = run(tmp_path, two_states(), state="cold", before=["ambient"], change=change)
    record = json.loads((tmp_path / "cold/glass00/record.json").read_text())
    print(f"\nan exploded start\n  {record['status']}: {record['reason']}")
    assert code == 0
    assert record["status"] == "stopped"
    assert "0.300 Å apart, closer than 0.9 Å" in record["reason"]
    assert len(record["offending_frame"]["positions_A"]) == 72


def test_a_box_smaller_than_twice_the_cutoff_is_warned_of(tmp_path):
    code, _ = run(tmp_path, campaign())
    record = json.loads((tmp_path / "ambient/glass00/record.json").read_text())
    (warning,) = record["warnings"]
    print(f"\na box smaller than twice the cutoff\n  {record['status']}, with: {warning}")
    assert code == 0
    assert "Å wide, less than twice the cutoff of 10 Å" in warning


LIMITED = """
import resource, sys
import psutil, torch
from glassml.cli import main
import glassml.md.engines.batch, glassml.md.engines.torchmd, glassml.md.engines.pair_loading

room = psutil.Process().memory_info().vms + 400 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (room, room))
sys.exit(main(sys.argv[1:]))
"""


def test_a_batch_that_does_not_fit_into_the_memory_is_refused_with_numbers(tmp_path):
    config = tmp_path / "campaign.yaml"
    large = campaign(start="classical", atoms=12_000, glasses=2, shortcuts=[])
    config.write_text(yaml.safe_dump(large))
    command = ["md", "starts", "--config", str(config), "--output-dir", str(tmp_path / "start")]
    command += ["--pressure-GPa", "0"]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, *command, "--device", "cpu"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    print(ended.stderr[-600:])
    assert ended.returncode == 2
    assert re.search(
        r"2 glasses of 24,000 atoms together do not fit into the memory of this machine, of whose "
        r"[\d.]+ GiB [\d.]+ are free: [\d.]+ GiB more were asked for; take fewer glasses",
        ended.stderr,
    )
    assert "Traceback" not in ended.stderr
