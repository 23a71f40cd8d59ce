"""Times of files are wrong where clocks are, or somebody touched them: what counts is content."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "profiles" / "default"
CAMPAIGN = ROOT / "tests" / "cluster" / "campaign.yaml"
SNAKEFILE = Path(__file__).with_name("clocks.smk")
DAY_S = 86400


def _snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--cores", "1"]
    command += ["--directory", str(folder), "--workflow-profile", str(PROFILE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("clocks")
    _snakemake(folder)
    return folder


@pytest.mark.parametrize(("name", "later_s"), [("large", 1), ("large", DAY_S), ("small", -DAY_S)])
def test_a_time_alone_reruns_nothing(folder, name, later_s):
    os.utime(folder / name, (time.time() + later_s,) * 2)
    assert "Nothing to be done" in _snakemake(folder, "--dry-run").stdout


def test_a_changed_file_reruns_what_is_made_of_it_once(folder):
    (folder / "large").write_bytes(b"one" * 500_000)
    os.utime(folder / "large", (time.time() + 1,) * 2)
    time.sleep(1)
    _snakemake(folder)
    assert (folder / "small").read_bytes() == b"one"
    assert "Nothing to be done" in _snakemake(folder, "--dry-run").stdout


@pytest.mark.slow
def test_a_campaign_goes_on_from_a_file_of_the_future(tmp_path):
    """Snakemake alone would refuse what is made of it, and remove that."""
    one = {"configurations": {"families": {"crystals": {"count": 1}}}}
    config = tmp_path / "one.json"
    config.write_text(json.dumps({"name": "one", "base": str(CAMPAIGN)} | one))
    shards = "results/one/configurations/crystals/0000.extxyz"
    labels = "results/one/dft/crystals/0000.csv"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--configfile", str(config), "--cores", "1"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([*command, "--", shards], env=environment, check=True)
    os.utime(tmp_path / shards, (time.time() + DAY_S,) * 2)
    subprocess.run([*command, "--", labels], env=environment, check=True)
    assert (tmp_path / labels).exists()
    assert (tmp_path / shards).stat().st_mtime < time.time() + DAY_S / 2
