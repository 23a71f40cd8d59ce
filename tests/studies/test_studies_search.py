"""A variant of the size search makes glasses, whose rings come into its table."""

import csv
import json

import pytest
import yaml
from test_studies import write_member

from glassml.cli import main
from glassml.md.outputs import write_restart
from glassml.studies.glasses import GLASS_COLUMNS, SUMMARY
from silica_labels import quartz


def search_campaign(folder):
    """Write a search of two networks, one of which makes two glasses, and what came before."""
    hold = {"name": "hold", "ensemble": "nvt", "temperature_K": 300, "duration_ps": 0.005}
    md = {"engine": "torch", "glasses": 2, "atoms": 72, "start": "classical", "timestep_fs": 0.5}
    md |= {"sample_every_fs": 1, "frame_every_fs": 1, "states": {"cold/first": {"stages": [hold]}}}
    search = {"variants": {"model": {}, "tiny": {}}, "glasses": ["tiny"]}
    config = folder / "campaign.yaml"
    config.write_text(
        yaml.safe_dump(
            {"name": "test", "seed": 1, "configurations": {"families": {}}}
            | {"md": md, "potential": {"search": search}}
        )
    )
    for name in search["variants"]:
        member = write_member(folder / name, 1.0)
        (member / "speed.json").write_text(json.dumps({"ms_per_atom_step": 1, "device": "cpu"}))
    for glass in ("glass00", "glass01"):
        write_restart(folder / "start" / glass / "restart.npz", quartz() * (2, 2, 2))
    return config


def test_a_network_of_the_search_moves_its_glasses_and_the_table_has_their_rings(trained, tmp_path):
    """A start of quartz stays quartz: 1 King ring of 6 and 7 of 8 per Si."""
    config = search_campaign(tmp_path)
    runs, structure = tmp_path / "tiny/md/cold/first", tmp_path / "tiny/structure"
    summary = tmp_path / "tiny" / SUMMARY

    def run(command, **options):
        values = {"config": config} | options
        words = [[f"--{name.replace('_', '-')}", *str(v).split()] for name, v in values.items()]
        assert main([*command.split(), *(word for option in words for word in option)]) == 0

    starts = " ".join(map(str, sorted(tmp_path.glob("start/*/restart.npz"))))
    package, state = trained / "model.nequip.zip", "cold/first"
    batch = {"state": state, "potential": package, "start": starts, "device": "cpu"}
    run("md batch", **batch, output_dir=runs)
    for glass in ("glass00", "glass01"):
        files = {"trajectory": "trajectory.h5md", "final": "final.extxyz", "record": "record.json"}
        paths = {name: runs / glass / file for name, file in files.items()}
        out = structure / state / glass
        run("structure analyse", state=state, glass=glass, **paths, output_dir=out)
    run("structure summary", states=state, input_dir=structure, output_dir=summary)
    table, figure = tmp_path / "search.csv", tmp_path / "search.png"
    made = [tmp_path / "search_glasses.csv", tmp_path / "search_glasses.png"]
    files = {"table": table, "figure": figure, "glasses": " ".join(map(str, made))}
    run("studies search", folder=tmp_path, **files)
    with table.open(newline="") as file:
        model, tiny = csv.DictReader(file)
    assert {model[name] for name in GLASS_COLUMNS} == {""}
    assert tiny["glasses"] == "2"
    assert float(tiny["density_g_cm3"]) == pytest.approx(2.65, abs=0.01)
    assert float(tiny["ring_size"]) == pytest.approx(7.75)
    assert float(tiny["ring_size_sd"]) == pytest.approx(7**0.5 / 4)
    assert all(path.stat().st_size > 0 for path in made)
