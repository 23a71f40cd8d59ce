"""The crate of what was run: every job, its files with their hashes, its command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassml.campaign.files import file_sha256
from glassml.report.sections.provenance import versions

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "campaign" / "tiny.yaml"
SHARD = "results/tiny/configurations/crystals/0000.extxyz"
CRATE = "ro-crate-metadata.json"

pytestmark = pytest.mark.slow


def snakemake(folder, *options):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(TINY), *options, "--", SHARD]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    pytest.importorskip("rocrate", reason="rocrate is not installed: make setup")
    folder = tmp_path_factory.mktemp("crate with ü")
    done = snakemake(folder, "--cores", "1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def graph(ran):
    done = snakemake(
        ran, "--reporter", "glassml-crate", "--report-glassml-crate-license", "CC-BY-4.0"
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((ran / CRATE).read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in written}
    assert len(entities) == len(written)
    return entities


def one(graph, kind, name):
    (entity,) = [
        entity for entity in graph.values() if (entity["@type"], entity.get("name")) == (kind, name)
    ]
    return entity


def test_a_job_has_its_command_and_its_files_with_their_hashes(ran, graph):
    job = one(graph, "CreateAction", "configurations_generate crystals 0000")
    assert job["description"].startswith("glassml configurations ")
    assert job["startTime"] <= job["endTime"]
    made = [each["@id"] for each in job["result"]]
    assert SHARD in made
    for name in made:
        assert graph[name]["sha256"] == file_sha256(ran / name)


def test_the_run_has_the_workflow_its_steps_and_versions(graph):
    root = graph["./"]
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in [each["@id"] for each in root["conformsTo"]]
    assert root["license"] == "CC-BY-4.0"
    workflow = graph[root["mainEntity"]["@id"]]
    assert workflow["sha256"] == file_sha256(ROOT / "Snakefile")
    assert graph["#run"]["instrument"]["@id"] == workflow["@id"]
    steps = [graph[each["@id"]]["name"] for each in workflow["step"]]
    assert "configurations_generate" in steps
    assert graph["#numpy"]["softwareVersion"] == versions()["numpy"]


def test_nothing_is_named_that_is_not_told_of(graph):
    def named(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else ()
        for each in value.values() if isinstance(value, dict) else value:
            if isinstance(each, dict | list):
                yield from named(each)

    told = {*graph, "https://w3id.org/ro/crate/1.1"}
    names = set(named(list(graph.values())))
    outside = {name for name in names - told if not name.startswith("https://")}
    assert outside == set()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "name that by --report-glassml-crate-license"),
        (("--report-glassml-crate-license", "CC0-1.0"), "no job has run in this folder"),
    ],
)
def test_a_crate_needs_a_licence_and_a_run(ran, tmp_path, options, sentence):
    done = snakemake(tmp_path, "--reporter", "glassml-crate", *options)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert not (tmp_path / CRATE).exists()
