"""One state of a glass on two nodes whose file system passes no locks on.

A node is made of a mount of the shared folder by bindfs, which keeps locks to itself, and of an
identity of the running kernel of its own, by which locks tell nodes apart.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from slurm_bed import wait_until

from glassml.campaign.locks import EXPIRES_S

ROOT = Path(__file__).parents[2]
CAMPAIGN = Path(__file__).with_name("campaign.yaml")
STATE = "ambient/glass00"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("bindfs") is None,
        reason="two nodes on one machine take root and bindfs (apt-get install bindfs)",
    ),
]


@pytest.fixture
def nodes(tmp_path):
    """Two mounts of one folder; in it a campaign whose dynamics take some half a minute."""
    shared = tmp_path / "shared"
    shared.mkdir()
    stage = {"name": "hold", "ensemble": "npt", "temperature_K": 300, "pressure_GPa": 0}
    md = {"states": {"ambient": {"stages": [stage | {"duration_ps": 30}]}}, "frame_every_fs": 1000}
    config = {"base": str(CAMPAIGN), "name": "nodes", "md": md}
    (shared / "campaign.yaml").write_text(yaml.safe_dump(config))
    mounts = [tmp_path / name for name in ("n1", "n2")]
    for number, mount in enumerate(mounts):
        mount.mkdir()
        (tmp_path / f"{mount.name}.boot").write_text(f"0000000{number}-node\n")
        subprocess.run(["bindfs", str(shared), str(mount)], check=True)
    yield mounts
    for mount in mounts:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def _run(node):
    """Run the state on a node, as a job would."""
    command = [sys.executable, "-m", "glassml", "md", "run", "--config", "campaign.yaml"]
    command += ["--glass", "glass00", "--state", "ambient", "--potential", "tersoff"]
    boot = f"mount --bind {node.with_suffix('.boot')} /proc/sys/kernel/random/boot_id"
    text = f"{boot} && exec {' '.join(command)} --output-dir {STATE}"
    with (node.parent / f"{node.name}.log").open("a") as log:
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", text],
            cwd=node,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdout=log,
            stderr=log,
        )


def _said(node):
    return (node.parent / f"{node.name}.log").read_text()


def test_the_second_node_waits_and_finds_it_done(nodes):
    first = _run(nodes[0])
    log = nodes[0] / STATE / "lammps" / "log.0"
    wait_until(log.exists, "the first runs", 120)
    second = _run(nodes[1])
    assert first.wait(300) == 0, _said(nodes[0])
    assert second.wait(120) == 0, _said(nodes[1])
    assert "waiting for process" in _said(nodes[1])
    assert "was finished meanwhile by another process" in _said(nodes[1])
    record = json.loads((nodes[1] / STATE / "record.json").read_text())
    assert (record["status"], record["pieces"]) == ("finished", 1)


def test_the_second_node_goes_on_where_the_first_died(nodes):
    first = _run(nodes[0])
    place = nodes[0] / STATE
    wait_until(lambda: list((place / "lammps").glob("restart.*")), "the first gets on", 120)
    first.send_signal(signal.SIGKILL)
    first.wait()
    # three minutes of silence
    os.utime(place / ".lock", (time.time() - EXPIRES_S - 1,) * 2)
    second = _run(nodes[1])
    assert second.wait(300) == 0, _said(nodes[1])
    record = json.loads((nodes[1] / STATE / "record.json").read_text())
    assert (record["status"], record["pieces"]) == ("finished", 2)
