"""The examples run as they are."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from glassml.campaign.config import load_campaign
from glassml.cli import main

ROOT = Path(__file__).parents[2]


def test_rings_of_a_file():
    done = subprocess.run(
        [sys.executable, "examples/rings_of_my_file.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert "2880 atoms" in done.stdout
    counts = {int(n): int(c) for n, c in re.findall(r"(\d+) formers: +(\d+) rings", done.stdout)}
    assert max(counts, key=counts.get) in (5, 6, 7)


def commands(path, program):
    """Give the command lines of a program that an example's first lines name."""
    text = path.read_text().replace(" \\\n#", "")
    return re.findall(rf"^# +({program} .*)$", text, re.MULTILINE)


def snakemake(folder, *arguments):
    """Run Snakemake on the workflow from a folder that has the examples and what they name."""
    for name in ("resources", "examples", "config"):
        (folder / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.stem)
def test_a_campaign_can_be_run_as_its_text_says(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert load_campaign(path).name == path.stem
    (line,) = commands(path, "glassml")
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out
    (line,) = commands(path, "snakemake")
    out = snakemake(tmp_path, "-n", *shlex.split(line)[1:])
    assert "structure_glass" in out or "model_card" in out


def test_the_structures_of_the_example_become_configurations(tmp_path):
    target = "results/my_structures/configurations/mine/0001.extxyz"
    config = "examples/my_structures.yaml"
    snakemake(tmp_path, "--cores", "1", target, "--configfile", config)
    frames = read(tmp_path / target, ":")
    given = read(ROOT / "examples" / "my_structures.extxyz", ":")
    # the second shard of eight
    assert len(given) == 12
    assert [atoms.info["config_id"] for atoms in frames] == [f"mine/{k:06d}" for k in range(8, 12)]
    for atoms, other in zip(frames, given[8:], strict=True):
        assert atoms.get_chemical_formula() == other.get_chemical_formula()
        assert np.allclose(atoms.cell, other.cell)
        other.wrap()
        assert np.allclose(atoms.positions, other.positions, atol=1e-6)
