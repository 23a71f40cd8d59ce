"""Cells cut from a glass around an atom: the environment stays, and what is around it is sane."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from matscipy.neighbours import neighbour_list

from glassml.campaign.defaults import CUT_UNITS
from glassml.campaign.units import density_g_cm3
from glassml.cli import main
from glassml.configurations.crystals import polymorph
from glassml.configurations.screening import shortest_distances
from glassml.md.cutout import CORE_A, GAP_A, can_be_cut, cube_around, cut_out, least_certain
from glassml.md.outputs import write_offered
from glassml.md.potential import load_potential
from glassml.md.recorder import frame_json
from glassml.md.start import push_apart
from glassml.potential.disagreement import force_spreads

CENTRE = 100
SMALL = Path(__file__).parents[2] / "resources" / "potential_small"


@pytest.fixture(scope="module")
def glass():
    atoms = polymorph("alpha_quartz") * (3, 3, 3)
    atoms.rattle(0.05, seed=5)
    return atoms


@pytest.fixture(scope="module")
def cell(glass):
    return cut_out(glass, CENTRE)


def test_the_environment_of_the_atom_is_the_glass_s(glass, cell):
    _, core = cube_around(glass, CENTRE)
    distances = glass.get_distances(CENTRE, range(len(glass)), mic=True)
    near = np.argsort(distances)[: np.count_nonzero(core)]
    assert 3.5 < distances[near].max() < CORE_A
    inside, expected = cell[core], glass[near]
    assert sorted(inside.symbols) == sorted(expected.symbols)
    ours, theirs = (
        np.sort(atoms.get_all_distances(mic=mic).ravel())
        for atoms, mic in ((inside, False), (expected, True))
    )
    assert np.allclose(ours, theirs, atol=1e-6)
    # In its middle is the atom, with the neighbours that it has in the glass and no others.
    middle = int(np.linalg.norm(cell.get_scaled_positions() - 0.5, axis=1).argmin())
    assert cell.symbols[middle] == glass.symbols[CENTRE]
    bonds, expected_bonds = (
        np.sort(atoms.get_distances(index, range(len(atoms)), mic=True))[:5]
        for atoms, index in ((cell, middle), (glass, CENTRE))
    )
    assert np.allclose(bonds, expected_bonds, atol=1e-6)


def test_the_cell_can_be_labelled(glass, cell):
    assert len(cell) == 3 * CUT_UNITS
    assert cell.symbols.count("O") == 2 * cell.symbols.count("Si")
    assert density_g_cm3(cell) == pytest.approx(density_g_cm3(glass))
    shortest = shortest_distances(cell)
    assert shortest["O", "Si"] > 1.35
    assert shortest["O", "O"] > 2.0
    i, j = neighbour_list("ij", cell, 2.1)
    silicon = cell.symbols == "Si"
    bonds = np.bincount(i[silicon[i] & ~silicon[j]], minlength=len(cell))[silicon]
    assert np.count_nonzero(bonds == 4) >= 0.75 * CUT_UNITS
    assert bonds.min() >= 3


@pytest.mark.parametrize("squeeze", [1.0, 0.85])
def test_a_core_does_not_meet_its_images(glass, squeeze):
    dense = glass.copy()
    dense.set_cell(squeeze * glass.cell, scale_atoms=True)
    cube, core = cube_around(dense, CENTRE)
    inside = cube[core]
    assert len(inside) >= 5
    assert not neighbour_list("S", inside, GAP_A).any()


def test_two_cuts_are_the_same(glass, cell):
    assert np.array_equal(cut_out(glass, CENTRE).positions, cell.positions)


def test_pushing_apart_leaves_what_may_not_move(glass):
    cube, core = cube_around(glass, CENTRE)
    before = cube.positions.copy()
    assert push_apart(cube, ~core)
    assert np.array_equal(cube.positions[core], before[core])
    i, _, distance = neighbour_list("ijd", cube, 1.5)
    assert core[i].all(), distance


def test_a_large_glass_is_offered_as_a_cell(tmp_path, glass):
    path = tmp_path / "offered.extxyz"
    write_offered(path, frame_json(glass, CENTRE), 0.4, "cold", "glass00")
    offered = ase.io.read(path)
    assert len(offered) == 3 * CUT_UNITS
    assert offered.info["error_eV_per_A"] == pytest.approx(0.4)
    assert offered.info["parent"] == "cold/glass00"


def test_a_small_glass_and_other_compounds_are_offered_whole(tmp_path, glass):
    small = polymorph("alpha_quartz") * (2, 2, 2)
    assert not can_be_cut(small)
    assert not can_be_cut(glass[:-3])
    path = tmp_path / "offered.extxyz"
    write_offered(path, frame_json(small, 1), 0.4, "cold", "glass00")
    assert len(ase.io.read(path)) == len(small)


def test_the_least_certain_are_chosen_in_order_and_apart(glass):
    spreads = np.random.default_rng(3).random(len(glass))
    chosen = least_certain(glass, spreads, 3)
    assert chosen[0] == spreads.argmax()
    assert np.all(np.diff(spreads[chosen]) < 0)
    distances = glass[chosen].get_all_distances(mic=True)[np.triu_indices(3, 1)]
    assert distances.min() > 2 * CORE_A
    # Whoever has a larger spread than the last one has its core in one of the chosen ones'.
    passed = np.flatnonzero(spreads > spreads[chosen[-1]])
    near = glass.get_all_distances(mic=True)[np.ix_(passed, chosen)].min(axis=1)
    assert near.max() <= 2 * CORE_A
    # A crystal of 243 atoms has no room for so many.
    assert 4 <= len(least_certain(glass, spreads, len(glass))) < len(glass) / 9


def _arguments(folder, state, *options):
    members = [str(SMALL / f"m{number}.nequip.zip") for number in (0, 1)]
    command = ["md", "cut-out", "--input-dir", str(folder), "--state", state, "--device", "cpu"]
    return [*command, "--committee", *members, "--output", str(folder / "cells.extxyz"), *options]


def test_cells_are_cut_from_the_ends_of_runs(tmp_path, glass, capsys):
    for name in ("glass00", "glass01"):
        (tmp_path / "ambient" / name).mkdir(parents=True)
        ase.io.write(tmp_path / "ambient" / name / "final.extxyz", glass)
    assert main(_arguments(tmp_path, "ambient", "--cells", "3", "--units", "16")) == 0
    assert "3 cells of 48 atoms" in capsys.readouterr().out
    cells = ase.io.read(tmp_path / "cells.extxyz", ":")
    assert [len(cell) for cell in cells] == [48, 48, 48]
    # Two of the first glass, one of the second, and no name twice.
    assert [cell.info["parent"] for cell in cells] == [
        "cut_out/ambient/glass00",
        "cut_out/ambient/glass00",
        "cut_out/ambient/glass01",
    ]
    assert len({cell.info["config_id"] for cell in cells}) == 3
    committee = [load_potential(SMALL / f"m{number}.nequip.zip")[0] for number in (0, 1)]
    spreads = force_spreads([each.get_forces(glass) for each in committee])
    assert cells[0].info["error_eV_per_A"] == pytest.approx(spreads.max(), rel=1e-3)
    assert cells[0].info["error_eV_per_A"] > cells[1].info["error_eV_per_A"]
    assert {cell.info["config_type"] for cell in cells} == {"explored"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--state", "nowhere"], "no final.extxyz"),
        (["--committee", str(Path("m0.nequip.zip"))], "two potentials or more"),
        (["--units", "40"], "of more than 240 atoms"),
        (["--cells", "0"], "--cells 0"),
        (["--units", "0"], "--units 0"),
    ],
)
def test_what_cannot_be_cut_is_refused_by_name(tmp_path, glass, capsys, arguments, said):
    (tmp_path / "ambient" / "glass00").mkdir(parents=True)
    small = polymorph("alpha_quartz") * (2, 2, 2)
    ase.io.write(tmp_path / "ambient" / "glass00" / "final.extxyz", small)
    assert main([*_arguments(tmp_path, "ambient"), *arguments]) != 0
    assert said in capsys.readouterr().err
    assert not (tmp_path / "cells.extxyz").exists()
