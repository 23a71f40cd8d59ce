"""Two campaigns at once on one store: every label is there for both, and calculated once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ase.io import read

from glassml.campaign.store import LabelStore

ROOT = Path(__file__).parents[2]
SHARDS = ("0000", "0001")
CAMPAIGN = {
    "seed": 1,
    "configurations": {
        "shard_size": 2,
        "families": {
            "crystals": {
                "generator": "crystal",
                "count": 4,
                "polymorphs": ["stishovite", "beta_cristobalite"],
                "atoms": [6, 6],
            }
        },
    },
    "dft": {
        "cutoff_eV": 250,
        "kpoint_spacing_per_A": 10,
        "density_tolerance": 0.01,
        "eigenstates_tolerance_eV2": 0.001,
        "shard_processes": 1,
    },
    "md": {},
}


def _start(folder, name):
    folder.mkdir()
    config = CAMPAIGN | {"name": name, "store": str(folder.parent / "store")}
    (folder / "campaign.yaml").write_text(yaml.safe_dump(config))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--directory", str(folder), "--configfile", str(folder / "campaign.yaml")),
            *("--cores", "1", *(f"results/{name}/dft/crystals/{shard}.csv" for shard in SHARDS)),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.campaign
def test_two_campaigns_share_every_label_and_calculate_each_once(tmp_path):
    names = ("one", "other")
    runs = [_start(tmp_path / name, name) for name in names]
    assert [run.wait(600) for run in runs] == [0, 0]
    labels = {}
    calculated = {}
    for name in names:
        folder = tmp_path / name
        frames = [
            atoms
            for shard in SHARDS
            for atoms in read(folder / f"results/{name}/dft/crystals/{shard}.extxyz", index=":")
        ]
        labels[name] = {atoms.info["label_key"]: atoms.info["REF_energy"] for atoms in frames}
        logs = [(folder / f"logs/{name}/dft/crystals/{shard}.log").read_text() for shard in SHARDS]
        calculated[name] = sum(int(re.search(r"(\d+) calculated now", log)[1]) for log in logs)
    assert labels["one"] == labels["other"]
    assert len(labels["one"]) == 4
    assert sum(calculated.values()) == 4, calculated
    store = LabelStore(tmp_path / "store")
    assert store.keys() == set(labels["one"])
    assert not list((tmp_path / "store" / "claims").glob("[0-9a-f]*"))
