"""The tiny campaign, real from DFT to the report: killed, finished, run again, changed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.io import read

from glassml.campaign.config import load_campaign
from glassml.campaign.store import LabelStore
from glassml.dft.shard import label_shard

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")

pytestmark = [pytest.mark.slow, pytest.mark.campaign]


def _command(folder, config, *arguments):
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--directory", str(folder), "--configfile", str(config), "--cores", "2"),
        *arguments,
    ]


def _run(folder, config=TINY, *arguments):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = _command(folder, config, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr


def _scheduled(folder, config):
    """Give the numbers of jobs, by rule, that a run would start."""
    code, output = _run(folder, config, "-n", "--quiet", "rules")
    assert code == 0, output
    table = re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)
    return {rule: int(count) for rule, count in table if rule != "total"}


def _kill_when(process, condition, seconds=300):
    """Kill a process and all that it started, once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the campaign ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A campaign that was killed in dft, in training and in md, and then finished."""
    folder = tmp_path_factory.mktemp("killed")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    begun = {
        "dft": lambda: len(list(folder.glob("results/labels/??/[!.]*.json"))) >= 3,
        "potential": lambda: list(folder.glob("results/tiny/potential/g0/m0/training/**/*.ckpt")),
        "md": lambda: list(folder.glob("results/tiny/md/ambient/glass00/checkpoint/*")),
    }
    labels = {}
    for condition in begun.values():
        with (folder / "killed.log").open("a") as log:
            process = subprocess.Popen(
                _command(folder, TINY, "--nolock"),
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
            _kill_when(process, condition)
        labels |= {path: path.read_bytes() for path in folder.glob("results/labels/??/[!.]*.json")}
    code, output = _run(folder, TINY, "--nolock")
    assert code == 0, output[-3000:]
    # What was labelled before a kill was not labelled again.
    assert all(path.read_bytes() == content for path, content in labels.items())
    return folder


def test_kills_change_no_potential(campaign, tmp_path):
    """From equal labels on: GPAW's last digits (1e-12 eV) depend on where its arrays lie."""
    shutil.copytree(campaign / "results/labels", tmp_path / "results/labels")
    package = "results/tiny/potential/g0/m0/model.nequip.zip"
    code, output = _run(tmp_path, TINY, package)
    assert code == 0, output[-3000:]
    assert (tmp_path / package).read_bytes() == (campaign / package).read_bytes()


def test_kills_change_no_trajectory(campaign, tmp_path):
    """From an equal potential on, melt and all."""
    copy = tmp_path / "uninterrupted"
    shutil.copytree(campaign, copy, symlinks=True)
    shutil.rmtree(copy / "results/tiny/md")
    code, output = _run(copy, TINY, "results/tiny/md/cold_5GPa/glass00/final.extxyz")
    assert code == 0, output[-3000:]
    assert "train_potential" not in output
    names = ("final.extxyz", "series.csv")
    paths = [path for name in names for path in copy.glob(f"results/tiny/md/**/{name}")]
    assert len(paths) == 4
    for path in paths:
        other = campaign / path.relative_to(copy)
        assert other.read_bytes() == path.read_bytes(), path


def test_a_label_is_the_same_when_calculated_again(campaign, tmp_path):
    name = "configurations/crystals/0000.extxyz"
    structures = read(campaign / "results/tiny" / name, index=":2")
    dft = load_campaign(TINY).dft
    again = label_shard(structures, dft, LabelStore(tmp_path))
    before = label_shard(structures, dft, LabelStore(campaign / "results/labels"))
    assert (again.computed, before.computed) == (2, 0)
    for new, old in zip(again.records, before.records, strict=True):
        assert new["energy"] == pytest.approx(old["energy"], abs=1e-9)
        assert np.allclose(new["forces"], old["forces"], rtol=0, atol=1e-8)
        assert np.allclose(new["stress"], old["stress"], rtol=0, atol=1e-10)


def test_every_label_is_there_once(campaign):
    tables = list((campaign / "results/tiny/dft").rglob("*.csv"))
    rows = [line for table in tables for line in table.read_text().splitlines()[1:]]
    assert len(rows) == 6
    assert len(list(campaign.glob("results/labels/??/[!.]*.json"))) == len(
        {row.rsplit(",", 1)[1] for row in rows}
    )


def test_the_page_stands_alone_and_warns(campaign):
    page = (campaign / "results/tiny/report/report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']https?:""", page)
    assert "data:image/svg+xml," in page
    assert (campaign / "results/tiny/test.success").exists()


def test_a_second_run_has_nothing_to_do(campaign):
    code, output = _run(campaign)
    assert code == 0
    assert "Nothing to be done" in output


def test_touched_files_and_wrong_clocks_rerun_nothing(campaign, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(campaign, copy, symlinks=True)
    random = np.random.default_rng(1)
    for path in sorted((copy / "results/tiny").rglob("*")):
        # compiled is a folder, of which Snakemake knows the time alone: older than all is in order
        later = -2.0 if "compiled" in path.parts else random.uniform(-1, 1)
        os.utime(path, (time.time() + 1e5 * later,) * 2)
    code, output = _run(copy, TINY, "-n")
    assert code == 0
    assert "Nothing to be done" in output


def _changed(campaign, tmp_path, section, **values):
    config = yaml.safe_load(TINY.read_text())
    config.setdefault(section, {})
    config[section] = (config[section] or {}) | values
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(config))
    # A dry run writes the resolved configuration; the copy keeps the campaign as it was.
    copy = tmp_path / "copy"
    shutil.copytree(campaign, copy, symlinks=True)
    return _scheduled(copy, path)


def test_a_range_of_q_reruns_structure_and_report(campaign, tmp_path):
    jobs = _changed(campaign, tmp_path, "structure", q_max_per_A=20.0)
    assert set(jobs) == {"structure_glass", "structure_summary", "report", "check", "all"}


def test_a_new_family_computes_only_its_labels(campaign, tmp_path):
    families = yaml.safe_load(TINY.read_text())["configurations"]["families"]
    families["dimers"] = {"generator": "dimer", "count": 1}
    jobs = _changed(campaign, tmp_path, "configurations", families=families)
    assert jobs["configurations_generate"] == 1
    assert jobs["dft_label"] == 1
    assert "md_run" in jobs


def test_a_title_changes_only_the_page(campaign, tmp_path):
    config = yaml.safe_load(TINY.read_text()) | {"title": "Another title"}
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(config))
    copy = tmp_path / "copy"
    shutil.copytree(campaign, copy, symlinks=True)
    assert set(_scheduled(copy, path)) == {"report", "all"}


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("dft", {"cutof_eV": 900}, "dft.cutof_eV: unknown key"),
        ("md", {"timestep_fs": -1}, "md.timestep_fs"),
        ("dft", {"cutoff_eV": "900 Ry"}, "dft.cutoff_eV"),
    ],
)
def test_a_bad_configuration_is_refused_before_any_job(tmp_path, section, values, message):
    config = yaml.safe_load(TINY.read_text())
    config[section] = (config[section] or {}) | values
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(config))
    code, output = _run(tmp_path, path, "-n")
    assert code != 0
    assert message in output
    assert "Traceback" not in output
    assert not (tmp_path / "results").exists()
