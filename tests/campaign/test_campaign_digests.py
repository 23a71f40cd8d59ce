"""What reruns when code changes: the rules' digests, the commands' imports, and dry runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from glassml.campaign.digests import WITHOUT_EFFECT, command_digest, modules_of
from glassml.campaign.errors import GlassmlError

REPOSITORY = Path(__file__).parents[2]
RULES = sorted((REPOSITORY / "workflow" / "rules").rglob("*.smk"))
#: Labels carry the protocol in their key, so that no change of code repeats a calculation.
WITHOUT_DIGEST = {"dft_seed", "dft_label", "dft_converge", "dft_polymorphs"}
BLOCK = re.compile(
    r"^(?:use )?rule (\w+)(?: as (\w+) with)?:\n(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE
)


def list_digests():
    """Give rule, command that it runs and command that it digests, of all rules with either."""
    commands, rows = {}, []
    for block in [found for path in RULES for found in BLOCK.findall(path.read_text())]:
        base, name, body = block
        own = re.search(r"glassml ([a-z]+ [a-z-]+)", body)
        command = own.group(1) if own else commands.get(base)
        commands[name or base] = command
        digest = re.search(r'code_digest\("([^"]+)"', body)
        inherits = bool(name) and "code=" not in body
        if command and not inherits:
            rows.append((name or base, command, digest and digest.group(1)))
    return rows


@pytest.mark.parametrize(("rule", "command", "digested"), list_digests())
def test_a_rule_digests_the_command_that_it_runs(rule, command, digested):
    assert digested == (None if rule in WITHOUT_DIGEST else command)


@pytest.mark.parametrize(
    "command", ["potential train", "md run", "structure analyse", "report build"]
)
def test_nothing_is_loaded_that_is_not_digested(command):
    names, _ = modules_of(command)
    # What the configuration alone imports checks it: its values are params of the rule.
    others = loaded(*names) - {*names} - loaded("glassml.campaign.config")
    assert not {name for name in others if not name.startswith(WITHOUT_EFFECT)}


@lru_cache
def loaded(*names):
    """Give the package's modules that are there once `names` are imported."""
    program = "import importlib, json, sys\n"
    program += f"for name in {names!r}: importlib.import_module(name)\n"
    program += "print(json.dumps([each for each in sys.modules if each.startswith('glassml.')]))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep digests where no other test finds them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "glassml"


@pytest.fixture
def package(tmp_path):
    """Give a copy of the package, to be changed."""
    root = tmp_path / "src" / "glassml"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src" / "glassml", root, ignore=ignored)
    return root


def changed(package, before):
    # digests are kept for the life of a process, so that a copy under another name is compared
    after = package.with_name(f"copy{len(list(package.parent.iterdir()))}")
    shutil.copytree(package, after)
    return {command for command in before if command_digest(command, root=after) != before[command]}


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comments_change_no_digest_and_a_constant_those_that_import_it(package):
    commands = sorted({command for _, command, digest in list_digests() if digest})
    before = {command: command_digest(command, root=package) for command in commands}
    pairs = package / "configurations" / "pair_potentials.py"
    edit(pairs, "POTENTIALS = {", "# A remark.\n\n\nPOTENTIALS = {  # and another")
    edit(package / "md" / "__init__.py", '"""Glasses', '"""All about glasses')
    assert not changed(package, before)
    edit(pairs, "COULOMB_CUTOFF_A = 10.0", "COULOMB_CUTOFF_A = 10.5")
    dynamics = {"md start", "md starts", "md run", "md batch", "md adopt"}
    assert changed(package, before) == dynamics | {"configurations generate"}
    edit(pairs, "COULOMB_CUTOFF_A = 10.5", "COULOMB_CUTOFF_A = 10.0")
    edit(package / "structure" / "data" / "scattering_lengths.csv", "\n", "\n\n")
    studies = {f"studies {name}" for name in ("search", "learning-curve", "generations", "rates")}
    readers = {"structure analyse", "structure summary", "report build"}
    assert changed(package, before) == readers | studies


def test_digests_are_kept_from_one_process_to_the_next_until_the_package_changes(package, cache):
    program = (
        "import pathlib; from glassml.campaign.digests import command_digest; "
        f"print(command_digest('md run', root=pathlib.Path({str(package)!r})))"
    )

    def digest():
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    first = digest()
    (memory,) = cache.iterdir()
    memory.write_text(memory.read_text().replace(first, "what was kept"))
    assert digest() == "what was kept"
    edit(package / "configurations" / "pair_potentials.py", "CUTOFF_A = 10.0", "CUTOFF_A = 10.5")
    assert digest() not in {first, "what was kept"}
    memory.write_text("cut o")
    edit(package / "configurations" / "pair_potentials.py", "CUTOFF_A = 10.5", "CUTOFF_A = 10.0")
    assert digest() == first


def test_what_a_campaign_does_not_use_is_left_out(package):
    unused = ["md.engines.lammps_input", "md.engines.lammps_run"]
    other = shutil.copytree(package, package.with_name("other"))
    edit(other / "md" / "engines" / "lammps_input.py", "import", "import math\nimport")
    assert command_digest("md run", unused, other) == command_digest("md run", unused, package)
    assert command_digest("md run", root=other) != command_digest("md run", root=package)


@pytest.mark.parametrize("command", ["md", "md fly", "fly"])
def test_a_command_that_is_none_is_refused(command):
    with pytest.raises(GlassmlError, match=f"glassml {command}"):
        command_digest(command)


def test_a_mistake_in_the_code_is_told_with_its_file(package):
    path = package / "structure" / "fsdp.py"
    edit(path, "SIGNIFICANT = ", "SIGNIFICANT = 1 1")
    with pytest.raises(SyntaxError) as refused:
        command_digest("structure analyse", root=package)
    assert refused.value.filename == str(path)


def test_a_module_that_is_none_is_refused():
    with pytest.raises(GlassmlError, match=r"md\.wings"):
        command_digest("md run", ["md.wings"])


@pytest.mark.slow
def test_dry_runs_after_a_comment_and_after_a_changed_constant(package, tmp_path):
    for name in ("Snakefile", "workflow", "profiles"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, tmp_path / name)
    quench = [{"end_K": 2900, "rate_K_per_ps": 2000}]
    start = {"melt_ps": 0.05, "melt_K": 3000, "quench": quench}
    config = {
        "name": "test",
        "configurations": {"families": {}},
        "potential": {"gates": {"phonons": {"crystals": ["alpha_quartz"]}}},
        "md": {"atoms": 96, "glasses": 1, "start": "classical", "classical": start},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    files = ("md/start/0GPa/glass00/restart.npz", "potential/phonons/alpha_quartz/displaced.extxyz")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(package.parent), "PATH": path}
    command = [sys.executable, "-m", "snakemake", "--configfile", "config.json", "--cores", "1"]
    targets = ["--", *(f"results/test/{file}" for file in files)]

    def run(*options):
        done = subprocess.run(
            [*command, *options, *targets],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        jobs = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
        return {name for name, _ in jobs} - {"total"}

    both = {"md_start", "displace_crystal"}
    assert run() == both
    pairs, crystals = (
        package / "configurations" / f for f in ("pair_potentials.py", "crystals.py")
    )
    edit(pairs, "POTENTIALS = {", "# A remark.\nPOTENTIALS = {")
    edit(package / "md" / "start.py", '"""', '"""In short: ')
    assert run("--dry-run") == set()
    edit(pairs, "COULOMB_CUTOFF_A = 10.0", "COULOMB_CUTOFF_A = 10.5")
    assert run("--dry-run") == {"md_start"}
    edit(pairs, "COULOMB_CUTOFF_A = 10.5", "COULOMB_CUTOFF_A = 10.0")
    edit(crystals, "POLYMORPHS", "SPARE = 1\nPOLYMORPHS")
    assert run("--dry-run") == {"displace_crystal"}
