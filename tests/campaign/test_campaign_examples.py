"""The examples run as they are."""

import os
import re
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


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.stem)
def test_a_campaign_can_be_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    campaign = load_campaign(path)
    assert campaign.name == path.stem
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n"]
    command += ["--directory", str(tmp_path), "--configfile", str(path), "--quiet", "rules"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "report" in done.stdout
