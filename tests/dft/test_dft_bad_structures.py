"""Bad structures in a file: what each gets, and that the rest of its shard is labelled.

`pytest -s` prints the table.
"""

import csv

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io import read, write

from glassml.cli import main
from glassml.configurations.crystals import deform, polymorph

STISHOVITE = polymorph("stishovite")
CHEAP = {
    "cutoff_eV": 250,
    "kpoint_spacing_per_A": 10,
    "density_tolerance": 0.01,
    "eigenstates_tolerance_eV2": 0.001,
}


def _good(change):
    return deform(STISHOVITE, change, np.zeros((3, 3)))


def _moved(index, position):
    atoms = _good(0.01)
    atoms.positions[index] = position
    return atoms


def _with_element(symbol):
    atoms = _good(0.01)
    atoms.symbols[0] = symbol
    return atoms


def _with_cell(cell, scale=False):
    atoms = _good(0.01)
    atoms.set_cell(cell, scale_atoms=scale)
    return atoms


def _with_labels(**labels):
    atoms = _good(0.1)
    atoms.info["REF_energy"] = labels.get("energy", -100.0)
    atoms.arrays["REF_forces"] = labels.get("forces", np.zeros((6, 3)))
    return atoms


STRUCTURES = {
    "good": (_good(0.0), ""),
    "overlapping atoms": (_moved(1, STISHOVITE.positions[0] + 0.3), "distance 0.5"),
    "wrong species": (_with_element("Ge"), "contains Ge; only O, Si"),
    "no cell": (Atoms("SiO2", [[0, 0, 0], [1.6, 0, 0], [0, 1.6, 0]]), "no periodic cell"),
    "NaN in a position": (_moved(0, [np.nan, 0, 0]), "position is not a finite number"),
    "huge cell": (_with_cell([80.0, 80.0, 80.0]), "edge is out of range"),
    "flat cell": (_with_cell([[4, 0, 0], [0, 4, 0], [4, 4, 0]]), "no periodic cell"),
    "collapsed cell": (_with_cell([2.0, 2.0, 1.6], scale=True), "impossible"),
    "the good one again": (_good(0.0), "near-duplicate of candidate 0"),
    "too many atoms": (STISHOVITE * (3, 3, 3), "162 atoms; at most 100"),
    "good too": (_good(0.05), ""),
}
LABELLED = {
    "good": (_with_labels(), ""),
    "energy is NaN": (_with_labels(energy=np.nan), "label REF_energy is not finite"),
    "a force of 2000 eV/Å": (_with_labels(forces=np.eye(6, 3) * 2000), "force of 2000 eV/Å"),
    "forces with a sum": (_with_labels(forces=np.ones((6, 3))), "do not add up to zero"),
    "no forces": (_good(0.1), "label REF_energy is missing"),
}

OF_OTHERS = {"stress": None, "xc": "r2SCAN", "code": "GPAW"}


def _run(tmp_path, family, frames, **options):
    path = tmp_path / f"{family}.xyz"
    write(path, frames, format="extxyz")
    section = {"generator": "file", "path": str(path), "count": len(frames), "atoms_max": 100}
    config = {
        "name": "bad",
        "store": str(tmp_path / "store"),
        "configurations": {"shard_size": 16, "families": {family: section | options}},
        "dft": CHEAP,
        "md": {},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    made, labels, table = (
        tmp_path / f"{family}{end}" for end in (".extxyz", "_l.extxyz", "_l.csv")
    )
    common = ["--config", str(tmp_path / "config.yaml")]
    place = ["--family", family, "--shard", "0", "--output", str(made)]
    assert main(["configurations", "generate", *common, *place]) == 0
    files = ["--input", str(made), "--output", str(labels), "--table", str(table)]
    assert main(["dft", "label", *common, *files, "--processes", "2"]) == 0
    with made.with_suffix(".csv").open() as file:
        rows = {row["config_id"]: row for row in csv.DictReader(file)}
    with table.open() as file:
        statuses = {row["config_id"]: row["status"] for row in csv.DictReader(file)}
    return list(rows.values()), statuses, read(labels, index=":")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "cases", "options", "status"),
    [
        ("structures", STRUCTURES, {}, "converged"),
        ("labelled", LABELLED, {"labels": OF_OTHERS}, "imported"),
    ],
)
def test_each_bad_structure_gets_its_reason_and_the_rest_is_labelled(
    tmp_path, family, cases, options, status
):
    frames = [atoms for atoms, _ in cases.values()]
    rows, statuses, labelled = _run(tmp_path, family, frames, **options)
    for (name, (_, reason)), row in zip(cases.items(), rows, strict=True):
        outcome = row["reason"] or statuses[row["config_id"]]
        print(f"{name:<22} {row['status']:<8} {outcome}")
        assert row["status"] == ("refused" if reason else "made"), name
        assert reason in row["reason"], name
    good = [row["config_id"] for row in rows if row["status"] == "made"]
    assert len(good) == sum(not reason for _, reason in cases.values())
    assert statuses == dict.fromkeys(good, status)
    assert [atoms.info["config_id"] for atoms in labelled] == good
    assert all(np.isfinite(atoms.info["REF_energy"]) for atoms in labelled)
