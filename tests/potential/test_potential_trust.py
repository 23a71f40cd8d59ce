"""A package is code: whose is loaded, and that a foreign one runs nothing before it is trusted."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from ase.build import bulk

from glassml.campaign.files import file_sha256
from glassml.campaign.trust import SHIPPED, VARIABLE, shipped, trust_campaign
from glassml.cli import main
from glassml.potential import PotentialError, load_calculator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "resources" / "potential_small" / "m0.nequip.zip"
TINY = ROOT / "tests" / "campaign" / "tiny.yaml"


@pytest.fixture(autouse=True)
def _no_other_trust(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A package whose code leaves a mark: what ships, with a line more in a module of NequIP's."""
    path = tmp_path_factory.mktemp("foreign") / "model.nequip.zip"
    with zipfile.ZipFile(PACKAGE) as source, zipfile.ZipFile(path, "w") as target:
        changed = next(name for name in source.namelist() if name.endswith("nn/graph_model.py"))
        for name in source.namelist():
            content = source.read(name)
            if name == changed:
                mark = path.with_name("ran")
                content += f"\nopen({str(mark)!r}, 'w').close()\n".encode()
            target.writestr(name, content)
    return path


def test_what_ships_is_known_by_its_hash():
    files = {
        str(path.relative_to(ROOT)): file_sha256(path)
        for path in (ROOT / "resources").rglob("*.nequip.zip")
    }
    assert {file: digest for digest, file in shipped().items()} == files, SHIPPED
    assert load_calculator(PACKAGE, device="cpu").parameters["backend"] == "eager"


def test_a_foreign_package_is_refused_before_its_code_runs_then_trusted(foreign, monkeypatch):
    mark = foreign.with_name("ran")
    with pytest.raises(PotentialError, match=f"sha256:{file_sha256(foreign)} to potential.trust"):
        load_calculator(foreign, device="cpu")
    assert not mark.exists()
    monkeypatch.setenv(VARIABLE, f"sha256:{file_sha256(foreign)}")
    atoms = bulk("Si")
    atoms.calc = load_calculator(foreign, device="cpu")
    atoms.get_potential_energy()
    assert mark.exists()


def _campaign(tmp_path, package, **potential):
    config = yaml.safe_load(TINY.read_text())
    config["potential"] |= {"mode": "given", "package": str(package)} | potential
    del config["potential"]["model"], config["potential"]["training"]
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_campaign_is_refused_until_it_names_the_hash(foreign, tmp_path, capsys):
    assert main(["campaign", "config", str(_campaign(tmp_path, foreign))]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "vouches" in line]
    digest = f"sha256:{file_sha256(foreign)}"
    assert f"add {digest} to potential.trust" in line
    assert main(["campaign", "config", str(_campaign(tmp_path, foreign, trust=[digest]))]) == 0
    assert main(["campaign", "config", str(_campaign(tmp_path, foreign, trust=["sha256:1"]))]) == 2


def test_commands_take_the_trust_from_the_campaign(foreign, tmp_path):
    """In processes of their own, as rules start them."""
    digest = f"sha256:{file_sha256(foreign)}"
    shutil.copy(foreign, tmp_path / "model.nequip.zip")
    for trust, code in (([], 2), ([digest], 0)):
        config = tmp_path / "campaign.yaml"
        config.write_text(yaml.safe_dump({"base": str(TINY), "potential": {"trust": trust}}))
        command = ["potential", "compile", "--config", str(config), "--device", "cpu"]
        command += [
            "--package",
            str(tmp_path / "model.nequip.zip"),
            "--folder",
            str(tmp_path / "c"),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "glassml", *command],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        assert done.returncode == code, done.stderr
        assert ("potential.trust" in done.stderr) == (code == 2)


def test_what_a_campaign_made_is_known(trained, tmp_path):
    package = trained / "model.nequip.zip"
    with pytest.raises(PotentialError):
        load_calculator(package, device="cpu")
    made = tmp_path / "potential" / "made"
    made.mkdir(parents=True)
    (made / file_sha256(package)).touch()
    trust_campaign(tmp_path)
    load_calculator(package, device="cpu")
