"""`glassml why` on planted changes of a setting, of code and of an input, with real rules."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ase.io import read, write

from glassml.campaign.files import file_sha256
from glassml.campaign.why import _input_change

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
SHARD = "results/tiny/configurations/crystals/0000.extxyz"
SEEDED = "results/tiny/dft/seeded.json"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository in which a shard was made, and labels were taken up."""
    folder = tmp_path_factory.mktemp("why")
    for name in ("src", "workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    _labels(folder, 1)
    _configure(folder)
    command = ["-m", "snakemake", "--cores", "1", "--configfile", "tiny.yaml", "--", SHARD, SEEDED]
    done = _run(folder, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _labels(folder, count):
    labels = read(ROOT / "resources" / "reference" / "labels.extxyz.gz", f":{count}")
    write(folder / "labels.extxyz", labels)


def _configure(folder, **crystals):
    config = yaml.safe_load(TINY.read_text())
    config["dft"] = {"seed_labels": ["labels.extxyz"]}
    config["configurations"]["families"]["crystals"] |= crystals
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))


def _run(folder, *command):
    environment = os.environ | {
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _why(folder, path=SHARD):
    done = _run(folder, "-m", "glassml", "why", path, "--config", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_file_is_up_to_date(copy):
    assert _why(copy) == [f"{SHARD}: is up to date"]


def test_a_setting_that_changed(copy):
    _configure(copy, rattle_widths_A=[0.01, 0.2])
    try:
        lines = _why(copy)
    finally:
        _configure(copy)
    assert lines[0] == f"{SHARD}: would be made again, because of"
    (line,) = [line for line in lines if "setting" in line]
    assert "rattle_widths_A" in line
    assert "-> [0.01, 0.2]" in line


def test_code_that_changed_is_shown_as_lines(copy):
    module = copy / "src" / "glassml" / "configurations" / "rattle.py"
    before = module.read_text()
    module.write_text(f"{before}\n\nPLANTED = 42  # a remark changes nothing\n")
    try:
        lines = _why(copy)
    finally:
        module.write_text(before)
    assert "  code of glassml.configurations.rattle:" in lines
    assert [line.strip() for line in lines if line.strip().startswith(("+P", "-P"))] == [
        "+PLANTED = 42"
    ]


def test_an_input_that_changed(copy):
    _labels(copy, 2)
    lines = _why(copy, SEEDED)
    (line,) = [line for line in lines if "labels.extxyz" in line]
    before, after = line.split(": ", 1)[1].split(" -> ")
    assert before.startswith("sha256:")
    assert after.startswith("sha256:")
    assert before != after


def test_what_no_rule_makes_is_said(copy):
    done = _run(copy, "-m", "glassml", "why", "results/tiny/nothing", "--config", "tiny.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("glassml: results/tiny/nothing")
    assert "Traceback" not in done.stderr


def test_an_input_that_is_newer_alone_is_said_so(tmp_path):
    path = tmp_path / "train.extxyz"
    path.write_text("the same\n")
    recorded = {f"sha256:{file_sha256(path)}"}
    assert "newer, with the same content (sha256:" in _input_change(str(path), recorded)
    path.write_text("another\n")
    assert " -> sha256:" in _input_change(str(path), recorded)
