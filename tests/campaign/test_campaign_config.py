"""The typed configuration: what is wrong is refused whole, with path, value and reason."""

from pathlib import Path

import pytest
import yaml

from glassml.campaign.config import load_campaign, parse_campaign, resolved_text, write_resolved
from glassml.campaign.config.reference import describe_keys, keys_page
from glassml.campaign.errors import ConfigError

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*ROOT.glob("config/*.yaml"), Path(__file__).with_name("tiny.yaml")])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid_and_survive_being_resolved(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    campaign = load_campaign(path)
    assert parse_campaign(yaml.safe_load(resolved_text(campaign))) == campaign


def _tiny():
    return yaml.safe_load(Path(__file__).with_name("tiny.yaml").read_text())


BAD = {
    "dft.cutof_eV: unknown key; known keys here: .*cutoff_eV": ("dft", {"cutof_eV": 900}),
    r"dft.cutoff_eV: .*number.*'900 Ry'": ("dft", {"cutoff_eV": "900 Ry"}),
    r"dft.cutoff_eV: .*greater than or equal to 200.*30": ("dft", {"cutoff_eV": 30}),
    r"dft.xc: .*'PBEsol'.*got 'PBESOL'": ("dft", {"xc": "PBESOL"}),
    r"md.timestep_fs: .*greater than 0.*-1": ("md", {"timestep_fs": -1}),
    r"md: .*multiple": ("md", {"atoms": 73}),
    r"structure.q_max_per_A": ("structure", {"q_max_per_A": 0}),
    r"configurations.shard_size: .*greater than 0": ("configurations", {"shard_size": 0}),
    r"configurations.families.f.*path: is required": (
        "configurations",
        {"families": {"f": {"generator": "file", "count": 1}}},
    ),
    r"potential: .*finetune needs `package`": ("potential", {"mode": "finetune"}),
    r"dft.convergence.families: there is no family quarts; .* has [a-z_]+": (
        "dft",
        {"convergence": {"families": ["quarts"]}},
    ),
    r"dft.recipes: .*twice": ("dft", {"recipes": ["smeared", "smeared"]}),
    r"dft.cutoff_eV: .*finite": ("dft", {"cutoff_eV": float("nan")}),
}


@pytest.mark.parametrize("message", BAD)
def test_a_mistake_is_named_with_its_path_and_value(message):
    section, values = BAD[message]
    data = _tiny()
    data[section] = (data[section] or {}) | values
    with pytest.raises(ConfigError, match=message):
        parse_campaign(data)


def test_all_mistakes_are_told_at_once():
    data = _tiny() | {"seed": -1, "nmae": "x"}
    with pytest.raises(ConfigError) as refused:
        parse_campaign(data, "my.yaml")
    assert "my.yaml: 2 mistake(s)" in str(refused.value)
    assert "seed" in str(refused.value)
    assert "nmae: unknown key" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "not valid YAML"), ("- 1\n- 2", "expected a mapping"), (None, "cannot be read")],
)
def test_what_is_no_configuration_is_refused(tmp_path, text, message):
    path = tmp_path / "campaign.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_campaign(path)


def test_the_resolved_file_is_written_once(tmp_path):
    path = tmp_path / "campaign.yaml"
    campaign = parse_campaign(_tiny())
    write_resolved(campaign, path)
    first = path.stat().st_mtime_ns
    write_resolved(campaign, path)
    assert path.stat().st_mtime_ns == first
    assert load_campaign(path) == campaign


def test_every_key_is_described():
    lines = describe_keys()
    undescribed = [
        line for line in lines if ":" not in line and "(required)" not in line and "[" not in line
    ]
    assert not undescribed
    assert any(line.strip().startswith("cutoff_eV = 900.0") for line in lines)


def test_the_page_of_keys_is_what_the_models_say():
    page = (ROOT / "docs" / "keys.md").read_text()
    assert page == keys_page(), "make it again: glassml campaign keys --markdown > docs/keys.md"
    assert max(len(line) for line in page.splitlines()) <= 100
    assert "See model" not in page
