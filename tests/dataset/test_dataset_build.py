"""Datasets from labels of the classical potential: flags, sets, manifest, export."""

import csv
import gzip
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from ase import Atoms
from ase.io import read, write
from ase.stress import voigt_6_to_full_3x3_stress

from glassml.campaign.config import parse_campaign
from glassml.campaign.errors import StructureError
from glassml.cli import main
from glassml.configurations.crystals import deform, polymorph
from glassml.configurations.melts import energy_and_forces
from glassml.configurations.rattle import gaussian_rattle
from glassml.dataset.labels import shard_entries

SETS = ("train", "validation", "test")
TOLD = {"xc": "PBEsol", "code": "SHIK"}


def classical_label(atoms, **info):
    """Label with SHIK: real energies and forces; the stress is made up, it is only carried."""
    energy, forces = energy_and_forces(atoms, potential="shik")
    atoms.info = info | {"REF_energy": energy, "REF_stress": 0.01 * np.arange(6.0)}
    atoms.arrays["REF_forces"] = forces
    return atoms


def rattled(number, family="glass", first=0):
    """Pairs of a parent each; volumes differ, so that none is a near-copy of another."""
    frames = []
    for i in range(first, first + number):
        rng = np.random.default_rng([first, i])
        change = -0.1 + 0.2 * ((0.618 * i) % 1)
        cell = deform(polymorph("alpha_quartz"), change, np.zeros((3, 3)))
        frames.append(
            classical_label(
                gaussian_rattle(cell, 0.08, rng),
                config_id=f"{family}/{i:06d}",
                family=family,
                config_type="rattled",
                parent=f"{family}/{i // 2:05d}",
                seed=i,
            )
        )
    return frames


def isolated():
    frames = []
    for i, (symbol, energy) in enumerate((("Si", -0.8), ("O", -1.9), ("Si", -0.9))):
        atoms = Atoms(symbol, cell=np.array([9, 9.4, 9.8]) + 0.5 * i, pbc=True)
        atoms.info = {
            "config_id": f"atoms/{i:06d}",
            "family": "atoms",
            "config_type": "isolated_atom",
            "parent": f"atoms/{symbol}",
            "seed": 1,
            "REF_energy": energy,
        }
        atoms.arrays["REF_forces"] = np.zeros((1, 3))
        frames.append(atoms)
    return frames


def write_shards(folder, frames, size=8, failed=()):
    family = frames[0].info["family"]
    (folder / family).mkdir(parents=True, exist_ok=True)
    for shard in range(-(-len(frames) // size)):
        path = folder / family / f"{shard:04d}.extxyz"
        labelled = frames[shard * size : (shard + 1) * size]
        write(path, labelled, format="extxyz")
        with path.with_suffix(".csv").open("w") as file:
            file.write("config_id,config_type,family,parent,status,reason\n")
            for i, atoms in enumerate(labelled):
                status = "imported" if i % 2 else "converged"
                file.write(f"{atoms.info['config_id']},rattled,{family},x,{status},\n")
            for config_id in failed if shard == 0 else ():
                file.write(f"{config_id},rattled,{family},{config_id},failed,no recipe converged\n")


def build(tmp_path, families, **dataset):
    """Run the command on a campaign whose families have these frames."""
    labels = tmp_path / "dft"
    for frames in families.values():
        write_shards(labels, frames, failed=(f"{frames[0].info['family']}/999999",))
    data = {
        "name": "t",
        "seed": 5,
        "dft": {"xc": "PBEsol"},
        "configurations": {
            "families": {
                name: {"generator": "melt", "count": len(frames)}
                for name, frames in families.items()
            }
        },
        "dataset": dataset,
        "md": {},
    }
    config = tmp_path / "campaign.yaml"
    config.write_text(yaml.safe_dump(parse_campaign(data).model_dump(mode="json")))
    output = tmp_path / "g0"
    arguments = ["--config", config, "--labels", labels, "--output-dir", output]
    assert main(["dataset", "build", *map(str, arguments)]) == 0
    return output


def load(folder, name):
    path = folder / f"{name}.extxyz"
    return read(path, index=":") if path.stat().st_size else []


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dataset"), {"glass": rattled(40), "atoms": isolated()})


def test_sets_are_disjoint_and_complete(dataset):
    parents = {name: {a.info["parent"] for a in load(dataset, name)} for name in SETS}
    assert all(parents.values())
    assert not parents["train"] & parents["test"]
    assert not parents["train"] & parents["validation"]
    assert not parents["validation"] & parents["test"]
    assert sum(len(load(dataset, name)) for name in SETS) == 40


def test_labels_pass_unchanged(dataset):
    original = {a.info["config_id"]: a for a in rattled(40)}
    for name in SETS:
        for atoms in load(dataset, name):
            expected = original[atoms.info["config_id"]]
            assert atoms.info["REF_energy"] == pytest.approx(expected.info["REF_energy"], abs=1e-7)
            np.testing.assert_allclose(
                atoms.arrays["REF_forces"], expected.arrays["REF_forces"], atol=1e-7
            )
            np.testing.assert_allclose(atoms.info["REF_stress"], 0.01 * np.arange(6.0), atol=1e-8)
            assert atoms.info["config_type"] == "rattled"


def test_isolated_atoms_are_a_table_with_the_largest_box(dataset):
    energies = json.loads((dataset / "isolated_atoms.json").read_text())
    assert energies == {"O": -1.9, "Si": -0.9}
    assert all(len(a) > 1 for name in SETS for a in load(dataset, name))


def test_manifest_tells_what_is_there(dataset):
    manifest = json.loads((dataset / "manifest.json").read_text())
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((dataset / name).read_bytes()).hexdigest() == digest
    counts = manifest["counts"]
    assert counts["isolated"] == 3
    assert counts["excluded"] == 2  # the two that did not converge
    assert counts["train"] == len(load(dataset, "train"))
    assert manifest["dft"]["xc"] == "PBEsol"
    assert manifest["seed"] == 5


def test_unconverged_are_rows_with_a_reason(dataset):
    rows = {row["config_id"]: row for row in table(dataset / "flags.csv")}
    assert len(rows) == 45
    assert rows["glass/999999"]["flags"] == "unconverged"
    assert rows["glass/999999"]["reason"] == "no recipe converged"
    assert rows["glass/999999"]["set"] == "excluded"


def test_statistics_add_up(dataset):
    rows = {row["family"]: row for row in table(dataset / "statistics.csv")}
    assert set(rows) == {"glass", "atoms", "all"}
    glass = rows["glass"]
    assert int(glass["configurations"]) == 41
    assert sum(int(glass[name]) for name in (*SETS, "excluded")) == 41
    frames = rattled(40)
    forces = np.concatenate([a.arrays["REF_forces"] for a in frames])
    assert float(glass["force_rms_eV_A"]) == pytest.approx(np.sqrt(np.mean(forces**2)), abs=1e-3)
    pressure = -0.01 * (0 + 1 + 2) / 3 * 160.21766208  # eV/Å³, tension positive
    assert float(glass["pressure_min_GPa"]) == pytest.approx(pressure, abs=1e-2)


def test_growth_keeps_everybody_in_place(dataset, tmp_path):
    grown = build(
        tmp_path,
        {"glass": rattled(40) + rattled(8, first=40), "new": rattled(16, "new", first=1000)},
    )
    for name in SETS:
        before = {a.info["config_id"] for a in load(dataset, name)}
        after = {a.info["config_id"] for a in load(grown, name)}
        assert before <= after


def test_second_build_is_the_same_bit_for_bit(dataset, tmp_path):
    again = build(tmp_path, {"glass": rattled(40), "atoms": isolated()})
    for name in ("train.extxyz", "validation.extxyz", "test.extxyz", "statistics.csv"):
        assert (again / name).read_bytes() == (dataset / name).read_bytes()


def bad_labels():
    """Eleven labels with something wrong each, and the flag that each gets."""
    cases = []

    def case(flag, reason, change):
        atoms = rattled(1, "bad", first=100 + 2 * len(cases))[0]
        changed = change(atoms) or atoms
        cases.append((changed, flag, reason))

    def set_info(key, value):
        return lambda atoms: atoms.info.__setitem__(key, value)

    def set_forces(value):
        return lambda atoms: atoms.arrays.__setitem__("REF_forces", value)

    strong = np.zeros((9, 3))
    strong[0, 0], strong[1, 0] = 150.0, -150.0
    case("force", "150.0 eV/Å", set_forces(strong))
    case("stress", "stress", set_info("REF_stress", np.full(6, -3.0)))
    case("unusable", "tension of 481 GPa", set_info("REF_stress", np.full(6, 3.0)))
    case("unusable", "REF_energy is missing", lambda a: a.info.pop("REF_energy") and None)
    case("unusable", "not finite", set_info("REF_energy", np.nan))
    case("unusable", "not finite", set_forces(np.full((9, 3), np.inf)))
    case("unusable", "add up to zero", set_forces(np.ones((9, 3))))
    case("unusable", "contains Ge", lambda a: a.symbols.__setitem__(0, "Ge"))
    case("unusable", "no periodic cell", lambda a: setattr(a, "pbc", False))
    case("unusable", "not a finite number", lambda a: a.positions.__setitem__(0, np.nan))
    case("short_bond", "O-Si", lambda a: a.positions.__setitem__(3, a.positions[0] + 0.6))
    return cases


def test_bad_labels_are_flagged_and_the_others_are_used(tmp_path):
    cases = bad_labels()
    good = rattled(20, "bad")
    copy = good[4].copy()
    copy.rotate(40, "z", rotate_cell=True)
    copy.info |= {"config_id": "bad/000777", "parent": "bad/00777"}
    folder = build(tmp_path, {"bad": good + [atoms for atoms, _, _ in cases] + [copy]})
    rows = {row["config_id"]: row for row in table(folder / "flags.csv")}
    for atoms, flag, reason in cases:
        row = rows[atoms.info["config_id"]]
        assert row["set"] == "excluded"
        assert flag in row["flags"].split(","), row
        assert re.search(reason, row["reason"]), row
    assert rows["bad/000777"]["flags"] == "duplicate"
    assert "of bad/000004" in rows["bad/000777"]["reason"]
    assert sum(len(load(folder, name)) for name in SETS) == 20
    # Nothing is deleted: what has a label is in a file with its flags.
    kept = {a.info["config_id"]: a.info["flags"] for a in load(folder, "flagged")}
    assert kept["bad/000777"] == "duplicate"
    assert kept[cases[0][0].info["config_id"]] == "force"


def test_lifting_a_filter_brings_them_back(tmp_path):
    frames = [*rattled(12, "bad"), bad_labels()[0][0]]
    strict = build(tmp_path / "a", {"bad": frames})
    lifted = build(tmp_path / "b", {"bad": frames}, filters={"exclude": ["duplicate"]})
    assert sum(len(load(strict, name)) for name in SETS) == 12
    assert sum(len(load(lifted, name)) for name in SETS) == 13


def test_train_only_types_are_never_held_out(tmp_path):
    frames = rattled(40, "glass")
    for atoms in frames[:20]:
        atoms.info["config_type"] = "crystal"
    folder = build(tmp_path, {"glass": frames})
    kinds = {a.info["config_type"] for name in SETS[1:] for a in load(folder, name)}
    assert kinds == {"rattled"}


@pytest.mark.parametrize("suffix", [".extxyz", ".extxyz.gz"])
def test_shipped_labels_drop_in_by_configuration(suffix, tmp_path):
    shipped = rattled(30, "published", first=500)
    for atoms in shipped:
        atoms.info["dft_energy"] = atoms.info.pop("REF_energy")
        del atoms.info["config_id"]
    write(tmp_path / "set.extxyz", shipped, format="extxyz")
    path = tmp_path / f"set{suffix}"
    if suffix.endswith("gz"):
        path.write_bytes(gzip.compress((tmp_path / "set.extxyz").read_bytes()))
    labels = {"energy": "dft_energy", "xc": "PBEsol", "code": "SHIK"}
    include = [{"path": str(path), "labels": labels}]
    folder = build(tmp_path, {"glass": rattled(8)}, include=include)
    assert sum(len(load(folder, name)) for name in SETS) == 38
    manifest = json.loads((folder / "manifest.json").read_text())
    assert list(manifest["included"]) == [str(path)]
    assert any(a.info["config_id"] == "set/000003" for name in SETS for a in load(folder, name))


def test_the_same_label_from_two_places_is_used_once(tmp_path):
    write(tmp_path / "again.extxyz", rattled(8), format="extxyz")
    folder = build(
        tmp_path,
        {"glass": rattled(8)},
        include=[{"path": str(tmp_path / "again.extxyz"), "labels": TOLD}],
    )
    assert sum(len(load(folder, name)) for name in SETS) == 8
    rows = table(folder / "flags.csv")
    assert sum(row["flags"] == "duplicate" for row in rows) == 8
    assert len({row["config_id"] for row in rows}) == len(rows)


def test_missing_shard_and_empty_sets_are_explained(tmp_path, capsys):
    folder = build(tmp_path, {"glass": rattled(8)})
    config, labels = tmp_path / "campaign.yaml", tmp_path / "dft"
    arguments = ["--config", config, "--labels", labels, "--output-dir", folder]
    write_shards(labels, rattled(4))
    assert main(["dataset", "build", *map(str, arguments)]) == 2
    assert "cannot be split into three sets" in capsys.readouterr().err
    (labels / "glass" / "0000.extxyz").unlink()
    assert main(["dataset", "build", *map(str, arguments)]) == 2
    assert "0000.extxyz: there is no such file" in capsys.readouterr().err


def export(dataset, tmp_path, form):
    arguments = ["--dataset", dataset, "--format", form, "--output-dir", tmp_path]
    assert main(["dataset", "export", *map(str, arguments)]) == 0


def test_export_for_mace(dataset, tmp_path):
    export(dataset, tmp_path, "mace")
    frames = read(tmp_path / "train.extxyz", index=":")
    atoms = [a for a in frames if a.info["config_type"] == "IsolatedAtom"]
    assert {str(a.symbols): a.info["REF_energy"] for a in atoms} == {"O": -1.9, "Si": -0.9}
    assert len(frames) == len(load(dataset, "train")) + 2
    assert "REF_forces" in frames[0].arrays


def test_export_for_nep_has_the_virial_of_the_stress(dataset, tmp_path):
    export(dataset, tmp_path, "nep")
    text = (tmp_path / "train.xyz").read_text().splitlines()[1]
    assert "forces:R:3" in text
    assert re.search(r"\benergy=", text)
    frame, source = read(tmp_path / "train.xyz", index=0), load(dataset, "train")[0]
    virial = np.array(re.search(r'virial="([^"]+)"', text)[1].split(), dtype=float).reshape(3, 3)
    expected = -voigt_6_to_full_3x3_stress(source.info["REF_stress"]) * source.get_volume()
    np.testing.assert_allclose(virial, expected, atol=1e-6)
    assert len(frame) == 9


def test_export_for_ace_is_relative_to_isolated_atoms(dataset, tmp_path):
    export(dataset, tmp_path, "ace")
    frame = pd.read_pickle(tmp_path / "test.pkl.gzip", compression="gzip")
    assert {"ase_atoms", "energy", "energy_corrected", "forces"} <= set(frame.columns)
    expected = frame["energy"] - (3 * -0.9 + 6 * -1.9)
    np.testing.assert_allclose(frame["energy_corrected"], expected)


def test_export_for_ace_needs_isolated_atoms(tmp_path, capsys):
    folder = build(tmp_path, {"glass": rattled(8)})
    arguments = ["--dataset", folder, "--format", "ace", "--output-dir", tmp_path / "x"]
    assert main(["dataset", "export", *map(str, arguments)]) == 2
    assert "isolated O, Si" in capsys.readouterr().err


def test_a_shard_cut_between_two_frames_is_refused(tmp_path):
    write_shards(tmp_path, rattled(4))
    path = tmp_path / "glass" / "0000.extxyz"
    frames = read(path, index=":")
    write(path, frames[:3], format="extxyz")
    with pytest.raises(StructureError, match=r"0000\.extxyz: has 3 labels, its table 4"):
        list(shard_entries(tmp_path, "glass", 1))
