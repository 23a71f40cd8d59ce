"""The rules: what runs when, and real runs from a given package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from ase.io import read, write

from silica_labels import SHORT

ROOT = Path(__file__).parents[2]
# Classical labels, which pass here for those of the campaign's functional.
STATED = {"xc": "r2SCAN", "code": "LAMMPS"}


@pytest.fixture
def campaign(tmp_path, dataset):
    """Write a campaign on included classical labels, and give what runs Snakemake on it."""
    names = ("train", "validation", "test")
    frames = [atoms for name in names for atoms in read(dataset / f"{name}.extxyz", ":")]
    for index, atoms in enumerate(frames):
        atoms.info["parent"] = f"{atoms.info['family']}/crystal/{index:05d}"
        atoms.info["config_id"] = f"{atoms.info['family']}/{index:06d}"
    write(tmp_path / "labels.extxyz", frames)

    def run(target, *options, md=None, **potential):
        sections = {
            "name": "test",
            "seed": 1,
            "configurations": {"families": {}},
            "dataset": {
                "include": [{"path": str(tmp_path / "labels.extxyz"), "labels": STATED}],
                "validation_fraction": 0.2,
                "test_fraction": 0.2,
                "filters": {"exclude": []},
            },
            "md": md or {},
            "potential": {"committee": 1, "compile": "never", **potential},
        }
        config = tmp_path / "campaign.yaml"
        config.write_text(yaml.safe_dump(sections))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(tmp_path), "--configfile", str(config), "--cores", "1"]
        command += [*options, "--", f"results/test/{target}"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
        )
        return done.returncode, done.stdout + done.stderr

    return run


def scheduled(outcome):
    """Give the numbers of jobs by rule of a dry run."""
    code, output = outcome
    assert code == 0, output
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def test_a_generation_explores_before_the_next_one_learns(campaign):
    jobs = scheduled(
        campaign("studies/generations.csv", "-n", "--quiet", "rules", committee=2, generations=2)
    )
    assert jobs["train_potential"] == 4
    assert jobs["explore"] == 4
    assert jobs["select_candidates"] == jobs["label_explored"] == 1
    assert "train_variant" not in jobs


def test_studies_run_only_when_asked_for(campaign):
    card = scheduled(campaign("potential/g0/model_card.md", "-n", "--quiet", "rules"))
    assert not {"train_variant", "train_subset", "explore", "displace_crystal"} & set(card)
    search = scheduled(
        campaign(
            "studies/search/search.csv",
            *("-n", "--quiet", "rules"),
            search={"variants": {"small": {}, "wide": {"cutoff_A": 6.0}}},
        )
    )
    assert search["train_variant"] == search["evaluate_variant"] == search["time_variant"] == 2
    assert "train_potential" not in search
    assert not {"melt_variant", "structure_variant", "summarise_variant", "md_start"} & set(search)


def test_networks_that_are_named_make_glasses_of_the_first_state(campaign):
    search = {"variants": {"small": {}, "wide": {"cutoff_A": 6.0}}, "glasses": ["wide"]}
    md = {"engine": "torch", "glasses": 3, "start": "classical"}
    options = ("-n", "--quiet", "rules")
    jobs = scheduled(campaign("studies/search/search.csv", *options, search=search, md=md))
    assert jobs["train_variant"] == 2
    assert jobs["md_start"] == jobs["melt_variant"] == jobs["summarise_variant"] == 1
    assert jobs["structure_variant"] == 3
    assert not {"md_run", "structure_glass", "structure_summary"} & set(jobs)
    random = md | {"start": "random"}
    jobs = scheduled(campaign("studies/search/search.csv", *options, search=search, md=random))
    assert "md_start" not in jobs


def test_phonons_are_labelled_where_the_gate_names_crystals(campaign):
    gates = {"phonons": {"crystals": ["alpha_quartz", "stishovite"]}}
    jobs = scheduled(campaign("potential/g0/gates.json", "-n", "--quiet", "rules", gates=gates))
    assert jobs["displace_crystal"] == jobs["label_displaced"] == 2
    assert jobs["potential_gate"] == 6


@pytest.mark.slow
def test_a_given_package_and_one_that_is_tuned_further(campaign, trained, tmp_path):
    package = str(trained / "model.nequip.zip")
    tuned = {"training": SHORT | {"max_epochs": 2, "learning_rate": 1e-4}}
    force_errors, epochs = {}, {}
    for mode, more in (("given", {}), ("finetune", tuned)):
        code, output = campaign("potential/g0/m0/errors.csv", mode=mode, package=package, **more)
        assert code == 0, output
        folder = tmp_path / "results" / "test" / "potential" / "g0" / "m0"
        table = pd.read_csv(folder / "errors.csv", keep_default_na=False)
        rows = table[(table["set"] == "test") & (table["group"] == "all")]
        force_errors[mode] = float(rows.set_index("quantity")["mae"]["force"])
        epochs[mode] = len(pd.read_csv(folder / "history.csv"))
        same = (folder / "model.nequip.zip").read_bytes() == Path(package).read_bytes()
        assert same == (mode == "given")
    assert epochs == {"given": 0, "finetune": 2}
    assert force_errors["finetune"] == pytest.approx(force_errors["given"], rel=0.3)
