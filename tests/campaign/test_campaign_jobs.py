"""The jobs that plan and status count are those that Snakemake runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glassml.campaign.config import parse_campaign
from glassml.campaign.jobs import list_jobs
from tiny import TWO_FAMILIES

REPOSITORY = Path(__file__).parents[2]
CONFIG = {
    "name": "tiny",
    "configurations": TWO_FAMILIES,
    "potential": {"committee": 2},
    "md": {"glasses": 2, "atoms": 96},
}
EVERYTHING = CONFIG | {
    "potential": {
        "committee": 2,
        "generations": 2,
        "gates": {"phonons": {"crystals": ["alpha_quartz"]}},
        "search": {
            "variants": {"small": {"features": 8}, "large": {"features": 32}},
            "glasses": ["small"],
        },
    },
    "md": CONFIG["md"] | {"engine": "torch", "start": "classical"},
    "report": {"include": ["search", "learning_curve"]},
}


@pytest.fixture(scope="module", params=[CONFIG, EVERYTHING], ids=["plain", "everything"])
def configuration(request):
    return request.param


@pytest.fixture(scope="module")
def dry_run(configuration, tmp_path_factory):
    """Give what a dry run of the whole campaign prints."""
    folder = tmp_path_factory.mktemp("dag")
    config = folder / "config.yaml"
    config.write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), "--dry-run"]
    command += ["--workflow-profile", "none"]  # whose logger cuts the reasons
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def test_there_are_as_many_jobs_as_rules_run(dry_run, configuration):
    total = int(re.search(r"^total +(\d+)$", dry_run, re.MULTILINE).group(1))
    # The target itself is counted too.
    assert len(list_jobs(parse_campaign(configuration))) == total - 1


def test_each_job_makes_what_its_rule_makes(dry_run, configuration):
    jobs = list_jobs(parse_campaign(configuration))
    owners = {f"results/tiny/{output}": job.name for job in jobs for output in job.outputs}
    seen = []
    for reason in re.findall(r"Missing output files: ([^;\n]+)", dry_run):
        names = {owners[file] for file in reason.split(", ") if file in owners}
        assert len(names) == 1, reason
        seen.append(names.pop())
    assert sorted(seen) == sorted(job.name for job in jobs)
