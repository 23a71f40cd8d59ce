"""The error budget: what a campaign, and others that differ in one thing, tell of the FSDP."""

import shutil

import pandas as pd
import pytest
from report_campaign import STATES, TRUTH, make_config, npt, write_campaign, write_structure

from glassml.campaign.config import resolved_text
from glassml.campaign.errors import GlassmlError
from glassml.cli import main
from glassml.report.budget import QUANTITIES, SOURCES, as_table, budget, for_page
from glassml.report.evidence import Evidence
from glassml.report.results import Results

HEIGHT, POSITION, HOT_REST, HOT = QUANTITIES


def evidence_of(root, **changes):
    config = make_config(**changes)
    root.mkdir(parents=True, exist_ok=True)
    (root / "campaign.yaml").write_text(resolved_text(config))
    return Evidence(Results(root, config))


@pytest.fixture
def own(tmp_path):
    return evidence_of(write_campaign(tmp_path / "own"))


@pytest.fixture
def pbesol(tmp_path, monkeypatch):
    """The same campaign with another functional, and other peaks."""
    monkeypatch.setitem(TRUTH, "ambient", (2.2, 1.56, 1.45, 0.125))
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K/recovered", (2.205, 1.7, 1.65, 0.085))
    root = tmp_path / "pbesol"
    write_structure(root)
    return evidence_of(root, name="pbesol", dft={"xc": "PBEsol"})


def numbers(entries):
    table = as_table(entries)
    return {(row.source, row.quantity): row for row in table.itertuples()}


def test_glasses_tell_how_they_scatter(own):
    row = numbers(budget(own))["glasses", HEIGHT]
    # Two glasses 0.02 apart have a standard deviation of 0.0141; the mean's error is the state's.
    assert row.here == pytest.approx(1.55)
    assert row.change_error == pytest.approx(0.01)
    assert "they scatter by 0.014" in row.remark
    assert "one box alone by 0.03" in row.remark


def test_without_a_pair_of_one_density_hot_minus_cold_is_interpolated(tmp_path, monkeypatch):
    monkeypatch.setitem(TRUTH, "cold_7.7GPa/recovered", (2.4, 1.6, 1.45, 0.11))
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K/recovered", (2.3, 1.7, 1.7, 0.085))
    root = tmp_path / "apart"
    write_structure(root)
    row = numbers(budget(evidence_of(root)))["glasses", HOT]
    # Halfway between 1.55 at 2.2 g/cm³ and 1.45 at 2.4.
    assert row.here == pytest.approx(1.70 - 1.50, abs=1e-3)
    assert "at 2.300 g/cm³ by interpolation" in row.remark


def test_a_denser_hot_glass_between_cold_ones_says_more_than_a_pair(tmp_path, monkeypatch):
    hotter, cold = "hot_7.7GPa_2000K/recovered", "cold_20GPa/recovered"
    monkeypatch.setitem(TRUTH, cold, (2.6, 1.7, 1.35, 0.1))
    monkeypatch.setitem(TRUTH, hotter, (2.4, 1.7, 1.68, 0.085))
    states = dict(STATES)
    release = {"stages": [npt("release", 300, [20, 0])]}
    states["cold_20GPa"] = {"parent": "cold_7.7GPa", "stages": [npt("press", 300, [7.7, 20])]}
    states[cold] = release | {"parent": "cold_20GPa"}
    heat = [npt("heat", [300, 2000], 7.7), npt("cool", [2000, 300], [7.7, 0])]
    states[hotter] = {"parent": "cold_7.7GPa", "stages": heat}
    root = tmp_path / "hotter"
    write_structure(root, states=(*TRUTH,))
    md = {"glasses": 2, "atoms": 96, "states": states}
    row = numbers(budget(evidence_of(root, md=md)))["glasses", HOT]
    # cold at 2.4 g/cm³, between 1.54 at 2.21 and 1.35 at 2.6; 1500 K has a pair at 2.2
    assert row.here == pytest.approx(1.68 - (1.54 - 0.19 * 0.19 / 0.39), abs=2e-3)
    assert "by interpolation" in row.remark


def test_glasses_in_situ_are_not_compared_with_recovered_ones(own, tmp_path, monkeypatch):
    # denser than all cold recovered ones, and in situ between them
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K/recovered", (2.6, 1.7, 1.65, 0.085))
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K", (2.6, 1.8, 1.45, 0.08))
    root = tmp_path / "denser"
    write_structure(root)
    other = evidence_of(root, name="denser", seed=5)
    row = numbers(budget(own, [("committee", other)]))["committee", HOT]
    assert "hot_7.7GPa_1500K there are not alike" in row.remark
    assert pd.isna(row.change)


def test_what_no_campaign_tells_is_not_measured(own):
    row = numbers(budget(own))["glasses", HOT]
    assert row.here == pytest.approx(1.70 - 1.54)
    assert "by pairs of 2 glasses" in row.remark
    entries = budget(own)
    assert {entry.source for entry in entries} == {"glasses", *SOURCES}
    shown = for_page(entries).set_index("source")
    assert set(shown["told by"][list(SOURCES)]) == {"not measured"}
    assert set(shown.loc["size", list(QUANTITIES)]) == {"–"}


def test_another_functional_tells_how_far_it_moves_the_peak(own, pbesol):
    found = numbers(budget(own, [("functional", pbesol)]))
    height = found["functional", HEIGHT]
    assert (height.here, height.there) == (1.55, 1.45)
    assert height.change == pytest.approx(-0.1)
    assert height.change_error == pytest.approx(0.01 * 2**0.5)
    assert "differs in dft.xc" in height.remark
    assert "also" not in height.remark
    assert found["functional", POSITION].change == pytest.approx(0.05)
    assert found["functional", HOT].change == pytest.approx(-0.05)


@pytest.fixture
def held(tmp_path, monkeypatch):
    """The same glasses, held on by another potential, with lower peaks."""
    monkeypatch.setitem(TRUTH, "ambient", (2.2, 1.51, 1.52, 0.125))
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K/recovered", (2.205, 1.7, 1.69, 0.085))
    states = {name: STATES[name] for name in STATES if name != "cold_7.7GPa/recovered"}
    for state in states:
        for glass in ("glass00", "glass01"):
            (tmp_path / "runs" / state / glass).mkdir(parents=True)
            (tmp_path / "runs" / state / glass / "record.json").write_text("{}")
    root = tmp_path / "held"
    write_structure(root, states=tuple(states))
    md = {"glasses": 2, "atoms": 96, "states": states, "held": {"runs": str(tmp_path / "runs")}}
    return evidence_of(root, name="held", seed=4, md=md)


def test_the_same_glasses_are_compared_one_by_one(own, held):
    found = numbers(budget(own, [("committee", held)]))
    for quantity, change in ((HEIGHT, -0.03), (POSITION, 0.0), (HOT_REST, 0.02)):
        row = found["committee", quantity]
        assert row.change == pytest.approx(change)
        assert row.change_error == pytest.approx(0.0, abs=1e-3)  # all glasses move alike
        assert "by pairs of 2 glasses" in row.remark
    # What is held on has those states alone that are, which is no difference of theirs.
    assert found["committee", HEIGHT].remark.startswith("differs in seed. ")
    assert found["committee", HEIGHT].there == pytest.approx(1.52)
    assert "not measured" in found["committee", HOT].remark


@pytest.fixture
def shorter(own, tmp_path, monkeypatch):
    """The same glasses at rest and cold, annealed for a shorter time, with a lower peak."""
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K/recovered", (2.205, 1.7, 1.66, 0.085))
    root = tmp_path / "shorter"
    write_structure(root)
    for name in ("md/ambient/glass00/record.json", "md/ambient/glass01/record.json"):
        (root / name).parent.mkdir(parents=True)
        shutil.copy(own.results.root / name, root / name)
    heat, cool = STATES["hot_7.7GPa_1500K"]["stages"]
    hot = {"parent": "cold_7.7GPa", "stages": [heat | {"duration_ps": 0.5}, cool]}
    md = {"glasses": 2, "atoms": 96, "states": STATES | {"hot_7.7GPa_1500K": hot}}
    return evidence_of(root, name="shorter", md=md)


def test_another_anneal_of_the_same_glasses_is_compared_one_by_one(own, shorter):
    found = numbers(budget(own, [("anneal", shorter)]))
    assert {quantity for source, quantity in found if source == "anneal"} == {HOT_REST, HOT}
    row = found["anneal", HOT_REST]
    assert (row.here, row.there) == pytest.approx((0.15, 0.11))
    assert row.change == pytest.approx(-0.04)
    assert row.change_error == pytest.approx(0.0, abs=1e-3)  # all glasses move alike
    assert row.remark.startswith("differs in md.states. ")
    assert found["anneal", HOT].change == pytest.approx(-0.04)


def test_an_anneal_of_other_glasses_is_refused(own, shorter):
    (shorter.results.root / "md/ambient/glass01/record.json").write_text("{}")
    with pytest.raises(GlassmlError, match="anneal: the glasses at rest are others"):
        budget(own, [("anneal", shorter)])


def test_an_anneal_that_both_have_tells_nothing(own, tmp_path):
    states = STATES | {"cold_7.7GPa": {"parent": "ambient", "stages": [npt("slow", 300, [0, 7.7])]}}
    del states["hot_7.7GPa_1500K/recovered"]
    md = {"glasses": 2, "atoms": 96, "states": states}
    other = evidence_of(write_campaign(tmp_path / "other"), name="other", md=md)
    with pytest.raises(GlassmlError, match="no released state of both was annealed in two ways"):
        budget(own, [("anneal", other)])


def test_the_same_glasses_are_interpolated_between_the_same_states(own, tmp_path, monkeypatch):
    """A cold state that the other campaign lacks would move hot minus cold by itself."""
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K/recovered", (2.35, 1.7, 1.7, 0.085))
    monkeypatch.setitem(TRUTH, "cold_7.7GPa/recovered", (2.3, 1.52, 1.0, 0.124))  # far off a line
    monkeypatch.setitem(TRUTH, "cold_20GPa/recovered", (2.6, 1.7, 1.35, 0.1))
    press = {"parent": "cold_7.7GPa", "stages": [npt("press", 300, [7.7, 20])]}
    release = {"parent": "cold_20GPa", "stages": [npt("release", 300, [20, 0])]}
    states = STATES | {"cold_20GPa": press, "cold_20GPa/recovered": release}
    roots = [tmp_path / name for name in ("all", "fewer")]
    kept = [name for name in TRUTH if name != "cold_7.7GPa/recovered"]
    for root, names in zip(roots, (TRUTH, kept), strict=True):
        write_structure(root, states=tuple(names))
        for glass in ("glass00", "glass01"):
            record = f"md/ambient/{glass}/record.json"
            (root / record).parent.mkdir(parents=True)
            shutil.copy(own.results.root / record, root / record)
    md = {"glasses": 2, "atoms": 96, "states": states}
    one, other = (evidence_of(root, md=md, seed=seed) for seed, root in enumerate(roots))
    row = numbers(budget(one, [("committee", other)]))["committee", HOT]
    assert abs(row.here - row.there) > 0.1
    assert row.change == pytest.approx(0.0, abs=1e-6)


def test_hot_minus_rest_is_of_the_pair_of_the_page(own):
    row = numbers(budget(own))["glasses", HOT_REST]
    assert row.here == pytest.approx(1.70 - 1.55)
    assert "by pairs of 2 glasses" in row.remark


def test_what_else_differs_is_told(own, tmp_path):
    root = tmp_path / "other"
    write_structure(root)
    other = evidence_of(root, dft={"xc": "PBEsol"}, seed=3)
    remark = numbers(budget(own, [("committee", other)]))["committee", HEIGHT].remark
    assert remark == "differs in seed; and also in dft.xc"


def test_a_campaign_that_does_not_differ_in_the_source_is_refused(own, pbesol):
    with pytest.raises(GlassmlError, match=r"size: tiny and pbesol do not differ in md\.atoms"):
        budget(own, [("size", pbesol)])
    with pytest.raises(GlassmlError, match="'weather' is no source"):
        budget(own, [("weather", pbesol)])


def test_a_quantity_that_the_other_does_not_reach_says_why(own, tmp_path):
    root = tmp_path / "rest"
    write_structure(root, states=("ambient",))
    states = {"ambient": STATES["ambient"]}
    other = evidence_of(root, name="rest", md={"glasses": 2, "atoms": 288, "states": states})
    found = numbers(budget(own, [("size", other)]))
    assert found["size", HEIGHT].change == pytest.approx(0.0)
    assert "no hot and cold recovered states" in found["size", HOT].remark


def test_own_quenches_tell_what_a_decade_does(tmp_path, monkeypatch):
    states = {}
    for name, rate, height in (("q100", 100, 1.2), ("q10", 10, 1.3), ("q1", 1, 1.4)):
        quench = {"name": "quench", "ensemble": "npt", "temperature_K": [3000, 300]}
        states[name] = {"stages": [quench | {"pressure_GPa": 0, "rate_K_per_ps": rate}]}
        monkeypatch.setitem(TRUTH, name, (2.2, 1.5, height, 0.1))
    root = tmp_path / "rates"
    write_structure(root, states=tuple(states))
    evidence = evidence_of(root, md={"glasses": 2, "atoms": 96, "states": states})
    row = numbers(budget(evidence))["rate", HEIGHT]
    assert row.change == pytest.approx(0.1)
    assert "3 rates" in row.remark


def test_the_command_writes_the_table(own, pbesol, tmp_path, capsys):
    output = tmp_path / "budget.csv"
    roots = [evidence.results.root for evidence in (own, pbesol)]
    other = f"functional={roots[1]}"
    assert main(["report", "budget", str(roots[0]), other, "--output", str(output)]) == 0
    assert "−0.100 ± 0.014" in capsys.readouterr().out
    table = pd.read_csv(output)
    assert table[table.source == "functional"].against.unique() == ["pbesol"]
    assert main(["report", "budget", str(roots[0]), str(roots[1]), "--output", str(output)]) == 2
    assert "expected SOURCE=RESULTS" in capsys.readouterr().err
