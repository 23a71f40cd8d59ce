"""Persistent homology: loops of crystals known exactly, invariances, the command."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from glassml.campaign.config.structure import Structure
from glassml.campaign.errors import StructureError
from glassml.cli import main
from glassml.structure.glass import analyse_glass
from glassml.structure.homology import BIN_A, diagram_rows, loop_statistics, persistence_diagram

# Of long lives, in units of the shortest distance: chains close at half of it, and the triangle
# through every other atom of a ring of six (diamond), or half a square (simple cubic), fills it.
CRYSTALS = {
    "diamond": (
        bulk("Si", "diamond", a=5.43, cubic=True) * (3, 3, 3),
        2.351,
        1,
        2 * np.sqrt(2) / 3,
    ),
    "sc": (bulk("Si", "sc", a=3.0, cubic=True) * (6, 6, 6), 3.0, 2, np.sqrt(0.5)),
}


@pytest.mark.parametrize("name", CRYSTALS)
def test_loops_of_crystals_are_born_and_die_where_geometry_says(name):
    """On a torus all but three of E - V + 1 independent loops of the bonds are filled."""
    crystal, distance, loops, death = CRYSTALS[name]
    diagram, count = persistence_diagram(crystal, "Si")
    assert (count, len(diagram)) == (len(crystal), loops * len(crystal) - 2)
    np.testing.assert_allclose(diagram[:, 0], 0.5 * distance, rtol=1e-3)
    np.testing.assert_allclose(diagram[:, 1], death * distance, rtol=1e-3)


def numbers(atoms, element="Si"):
    return loop_statistics(*persistence_diagram(atoms, element))


def close(one, other, rel):
    assert one == pytest.approx(other, rel=rel)


def test_loops_do_not_know_the_boundary_the_order_or_the_cell(disordered):
    whole = numbers(disordered)
    shifted = disordered.copy()
    shifted.positions += [3.3, -7.1, 12.9]
    close(numbers(shifted), whole, 1e-4)
    order = np.random.default_rng(3).permutation(len(disordered))
    close(numbers(disordered[order]), whole, 1e-4)
    turned = disordered.copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    close(numbers(turned), whole, 1e-4)
    # two loops through the boundary are one when the cell is twice as long
    close(numbers(disordered.repeat((2, 1, 1))), whole, 3e-2)


def test_a_narrow_cell_is_repeated(quartz):
    diagram, count = persistence_diagram(quartz, "Si")
    large, many = persistence_diagram(quartz.repeat((4, 4, 3)), "Si")
    assert count % 3 == 0
    assert count > 3
    close(loop_statistics(diagram, count), loop_statistics(large, many), 3e-2)


def test_atoms_too_far_apart_for_their_cell_are_refused():
    gas = Atoms("Si2", [[0, 0, 0], [9, 8, 7]], cell=[20, 19, 18], pbc=True)
    with pytest.raises(StructureError, match="too far apart for the cell"):
        persistence_diagram(gas, "Si")


def test_radii_scale_with_the_cell(disordered):
    larger = disordered.copy()
    larger.set_cell(1.1 * larger.cell.array, scale_atoms=True)
    ours = numbers(larger)
    theirs = numbers(disordered)
    close(ours["loops"], theirs["loops"], 1e-2)
    for name in ("persistence_A", "birth_A", "death_A"):
        close(ours[name], 1.1 * theirs[name], 1e-2)


def test_squares_of_a_diagram_hold_all_loops(disordered):
    diagram, _ = persistence_diagram(disordered, "O")
    rows = np.array(diagram_rows(diagram, 1))
    assert rows[:, 2].sum() == len(diagram)
    assert (rows[:, 2] @ rows[:, :2] / len(diagram)) == pytest.approx(
        diagram.mean(axis=0), abs=BIN_A / 2
    )


def test_what_has_no_loops_is_said_or_counted(quartz):
    with pytest.raises(StructureError, match="there is no Ge"):
        persistence_diagram(quartz, "Ge")
    with pytest.raises(StructureError, match="has no cell"):
        persistence_diagram(Atoms("Si3", np.eye(3)), "Si")
    assert np.isnan(loop_statistics(np.empty((0, 2)), 3)["birth_A"])


def test_the_command_prints_each_element(disordered, tmp_path, capsys):
    path = tmp_path / "a.extxyz"
    write(path, disordered)
    assert main(["structure", "homology", str(path), "--json", "--element", "O", "--diagram"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"frames", "O"}
    assert found["O"]["loops"] == pytest.approx(numbers(disordered, "O")["loops"])
    assert len(found["O"]["diagram_A"]) == round(found["O"]["loops"] * 384)


def test_a_glass_has_its_loops_and_does_without_where_there_are_none(disordered, monkeypatch):
    documents, tables = analyse_glass([disordered], Structure(q_max_per_A=4.0))
    found = documents["network.json"]["observables"]
    whole = numbers(disordered, "O")
    for name, value in whole.items():
        assert found[f"homology_O_{name}"]["mean"] == pytest.approx(value)
    of_si = [row for row in tables["homology.csv"] if row["element"] == "Si"]
    loops = sum(float(row["loops"]) for row in of_si)
    assert loops == pytest.approx(numbers(disordered)["loops"], rel=1e-6)

    def none(*_):
        raise StructureError("too far apart")

    monkeypatch.setattr("glassml.structure.glass.persistence_diagram", none)
    documents, tables = analyse_glass([disordered], Structure(q_max_per_A=4.0))
    assert documents["network.json"]["status"] == "analysed"
    assert tables["homology.csv"] == []
    assert not any("homology" in name for name in documents["network.json"]["observables"])
