"""The page about a file of labels: counts and ranges are those of the labels."""

import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.units import GPa

from glassml.campaign.units import density_g_cm3
from glassml.cli import main
from glassml.configurations.crystals import polymorph
from glassml.dataset.describing import coordination


def _label(atoms, kind, energy, pressure=0.0, force=1.0):
    atoms.info = {
        "config_id": f"{kind}/0",
        "family": f"{kind}s",
        "config_type": kind,
        "parent": f"{kind}s/{energy}",
        "REF_energy": energy * len(atoms),
    }
    atoms.arrays["REF_forces"] = np.zeros((len(atoms), 3))
    if len(atoms) > 1:
        atoms.arrays["REF_forces"][0, 0] = force
        atoms.arrays["REF_forces"][1, 0] = -force
        atoms.info["REF_stress"] = np.array([-pressure] * 3 + [0.0] * 3) * GPa
    return atoms


@pytest.fixture
def file(tmp_path):
    frames = [
        _label(Atoms("Si", cell=[9, 9.4, 9.8], pbc=True), "isolated_atom", 13.0),
        _label(Atoms("O", cell=[9, 9.4, 9.8], pbc=True), "isolated_atom", 5.0),
        _label(polymorph("alpha_quartz"), "crystal", 1.2, pressure=2.0),
        _label(polymorph("coesite"), "glass", 1.5, pressure=10.0, force=3.0),
        _label(polymorph("stishovite"), "glass", 1.75, pressure=-4.0, force=0.5),
        _label(polymorph("tridymite"), "imported", 1.3),
    ]
    write(tmp_path / "labels.extxyz.gz", frames, format="extxyz")
    return tmp_path / "labels.extxyz.gz"


def test_the_table_counts_and_ranges(file, capsys):
    assert main(["dataset", "describe", str(file)]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows["all"].split()[1] == "6"
    glass = rows["glasss"]
    assert "6 … 24" in glass
    assert "-4.0 … 10.0" in glass
    assert "1.50 … 1.75" in glass
    ranges = sorted(density_g_cm3(polymorph(name)) for name in ("coesite", "stishovite"))
    assert " … ".join(f"{value:.2f}" for value in ranges) in glass


def test_the_page_has_figure_shares_settings_and_failures(file, tmp_path):
    page = tmp_path / "page.md"
    assert main(["dataset", "describe", str(file), "--page", str(page)]) == 0
    text = " ".join(page.read_text().split())
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert "6 labels of cells of 1 to 24 atoms" in text
    assert "2 (33 %) are" in text
    assert "O 5.0000 eV, Si 13.0000 eV" in text
    assert "Settings" not in text  # without a manifest nothing is said about them
    manifest = {
        "files": {file.name: ""},
        "counts": {"labelled": 6, "failed": 2, "not_calculated": 7},
        "recipes": {"standard": 5, "smeared": 1},
        "failures": {"no recipe converged": 2},
        "settings": {"xc": "PBEsol", "recipes": ["standard", "smeared"]},
        "setups": {"O": "abc"},
        "versions": {"file": {"gpaw": "26.7.0"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    main(["dataset", "describe", str(file), "--page", str(page)])
    text = page.read_text()
    assert "| `xc` | PBEsol |" in text
    assert "2 failed: 2 times no recipe converged; 7 structures are waiting" in " ".join(
        text.split()
    )
    # All rows of a table have as many cells as its header.
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_files_are_counted_together_if_their_settings_agree(file, tmp_path, capsys):
    manifest = {
        "files": {file.name: ""},
        "counts": {"labelled": 6, "failed": 1, "not_calculated": 7},
        "recipes": {"standard": 6},
        "failures": {"no recipe converged": 1},
        "settings": {"xc": "PBEsol"},
        "setups": {"O": "abc"},
        "versions": {"file": {"gpaw": "26.7.0"}},
    }
    file.with_name("manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "later").mkdir()
    other = tmp_path / "later" / file.name
    other.write_bytes(file.read_bytes())
    page = tmp_path / "page.md"
    command = ["dataset", "describe", str(file), str(other), "--page", str(page)]
    other.with_name("manifest.json").write_text(json.dumps(manifest))
    assert main(command) == 0
    text = " ".join(page.read_text().split())
    assert "12 labels of cells of 1 to 24 atoms" in text
    assert "12 labels converged (recipes: standard 12), 2 failed: 2 times" in text
    other.with_name("manifest.json").write_text(json.dumps(manifest | {"settings": {"xc": "PBE"}}))
    assert main(command) != 0
    assert "settings differ" in capsys.readouterr().err


def test_coordination_of_crystals_is_exact():
    four = ([0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    six = ([0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    assert coordination([polymorph("alpha_quartz"), polymorph("coesite")]) == four
    assert coordination([polymorph("stishovite")]) == six
