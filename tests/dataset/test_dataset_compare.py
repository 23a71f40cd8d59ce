"""Labels of the same structures side by side: constants come out, strangers are left out."""

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from glassml.cli import main
from glassml.dataset.differences import difference_rows, pairs_of


def label(scale, energy, force, pressure_eV_A3, kind="crystal"):
    atoms = bulk("Si", a=5.43 * scale)
    atoms.info |= {"REF_energy": energy, "config_type": kind}
    atoms.info["REF_stress"] = np.array([-pressure_eV_A3] * 3 + [0.1, 0.0, 0.0])
    atoms.arrays["REF_forces"] = np.full((2, 3), force)
    return atoms


def test_differences_by_kind():
    ones = [
        label(1, 2.0, 0.1, 0.02),
        label(1.1, 4.0, 0.1, 0.02),
        label(1.2, 1.0, 0.0, 0.0, "glass"),
    ]
    others = [label(1.1, 3.0, 0.3, 0.01), label(1, 1.5, 0.0, 0.01), label(1.3, 9.0, 0.0, 0.0)]
    crystal, everything = difference_rows(pairs_of(ones, others))
    assert crystal["structures"] == everything["structures"] == 2
    assert crystal["energy_meV_per_atom"] == pytest.approx((250 + 500) / 2)
    assert crystal["energy_sd_meV_per_atom"] == pytest.approx(125)
    assert crystal["force_rms_eV_per_A"] == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2), abs=1e-5)
    assert crystal["force_max_eV_per_A"] == pytest.approx(0.2)
    assert crystal["pressure_GPa"] == pytest.approx(1.6022, abs=1e-3)


def test_sets_without_a_common_structure_are_refused(tmp_path, capsys):
    write(tmp_path / "one.extxyz", label(1, 2.0, 0.1, 0.02))
    write(tmp_path / "other.extxyz", label(1.1, 2.0, 0.1, 0.02))
    arguments = ["dataset", "compare", str(tmp_path / "one.extxyz")]
    assert main([*arguments, str(tmp_path / "other.extxyz")]) == 2
    assert "none of its structures" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "one.extxyz"), "--table", str(tmp_path / "t.csv")]) == 0
    assert (tmp_path / "t.csv").read_text().count("\n") == 3
