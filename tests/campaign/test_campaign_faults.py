"""Disks that are full or read-only, and files that are cut off or foreign: a sentence, no loss."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glassml.campaign.files import UnreadableError, read_table_text

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
CONTROL = ROOT / "tests" / "cluster" / "campaign.yaml"
STRANGE = "ein Ort, größer"


def _glassml(*command, cwd):
    return subprocess.run(
        [sys.executable, "-m", "glassml", *map(str, command)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def _sentence(done):
    """Give the one sentence with which a command ended."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def _generate(folder):
    command = ["configurations", "generate", "--config", TINY, "--family", "crystals"]
    return _glassml(*command, "--shard", "0000", "--output", "0000.extxyz", cwd=folder)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of 64 kB."""
    folder = tmp_path / STRANGE
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_and_one_that_is_read_only(small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (64 * 1024 - 4096))
    assert "0000.extxyz: no space is left" in _sentence(_generate(small_disk))
    assert {path.name for path in small_disk.iterdir()} <= {"filler", "0000.csv"}
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "Read-only file system" in _sentence(_generate(small_disk))
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert _generate(small_disk).returncode == 0


def _fill(folder, left):
    """Leave so many bytes of a disk free."""
    filler = folder / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(folder).free - left))
    return filler


@pytest.mark.parametrize("left", [40_000, 200_000], ids=["LAMMPS", "trajectory"])
def test_dynamics_on_a_disk_that_fills_go_on_when_there_is_room(made, small_disk, left):
    """In LAMMPS, which says "I/O error", and in HDF5, which crashes on a full disk."""
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    filler = _fill(small_disk, left)
    output = small_disk / "md" / "glass00"
    assert "no space is left" in _sentence(_run(made, output=output))
    assert not (output / "record.json").exists()
    filler.unlink()
    assert _run(made, output=output).returncode == 0
    assert json.loads((output / "record.json").read_text())["status"] == "finished"
    assert not list(output.glob(".tmp-*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A state of a glass with LAMMPS, where it begins, and its analysis."""
    folder = tmp_path_factory.mktemp("made") / STRANGE
    (folder / "start" / "glass00").mkdir(parents=True)
    start = "start/glass00/restart.npz"
    done = [
        _glassml(
            *("md", "start", "--config", CONTROL, "--glass", "glass00"),
            *("--pressure-GPa", "0", "--output", start),
            cwd=folder,
        ),
        _run(folder),
    ]
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    assert _analyse(folder, "sound").returncode == 0
    return folder


def _run(folder, **paths):
    start = paths.get("start", folder / "start" / "glass00" / "restart.npz")
    command = ["md", "run", "--config", CONTROL, "--glass", "glass00", "--state", "ambient"]
    command += ["--potential", "tersoff", "--start", start]
    return _glassml(*command, "--output-dir", paths.get("output", "md/ambient/glass00"), cwd=folder)


def _analyse(folder, output, **paths):
    place = folder / "md" / "ambient" / "glass00"
    files = {
        "trajectory": place / "trajectory.h5md",
        "final": place / "final.extxyz",
        "record": place / "record.json",
    } | paths
    command = ["structure", "analyse", "--config", CONTROL, "--state", "ambient"]
    for name, path in files.items():
        command += [f"--{name}", path]
    return _glassml(*command, "--glass", "glass00", "--output-dir", output, cwd=folder)


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path):
    path.write_bytes(b"")


def _foreign(path):
    np.savez(path.with_suffix(".npz"), nothing=np.zeros(3))
    if path.suffix != ".npz":
        path.with_suffix(".npz").replace(path)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [_cut, _empty, _foreign])
@pytest.mark.parametrize("name", ["trajectory.h5md", "final.extxyz", "record.json"])
def test_damaged_results_of_dynamics_are_refused_or_set_aside_by_name(made, tmp_path, name, damage):
    path = tmp_path / "glass00" / name
    path.parent.mkdir()
    shutil.copy(made / "md" / "ambient" / "glass00" / name, path)
    damage(path)
    done = _analyse(made, tmp_path / "structure", **{path.stem: path})
    assert str(path) in done.stderr
    assert done.returncode == 2 or "is set aside" in done.stderr
    # MDAnalysis grumbles when it gives up a reader that never opened its file
    assert "Traceback" not in done.stderr.split("Exception ignored in")[0]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [_cut, _empty, _foreign])
def test_a_damaged_start_is_refused_by_name(made, tmp_path, damage):
    path = tmp_path / "glass00" / "restart.npz"
    path.parent.mkdir()
    shutil.copy(made / "start" / "glass00" / "restart.npz", path)
    damage(path)
    done = _run(made, start=path, output=tmp_path / "md")
    assert str(path) in _sentence(done)


@pytest.mark.parametrize("damage", [_cut, _foreign])
def test_damaged_structures_are_refused_by_name(tmp_path, damage):
    assert _generate(tmp_path).returncode == 0
    path = tmp_path / "0000.extxyz"
    damage(path)
    command = ["dft", "label", "--config", TINY, "--input", path]
    done = _glassml(*command, "--output", "labels.extxyz", "--table", "labels.csv", cwd=tmp_path)
    assert str(path) in _sentence(done)
    assert not (tmp_path / "labels.extxyz").exists()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [_cut, _foreign])
@pytest.mark.parametrize("name", ["sq.csv", "network.json"])
def test_a_damaged_analysis_is_refused_by_name(made, tmp_path, name, damage):
    shutil.copytree(made / "sound", tmp_path / "ambient" / "glass00")
    path = tmp_path / "ambient" / "glass00" / name
    damage(path)
    command = ["structure", "summary", "--config", CONTROL, "--states", "ambient"]
    done = _glassml(*command, "--input-dir", tmp_path, "--output-dir", "means", cwd=tmp_path)
    assert str(path) in _sentence(done)


@pytest.mark.parametrize("content", [b"", b"q,s\n1,2\n", b"q,s\n1,2.1234", b"PK\x03\xff\x00\n"])
def test_a_table_is_read_whole_or_refused(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    if content in {b"", b"q,s\n1,2\n"}:
        assert read_table_text(path).encode() == content
        return
    with pytest.raises(UnreadableError, match=r"table\.csv: is not, or not the whole of, a table"):
        read_table_text(path)


@pytest.mark.parametrize("damage", [_cut, _empty, _foreign])
def test_a_damaged_configuration_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "campaign.yaml"
    shutil.copy(TINY, path)
    damage(path)
    done = _glassml("campaign", "config", path, cwd=tmp_path)
    if done.returncode == 0:  # a cut may leave a smaller configuration that is whole
        assert damage is _cut
        return
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
