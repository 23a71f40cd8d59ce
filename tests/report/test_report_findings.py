"""Findings: rules with thresholds, judged from a campaign's results."""

import pytest
import yaml
from report_campaign import STATES, make_config, npt, write_campaign

from glassml.report import acceptance
from glassml.report.evidence import Evidence
from glassml.report.findings import MEASURES, Rule, RulesError, judge_all, load_rules
from glassml.report.results import Results

RULE = {"name": "one", "title": "One", "measure": "glasses", "unit": "", "advice": "More."}


@pytest.fixture(scope="module")
def found(tiny, campaign):
    evidence = Evidence(Results(tiny, campaign))
    findings = judge_all(evidence, acceptance.evaluate_all(evidence), load_rules())
    return {finding.rule.name: finding for finding in findings}


@pytest.mark.parametrize(
    ("name", "severity", "value"),
    [
        ("gates", "red", 1.0),  # the stress error
        ("potential", "red", 4.5),  # 0.9 GPa where 0.2 are allowed
        ("energy_error", "green", 2.0),
        ("stress_error", "amber", 0.3),
        ("density", "green", 0.0),
        ("angle", "green", 0.5),  # 147 where 149 ± 4 is measured
        ("fsdp_error", "green", 0.01),
        ("glasses", "amber", 2.0),
        ("stopped", "red", 10.0),  # 1 of 10 runs
        ("labels", "red", 10.0),  # 1 of 10 labels
        ("hot_above_cold", "green", 0.0),
    ],
)
def test_planted_numbers_are_judged(found, name, severity, value):
    assert found[name].value == pytest.approx(value, abs=1e-6)
    assert found[name].severity == severity
    assert found[name].trigger


def test_the_worst_come_first(found):
    severities = [finding.severity for finding in found.values()]
    order = ["red", "amber", "unknown", "green"]
    assert severities == sorted(severities, key=order.index)


def test_an_anneal_that_still_densifies_is_found(tmp_path, campaign):
    root = write_campaign(tmp_path / "results")
    for path in (root / "md" / "hot_7.7GPa_1500K").rglob("series.csv"):
        lines = path.read_text().splitlines()
        header = lines[0].split(",")
        place, stage = header.index("density_g_cm3"), header.index("stage")
        rows = [line.split(",") for line in lines[1:]]
        for index, row in enumerate(rows):
            row[place] = str(2.5 + 0.01 * index)
            row[stage] = "hold"
        path.write_text("\n".join([lines[0], *(",".join(row) for row in rows)]) + "\n")
    hot = STATES["hot_7.7GPa_1500K"]
    heat, cool = hot["stages"]
    hot = hot | {"stages": [heat, npt("hold", 1500, 7.7), cool]}
    states = STATES | {"hot_7.7GPa_1500K": hot}
    config = make_config(md={"glasses": 2, "atoms": 96, "states": states})
    evidence = Evidence(Results(root, config))
    rules = [rule for rule in load_rules() if rule.name == "densifying"]
    (finding,) = judge_all(evidence, [], rules)
    # 20 of 40 points are in the second half: 0.19 g/cm³ around 2.795.
    assert finding.value == pytest.approx(100 * 0.19 / 2.795, rel=1e-3)
    assert finding.severity == "red"


def test_a_hot_glass_that_only_deformed_is_found(tmp_path, campaign):
    root = write_campaign(tmp_path / "results")
    table = root / "structure" / "summary" / "states.csv"
    columns = table.read_text().splitlines()[0].split(",")
    row = dict.fromkeys(columns, "") | {"glasses": "3", "set_aside": "0"}
    rules = [rule for rule in load_rules() if rule.name == "rearranged"]
    for kept, severity in ((0.4, "green"), (0.937, "amber"), (0.999, "red")):
        new = row | {"state": "hot_7.7GPa_1500K", "observable": "bonds_kept"}
        new |= {"mean": str(kept), "error": "0.004"}
        line = ",".join(new[name] for name in columns)
        before = [text for text in table.read_text().splitlines() if "bonds_kept" not in text]
        table.write_text("\n".join([*before, line]) + "\n")
        evidence = Evidence(Results(root, campaign))
        (finding,) = judge_all(evidence, [], rules)
        assert (finding.value, finding.severity) == (pytest.approx(100 * kept), severity)
        assert "± 0.4 %" in finding.trigger


def test_a_campaign_without_results_is_unknown_and_not_green(tmp_path):
    evidence = Evidence(Results(tmp_path, make_config()))
    findings = judge_all(evidence, acceptance.evaluate_all(evidence), load_rules())
    green = {finding.rule.name for finding in findings if finding.severity == "green"}
    assert green == {"gates"}
    assert all(f.trigger for f in findings)


def test_thresholds_are_taken_from_a_file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump([RULE | {"amber": 3, "red": 1, "worse": "below"}]))
    (rule,) = load_rules(path)
    assert [rule.severity(value) for value in (0, 1, 2, 3)] == ["red", "amber", "amber", "green"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "nonsense"}, "no measure 'nonsense'"),
        ({"worse": "sideways"}, "above or below"),
        ({"amber": "many"}, "are numbers"),
        ({"amber": 9, "red": 1}, "less bad than amber"),
        ({"colour": "red"}, "no list of rules"),
    ],
)
def test_rules_that_are_wrong_are_refused_by_name(tmp_path, change, message):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump([RULE | {"amber": 1, "red": 2} | change]))
    with pytest.raises(RulesError, match=message):
        load_rules(path)


def test_every_measure_is_used_by_a_rule_or_can_be():
    assert {rule.measure.split()[0] for rule in load_rules()} == set(MEASURES)


def test_a_threshold_of_at_most_is_green_itself():
    rule = Rule(**RULE | {"amber": 1, "red": 2, "measure": "deviation 5"})
    assert [rule.severity(value) for value in (1.0, 1.1, 2.1)] == ["green", "amber", "red"]
