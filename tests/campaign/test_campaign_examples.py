"""The examples run as they are."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from glassml.campaign.config import load_campaign

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


def commands(path):
    """Give the command lines of Snakemake that an example's first lines name."""
    text = path.read_text().replace(" \\\n#", "")
    return re.findall(r"^# +(snakemake .*)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.stem)
def test_a_campaign_can_be_run_as_its_text_says(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert load_campaign(path).name == path.stem
    for name in ("resources", "examples", "config"):
        (tmp_path / name).symlink_to(ROOT / name)
    (command,) = commands(path)
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [sys.executable, "-m", program, "--snakefile", str(ROOT / "Snakefile"), "-n", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "structure_glass" in done.stdout or "model_card" in done.stdout
