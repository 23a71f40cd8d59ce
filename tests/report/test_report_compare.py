"""Two campaigns side by side: planted differences are found, and nothing else."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from report_campaign import TRUTH, make_config, write_campaign

from glassml.cli import main
from glassml.report.campaigns import CompareError, config_differences, flattened
from glassml.report.compare import compare


def write_config(root, **changes):
    config = make_config(**changes).model_dump(mode="json")
    (root / "campaign.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    roots = [write_campaign(folder / "slow")]
    write_config(roots[0], name="slow")
    kept = dict(TRUTH)
    try:
        TRUTH["ambient"] = (2.28, 1.62, 1.15, 0.139)
        roots.append(write_campaign(folder / "fast"))
    finally:
        TRUTH.update(kept)
    write_config(roots[1], name="fast", seed=7, dft={"xc": "PBEsol"})
    return roots


@pytest.fixture(scope="module")
def compared(pair, tmp_path_factory):
    output = tmp_path_factory.mktemp("compared")
    return compare(*pair, output), output


def test_rows_that_differ_are_found_with_their_errors(compared):
    rows = {row["number"]: row for row in compared[0]["rows"]}
    density = rows["5"]
    assert (density["value_1"], density["value_2"]) == (2.2, 2.28)
    assert density["sigmas"] == pytest.approx(0.08 / (0.01 * 2**0.5))
    assert (density["verdict_1"], density["verdict_2"]) == ("pass", "fail")
    assert rows["8a"]["sigmas"] == 0.0
    assert rows["1a"]["sigmas"] is None  # it has no error
    assert rows["10b"]["sigmas"] < -20


def test_settings_that_differ_are_listed_and_no_others(compared):
    differences = {row["setting"]: row for row in compared[0]["differences"]}
    assert {"name", "seed", "dft.xc"} <= set(differences)
    assert differences["dft.xc"]["second"] == "PBEsol"
    assert "md.atoms" not in differences


def test_figures_have_both_campaigns(compared):
    folder = compared[1]
    for name in ("compare_fsdp", "compare_rings", "compare_compression"):
        table = pd.read_csv(folder / "tables" / f"{name}.csv")
        assert {"slow", "fast"} <= set(table.campaign)
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 1000
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "could not be made" not in text


def test_what_differs_most_stands_first(compared):
    folder = compared[1]
    far = pd.read_csv(folder / "tables" / "far.csv")
    assert far.sigmas.abs().is_monotonic_decreasing
    assert far.sigmas.abs().min() > 2
    assert {"5", "10b"} <= set(far.number.astype(str))
    lines = pd.read_csv(folder / "tables" / "answers.csv").set_index("of")
    assert "2.200 ± 0.010 g/cm³" in lines.slow["At rest"]
    assert "2.280 ± 0.010 g/cm³" in lines.fast["At rest"]


def test_a_verdict_counts_as_another_where_both_have_one(pair, compared, tmp_path):
    rows = pd.DataFrame(compared[0]["rows"])
    both = (rows.verdict_1 != "not reached") & (rows.verdict_2 != "not reached")
    changed = (rows.verdict_1 != rows.verdict_2) & both
    assert f"Of {both.sum()} rows that both reach" in compared[0]["headline"]
    assert f"{changed.sum()} have another verdict; rows that one" in compared[0]["headline"]
    assert changed.sum() >= 2
    empty = tmp_path / "empty"
    empty.mkdir()
    write_config(empty, name="an_empty_one")
    alone = compare(pair[0], empty, tmp_path / "out")
    assert "Of 0 rows that both reach, 0 differ" in alone["headline"]
    # The name of a campaign is not altered, and a figure says who has nothing in it.
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert ">an_empty_one</th>" in text
    assert "an_empty_one has no such table." in text


def test_the_command_tells_what_differs(pair, tmp_path, capsys):
    command = ["report", "compare", *map(str, pair), "--output-dir", str(tmp_path)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "5 Density (melt-quenched, 300 K, 0 GPa): 2.200 ± 0.010 → 2.280 ± 0.010" in out
    assert json.loads((tmp_path / "compare.json").read_text())["campaigns"] == ["slow", "fast"]


def test_a_campaign_without_results_is_compared_as_far_as_it_goes(pair, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    write_config(empty, name="empty")
    summary = compare(pair[0], empty, tmp_path / "out")
    assert all(row["verdict_2"] == "not reached" for row in summary["rows"])


def test_a_campaign_from_elsewhere_is_compared_without_its_package(pair, tmp_path):
    away = tmp_path / "away"
    shutil.copytree(pair[1], away)
    config = yaml.safe_load((away / "campaign.yaml").read_text())
    config["potential"] |= {"mode": "finetune", "package": "elsewhere/model.nequip.zip"}
    config["md"]["given"] = "elsewhere/runs"
    (away / "campaign.yaml").write_text(yaml.safe_dump(config))
    rows = compare(pair[0], away, tmp_path / "out")["rows"]
    assert rows == compare(*pair, tmp_path / "here")["rows"]


def test_folders_that_cannot_be_compared_are_refused(pair, tmp_path):
    with pytest.raises(CompareError, match="same campaign"):
        compare(pair[0], pair[0], tmp_path)
    with pytest.raises(CompareError, match=r"no campaign\.yaml"):
        compare(pair[0], tmp_path / "nowhere", tmp_path)


def test_settings_are_flattened_and_absent_ones_are_dashes():
    assert flattened({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}
    table = config_differences({"a": 1, "b": {"c": None}}, {"a": 1, "b": {"d": [1, 2]}})
    assert table.to_numpy().tolist() == [["b.c", "null", "–"], ["b.d", "–", "[1, 2]"]]
