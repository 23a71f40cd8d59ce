"""Bad input: each kind is refused with a message that says what is wrong."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from glassml.campaign.errors import StructureError
from glassml.structure.frames import check_atoms, read_frames, select


def silica(n=2, edge=8.0):
    atoms = Atoms("SiO2", [[1, 1, 1], [2.6, 1, 1], [1, 2.6, 1]], cell=[edge / n] * 3, pbc=True)
    return atoms.repeat(n)


def broken(**changes):
    atoms = silica()
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


def million_in_nothing():
    cell = [[50, 0, 0], [0, 50, 0], [50, 50, 0]]
    numbers = np.tile([14, 8, 8, 8], 250_000)
    return Atoms(numbers, np.zeros((1_000_000, 3)), cell=cell, pbc=True)


def with_nan():
    atoms = silica()
    atoms.positions[5, 1] = np.nan
    return atoms


def overlapping():
    atoms = silica()
    atoms.positions[3] = atoms.positions[0] + [0.1, 0, 0]
    return atoms


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: broken(numbers=[1, 2, 2] * 8), "name their elements"),
        (lambda: broken(numbers=[0, 8, 8] * 8), "without an element"),
        (lambda: Atoms("Si", cell=[5] * 3, pbc=True), "has 1 atom"),
        (Atoms, "has 0 atom"),
        (lambda: broken(cell=np.zeros((3, 3))), "has no cell"),
        (lambda: broken(cell=np.diag([8.0, 8.0, 0.0])), "not periodic in three dimensions"),
        (lambda: broken(pbc=[True, True, False]), "periodic along xy"),
        (with_nan, "position of atom 5 is not a finite number"),
        (lambda: broken(cell=np.diag([8.0, np.inf, 8.0])), "cell has a number"),
        (overlapping, r"atoms 0 and 3 are 0\.100 Å apart"),
        (million_in_nothing, "not periodic|flat|per Å³"),
        (lambda: broken(cell=np.diag([0.8] * 3)), "is the cell in Å"),
    ],
)
def test_bad_structures(make, message):
    with pytest.raises(StructureError, match=message):
        check_atoms(make(), "file.xyz")


def test_good_structure_passes(quartz):
    check_atoms(quartz)


def test_missing_file(tmp_path):
    with pytest.raises(StructureError, match="no such file"):
        list(read_frames(tmp_path / "none.xyz"))


def test_truncated_file(tmp_path):
    path = tmp_path / "glass.extxyz"
    write(path, silica(4))
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(
        StructureError, match=r"glass\.extxyz: cannot be read as extxyz \(truncated"
    ):
        list(read_frames(path))


def test_truncated_trajectory(tmp_path, h5md):
    trajectory, final, _ = h5md
    short = tmp_path / "short.h5md"
    short.write_bytes(trajectory.read_bytes()[:2000])
    with pytest.raises(StructureError, match="cannot be read as a trajectory"):
        list(read_frames(short, final))


def test_trajectory_of_other_atoms(tmp_path, h5md, quartz):
    trajectory, _, _ = h5md
    write(tmp_path / "other.extxyz", quartz)
    with pytest.raises(StructureError, match=r"cannot be read|frame"):
        list(read_frames(trajectory, tmp_path / "other.extxyz"))


def test_empty_file(tmp_path):
    path = tmp_path / "empty.xyz"
    path.write_text("")
    with pytest.raises(StructureError, match=r"empty\.xyz"):
        list(read_frames(path))


def test_cell_can_be_given(tmp_path):
    path = tmp_path / "plain.xyz"
    write(path, silica(), format="xyz")
    with pytest.raises(StructureError, match="--cell"):
        list(read_frames(path))
    (atoms,) = read_frames(path, cell=[8.0, 8.0, 8.0])
    assert atoms.cell.volume == pytest.approx(512)


def test_frames_are_counted_from_the_end():
    assert list(select(10, 3, 2)) == [5, 7, 9]
    assert list(select(10, None, 4)) == [1, 5, 9]
    assert list(select(10, 5, 1, start=8)) == [8, 9]
    assert list(select(0, 5)) == []


def test_frames_of_a_trajectory(h5md):
    trajectory, final, frames = h5md
    read = list(read_frames(trajectory, final, last=2))
    assert len(read) == 2
    for atoms, expected in zip(read, frames[-2:], strict=True):
        np.testing.assert_allclose(atoms.positions, expected.positions, atol=1e-4)
        np.testing.assert_allclose(atoms.cell.array, expected.cell.array, atol=1e-4)
