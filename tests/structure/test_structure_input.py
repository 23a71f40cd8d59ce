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
        StructureError, match=r"glass\.extxyz: frame 0 has 9. of 192 atoms \(truncated"
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


def xyz_text(atoms, count=None, name=lambda symbol: symbol):
    numbers = " ".join(map(str, atoms.cell.array.ravel()))
    rows = [
        f"{name(s)} {x} {y} {z}"
        for s, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)
    ]
    head = [str(len(atoms) if count is None else count)]
    return "\n".join([*head, f'Lattice="{numbers}" Properties=species:S:1:pos:R:3', *rows]) + "\n"


def data_text(atoms, mass):
    a, b, c = atoms.cell.lengths()
    kinds = {"Si": 1, "O": 2}
    rows = [
        f"{i} {kinds[s]} {x} {y} {z}"
        for i, (s, (x, y, z)) in enumerate(zip(atoms.symbols, atoms.positions, strict=True), 1)
    ]
    masses = ["Masses", "", f"1 {mass}", "2 15.999", "", "Atoms # atomic", ""]
    box = [f"0 {length} {axis}lo {axis}hi" for axis, length in zip("xyz", (a, b, c), strict=True)]
    counts = ["", f"{len(atoms)} atoms", "2 atom types", *box, ""]
    return "\n".join(["made up", *counts, *masses, *rows]) + "\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("many.xyz", lambda a: xyz_text(a, 10**12), "has 24 of 1000000000000 atoms"),
        ("less.xyz", lambda a: xyz_text(a, -5), "begins with '-5', not with a number of atoms"),
        ("word.xyz", lambda a: xyz_text(a, "many"), "begins with 'many'"),
        ("names.xyz", lambda a: xyz_text(a, name=lambda s: f"Кремний{s}"), "is no element's name"),
        ("deuterium.xyz", lambda a: xyz_text(a, name=lambda s: "D" if s == "O" else s), "isotopes"),
        ("comma.xyz", lambda a: xyz_text(a).replace("1.0 2.6", "1,0 2,6"), "could not convert"),
        ("far.xyz", lambda a: xyz_text(a).replace(" 2.6 ", " 1e308 "), "at 1e.308 Å"),
        ("mass.data", lambda a: data_text(a, -28.0), "the mass -28.0 of type 1 is no element's"),
        ("mass.data", lambda a: data_text(a, "nan"), "the mass nan of type 1 is no element's"),
        ("page.cif", lambda _: "<html>_cell_length_a 404</html>", "cannot be read as CIF"),
    ],
)
def test_hostile_text(name, text, message, tmp_path):
    (tmp_path / name).write_text(text(silica()), encoding="utf-8")
    with pytest.raises(StructureError, match=message):
        list(read_frames(tmp_path / name))


def test_names_of_files_and_comments_may_be_of_any_script(tmp_path):
    path = tmp_path / "стекло 🧪.extxyz"
    path.write_text(xyz_text(silica()).replace("Properties", 'note="石英" Properties'), "utf-8")
    assert len(next(read_frames(path))) == 24


def test_many_frames_are_counted_and_not_parsed(tmp_path):
    atoms = silica()
    (tmp_path / "many.xyz").write_text(xyz_text(atoms) * 20_000)
    frames = list(read_frames(tmp_path / "many.xyz", last=3, stride=2))
    assert len(frames) == 3


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1)])
def test_a_left_handed_cell_is_a_cell(order, quartz):
    from glassml.structure import find_rings

    other = Atoms(quartz.numbers, cell=quartz.cell.array[list(order)], pbc=True)
    other.set_scaled_positions(quartz.get_scaled_positions()[:, list(order)])
    check_atoms(other)
    assert find_rings(other, "king").per_former() == {6: 1.0, 8: 7.0}


def test_folders_and_empty_files(tmp_path):
    (tmp_path / "empty.data").write_text("")
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "empty.data", "is empty")):
        with pytest.raises(StructureError, match=message):
            list(read_frames(path))
