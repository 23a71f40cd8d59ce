"""Relaxations of positions and cells, with a cheap potential and with real labels."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from ase.units import GPa

from glassml.campaign.extxyz import read_extxyz
from glassml.cli import main
from glassml.dft.relaxation import Relaxation

CAMPAIGN = """\
name: rest
seed: 1
store: {store}
configurations: {{families: {{any: {{generator: dimer, count: 1}}}}}}
dft:
  {{xc: PBEsol, cutoff_eV: 300, kpoint_spacing_per_A: 2.4, density_tolerance: 0.001, max_atoms: 6}}
md: {{}}
"""


def test_a_free_cell_comes_to_rest_without_pressure():
    start = bulk("Cu", "hcp", a=2.7, c=4.2)
    relaxation = Relaxation(start, 0.001, constant_volume=False)
    while not relaxation.at_rest:
        atoms = relaxation.atoms.copy()
        atoms.set_constraint()
        atoms.calc = EMT()
        relaxation.tell(
            {
                "energy": atoms.get_potential_energy(),
                "forces": atoms.get_forces(),
                "stress": atoms.get_stress(),
            }
        )
    assert np.abs(atoms.get_stress() / GPa).max() < 0.05
    assert relaxation.result().get_volume() < 0.97 * start.get_volume()


@pytest.mark.slow
def test_what_rests_is_written_what_does_not_is_named_and_nothing_is_done_twice(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CAMPAIGN.format(store=tmp_path / "store"))
    good, large = bulk("Si"), bulk("Si", cubic=True)
    good.set_cell(good.cell[:] * 1.01, scale_atoms=True)
    good.info = {"config_id": "si/0", "config_type": "crystal", "family": "si", "parent": "si/0"}
    large.info = {"config_id": "si/1"}
    write(tmp_path / "starts.extxyz", [good, large], format="extxyz")
    files = {"--config": "config.yaml", "--input": "starts.extxyz", "--table": "rest.csv"}
    arguments = [part for key, name in files.items() for part in (key, str(tmp_path / name))]
    arguments += ["--output", str(tmp_path / "rest.extxyz.gz"), "--fmax", "0.05"]
    main(["dft", "relax", *arguments])
    (atoms,) = read_extxyz(tmp_path / "rest.extxyz.gz")
    assert atoms.info["config_id"] == "si/0"
    assert atoms.info["parent"] == "si/0"
    assert np.abs(atoms.info["REF_stress"][:3] * atoms.get_volume()).max() < 0.06
    assert atoms.get_volume() != pytest.approx(good.get_volume(), rel=1e-4)
    rows = (tmp_path / "rest.csv").read_text().splitlines()
    assert rows[1].startswith("si/0,at rest,,")
    assert rows[2].startswith("si/1,given up,refused: 8 atoms are more than dft.max_atoms = 6")
    labels = sorted((tmp_path / "store").rglob("*.json"))
    before = [path.stat().st_mtime_ns for path in labels]
    main(["dft", "relax", *arguments])
    assert sorted((tmp_path / "store").rglob("*.json")) == labels
    assert [path.stat().st_mtime_ns for path in labels] == before


def test_nothing_at_rest_is_an_error(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CAMPAIGN.format(store=tmp_path / "store"))
    write(tmp_path / "starts.extxyz", bulk("Si", cubic=True), format="extxyz")
    files = {"--config": "config.yaml", "--input": "starts.extxyz", "--table": "rest.csv"}
    arguments = [part for key, name in files.items() for part in (key, str(tmp_path / name))]
    assert main(["dft", "relax", *arguments, "--output", str(tmp_path / "rest.extxyz.gz")]) != 0
    assert "none of 1 structures came to rest" in capsys.readouterr().err
    assert not (tmp_path / "rest.extxyz.gz").exists()
    assert "refused" in (tmp_path / "rest.csv").read_text()
