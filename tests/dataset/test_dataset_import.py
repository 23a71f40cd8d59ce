"""Labels of other programs: keys, units, signs, functionals; each mistake is named."""

import csv
import json

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import GPa

from glassml.campaign.config import parse_campaign
from glassml.campaign.config.configurations import LabelKeys
from glassml.campaign.errors import ConfigError, StructureError
from glassml.campaign.files import file_sha256
from glassml.campaign.provenance import same_functional, stated_functional
from glassml.cli import main
from glassml.configurations.crystals import deform, polymorph
from glassml.configurations.imported import imported
from glassml.configurations.melts import energy_and_forces
from glassml.configurations.rattle import gaussian_rattle
from glassml.dataset.labels import included_entries

SETS = ("train", "validation", "test")
TOLD = {"xc": "PBEsol", "code": "SHIK"}


def cells(number=12):
    """Rattled quartz with energies and forces of SHIK, and a pressure that rises with density."""
    frames = []
    for i in range(number):
        change = -0.1 + 0.2 * ((0.618 * i) % 1)
        cell = deform(polymorph("alpha_quartz"), change, np.zeros((3, 3)))
        atoms = gaussian_rattle(cell, 0.05, np.random.default_rng(i))
        atoms.calc = None
        energy, forces = energy_and_forces(atoms, potential="shik")
        stress = np.array([change * 40, change * 42, change * 38, 0.1, -0.2, 0.3]) * GPa
        frames.append((atoms, energy, forces, stress))
    return frames


@pytest.fixture(scope="module")
def labelled():
    return cells()


def first(path, **keys):
    entries = included_entries(path, LabelKeys(**keys), "imported")
    assert not [entry.reason for entry in entries if entry.flags]
    return entries[0].atoms


def write_frames(path, labelled, put):
    """Write structures as extxyz, to each of which `put` has added its labels."""
    frames = []
    for atoms, energy, forces, stress in labelled:
        frames.append(atoms.copy())
        put(frames[-1], energy, forces, stress)
    write(path, frames, format="extxyz")


def gap(path, labelled):
    """GAP: `dft_virial` is minus the stress times the volume."""

    def put(frame, energy, forces, stress):
        virial = -voigt_6_to_full_3x3_stress(stress) * frame.get_volume()
        frame.info |= {"dft_energy": energy, "dft_virial": virial}
        frame.arrays["dft_forces"] = forces

    write_frames(path, labelled, put)
    return {"energy": "dft_energy", "forces": "dft_forces", "virial": "dft_virial"}


def ase_own(path, labelled):
    """ASE: `energy`, `forces`, `stress`, which its reader puts into the calculator."""

    def put(frame, energy, forces, stress):
        frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces, stress=stress)

    write_frames(path, labelled, put)
    return {"energy": "energy", "forces": "forces", "stress": "stress"}


def mace(path, labelled):
    def put(frame, energy, forces, stress):
        frame.info |= {"REF_energy": energy, "REF_stress": stress}
        frame.arrays["REF_forces"] = forces

    write_frames(path, labelled, put)
    return {}


def nep(path, labelled):
    """NEP: a `virial` of nine numbers beside `energy` and `forces`."""
    lines = []
    for atoms, energy, forces, stress in labelled:
        virial = -voigt_6_to_full_3x3_stress(stress) * atoms.get_volume()
        numbers = {"Lattice": atoms.cell.array, "virial": virial}
        words = [f'{k}="{" ".join(f"{x:.10f}" for x in v.ravel())}"' for k, v in numbers.items()]
        properties = "Properties=species:S:1:pos:R:3:forces:R:3"
        lines += [str(len(atoms)), " ".join([f"energy={energy:.10f}", *words, properties])]
        rows = zip(atoms.symbols, atoms.positions, forces, strict=True)
        lines += [f"{s} " + " ".join(f"{x:.10f}" for x in (*r, *f)) for s, r, f in rows]
    path.write_text("\n".join(lines) + "\n")
    return {"energy": "energy", "forces": "forces", "virial": "virial"}


def in_gpa(path, labelled):
    def put(frame, energy, forces, stress):
        frame.info |= {"E": energy, "S": stress / GPa}
        frame.arrays["F"] = forces

    write_frames(path, labelled, put)
    return {"energy": "E", "forces": "F", "stress": "S", "stress_unit": "GPa"}


@pytest.mark.parametrize("make", [gap, ase_own, mace, nep, in_gpa])
def test_every_dialect_gives_the_same_labels(make, labelled, tmp_path):
    keys = make(tmp_path / "set.xyz", labelled)
    _, energy, forces, stress = labelled[0]
    found = first(tmp_path / "set.xyz", **keys)
    assert found.info["REF_energy"] == pytest.approx(energy, abs=1e-6)
    np.testing.assert_allclose(found.arrays["REF_forces"], forces, atol=1e-6)
    np.testing.assert_allclose(found.info["REF_stress"], stress, atol=1e-7)


def test_a_virial_taken_for_a_stress_is_refused(labelled, tmp_path):
    gap(tmp_path / "set.xyz", labelled)
    keys = {"energy": "dft_energy", "forces": "dft_forces", "stress": "dft_virial"}
    with pytest.raises(StructureError, match=r"5 of 12 frames .* is it a virial"):
        included_entries(tmp_path / "set.xyz", LabelKeys(**keys), "imported")


def test_a_stress_of_the_wrong_sign_is_refused(labelled, tmp_path):
    turned = [(a, e, f, -s) for a, e, f, s in labelled]
    mace(tmp_path / "set.xyz", turned)
    with pytest.raises(StructureError, match="pressure falls with density over 12 frames of O2Si"):
        included_entries(tmp_path / "set.xyz", LabelKeys(), "imported")


def test_a_named_label_that_no_frame_has_is_an_error(labelled, tmp_path):
    mace(tmp_path / "set.xyz", labelled)
    keys = LabelKeys(stress="dft_stress")
    with pytest.raises(StructureError, match=r"no frame has the label dft_stress .* REF_stress"):
        included_entries(tmp_path / "set.xyz", keys, "imported", keys.named())


def test_a_stress_and_a_virial_are_one_too_many():
    with pytest.raises(ValueError, match="not both"):
        LabelKeys(stress="s", virial="v")
    resolved = LabelKeys(virial="v").model_dump()
    assert resolved["stress"] is None
    assert LabelKeys(**resolved).model_dump() == resolved


def campaign(path, **labels):
    include = [{"path": str(path), "labels": labels}]
    families = {"glass": {"generator": "melt", "count": 8}}
    return parse_campaign(
        {
            "name": "t",
            "configurations": {"families": families},
            "dft": {"xc": "PBEsol"},
            "dataset": {"include": include},
            "md": {},
        }
    )


def test_a_file_that_states_no_functional_must_be_told(labelled, tmp_path):
    mace(tmp_path / "set.xyz", labelled)
    with pytest.raises(ConfigError, match=r"does not state its functional; say it with labels"):
        campaign(tmp_path / "set.xyz")
    with pytest.raises(ConfigError, match="xc needs code"):
        campaign(tmp_path / "set.xyz", xc="PBEsol")
    assert campaign(tmp_path / "set.xyz", xc="pbe-sol", code="VASP 6.4")


def test_labels_of_another_functional_are_refused(labelled, tmp_path):
    mace(tmp_path / "set.xyz", labelled)
    with pytest.raises(ConfigError, match=r"labels are of SCAN, this campaign's of PBEsol"):
        campaign(tmp_path / "set.xyz", xc="SCAN", code="VASP 6.4")


def test_the_functional_is_read_from_frames(labelled, tmp_path):
    mace(tmp_path / "set.xyz", labelled)
    frames = read(tmp_path / "set.xyz", index=":")
    for atoms in frames:
        atoms.info["REF_xc"] = "SCAN"
    write(tmp_path / "set.xyz", frames, format="extxyz")
    assert stated_functional(tmp_path / "set.xyz") == "SCAN"
    with pytest.raises(ConfigError, match="labels are of SCAN"):
        campaign(tmp_path / "set.xyz")
    with pytest.raises(ConfigError, match=r"states SCAN, but labels\.xc says PBEsol"):
        campaign(tmp_path / "set.xyz", **TOLD)


def test_the_functional_is_read_from_the_manifest_of_that_very_file(labelled, tmp_path):
    mace(tmp_path / "set.xyz", labelled)
    digest = file_sha256(tmp_path / "set.xyz")
    manifest = {"files": {"set.xyz": digest}, "settings": {"xc": "PBEsol"}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert stated_functional(tmp_path / "set.xyz") == "PBEsol"
    assert campaign(tmp_path / "set.xyz")
    (tmp_path / "other").mkdir()
    mace(tmp_path / "other" / "set.xyz", labelled[:5])
    (tmp_path / "other" / "manifest.json").write_text(json.dumps(manifest))
    assert stated_functional(tmp_path / "other" / "set.xyz") is None


def test_names_of_functionals():
    assert same_functional("PBEsol", "PBE_sol")
    assert not same_functional("PBE", "PBEsol")
    assert not same_functional("SCAN", "r2SCAN")


def test_a_file_of_structures_brings_its_functional(labelled, tmp_path):
    mace(tmp_path / "set.xyz", labelled)
    atoms = imported(tmp_path / "set.xyz", 3, labels=LabelKeys(**TOLD))
    assert (atoms.info["REF_xc"], atoms.info["REF_code"]) == ("PBEsol", "SHIK")


def build(tmp_path, include, capsys, labels=()):
    import yaml

    folder = tmp_path / "dft" / "glass"
    folder.mkdir(parents=True)
    families = {"glass": {"generator": "melt", "count": 8}}
    write(folder / "0000.extxyz", list(labels), format="extxyz")
    data = {
        "name": "t",
        "configurations": {"families": families},
        "dft": {"xc": "PBEsol"},
        "dataset": {"include": include},
        "md": {},
    }
    config = tmp_path / "campaign.yaml"
    config.write_text(yaml.safe_dump(parse_campaign(data).model_dump(mode="json")))
    arguments = ["--config", config, "--labels", tmp_path / "dft", "--output-dir", tmp_path / "g0"]
    status = main(["dataset", "build", *map(str, arguments)])
    return status, capsys.readouterr().err


def test_why_nothing_can_be_split_is_said_and_written(labelled, tmp_path, capsys):
    """Forces that do not add up: the reason is quoted, and flags.csv is there."""
    frames = []
    for atoms, energy, _, _ in labelled:
        frame = Atoms(atoms)
        frame.info["REF_energy"] = energy
        frame.arrays["REF_forces"] = np.ones((len(atoms), 3))
        frames.append(frame)
    write(tmp_path / "set.xyz", frames, format="extxyz")
    include = [{"path": str(tmp_path / "set.xyz"), "labels": TOLD}]
    status, error = build(tmp_path, include, capsys)
    assert status == 2
    assert "0 parent(s) cannot be split" in error
    assert "12 of 12 are unusable, e.g.: label REF_forces: forces do not add up to zero" in error
    with (tmp_path / "g0" / "flags.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert all("add up to zero" in row["reason"] for row in rows)


def test_a_misspelt_key_names_what_there_is(labelled, tmp_path, capsys):
    mace(tmp_path / "set.xyz", labelled)
    include = [{"path": str(tmp_path / "set.xyz"), "labels": TOLD | {"energy": "REF_enrgy"}}]
    status, error = build(tmp_path, include, capsys)
    assert status == 2
    assert "no frame has the label REF_enrgy" in error
    assert "REF_energy" in error


def test_the_manifest_names_functional_and_program(labelled, tmp_path, capsys):
    mace(tmp_path / "set.xyz", labelled)
    include = [{"path": str(tmp_path / "set.xyz"), "labels": TOLD}]
    status, error = build(tmp_path, include, capsys)
    assert status == 0, error
    manifest = json.loads((tmp_path / "g0" / "manifest.json").read_text())
    assert manifest["functionals"] == {str(tmp_path / "set.xyz"): {"PBEsol, SHIK": 12}}
    kept = [a for name in SETS for a in read(tmp_path / "g0" / f"{name}.extxyz", index=":")]
    assert {a.info["REF_xc"] for a in kept} == {"PBEsol"}


def test_labels_of_a_shard_that_state_another_functional_are_refused(labelled, tmp_path, capsys):
    mace(tmp_path / "shard.xyz", labelled[:8])
    frames = read(tmp_path / "shard.xyz", index=":")
    for number, atoms in enumerate(frames):
        atoms.info |= {"config_id": f"glass/{number:06d}", "REF_xc": "SCAN"}
    status, error = build(tmp_path, [], capsys, frames)
    assert status == 2
    assert "glass/000000 states SCAN" in error
