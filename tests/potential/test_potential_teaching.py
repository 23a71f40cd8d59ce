"""Teacher and student: labels by a committee, told apart from DFT's, and what learns from them."""

import json

import numpy as np
import pytest
import yaml
from ase.calculators.lj import LennardJones
from ase.io import read, write

from glassml.cli import main
from glassml.configurations.crystals import polymorph
from glassml.configurations.rattle import gaussian_rattle
from glassml.potential import teaching
from glassml.potential.calculators import load_calculator
from glassml.potential.disagreement import disagreement
from glassml.potential.teaching import teach
from shipped_labels import RESOURCES, shipped

PACKAGES = [RESOURCES / "potential_small" / f"m{member}.nequip.zip" for member in (0, 1)]


def cells(number, width=0.08):
    """Rattled quartz with the names that generators give."""
    made = []
    for index in range(number):
        cell = polymorph("alpha_quartz")
        cell.set_cell(cell.cell[:] * (0.97 + 0.06 * index / number), scale_atoms=True)
        cell = gaussian_rattle(cell, width, np.random.default_rng([7, index]))
        cell.info = {
            "config_type": "rattled",
            "family": "crystals",
            "parent": f"crystals/{index // 2:05d}",
            "config_id": f"crystals/{index:06d}",
        }
        made.append(cell)
    return made


def lessons(frames, teachers, largest_spread_eV_A=np.inf):
    return list(
        teach(
            frames,
            teachers,
            largest_spread_eV_A=largest_spread_eV_A,
            functional="r2SCAN",
            code="tests",
        )
    )


def test_labels_are_the_mean_of_the_teachers():
    teachers = [LennardJones(epsilon=epsilon, rc=5.0) for epsilon in (0.01, 0.03)]
    (one,) = cells(1)
    (taught,) = lessons([one], teachers)
    one.calc = LennardJones(epsilon=0.02, rc=5.0)  # linear in epsilon
    assert taught.info["REF_energy"] == pytest.approx(one.get_potential_energy())
    assert taught.arrays["REF_forces"] == pytest.approx(one.get_forces())
    assert taught.info["REF_stress"] == pytest.approx(one.get_stress())
    assert taught.positions == pytest.approx(one.positions)


def test_what_teachers_disagree_on_is_not_taught():
    teachers = [LennardJones(sigma=1.5, epsilon=epsilon, rc=5.0) for epsilon in (0.1, 0.2)]
    calm, wild = cells(1, 0.01) + cells(1, 0.3)
    spreads = [disagreement([each.get_forces(cell) for each in teachers]) for cell in (calm, wild)]
    assert spreads[1] > 2.0 * spreads[0]
    found = lessons([calm, wild], teachers, largest_spread_eV_A=0.5 * sum(spreads))
    assert found[0] is not None
    assert found[1] is None


def test_nobody_takes_it_for_dft():
    teachers = [LennardJones(epsilon=0.01, rc=5.0)] * 2
    (taught,) = lessons(cells(1), teachers)
    assert taught.info["config_type"] == "taught"
    assert taught.info["taught_type"] == "rattled"
    assert taught.info["parent"] == "taught/crystals/00000"
    assert taught.info["config_id"] == "taught/crystals/000000"
    assert taught.info["REF_code"] == "tests"


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Twelve cells labelled by the command."""
    folder = tmp_path_factory.mktemp("taught")
    write(folder / "cells.extxyz", cells(12), format="extxyz")
    campaign = {
        "name": "student",
        "configurations": {
            "families": {"isolated_atoms": {"generator": "isolated_atom", "count": 2}}
        },
        "dft": {"xc": "r2SCAN"},
        "dataset": {
            "include": [
                {"path": str(RESOURCES / "reference/unseen/labels.extxyz.gz")},
                {"path": str(folder / "taught.extxyz.gz")},
            ]
        },
        "md": {},
    }
    (folder / "include.yaml").write_text(yaml.safe_dump(campaign))
    (folder / "campaign.yaml").write_text(yaml.safe_dump(campaign | {"dataset": {}}))
    arguments = ["--config", folder / "campaign.yaml", "--package", *PACKAGES, "--device", "cpu"]
    arguments += ["--input", folder / "cells.extxyz", "--output", folder / "taught.extxyz.gz"]
    assert main(["potential", "teach", *map(str, arguments)]) == 0
    return folder


def test_command_labels_with_what_ships(taught):
    frames = read(taught / "taught.extxyz.gz", ":")
    assert len(frames) == 12
    assert {atoms.info["REF_xc"] for atoms in frames} == {"r2SCAN"}
    assert all(atoms.info["REF_code"].startswith("glassml_potential_") for atoms in frames)
    said = []
    for package in PACKAGES:
        again = frames[3].copy()
        again.calc = load_calculator(package, device="cpu")
        said.append(again.get_potential_energy())
    assert frames[3].info["REF_energy"] == pytest.approx(np.mean(said), abs=1e-4)


def test_a_dataset_trains_on_it_and_never_judges_by_it(taught):
    output = taught / "dataset"
    reference = shipped("reference/labels.extxyz.gz")
    (taught / "isolated_atoms").mkdir()
    atoms = [each for each in reference if each.info["config_type"] == "isolated_atom"]
    write(taught / "isolated_atoms/0000.extxyz", atoms, format="extxyz")
    arguments = ["--config", taught / "include.yaml", "--labels", taught, "--output-dir", output]
    assert main(["dataset", "build", *map(str, arguments)]) == 0
    kinds = {
        name: [atoms.info["config_type"] for atoms in read(output / f"{name}.extxyz", ":")]
        for name in ("train", "validation", "test")
    }
    assert kinds["train"].count("taught") == 12
    assert kinds["test"]
    assert "taught" not in kinds["test"] + kinds["validation"]
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["taught"] == 12
    unseen = shipped("reference/unseen/labels.extxyz.gz")
    assert sum(manifest["counts"].values()) == 12 + len(unseen) + len(atoms)


def test_one_teacher_is_refused(taught, capsys):
    arguments = ["--config", taught / "campaign.yaml", "--package", PACKAGES[0]]
    arguments += ["--input", taught / "cells.extxyz", "--output", taught / "one.extxyz"]
    assert main(["potential", "teach", *map(str, arguments)]) != 0
    assert "two or more" in capsys.readouterr().err
    assert not (taught / "one.extxyz").exists()


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path, monkeypatch):
    for number in range(3):
        write(tmp_path / f"{number}.extxyz", cells(3)[number:], format="extxyz")
    inputs = {path: read(path, ":") for path in sorted(tmp_path.glob("*.extxyz"))}
    teachers = [LennardJones(epsilon=0.01, rc=5.0), LennardJones(epsilon=0.011, rc=5.0)]
    options = {"largest_spread_eV_A": 100.0, "functional": "r2SCAN", "code": "tests"}
    whole = teaching.teach_pieces(inputs, teachers, tmp_path / "whole", **options)
    asked = []
    say = teaching._say

    def counted(atoms, teacher):
        asked.append(len(atoms))
        if len(asked) == 7:  # in the first configuration of the second file
            raise KeyboardInterrupt
        return say(atoms, teacher)

    monkeypatch.setattr(teaching, "_say", counted)
    with pytest.raises(KeyboardInterrupt):
        teaching.teach_pieces(inputs, teachers, tmp_path / "pieces", **options)
    assert len(list((tmp_path / "pieces").iterdir())) == 1
    pieces = teaching.teach_pieces(inputs, teachers, tmp_path / "pieces", **options)
    assert len(asked) == 7 + 2 * (2 + 1)
    assert [path.name for path in pieces] == [path.name for path in whole]
    assert [path.read_bytes() for path in pieces] == [path.read_bytes() for path in whole]
    # another spread is another label: here nothing is taught, and the pieces are empty
    options["largest_spread_eV_A"] = 0.0
    none = teaching.teach_pieces(inputs, teachers, tmp_path / "pieces", **options)
    assert all(path.stat().st_size == 0 for path in none)
