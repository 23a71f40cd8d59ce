"""A compressed file of labels gives what the plain one gives; one cut off is refused."""

import gzip

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from glassml.campaign.extxyz import read_extxyz


@pytest.fixture
def labels(tmp_path):
    frames = []
    for number in range(20):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.1, seed=number)
        atoms.info |= {"config_type": "crystal", "REF_energy": -1.5 * number}
        atoms.arrays["REF_forces"] = atoms.positions - 1
        frames.append(atoms)
    path = tmp_path / "labels.extxyz"
    write(path, frames, format="extxyz")
    return path


def compressed(path):
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def test_compressed_gives_what_plain_gives(labels):
    pairs = list(zip(read_extxyz(labels), read_extxyz(compressed(labels)), strict=True))
    assert len(pairs) == 20
    for plain, packed in pairs:
        assert plain == packed
        assert plain.info == packed.info
        np.testing.assert_array_equal(plain.arrays["REF_forces"], packed.arrays["REF_forces"])


def test_one_cut_off_is_refused(labels):
    packed = compressed(labels)
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(EOFError):
        list(read_extxyz(packed))


def test_one_cut_within_its_last_number_is_refused(labels):
    labels.write_bytes(labels.read_bytes()[:-3])
    with pytest.raises(ValueError, match="cut off"):
        next(read_extxyz(labels))
