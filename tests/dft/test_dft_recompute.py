"""Labels calculated again: agreement, disagreement, and what must not be compared."""

import csv

import numpy as np
import pytest
from ase.io import read, write

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import StructureError
from glassml.campaign.store import LabelStore
from glassml.cli import main
from glassml.configurations.crystals import deform, polymorph
from glassml.dft.labels import labelled_atoms
from glassml.dft.recomputing import recompute
from glassml.dft.shard import label_shard

CHEAP = {
    "cutoff_eV": 250.0,
    "kpoint_spacing_per_A": 10.0,
    "density_tolerance": 0.01,
    "eigenstates_tolerance_eV2": 0.001,
}
DFT = Dft(**CHEAP)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    stishovite = polymorph("stishovite")
    cells = [deform(stishovite, change, np.zeros((3, 3))) for change in (-0.05, 0.0, 0.05)]
    for number, atoms in enumerate(cells):
        atoms.info["config_id"] = f"stishovite/{number:06d}"
    result = label_shard(cells, DFT, LabelStore(tmp_path_factory.mktemp("old")), 2)
    return [
        labelled_atoms(atoms, key, record)
        for atoms, key, record in zip(cells, result.keys, result.records, strict=True)
    ]


@pytest.mark.slow
def test_a_label_agrees_with_itself_and_not_with_a_wrong_one(labelled, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "name: again\nconfigurations: {families: {c: {generator: crystal, count: 1, "
        f"polymorphs: [stishovite]}}}}}}\ndft: {CHEAP}\nmd: {{}}\n"
    )
    files = {"--config": "config.yaml", "--input": "labels.extxyz.gz", "--table": "again.csv"}
    arguments = [str(part) for name, file in files.items() for part in (name, tmp_path / file)]
    write(tmp_path / "labels.extxyz.gz", labelled, format="extxyz")
    assert main(["dft", "recompute", *arguments, "--count", "2"]) == 0
    rows = list(csv.DictReader((tmp_path / "again.csv").open()))
    assert [row["agrees"] for row in rows] == ["True", "True"]
    wrong = [atoms.copy() for atoms in labelled]
    for atoms in wrong:
        atoms.info["REF_energy"] += 0.01
    write(tmp_path / "labels.extxyz.gz", wrong, format="extxyz")
    assert main(["dft", "recompute", *arguments, "--fraction", "0.1"]) == 1
    rows = list(csv.DictReader((tmp_path / "again.csv").open()))
    assert [row["agrees"] for row in rows] == ["False"]
    assert float(rows[0]["energy_meV_per_atom"]) == pytest.approx(-10 / 6, abs=0.01)
    assert len(read(tmp_path / "labels.extxyz.gz", index=":")) == 3


@pytest.mark.slow
def test_other_settings_and_known_labels_are_refused(labelled, tmp_path):
    store = LabelStore(tmp_path)
    with pytest.raises(StructureError, match="other settings"):
        recompute(labelled, 1, 0, DFT.model_copy(update={"cutoff_eV": 260.0}), store)
    store.put("0" * 64, {"status": "converged"})
    with pytest.raises(StructureError, match="holds labels already"):
        recompute(labelled, 3, 0, DFT, store)


@pytest.mark.slow
def test_the_same_call_goes_on_and_other_labels_are_refused(labelled, tmp_path):
    first = recompute(labelled, 1, 0, DFT, LabelStore(tmp_path))
    records = {path: path.stat().st_mtime_ns for path in tmp_path.glob("??/*.json")}
    assert len(records) == 1
    more = recompute(labelled, 2, 0, DFT, LabelStore(tmp_path))
    assert first[0] in more
    assert {path: path.stat().st_mtime_ns for path in records} == records
    with pytest.raises(StructureError, match="holds labels already"):
        recompute(labelled[:2], 1, 0, DFT, LabelStore(tmp_path))
