"""Runs of two glasses of 24 atoms within a second, by a pair potential: whole, and exported."""

import yaml

from glassml.cli import main

SETTINGS = {
    "atoms": 24,
    "glasses": 2,
    "engine": "torch",
    "frame_every_fs": 2,
    "sample_every_fs": 1,
    "guards": {"temperature_ratio": 1000, "energy_jump_eV": 1000},  # the start is random
}


def configuration(folder, states, **changes):
    """Write a campaign of these states, and give its path."""
    path = folder / "campaign.yaml"
    md = SETTINGS | {"states": states} | changes
    campaign = {"name": "test", "configurations": {"families": {}}, "md": md}
    path.write_text(yaml.safe_dump(campaign))
    return path


def run_all(config, folder, potential="shik", *options):
    """Run all states of all glasses into a folder, and give the exit code."""
    command = ["md", "all", "--config", str(config), "--potential", potential, "--device", "cpu"]
    return main([*command, "--output-dir", str(folder), *options])


def make_runs(folder, states):
    """Make runs by SHIK, `md`, and what is exported of them, `given`."""
    config = configuration(folder, states)
    assert run_all(config, folder / "md") == 0
    command = ["md", "export", "--config", str(config), "--input-dir", str(folder / "md")]
    assert main([*command, "--output-dir", str(folder / "given")]) == 0
    return folder
