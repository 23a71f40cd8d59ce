"""Configurations that begin with another file."""

import pytest
import yaml

from glassml.campaign.config import inherit, load_campaign
from glassml.campaign.errors import ConfigError
from glassml.cli import main

BASE = {
    "name": "whole",
    "seed": 7,
    "configurations": {"families": {"dimers": {"generator": "dimer", "count": 12}}},
    "dft": {"xc": "PBEsol"},
    "md": {
        "atoms": 96,
        "states": {
            name: {"parent": parent, "stages": [{"name": "hold", "ensemble": "nvt"}]}
            for name, parent in [("ambient", None), ("cold", "ambient"), ("hot", "ambient")]
        },
    },
}
for state in BASE["md"]["states"].values():
    state["stages"][0] |= {"temperature_K": 300, "duration_ps": 1}


@pytest.fixture
def write(tmp_path):
    """Write the base and a configuration in another folder, and give the latter's path."""

    def write_config(**sections):
        (tmp_path / "bases").mkdir(exist_ok=True)
        (tmp_path / "bases" / "whole.yaml").write_text(yaml.safe_dump(BASE, sort_keys=False))
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump({"base": "bases/whole.yaml"} | sections, sort_keys=False))
        return path

    return write_config


def test_sections_are_joined_and_values_take_the_place_of_others(write):
    campaign = load_campaign(write(name="own", md={"atoms": 72}))
    assert (campaign.name, campaign.seed, campaign.dft.xc) == ("own", 7, "PBEsol")
    assert campaign.md.atoms == 72
    assert list(campaign.md.states) == ["ambient", "cold", "hot"]


def test_what_is_left_out_of_the_base_is_not_there(write):
    left_out = {"dft": ["xc"], "md": {"states": ["cold"]}}
    own = write(without=left_out, md={"states": {"warm": BASE["md"]["states"]["hot"]}})
    campaign = load_campaign(own)
    assert list(campaign.md.states) == ["ambient", "hot", "warm"]
    assert campaign.dft.xc != "PBEsol"


def test_a_base_may_have_a_base_and_files_are_sought_beside_who_names_them(write, tmp_path):
    own = write(name="own")
    (tmp_path / "further").mkdir()
    further = tmp_path / "further" / "last.yaml"
    further.write_text("base: ../own.yaml\nseed: 9\n")
    campaign = load_campaign(further)
    assert (campaign.name, campaign.seed, campaign.md.atoms) == ("own", 9, 96)
    # joined with others before it comes here, as Snakemake does it
    data = yaml.safe_load(further.read_text()) | {"seed": 11}
    assert inherit(data, [own, further])["seed"] == 11


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"base": "bases/gone.yaml"}, r"gone\.yaml: cannot be read"),
        ({"base": ["a", "b"]}, "base: expected the name of a file"),
        ({"base": "own.yaml"}, r"own\.yaml → own\.yaml goes in a circle"),
        (
            {"without": {"md": {"states": ["tepid"]}}},
            r"without\.md\.states: tepid: the base has no",
        ),
        ({"without": {"dynamics": ["atoms"]}}, "without: dynamics: the base has no such key"),
        ({"md": {"atom": 3}}, r"md\.atom: unknown key"),
    ],
)
def test_what_is_wrong_is_named(write, capsys, sections, message):
    path = write(**sections)
    with pytest.raises(ConfigError, match=message):
        load_campaign(path)
    for command in (["campaign", "config"], ["plan"], ["status"]):
        assert main([*command, str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
