"""Cells keep their orientation, whichever file they come from; else the file is refused."""

import h5py
import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.io import write

from glassml.campaign.errors import StructureError
from glassml.md.checkpoint import Samples
from glassml.md.outputs import write_trajectory
from glassml.structure.analysis import FrameAnalysis
from glassml.structure.bonds import find_bonds
from glassml.structure.frames import read_frames
from glassml.structure.observables import BondRule, FactorObservables, NetworkObservables
from glassml.structure.reading.trajectories import open_universe
from glassml.structure.sq import structure_factor


@pytest.fixture(scope="module")
def standard(quartz):
    atoms = make_supercell(quartz, np.diag([3, 3, 3]))
    atoms.positions += np.random.default_rng(3).normal(0, 0.04, atoms.positions.shape)
    cell = atoms.cell.cellpar()
    standard = Atoms(atoms.numbers, cell=cell, pbc=True)
    standard.set_scaled_positions(atoms.get_scaled_positions())
    return standard


@pytest.fixture(scope="module")
def turned(standard):
    """The same crystal, turned anyhow: no vector is along an axis."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    return Atoms(
        standard.numbers, standard.positions @ turn, cell=standard.cell.array @ turn, pbc=True
    )


@pytest.fixture(scope="module")
def upper(standard):
    """Edges above the diagonal, as some barostats keep them."""
    cell = np.diag([14.0, 13.0, 15.0]) + np.array([[0, 0.5, 0.4], [0, 0, 0.6], [0, 0, 0]])
    atoms = Atoms(standard.numbers, cell=cell, pbc=True)
    atoms.set_scaled_positions(standard.get_scaled_positions())
    return atoms


def h5md(path, atoms):
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        file.create_group("h5md/author").attrs["name"] = "x"
        file.create_group("h5md/creator").attrs.update({"name": "x", "version": "1"})
        for name, values in (
            ("position", atoms.positions),
            ("box/edges", atoms.cell.array),
        ):
            group = file.create_group(f"particles/trajectory/{name}")
            group["value"], group["step"] = np.stack([values] * 2), np.arange(2)
            group["time"] = np.arange(2.0)
            group["value"].attrs["unit"], group["time"].attrs["unit"] = "Angstrom", "ps"
        box = file["particles/trajectory/box"]
        box.attrs["dimension"], box.attrs["boundary"] = 3, ["periodic"] * 3


def history(path, atoms):
    rows = ["quartz", f"{0:10d}{3:10d}{len(atoms):10d}{2:10d}{0:10d}"]
    for frame in range(2):
        rows.append(f"timestep {frame:9d} {len(atoms):9d} 0 3 0.001 {frame * 0.01:12.6f}")
        rows += ["".join(f"{x:20.10f}" for x in vector) for vector in atoms.cell.array]
        for number, atom in enumerate(atoms, 1):
            rows.append(f"{atom.symbol:8s}{number:10d}{atom.mass:12.6f}    0.0 0.0")
            rows.append("".join(f"{x:20.10f}" for x in atom.position))
    path.write_text("\n".join(rows) + "\n")


def assert_same(found, atoms):
    np.testing.assert_allclose(found.cell.array, atoms.cell.array, atol=2e-5)
    bond, expected = (find_bonds(a, 2.2).length for a in (found, atoms))
    assert len(bond) == len(expected)
    assert bond.mean() == pytest.approx(expected.mean(), abs=1e-5)
    one, other = (structure_factor(a, 4.0).total("neutron") for a in (found, atoms))
    # A vector at the edge of a bin may change sides by the rounding of the file.
    assert one.sum() == pytest.approx(other.sum(), rel=0.02)


@pytest.mark.parametrize("kind", ["standard", "turned", "upper"])
def test_h5md_has_the_edges_of_the_file(kind, request, tmp_path):
    atoms = request.getfixturevalue(kind)
    write(tmp_path / "start.extxyz", atoms)
    h5md(tmp_path / "run.h5md", atoms)
    (found,) = read_frames(tmp_path / "run.h5md", tmp_path / "start.extxyz", last=1)
    assert_same(found, atoms)


@pytest.mark.parametrize("kind", ["standard", "turned", "upper"])
def test_what_md_writes_is_the_cell_as_it_is(kind, request, tmp_path):
    atoms = request.getfixturevalue(kind)
    samples = Samples()
    samples.add_frame(0.0, 0, 0, atoms)
    write_trajectory(tmp_path / "run.h5md", [samples.arrays()], atoms, {}, velocities=False)
    write(tmp_path / "start.extxyz", atoms)
    (found,) = read_frames(tmp_path / "run.h5md", tmp_path / "start.extxyz")
    assert_same(found, atoms)


@pytest.mark.parametrize("kind", ["standard", "turned"])
def test_history_of_dl_poly(kind, request, tmp_path):
    atoms = request.getfixturevalue(kind)
    history(tmp_path / "HISTORY", atoms)
    assert len(list(read_frames(tmp_path / "HISTORY"))) == 2
    (found,) = read_frames(tmp_path / "HISTORY", last=1)
    assert_same(found, atoms)


def analysed(universe):
    rule = BondRule(2.2, ("Si",), ("O",)).settled([Atoms("SiO2")])
    run = FrameAnalysis(universe.atoms, NetworkObservables(rule)).run(stop=1)
    return run.results.mean.mean["bond_Si-O_mean_A"]


@pytest.mark.parametrize("kind", ["turned", "upper"])
def test_mdanalysis_classes_take_the_edges_too(kind, request, tmp_path):
    atoms = request.getfixturevalue(kind)
    h5md(tmp_path / "run.h5md", atoms)
    universe = open_universe(atoms, tmp_path / "run.h5md")
    expected = find_bonds(atoms, 2.2).length.mean()
    assert analysed(universe) == pytest.approx(expected, abs=1e-5)
    run = FrameAnalysis(universe.atoms, FactorObservables(4.0)).run(stop=1)
    total = structure_factor(atoms, 4.0).total("neutron").sum()
    assert run.results.mean.total("neutron").sum() == pytest.approx(total, rel=0.02)


def dcd(path, atoms):
    universe = MDAnalysis.Universe.empty(len(atoms), trajectory=True)
    universe.atoms.positions = atoms.positions
    universe.dimensions = atoms.cell.cellpar()
    universe.atoms.write(str(path))


def test_lengths_and_angles_are_trusted_with_a_standard_topology(standard, turned, tmp_path):
    write(tmp_path / "start.extxyz", standard)
    dcd(tmp_path / "run.dcd", standard)
    (found,) = read_frames(tmp_path / "run.dcd", tmp_path / "start.extxyz")
    assert_same(found, standard)
    write(tmp_path / "turned.extxyz", turned)
    dcd(tmp_path / "turned.dcd", turned)
    with pytest.raises(StructureError, match="turned from the standard orientation"):
        list(read_frames(tmp_path / "turned.dcd", tmp_path / "turned.extxyz"))


def test_a_skewed_cell_of_lengths_and_angles_alone_is_refused(standard, tmp_path):
    dcd(tmp_path / "run.dcd", standard)
    bare = standard.copy()
    bare.set_cell(None)
    bare.pbc = False
    write(tmp_path / "bare.xyz", bare, format="xyz")
    with pytest.raises(StructureError, match="not its orientation"):
        list(read_frames(tmp_path / "run.dcd", tmp_path / "bare.xyz"))
    with pytest.raises(StructureError, match="not its orientation"):
        analysed(open_universe(standard, tmp_path / "run.dcd"))


def test_units_that_an_h5md_does_not_say(standard, tmp_path):
    write(tmp_path / "start.extxyz", standard)
    h5md(tmp_path / "run.h5md", standard)
    with h5py.File(tmp_path / "run.h5md", "r+") as file:
        del file["particles/trajectory/position/value"].attrs["unit"]
        del file["particles/trajectory/box/edges/value"].attrs["unit"]
    with pytest.raises(StructureError, match="does not say its units of length"):
        list(read_frames(tmp_path / "run.h5md", tmp_path / "start.extxyz"))
