"""Phonons: exact on a chain of springs, invariant, and refused without labels."""

import numpy as np
import pandas as pd
import pytest
from ase.calculators.calculator import Calculator

from glassml.campaign.config.potential import GATES, Potential
from glassml.configurations.crystals import polymorph
from glassml.potential import PotentialError, phonons
from glassml.potential.gates import phonon_gate
from silica_labels import silica_calculator


@pytest.fixture(scope="module")
def quartz_cells():
    return phonons.displace("alpha_quartz", polymorph("alpha_quartz"), (1, 1, 1), 0.02)


def forces_of(cells, calculator):
    return [calculator.get_forces(atoms) for atoms in cells.cells]


def test_the_first_cell_is_at_rest_and_the_others_have_one_atom_displaced(quartz_cells):
    start = quartz_cells.cells[0].positions
    for atoms in quartz_cells.cells[1:]:
        lengths = np.linalg.norm(atoms.positions - start, axis=1)
        assert np.sort(lengths)[-1] == pytest.approx(0.02, abs=1e-6)
        assert np.sort(lengths)[:-1] == pytest.approx(0, abs=1e-6)
    names = [atoms.info["config_id"] for atoms in quartz_cells.cells]
    assert len(set(names)) == len(names)


class Springs(Calculator):
    """Each atom on a spring to where the crystal has it: all modes have the frequency of it."""

    def __init__(self, start, constant):
        super().__init__()
        self.start, self.constant = start, constant

    def get_forces(self, atoms=None, apply_constraint=True):
        return -self.constant * (atoms.positions - self.start) * atoms.get_masses()[:, None]


def test_frequencies_of_springs_are_exact(quartz_cells):
    """ω² is the constant: 1 eV/(Å² u) is (15.6333 THz)² for the frequency ω/2π."""
    start = quartz_cells.cells[0].positions
    cells = quartz_cells
    # the acoustic sum rule, which phonopy imposes, removes what a lattice cannot have
    cells._phonopy.forces = np.array(forces_of(cells, Springs(start, 1.0))[1:])
    cells._phonopy.produce_force_constants()
    found = np.array(cells._phonopy.run_qpoints([[0, 0, 0]]).frequencies)
    assert found == pytest.approx(15.633302, abs=1e-3)


def test_a_silica_potential_agrees_with_its_hessian(quartz_cells):
    """Frequencies by phonopy's symmetry are those of the full matrix of second derivatives."""
    calculator = silica_calculator()
    found = quartz_cells.frequencies(forces_of(quartz_cells, calculator))[0]
    atoms = quartz_cells.cells[0].copy()
    size, step = len(atoms), 0.005
    hessian = np.zeros((3 * size, 3 * size))
    for k in range(3 * size):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[k // 3, k % 3] += sign * step
            hessian[k] -= sign * calculator.get_forces(moved).ravel() / (2 * step)
    mass = np.repeat(atoms.get_masses(), 3)
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2 / np.sqrt(np.outer(mass, mass)))
    expected = np.sign(values) * np.sqrt(np.abs(values)) * 15.633302
    assert found[3:] == pytest.approx(expected[3:], abs=0.15)
    assert np.abs(found[:3]).max() < 1e-2
    assert np.abs(expected[:3]).max() < 0.5


def test_a_larger_supercell_has_the_same_modes_at_the_centre():
    calculator = silica_calculator()
    small, large = (
        cells.frequencies(forces_of(cells, calculator))
        for cells in (
            phonons.displace("alpha_quartz", polymorph("alpha_quartz"), size, 0.02)
            for size in ((1, 1, 1), (2, 1, 1))
        )
    )
    assert large.shape == (2, 27)
    assert large[0] == pytest.approx(small[0], abs=0.02)


def test_missing_labels_are_named(quartz_cells):
    with pytest.raises(PotentialError, match=r"no label of.*001"):
        phonons.labelled_forces(quartz_cells, [])


def test_the_gate_takes_the_worst_member():
    label = np.array([[0.0, 5.0, 10.0]])
    table = pd.concat(
        [
            phonons.compare("alpha_quartz", "m0", label, label),
            phonons.compare("alpha_quartz", "m1", label + 1.0, label),
        ]
    )
    (result,) = phonon_gate(table, 0.7, 2.0)
    assert result.value == pytest.approx(1.0)
    assert result.status == "amber"


def test_the_gate_is_there_where_crystals_are_named():
    assert Potential().gate_names() == list(GATES)
    section = Potential.model_validate({"gates": {"phonons": {"crystals": ["alpha_quartz"]}}})
    assert "phonons" in section.gate_names()


def test_the_structure_of_lowest_energy_is_taken():
    frames = []
    for scale, energy in ((0.98, -1.0), (1.0, -2.0), (1.02, -1.5)):
        atoms = polymorph("alpha_quartz")
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        atoms.info |= {"polymorph": "alpha_quartz", "REF_energy": energy}
        frames.append(atoms)
    assert phonons.structure("alpha_quartz", frames) is frames[1]
    assert phonons.structure("alpha_quartz", []) == polymorph("alpha_quartz")
    with pytest.raises(PotentialError, match="no structure of coesite"):
        phonons.structure("coesite", frames)
