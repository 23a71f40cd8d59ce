"""Files of the trade: one crystal in each, read with the right elements, density and bonds."""

import gzip
import json

import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.io import read, write

from glassml.campaign.errors import StructureError
from glassml.campaign.units import density_g_cm3
from glassml.cli import main
from glassml.structure.bonds import find_bonds
from glassml.structure.frames import read_frames
from glassml.structure.reading.names import element_of, element_of_mass, parse_elements


@pytest.fixture(scope="module")
def crystal(quartz):
    """243 atoms of rattled quartz, Si first; vectors a along x, b in the plane of x and y."""
    atoms = make_supercell(quartz, np.diag([3, 3, 3]))
    cell = Atoms(atoms.numbers, cell=atoms.cell.cellpar(), pbc=True)
    cell.set_scaled_positions(atoms.get_scaled_positions())
    cell.rattle(0.04, seed=3)
    return cell[np.argsort(-cell.numbers, kind="stable")]


@pytest.fixture(scope="module")
def cube(crystal):
    """The same atoms in a cubic box, for formats that hold nothing else."""
    atoms = crystal.copy()
    atoms.set_cell([14.9] * 3, scale_atoms=True)
    return atoms


def types(atoms):
    return np.where(atoms.numbers == 14, 1, 2)


def lammps_data(path, atoms, style, masses="masses", origin=(0, 0, 0)):
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = atoms.cell.array
    lows = zip("xyz", origin, (lx, ly, lz), strict=True)
    lines = ["made up", "", f"{len(atoms)} atoms", "2 atom types", ""]
    lines += [f"{low} {low + length} {axis}lo {axis}hi" for axis, low, length in lows]
    lines += [f"{xy} {xz} {yz} xy xz yz", ""]
    comments = (" # Si", " # O") if masses == "comments" else ("", "")
    numbers = (1.0, 2.0) if masses == "comments" else (28.0855, 15.9994)
    if masses:
        lines += ["Masses", "", *(f"{i + 1} {numbers[i]}{comments[i]}" for i in (0, 1)), ""]
    lines += ["Atoms" if style == "bare" else f"Atoms # {style}", ""]
    columns = {
        "atomic": "{id} {type}",
        "bare": "{id} {type} {q}",
        "charge": "{id} {type} {q}",
        "full": "{id} 1 {type} {q}",
        "molecular": "{id} 1 {type}",
    }[style]
    for number, (kind, place) in enumerate(zip(types(atoms), atoms.positions, strict=True), 1):
        head = columns.format(id=number, type=kind, q=2.4 if kind == 1 else -1.2)
        lines.append(f"{head} " + " ".join(f"{x:.8f}" for x in place + origin))
    path.write_text("\n".join(lines) + "\n")


def lammps_dump(path, atoms, columns, frames=1, newline="\n"):
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = atoms.cell.array
    bounds = [
        (min(0, xy, xz, xy + xz), lx + max(0, xy, xz, xy + xz), xy),
        (min(0, yz), ly + max(0, yz), xz),
        (0, lz, yz),
    ]
    scaled = atoms.get_scaled_positions(wrap=False)
    rng, lines = np.random.default_rng(0), []
    for frame in range(frames):
        lines += ["ITEM: TIMESTEP", str(10 * frame), "ITEM: NUMBER OF ATOMS", str(len(atoms))]
        lines += ["ITEM: BOX BOUNDS xy xz yz pp pp pp", *(" ".join(map(str, b)) for b in bounds)]
        lines.append(f"ITEM: ATOMS {columns}")
        for i in rng.permutation(len(atoms)):
            row = {"id": i + 1, "type": types(atoms)[i], "element": atoms.symbols[i]}
            row |= {"mass": atoms.get_masses()[i]}
            row |= dict(zip(("x", "y", "z"), atoms.positions[i], strict=True))
            row |= dict(zip(("xs", "ys", "zs"), scaled[i], strict=True))
            row |= dict(zip(("xu", "yu", "zu"), atoms.positions[i] + [lx, 0, 0], strict=True))
            lines.append(" ".join(str(row[column]) for column in columns.split()))
    path.write_bytes((newline.join(lines) + newline).encode())


def pdb(path, atoms, models):
    a, b, c, *angles = atoms.cell.cellpar()
    angles = "".join(f"{angle:7.2f}" for angle in angles)
    text = f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}{angles} P 1           1\n"
    for model in range(models):
        text += f"MODEL     {model + 1:4d}\n"
        for number, (symbol, place) in enumerate(
            zip(atoms.symbols, atoms.positions, strict=True), 1
        ):
            name = " O  " if symbol == "O" else "SI  "
            where = "".join(f"{x:8.3f}" for x in place)
            text += f"ATOM  {number:5d} {name} SIO     1    {where}  1.00  0.00"
            text += f"          {symbol.upper():>2s}\n"
        text += "ENDMDL\n"
    path.write_text(text + "END\n")


def gro(path, atoms, names):
    cell = atoms.cell.array / 10
    lines = ["made up", str(len(atoms))]
    for number, (symbol, place) in enumerate(zip(atoms.symbols, atoms.positions, strict=True), 1):
        where = "".join(f"{x / 10:8.3f}" for x in place)
        lines.append(f"{1:5d}{'SIO':5s}{names[symbol]:>5s}{number:5d}{where}")
    order = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    lines.append(" ".join(f"{cell[i]:.5f}" for i in order))
    path.write_text("\n".join(lines) + "\n")


def dlpoly_config(path, atoms, names):
    lines = ["made up", "         0         3"]
    lines += ["".join(f"{x:20.10f}" for x in vector) for vector in atoms.cell.array]
    for number, (symbol, place) in enumerate(zip(atoms.symbols, atoms.positions, strict=True), 1):
        lines.append(f"{names[symbol]:<8s}{number:10d}")
        lines.append("".join(f"{x:20.8f}" for x in place - atoms.cell.array.sum(axis=0) / 2))
    path.write_text("\n".join(lines) + "\n")


def named_xyz(path, atoms, names, lattice=True):
    comment = " ".join(map(str, atoms.cell.array.ravel()))
    head = f'Lattice="{comment}" Properties=species:S:1:pos:R:3' if lattice else "made up"
    rows = [
        f"{names(symbol, number)} {x} {y} {z}"
        for number, (symbol, (x, y, z)) in enumerate(
            zip(atoms.symbols, atoms.positions, strict=True)
        )
    ]
    path.write_text("\n".join([str(len(atoms)), head, *rows]) + "\n")


def rmc_cfg(path, atoms):
    half = atoms.cell.array / 2
    places = atoms.get_scaled_positions() * 2 - 1
    numbers = [int((types(atoms) == kind).sum()) for kind in (1, 2)]
    lines = [" (Version 3 format configuration file)", " made up", "", ""]
    lines += ["  0  0  0 moves generated, tried, accepted", "  0  configurations saved", ""]
    lines += [f" {len(atoms)} molecules (of all types)", " 2 types of molecule"]
    lines += [" 1 is the largest number of atoms in a molecule", " 0 Euler angles are provided", ""]
    lines += ["          F (Box is not truncated octahedral)", "            Defining vectors are:"]
    lines += ["           " + " ".join(f"{x:.8f}" for x in vector) for vector in half]
    for kind, number in enumerate(numbers, 1):
        lines += ["", f" {number} molecules of type {kind:2d}", "          1 atomic sites"]
        lines += ["                0.000000   0.000000   0.000000"]
    lines += ["", *(" ".join(f"{x:.10f}" for x in place) for place in places)]
    path.write_text("\n".join(lines) + "\n")


def poscar(path, atoms, symbols):
    write(path, atoms, format="vasp", direct=True)
    lines = path.read_text().splitlines()
    lines[0] = "made up"
    if symbols is None:
        del lines[5]
    else:
        lines[5] = symbols
    path.write_text("\n".join(lines) + "\n")


def vasprun(path, atoms):
    """The parts of a vasprun.xml that ASE reads."""

    def rows(values):
        return "".join("<v>" + " ".join(f"{x:.10f}" for x in row) + "</v>" for row in values)

    symbols = "".join(f"<rc><c>{symbol}</c><c>1</c></rc>" for symbol in atoms.symbols)
    inside = (
        f'<crystal><varray name="basis">{rows(atoms.cell.array)}</varray></crystal>'
        f'<varray name="positions">{rows(atoms.get_scaled_positions())}</varray></structure>'
    )
    energy = "".join(
        f'<i name="{name}">-1.0</i>' for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    )
    path.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling><kpoints>'
        '<varray name="kpointlist"><v>0 0 0</v></varray>'
        '<varray name="weights"><v>1</v></varray></kpoints>'
        f"<atominfo><atoms>{len(atoms)}"
        f'</atoms><array name="atoms"><set>{symbols}</set></array></atominfo>'
        f'<structure name="initialpos">{inside}<calculation><scstep><energy>{energy}</energy>'
        f'</scstep><structure>{inside}<varray name="forces">{rows(0 * atoms.positions)}</varray>'
        f"<energy>{energy}</energy></calculation></modeling>\n"
    )


ELEMENTS = ("Si", "O")
NAMES = {"Si": "SI", "O": "OB"}
# Name of the file: how it is made, and what the user says of its elements.
FILES = {
    "a.data": (lambda p, a: lammps_data(p, a, "charge"), None),
    "b.lmp": (lambda p, a: lammps_data(p, a, "full", "comments"), None),
    "data.quartz": (lambda p, a: lammps_data(p, a, "atomic"), None),
    "c.dat": (lambda p, a: lammps_data(p, a, "bare"), None),
    "d.data": (lambda p, a: lammps_data(p, a, "molecular"), None),
    "e.data": (lambda p, a: lammps_data(p, a, "charge", origin=(-7, 3, 2)), None),
    "f.data": (lambda p, a: lammps_data(p, a, "charge", masses=None), ELEMENTS),
    "a.dump": (lambda p, a: lammps_dump(p, a, "id element x y z", newline="\r\n"), None),
    "b.lammpstrj": (lambda p, a: lammps_dump(p, a, "id type element xs ys zs", 2), None),
    "dump.glass": (lambda p, a: lammps_dump(p, a, "id element xu yu zu"), None),
    "c.lammpstrj": (lambda p, a: lammps_dump(p, a, "id type mass x y z"), None),
    "d.txt": (lambda p, a: lammps_dump(p, a, "id type xs ys zs", 2), ELEMENTS),
    "a.pdb": (lambda p, a: pdb(p, a, 3), None),
    "a.gro": (lambda p, a: gro(p, a, NAMES), None),
    "b.gro": (lambda p, a: gro(p, a, {"Si": "Si12", "O": "OM1"}), None),
    "CONFIG": (lambda p, a: dlpoly_config(p, a, NAMES), None),
    "ions.CONFIG": (lambda p, a: dlpoly_config(p, a, {"Si": "Si4+", "O": "O2-"}), None),
    "upper.xyz": (lambda p, a: named_xyz(p, a, lambda s, _: s.upper()), None),
    "labels.xyz": (lambda p, a: named_xyz(p, a, lambda s, i: f"{s}{i}"), None),
    "sites.xyz": (lambda p, a: named_xyz(p, a, lambda s, _: {"Si": "T", "O": "OB"}[s]), ("T=Si",)),
    "numbers.xyz": (lambda p, a: named_xyz(p, a, lambda s, _: 1 + (s == "O")), ELEMENTS),
    "a.cfg": (rmc_cfg, ELEMENTS),
    "POSCAR": (lambda p, a: poscar(p, a, "Si O"), None),
    "POSCAR_pot": (lambda p, a: poscar(p, a, "Si_GW/1a2b3c O_s/4d5e"), None),
    "POSCAR_4": (lambda p, a: poscar(p, a, None), ELEMENTS),
    "vasprun.xml": (vasprun, None),
    "vasprun.xml-001": (vasprun, None),
    "a.exyz.gz": (lambda p, a: p.write_bytes(gzip.compress(extxyz(a))), None),
    "a.cif": (write, None),
    "a.rmc6f": (write, None),
    "a.traj": (write, None),
    "a.xsf": (write, None),
    "a.gen": (write, None),
    "geometry.in": (write, None),
}


def extxyz(atoms):
    import io

    text = io.StringIO()
    write(text, atoms, format="extxyz")
    return text.getvalue().encode()


@pytest.mark.parametrize("name", FILES)
def test_one_crystal_in_every_format(name, crystal, tmp_path):
    make, elements = FILES[name]
    make(tmp_path / name, crystal)
    (found,) = read_frames(tmp_path / name, last=1, elements=elements)
    assert found.get_chemical_formula() == crystal.get_chemical_formula()
    assert density_g_cm3(found) == pytest.approx(density_g_cm3(crystal), rel=2e-4)
    lengths = find_bonds(found, 2.2).length
    assert len(lengths) == 2 * 4 * 81
    assert lengths.mean() == pytest.approx(find_bonds(crystal, 2.2).length.mean(), abs=2e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("f.data", "2 types of atoms without masses; name their elements in order"),
        ("d.txt", "types without elements"),
        ("numbers.xyz", "is no element's name"),
        ("sites.xyz", "site 'T': is no element's name"),
        ("a.cfg", "2 types of 81 and 162 atoms, whose elements an RMC configuration"),
        ("POSCAR_4", r"VASP 4.*--elements"),
    ],
)
def test_elements_that_a_file_does_not_tell_must_be_named(name, message, crystal, tmp_path):
    FILES[name][0](tmp_path / name, crystal)
    with pytest.raises(StructureError, match=message):
        list(read_frames(tmp_path / name))


def test_every_model_of_a_pdb_has_the_cell(crystal, tmp_path):
    pdb(tmp_path / "a.pdb", crystal, 3)
    frames = list(read_frames(tmp_path / "a.pdb", last=3))
    assert len(frames) == 3
    assert all(len(a) == 243 and a.cell.rank == 3 for a in frames)


def test_a_pdb_of_mdanalysis(crystal, tmp_path):
    universe = MDAnalysis.Universe.empty(len(crystal), trajectory=True)
    for attribute in ("elements", "names", "types"):
        universe.add_TopologyAttr(attribute, crystal.get_chemical_symbols())
    universe.add_TopologyAttr("resnames", ["SIO"])
    universe.atoms.positions = crystal.positions
    universe.dimensions = crystal.cell.cellpar()
    with MDAnalysis.Writer(str(tmp_path / "t.pdb"), len(crystal), multiframe=True) as writer:
        for _ in range(2):
            writer.write(universe.atoms)
    (found,) = read_frames(tmp_path / "t.pdb", last=1)
    assert len(find_bonds(found, 2.2).first) == 648


@pytest.mark.parametrize(
    ("comment", "cell"),
    [
        ("CUB 14.9", [14.9, 14.9, 14.9, 90, 90, 90]),
        ("TET 14.9 15.0", [14.9, 14.9, 15.0, 90, 90, 90]),
        ("ORT 14.8 14.9 15", [14.8, 14.9, 15, 90, 90, 90]),
        ("MON 14.8 14.9 15 95", [14.8, 14.9, 15, 90, 95, 90]),
        ("TRI 14.8 14.9 15 88 95 92", [14.8, 14.9, 15, 88, 95, 92]),
        ("RHO 14.9 85", [14.9, 14.9, 14.9, 85, 85, 85]),
        # The side of the hexagon, not the length of the vectors.
        ("HEX 8.6 15", [8.6 * np.sqrt(3), 8.6 * np.sqrt(3), 15, 90, 90, 60]),
        ("CUB 14.9 0 0 0 14.9 0 0 0 14.9", [14.9, 14.9, 14.9, 90, 90, 90]),
    ],
)
def test_cells_in_comments_of_sova(comment, cell, cube, tmp_path):
    named_xyz(tmp_path / "a.xyz", cube, lambda s, _: s, lattice=False)
    text = (tmp_path / "a.xyz").read_text().replace("made up", comment)
    (tmp_path / "a.xyz").write_text(text * 2)
    frames = list(read_frames(tmp_path / "a.xyz", last=2))
    assert len(frames) == 2
    np.testing.assert_allclose(frames[0].cell.cellpar(), cell, atol=1e-9)


def test_a_comment_of_sova_with_too_few_numbers(cube, tmp_path):
    named_xyz(tmp_path / "a.xyz", cube, lambda s, _: s, lattice=False)
    (tmp_path / "a.xyz").write_text((tmp_path / "a.xyz").read_text().replace("made up", "HEX 15"))
    with pytest.raises(StructureError, match="HEX needs 2 or 9 numbers; it has 1"):
        list(read_frames(tmp_path / "a.xyz"))


def test_names_of_sites():
    expected = {"Si": "Si", "SI": "Si", "Si12": "Si", "Si4+": "Si", "O2-": "O", "OB": "O"}
    expected |= {"OW1": "O", "HW2": "H", "NA": "Na", "Al_1": "Al", "si": "Si", "O": "O"}
    assert {name: element_of(name) for name in expected} == expected
    for name, message in (("OS", "may be Os or O"), ("HO", "may be Ho or H"), ("T1", "no element")):
        with pytest.raises(StructureError, match=message):
            element_of(name)
    assert element_of("T1", parse_elements(["T=Si"])) == "Si"
    assert parse_elements(["O", "Si"]).by_type == ("O", "Si")
    with pytest.raises(StructureError, match="Qq is no chemical symbol"):
        parse_elements(["Qq"])


def test_masses():
    assert [element_of_mass(m) for m in (28.085, 15.9994, 1.008, 22.99)] == ["Si", "O", "H", "Na"]
    assert element_of_mass(-16.0) is None
    assert element_of_mass(float("nan")) is None
    assert element_of_mass(17.4) is None


def structure(capsys, *arguments):
    status = 0
    try:
        status = main(["structure", *map(str, arguments)])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cutoff", "0"], "0 is not a positive number"),
        (["--cutoff", "nan"], "nan is not a positive number"),
        (["--stride", "0"], "0: at least 1"),
        (["--frames", "0"], "0: at least 1"),
        (["--cell", "20", "20", "20"], "has a cell of its own"),
        (["--cell", "20", "20"], "1 edge, 3 lengths"),
        (["--format", "nonsense"], "--format nonsense: is not one of ASE's formats"),
        (["--elements", "Zz"], "Zz is no chemical symbol"),
    ],
)
def test_options_that_cannot_be(arguments, message, crystal, tmp_path, capsys):
    write(tmp_path / "a.extxyz", crystal)
    status, out, err = structure(capsys, "network", tmp_path / "a.extxyz", *arguments, "--json")
    assert (status, out) == (2, "")
    assert message in err


def test_a_cell_that_is_the_files_own_may_be_given(crystal, tmp_path, capsys):
    atoms = crystal.copy()
    atoms.pbc = False
    write(tmp_path / "a.extxyz", atoms)
    status, _, err = structure(capsys, "network", tmp_path / "a.extxyz", "--json")
    assert status == 2
    assert "not periodic" in err
    cell = [f"{x:.10f}" for x in crystal.cell.cellpar()]
    arguments = ("network", tmp_path / "a.extxyz", "--json", "--cell", *cell)
    status, out, _ = structure(capsys, *arguments)
    assert status == 0
    assert json.loads(out)["density_g_cm3"] == pytest.approx(2.65, abs=0.02)


def test_a_trajectory_needs_a_topology(crystal, tmp_path, capsys):
    universe = MDAnalysis.Universe.empty(len(crystal), trajectory=True)
    universe.atoms.positions = crystal.positions
    universe.dimensions = crystal.cell.cellpar()
    universe.atoms.write(str(tmp_path / "run.xtc"))
    status, _, err = structure(capsys, "network", tmp_path / "run.xtc", "--json")
    assert status == 2
    assert "give a structure that has them, in the same order, with --topology" in err
    write(tmp_path / "start.extxyz", crystal)
    arguments = ("network", tmp_path / "run.xtc", "--topology", tmp_path / "start.extxyz")
    assert structure(capsys, *arguments, "--json")[0] == 0


def test_a_format_can_be_named(crystal, tmp_path):
    write(tmp_path / "mystery", crystal, format="extxyz")
    (found,) = read_frames(tmp_path / "mystery", file_format="extxyz")
    assert len(found) == 243
    (tmp_path / "unknown.bin").write_bytes(bytes(range(256)))
    with pytest.raises(StructureError, match="name it with --format"):
        list(read_frames(tmp_path / "unknown.bin"))


def test_a_bomb_is_refused_before_it_is_read(tmp_path):
    with gzip.open(tmp_path / "bomb.extxyz.gz", "wb") as file:
        for _ in range(600):
            file.write(bytes(1 << 20))
    with pytest.raises(StructureError, match="500 times as many: that is no file of atoms"):
        list(read_frames(tmp_path / "bomb.extxyz.gz"))


def test_frames_counted_from_the_end_of_a_file(crystal, tmp_path):
    frames = []
    for number in range(7):
        atoms = crystal.copy()
        atoms.positions[0, 0] = 0.01 * number
        frames.append(atoms)
    write(tmp_path / "a.extxyz", frames)
    found = list(read_frames(tmp_path / "a.extxyz", last=3, stride=2))
    assert [a.positions[0, 0] for a in found] == pytest.approx([0.02, 0.04, 0.06])
    assert len(list(read_frames(tmp_path / "a.extxyz"))) == 7
    assert len(list(read_frames(tmp_path / "a.extxyz", last=30, stride=3))) == 3
    assert len(read(tmp_path / "a.extxyz", index=":")) == 7


def slab(crystal):
    atoms = crystal.copy()
    cell = atoms.cell.array.copy()
    cell[2, 2] += 15.0
    atoms.set_cell(cell)
    return atoms


@pytest.mark.parametrize("command", ["sq", "gr", "fsdp"])
def test_a_slab_has_no_structure_factor(command, crystal, tmp_path, capsys):
    write(tmp_path / "slab.extxyz", slab(crystal))
    status, _, err = structure(capsys, command, tmp_path / "slab.extxyz", "--json")
    assert status == 2
    assert "across cell vector c is empty" in err


def test_a_crystal_has_no_fsdp(crystal, tmp_path, capsys):
    write(tmp_path / "a.extxyz", crystal)
    status, out, _ = structure(capsys, "fsdp", tmp_path / "a.extxyz", "--json")
    assert status == 0
    document = json.loads(out)
    assert document["position"] is None
    assert "Bragg peaks of a crystal" in document["reason"]


@pytest.mark.parametrize("change", ["no cell", "not periodic"])
def test_the_library_names_a_missing_cell(change, crystal):
    from glassml.structure import find_rings, kono_z, pair_distribution, structure_factor

    atoms = crystal.copy()
    if change == "no cell":
        atoms.set_cell(None)
    atoms.pbc = False
    for function in (structure_factor, pair_distribution, find_bonds, find_rings, kono_z):
        with pytest.raises(StructureError, match=r"has no cell|not periodic"):
            function(atoms)
