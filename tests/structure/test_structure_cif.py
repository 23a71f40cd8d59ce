"""CIF: occupancies, origins, names of sites, blocks, and large ones in seconds."""

import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.io import write

from glassml.campaign.errors import StructureError
from glassml.campaign.units import density_g_cm3
from glassml.structure.bonds import find_bonds
from glassml.structure.frames import read_frames

QUARTZ = (4.9134, 4.9134, 5.4052, 90, 90, 120)
SODALITE = (8.965, 8.965, 8.965, 90, 90, 90)
SITES = "label fract_x fract_y fract_z"
FULL = "label type_symbol fract_x fract_y fract_z occupancy"


def cif(path, cell, group, columns, rows, extra=""):
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x", *(f"_cell_{n} {v}" for n, v in zip(names, cell, strict=True))]
    if group:
        lines.append(f"_symmetry_space_group_name_H-M '{group}'")
    lines += [extra, "loop_", *(f"_atom_site_{column}" for column in columns.split()), *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def quartz(path, rows=("Si1 0.4697 0 0.33333", "O1 0.4135 0.2669 0.2142"), **options):
    return cif(path, QUARTZ, options.get("group", "P 31 2 1"), SITES, rows)


@pytest.mark.parametrize(
    "rows",
    [
        ("Si1 0.4697 0 0.33333", "O12 0.4135 0.2669 0.2142"),
        ("Si1 0.4697(1) 0 0.33333(2)", "O1 0.4135(3) 0.2669(3) 0.2142(2)"),
        ("SI 0.4697 0 0.333", "OB 0.4135 0.2669 0.2142"),
    ],
)
@pytest.mark.parametrize("group", ["P 31 2 1", "P3121"])
def test_quartz(rows, group, tmp_path):
    (atoms,) = read_frames(quartz(tmp_path / "q.cif", rows, group=group))
    assert atoms.get_chemical_formula() == "O6Si3"
    assert density_g_cm3(atoms) == pytest.approx(2.649, abs=0.001)
    assert find_bonds(atoms).length.mean() == pytest.approx(1.609, abs=0.002)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["Si1 Si 0.25 0.5 0 1", "O1 O 0 0.3486 0.3486 1", "Na1 Na 0.16 0.16 0.16 0.25"],
            r"partly occupied \(Na1 0\.25\)",
        ),
        (
            ["T1 Si 0.25 0.5 0 0.5", "T1a Al 0.25 0.5 0 0.5", "O1 O 0 0.3486 0.3486 1"],
            r"partly occupied \(T1 0\.5, T1a 0\.5\)",
        ),
        (["Si1 Si 0.25 0.5 0 1", "O1 O 0.01 0.3486 0.3486 0.5"], r"\(O1 0\.5\)"),
    ],
)
def test_partial_occupancies_are_refused_by_name(rows, message, tmp_path):
    path = cif(tmp_path / "s.cif", SODALITE, "I m -3 m", FULL, rows)
    with pytest.raises(StructureError, match=message):
        list(read_frames(path))


def test_an_occupancy_that_is_not_given_is_full(tmp_path):
    rows = ["Si1 Si 0.25 0.5 0 1", "O1 O 0 0.3486 0.3486 ?"]
    (atoms,) = read_frames(cif(tmp_path / "s.cif", SODALITE, "I m -3 m", FULL, rows))
    assert atoms.get_chemical_formula() == "O24Si12"


CRISTOBALITE = (7.166,) * 3 + (90,) * 3
ORIGIN_2 = ("Si1 0.125 0.125 0.125", "O1 0 0 0")  # of the second origin: 8 Si and 16 O
FORMULA = "_chemical_formula_sum 'Si O2'"


@pytest.mark.parametrize(
    ("group", "extra"), [("F d -3 m :2", ""), ("F d -3 m Z", ""), ("F d -3 m", FORMULA)]
)
def test_two_origins(group, extra, tmp_path):
    path = cif(tmp_path / "c.cif", CRISTOBALITE, group, SITES, ORIGIN_2, extra)
    (atoms,) = read_frames(path)
    assert atoms.get_chemical_formula() == "O16Si8"
    assert find_bonds(atoms).length.mean() == pytest.approx(7.166 * np.sqrt(3) / 8, abs=1e-6)


def test_an_origin_that_is_not_said_is_refused(tmp_path):
    path = cif(tmp_path / "c.cif", CRISTOBALITE, "F d -3 m", SITES, ORIGIN_2)
    with pytest.raises(StructureError, match=r"two origins .* O8Si16 or O16Si8|O16Si8 or O8Si16"):
        list(read_frames(path))


def test_a_cell_that_is_not_the_formula_is_refused(tmp_path):
    path = cif(tmp_path / "c.cif", CRISTOBALITE, "F d -3 m :1", SITES, ORIGIN_2, FORMULA)
    with pytest.raises(StructureError, match="_chemical_formula_sum is Si1 O2"):
        list(read_frames(path))


def test_operations_decide_over_the_name(tmp_path):
    operations = "loop_\n_space_group_symop_operation_xyz\n'x,y,z'\n'-x,-y,z'"
    rows = ("Si1 0.1 0.2 0.3", "O1 0.4 0.2 0.3")
    path = cif(tmp_path / "o.cif", (8, 8, 8, 90, 90, 90), "P 1", SITES, rows, operations)
    (atoms,) = read_frames(path)
    assert len(atoms) == 4


@pytest.mark.parametrize(
    ("group", "cell", "message"),
    [
        ("", QUARTZ, "neither symmetry operations nor a space group"),
        ("P q r s", QUARTZ, "space group P q r s is not known"),
        ("I m -3 m", QUARTZ, "the cell .* is not one of I m -3 m"),
    ],
)
def test_groups_that_cannot_be(group, cell, message, tmp_path):
    rows = ("Si1 0.4697 0 0.33333", "O1 0.4135 0.2669 0.2142")
    path = cif(tmp_path / "g.cif", cell, group, SITES, rows)
    with pytest.raises(StructureError, match=message):
        list(read_frames(path))


def test_sites_of_no_element_are_named(tmp_path):
    rows = ("T1 0.4697 0 0.33333", "O1 0.4135 0.2669 0.2142")
    with pytest.raises(StructureError, match=r"site 'T1': .* --elements T="):
        list(read_frames(quartz(tmp_path / "t.cif", rows)))
    (atoms,) = read_frames(tmp_path / "t.cif", elements=["T=Si"])
    assert atoms.get_chemical_formula() == "O6Si3"
    with_water = (*rows, "Wat1 0.15 0.1 0.5")
    with pytest.raises(StructureError, match="site 'T1'"):
        list(read_frames(quartz(tmp_path / "w.cif", with_water)))


def test_blocks_are_frames(tmp_path, caplog):
    text = quartz(tmp_path / "q.cif").read_text()
    both = text + text.replace("data_x", "data_y").replace("4.9134", "5.0")
    (tmp_path / "two.cif").write_text(both)
    frames = list(read_frames(tmp_path / "two.cif", last=2))
    assert [a.cell.lengths()[0] for a in frames] == [4.9134, 5.0]
    assert "holds 2 structures" in caplog.text


def test_a_large_cell_without_symmetry_takes_no_minutes(tmp_path):
    """4608 atoms; a minute by an expansion that compares all sites with all others."""
    (cell,) = read_frames(quartz(tmp_path / "q.cif"))
    large = make_supercell(cell, np.diag([8, 8, 8]))
    large = Atoms(large.numbers, large.positions, cell=large.cell.array, pbc=True)
    write(tmp_path / "large.cif", large)
    before = time.process_time()
    (found,) = read_frames(tmp_path / "large.cif")
    assert len(found) == 4608
    assert time.process_time() - before < 30


def test_a_broken_cif(tmp_path):
    (tmp_path / "b.cif").write_text("data_x\n_cell_length_a 5\nloop_\n_atom_site_label\n")
    with pytest.raises(StructureError, match=r"b\.cif"):
        list(read_frames(tmp_path / "b.cif"))
