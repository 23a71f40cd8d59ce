"""A small dataset of real classical labels, and a potential trained on it."""

import json
import os
from pathlib import Path

import pytest
from ase.io import write

# without a GPU its kernels are interpreted, which Triton asks for when it is imported
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from glassml.potential.members import Dataset, Member, train_member
from silica_labels import ISOLATED, NETWORK, TRAINING, make_labels


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Labels of a generation."""
    folder = tmp_path_factory.mktemp("dataset")
    for name, count, seed in [("train", 12, 1), ("validation", 3, 2), ("test", 3, 3)]:
        write(folder / f"{name}.extxyz", make_labels(count, seed))
    (folder / "isolated_atoms.json").write_text(json.dumps(ISOLATED))
    return folder


@pytest.fixture(scope="session")
def labels_of(dataset):
    """Paths of the labels."""
    return Dataset(
        dataset / "train.extxyz", dataset / "validation.extxyz", dataset / "isolated_atoms.json"
    )


@pytest.fixture(scope="session")
def trained(labels_of, tmp_path_factory):
    """Folder of a member that was trained by NequIP for some seconds."""
    member = Member(tmp_path_factory.mktemp("g0") / "m0", generation=0, number=0, seed=1)
    train_member(member, labels_of, network=NETWORK, settings=TRAINING, device="cpu")
    return member.folder
