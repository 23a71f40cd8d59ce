"""Moduli by small strains: exact matrices, and a crystal whose elasticity is known otherwise."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st
from matscipy.calculators.pair_potential import LennardJonesCut, PairPotential

from glassml.campaign.errors import GlassmlError, StructureError
from glassml.cli import main
from glassml.configurations.crystals import polymorph
from glassml.md.elasticity import isotropic_moduli, relax, stiffness_matrix
from glassml.md.potential import load_potential

PACKAGE = Path(__file__).parents[2] / "resources" / "potential_small" / "m0.nequip.zip"


@given(bulk=st.floats(1.0, 500.0), shear=st.floats(1.0, 300.0))
def test_an_isotropic_stiffness_gives_its_moduli(bulk, shear):
    stiffness = np.diag([2.0 * shear] * 3 + [shear] * 3)
    stiffness[:3, :3] += bulk - 2.0 * shear / 3.0
    found = isotropic_moduli(stiffness)
    assert found["bulk_GPa"] == pytest.approx(bulk)
    assert found["shear_GPa"] == pytest.approx(shear)
    assert found["young_GPa"] == pytest.approx(9 * bulk * shear / (3 * bulk + shear))
    assert found["shear_range_GPa"] == pytest.approx(0.0, abs=1e-6 * shear)


def test_a_cubic_stiffness_is_averaged_as_in_the_textbook():
    c11, c12, c44 = 168.4, 121.4, 75.4  # copper
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3)
    stiffness[:3, :3] += c12
    found = isotropic_moduli(stiffness)
    voigt = (c11 - c12 + 3 * c44) / 5
    reuss = 5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12))
    assert found["bulk_GPa"] == pytest.approx((c11 + 2 * c12) / 3)
    assert found["shear_GPa"] == pytest.approx((voigt + reuss) / 2)
    assert found["shear_range_GPa"] == pytest.approx(voigt - reuss)


def lennard_jones():
    return PairPotential({(18, 18): LennardJonesCut(0.0104, 3.4, 8.0)})


def test_bulk_modulus_of_a_crystal_is_that_of_its_equation_of_state():
    def crystal(edge):
        atoms = bulk("Ar", cubic=True, a=edge) * (3, 3, 3)
        atoms.calc = lennard_jones()
        return atoms

    edge, step = 5.3, 1e-3
    # -V dP/dV by central differences of the pressure
    pressures = [-np.mean(crystal(edge + sign * step).get_stress()[:3]) for sign in (1, -1)]
    modulus = -(edge / 3) * (pressures[0] - pressures[1]) / (2 * step) / units.GPa
    stiffness = stiffness_matrix(crystal(edge), lennard_jones(), strain=1e-4, force_eV_A=1e-4)
    assert isotropic_moduli(stiffness)["bulk_GPa"] == pytest.approx(modulus, rel=2e-3)
    # cubic: three different elements, the others vanish
    assert stiffness[0, 0] == pytest.approx(stiffness[2, 2], rel=1e-4)
    assert stiffness[3, 3] == pytest.approx(stiffness[5, 5], rel=1e-4)
    assert np.abs(stiffness[:3, 3:]).max() < 1e-3 * stiffness[0, 0]


def test_atoms_that_do_not_come_to_rest_are_an_error():
    atoms = bulk("Ar", cubic=True, a=5.3) * (2, 2, 2)
    atoms.rattle(0.2, seed=1)
    atoms.calc = PairPotential({(18, 18): LennardJonesCut(0.0104, 3.4, 5.0)})
    with pytest.raises(StructureError, match="did not come to rest"):
        relax(atoms, 1e-4, steps=3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"strain": 0.0}, "strain 0: must be above 0"),
        ({"strain": 0.5}, "at most 0.02"),
        ({"force_eV_A": 0.0}, "force 0 eV/Å: must be 1e-06 at least"),
    ],
)
def test_limits_out_of_range_are_refused(change, match):
    crystal = bulk("Ar", cubic=True, a=5.3)
    with pytest.raises(GlassmlError, match=match):
        stiffness_matrix(crystal, lennard_jones(), **change)


def test_atoms_without_a_box_are_refused():
    with pytest.raises(StructureError, match="no box"):
        stiffness_matrix(Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]]), lennard_jones())


def test_the_command_gives_the_moduli_of_quartz_and_refuses_what_it_cannot_read(tmp_path, capsys):
    path, output = tmp_path / "quartz.extxyz", tmp_path / "moduli.json"
    quartz = polymorph("alpha_quartz")
    quartz.write(path, format="extxyz")
    command = ["md", "moduli", "--potential", str(PACKAGE), "--output", str(output)]
    assert main([*command, str(path)]) == 0
    found = json.loads(output.read_text())
    # -V dP/dV by central differences, whose atoms come to rest too
    calculator, _ = load_potential(PACKAGE, None, None)
    pressures, step = [], 0.003
    for sign in (1, -1):
        scaled = quartz.copy()
        scaled.set_cell(quartz.cell.array * (1 + sign * step), scale_atoms=True)
        scaled.calc = calculator
        relax(scaled, 0.001)
        pressures.append(-np.mean(scaled.get_stress()[:3]) / units.GPa)
    modulus = (pressures[1] - pressures[0]) / (6 * step)
    assert found["bulk_GPa"] == pytest.approx(modulus, rel=0.1)
    assert found["asymmetry_GPa"] < 2.0
    output.unlink()
    for text, reason in (("", "is empty"), ("hello\n", "is not, or not the whole of")):
        path.write_text(text)
        assert main([*command, str(path)]) != 0
        assert f"{path}: {reason}" in capsys.readouterr().err
    assert not output.exists()
