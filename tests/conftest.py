"""A small dataset of real classical labels, and a potential trained on it."""

import json
import os
from pathlib import Path

import pytest
from ase.io import write
from hypothesis import HealthCheck, settings

# without a GPU its kernels are interpreted, which Triton asks for when it is imported
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")
# cells are small, and tests run beside each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
# tests start hundreds of processes, which need not compile the package's modules each for itself
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from glassml.campaign.files import file_sha256
from glassml.campaign.locks import hold
from glassml.campaign.trust import trust
from glassml.potential.members import Dataset, Member, train_member
from silica_labels import ISOLATED, NETWORK, TRAINING, make_labels

# no test judges how quick a machine is
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


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
def shared(tmp_path_factory):
    """Folder that the processes of `pytest --numprocesses` have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def trained(labels_of, shared):
    """Folder of a member that was trained by NequIP for some seconds, by the first who asks."""
    member = Member(shared / "trained" / "m0", generation=0, number=0, seed=1)
    with hold(shared / "trained", "trains"):
        if not (member.folder / "model.nequip.zip").exists():
            train_member(member, labels_of, network=NETWORK, settings=TRAINING, device="cpu")
    trust([file_sha256(member.folder / "model.nequip.zip")])  # another process may have made it
    return member.folder
