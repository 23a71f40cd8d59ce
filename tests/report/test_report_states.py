"""Campaigns with several ambient states: which is meant where, and how figures name them."""

import pandas as pd
import pytest
from report_campaign import STATES, TRUTH, make_config, npt, write_structure

from glassml.report import measures_pressure, measures_recovered
from glassml.report.evidence import Evidence
from glassml.report.figures import Canvas
from glassml.report.results import AbsentError, Results
from glassml.report.sections import structure
from glassml.report.states import describe_all

MELTED = "ambient_3000K"


def stage(temperature, pressure):
    end = temperature[1] if isinstance(temperature, list) else temperature
    return npt(f"to_{end}", temperature, pressure)


def melted_again():
    return {"stages": [stage([1500, 3000], 0), stage([3000, 300], 0)]}


def cold(parent, low, high):
    return {"parent": parent, "stages": [stage(300, [low, high])]}


def evidence_of(root, states, **report):
    return Evidence(Results(root, with_states(states, report=report)))


def with_states(states, **changes):
    return make_config(md={"glasses": 2, "atoms": 96, "states": states}, **changes)


def names(states):
    return [state.name for state in states]


@pytest.fixture
def analysed(tmp_path, monkeypatch):
    """Structure of the usual states and of a second ambient one, which is denser."""
    monkeypatch.setitem(TRUTH, MELTED, (2.30, 1.60, 1.45, 0.100))
    write_structure(tmp_path, states=tuple(TRUTH))
    return tmp_path


def test_ambient_states_are_told_apart_by_their_names():
    labels = {
        s.name: s.label for s in describe_all(with_states(STATES | {MELTED: melted_again()}).md)
    }
    assert labels["ambient"] == "ambient"
    assert labels[MELTED] == "ambient 3000K"
    assert len(set(labels.values())) == len(labels)


def test_a_melt_that_was_quenched_under_pressure_counts_as_hot():
    melt = {"stages": [stage([1500, 300], 7.7)]}
    released = {"parent": "melt", "stages": [stage(300, [7.7, 0])]}
    states = STATES | {"melt": melt, "melt/recovered": released}
    campaign = make_config(
        md={"atoms": 96, "states": states, "start": "classical", "classical": {"melt_K": 3500}}
    )
    described = {state.name: state for state in describe_all(campaign.md)}
    assert described["melt"].kind == "hot in situ"
    assert described["melt"].label == "hot 7.7 GPa from the melt, in situ"
    assert described["melt/recovered"].label == "hot 7.7 GPa from the melt, recovered"
    assert described["melt/recovered"].anneal_temperature_K == 3500
    assert described["hot_7.7GPa_1500K"].heat == "1500 K"
    # what begins at no pressure is as it was
    assert described["ambient"].kind == "ambient"
    assert not described["cold_7.7GPa"].from_melt


def test_a_melt_stands_for_a_long_anneal_where_there_is_none(tmp_path, monkeypatch):
    melt = {"stages": [stage([1500, 300], 7.7)]}
    released = {"parent": "melt", "stages": [stage(300, [7.7, 0])]}
    monkeypatch.setitem(TRUTH, "melt/recovered", (2.73, 1.80, 1.60, 0.090))
    write_structure(tmp_path, states=tuple(TRUTH))
    way = {"start": "classical", "classical": {"melt_K": 3500}}

    def evidence(states):
        md = {"glasses": 2, "atoms": 96, "states": states} | way
        return Evidence(Results(tmp_path, make_config(md=md)))

    both = STATES | {"melt": melt, "melt/recovered": released}
    annealed = measures_recovered.hot_density(evidence(both), "")
    assert (annealed.mean, annealed.remark) == (2.205, "annealed at 1500 K")
    hot = ("hot_7.7GPa_1500K", "hot_7.7GPa_1500K/recovered")
    alone = evidence({name: each for name, each in both.items() if name not in hot})
    melted = measures_recovered.hot_density(alone, "")
    assert (melted.mean, melted.remark) == (2.73, "quenched from the melt")
    # a short anneal, which leaves the bonds as they were, is not what a furnace does
    table = tmp_path / "structure" / "summary" / "states.csv"
    rows = pd.read_csv(table)
    kept = rows[rows.state == hot[0]].head(1).assign(observable="bonds_kept", mean=0.994)
    pd.concat([rows, kept]).to_csv(table, index=False)
    short = measures_recovered.hot_density(evidence(both), "")
    assert short.mean == 2.73
    assert short.remark == (
        "quenched from the melt; annealed at 1500 K 99.4 % of the bonds are as before"
    )
    no_melt = measures_recovered.hot_density(evidence(STATES), "")
    assert (no_melt.mean, no_melt.remark) == (2.205, "annealed at 1500 K")
    # but it is no anneal: it belongs to no trend in their temperatures
    assert measures_recovered.anneal_position(evidence(both), "").mean == 1.70
    with pytest.raises(AbsentError, match=r"no glass was annealed at 7\.7 GPa"):
        measures_recovered.anneal_position(alone, "")


@pytest.mark.parametrize("first", ["ambient", "quenched", "ambient_3000K"])
def test_the_ambient_state_is_the_one_that_is_listed_first(tmp_path, first):
    others = {name: melted_again() for name in ("a_glass", "ambient", "z_glass") if name != first}
    # States under pressure may be listed before all of them.
    states = {"pressed": cold(first, 0, 5), first: melted_again()} | others
    assert evidence_of(tmp_path, states).ambient().name == first


def test_the_cold_line_begins_at_one_ambient_state(tmp_path):
    states = STATES | {MELTED: melted_again(), "cold_2GPa": cold("ambient", 0, 2)}
    evidence = evidence_of(tmp_path, states)
    line = ["ambient", "cold_2GPa", "cold_7.7GPa"]
    assert names(evidence.cold_states()) == line
    assert names(evidence.cold_path(7.7)) == line
    assert names(evidence.cold_path(2)) == line[:2]


def test_the_cold_line_begins_where_it_descends_from(tmp_path):
    states = {"ambient": STATES["ambient"], MELTED: melted_again()}
    states |= {"cold_2GPa": cold(MELTED, 0, 2), "cold_4GPa": cold("cold_2GPa", 2, 4)}
    evidence = evidence_of(tmp_path, states)
    assert evidence.ambient().name == "ambient"
    line = [MELTED, "cold_2GPa", "cold_4GPa"]
    assert names(evidence.cold_states()) == line
    assert names(evidence.cold_path(4)) == line


def test_cold_lines_of_two_ambient_states_are_not_mixed(tmp_path):
    states = STATES | {MELTED: melted_again(), "other_1GPa": cold(MELTED, 0, 1)}
    states["other_12GPa"] = cold("other_1GPa", 1, 12)
    evidence = evidence_of(tmp_path, states)
    assert names(evidence.cold_states()) == ["ambient", "cold_7.7GPa"]
    assert names(evidence.cold_path(12)) == [MELTED, "other_1GPa", "other_12GPa"]


def test_the_nearest_ambient_ancestor_is_the_origin(tmp_path):
    annealed = {"parent": "ambient"} | melted_again()
    # A state of its own melt, compressed while hot, has no ambient ancestor.
    pressed = {"stages": [stage(3000, 0), stage([3000, 300], 5)]}
    states = {"annealed": annealed, "ambient": STATES["ambient"]}
    states |= {"pressed": pressed, "cold": cold("annealed", 0, 5)}
    evidence = evidence_of(tmp_path, states)
    origins = {state.name: evidence.origin(state).name for state in evidence.states}
    assert origins["cold"] == "annealed"
    assert origins["ambient"] == "ambient"
    assert origins["pressed"] == evidence.ambient().name


def test_changes_are_measured_from_the_state_that_was_compressed(analysed):
    states = STATES | {MELTED: melted_again()}
    change = measures_recovered.densification(evidence_of(analysed, states), "7.7")
    assert change.mean == pytest.approx(100 * (2.21 / 2.20 - 1))
    states["cold_7.7GPa"] = STATES["cold_7.7GPa"] | {"parent": MELTED}
    evidence = evidence_of(analysed, states)
    assert measures_recovered.densification(evidence, "7.7").mean == pytest.approx(
        100 * (2.21 / 2.30 - 1)
    )
    assert measures_pressure.fsdp_shift(evidence, "7.7").mean == pytest.approx(1.75 - 1.60)


@pytest.mark.parametrize(
    ("room", "ambient"),
    [(8, ["ambient", MELTED]), (6, ["ambient", MELTED]), (5, ["ambient"]), (1, ["ambient"])],
)
def test_figures_show_the_first_ambient_state_and_others_if_there_is_room(
    analysed, monkeypatch, room, ambient
):
    monkeypatch.setitem(TRUTH, "cold_2GPa", (2.30, 1.55, 1.50, 0.12))
    write_structure(analysed, states=tuple(TRUTH))
    states = STATES | {MELTED: melted_again(), "cold_2GPa": cold("ambient", 0, 2)}
    shown = structure.shown_states(evidence_of(analysed, states, states_in_figures=room))
    assert [state.name for state in shown if state.kind == "ambient"] == ambient
    kinds = [state.kind for state in shown if state.kind != "ambient"]
    assert len(set(kinds)) == 4
    assert ("cold_2GPa" in names(shown)) == (room == 8)


def test_the_experiment_is_beside_each_ambient_state_and_once_in_the_legend(analysed, monkeypatch):
    evidence = evidence_of(analysed, STATES | {MELTED: melted_again()})
    canvas = Canvas()
    monkeypatch.setattr(structure, "draw", lambda *arguments, **_: arguments[4](canvas))
    structure._neutron(evidence, structure.shown_states(evidence))
    axis = canvas.axes[0]
    assert sum(line.get_marker() == "o" for line in axis.lines) == 2
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend.count("experiment, ambient") == 1
    assert len(legend) == len(set(legend)) == len(STATES) + 2
