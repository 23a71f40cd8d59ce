"""Figures along compression and temperature: which states, in which order, with which numbers."""

import pandas as pd
import pytest
from report_campaign import STATES, TRUTH, make_config, npt, write_structure

from glassml.report.evidence import Evidence
from glassml.report.figures import Canvas
from glassml.report.results import AbsentError, Results
from glassml.report.sections import paths

HOT = "hot_7.7GPa_1500K"
MORE = {
    "cold_2GPa": {"parent": "ambient", "stages": [npt("compress", 300, [0, 2])]},
    "hot_7.7GPa_1000K": {
        "parent": "cold_7.7GPa",
        "stages": [npt("heat", [300, 1000], 7.7), npt("cool", [1000, 300], 7.7)],
    },
    "melt": {"stages": [npt("quench", [1500, 300], 7.7)]},
}
WAY = {"start": "classical", "classical": {"melt_K": 3500}}


@pytest.fixture
def evidence(tmp_path, monkeypatch):
    for name in MORE:
        monkeypatch.setitem(TRUTH, name, (2.5, 1.6, 1.2, 0.1))
    return made(tmp_path, STATES | MORE)


def made(folder, states):
    write_structure(folder, states=tuple(states))
    md = {"glasses": 2, "atoms": 96, "states": states} | WAY
    return Evidence(Results(folder, make_config(md=md)))


def test_paths_go_by_pressure_and_by_temperature_with_the_melt_last(evidence):
    cold, hot = paths.paths(evidence)
    assert cold.labels == ("0 GPa", "2 GPa", "7.7 GPa")
    assert hot.title == "7.7 GPa, in situ"
    assert hot.labels == ("300 K", "1000 K", "1500 K", "from the melt")
    assert hot.states[0].name == "cold_7.7GPa"
    colours = [colour for _, _, colour in hot.coloured()]
    assert len(set(colours)) == 4


def test_a_state_that_was_not_analysed_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(TRUTH, "cold_2GPa", (2.5, 1.6, 1.2, 0.1))
    write_structure(tmp_path, states=tuple(STATES))
    states = STATES | {"cold_2GPa": MORE["cold_2GPa"]}
    evidence = Evidence(
        Results(tmp_path, make_config(md={"glasses": 2, "atoms": 96, "states": states}))
    )
    assert paths.paths(evidence)[0].labels == ("0 GPa", "7.7 GPa")


@pytest.mark.parametrize("make", [paths.structure_factors, paths.aspect_ratios, paths.centres])
def test_a_panel_has_the_states_of_its_path(evidence, make):
    table = make(evidence).table
    for path in paths.paths(evidence):
        own = table[table.path == path.title]
        assert list(dict.fromkeys(own.state)) == [state.name for state in path.states]


def test_heights_stand_at_the_temperature_of_the_anneal(evidence):
    table = paths.temperatures(evidence).table
    neutron = table[table.weighting == "neutron"].set_index("state")
    assert neutron.loc["ambient", "where"] == "at rest"
    assert neutron.loc["cold_7.7GPa", "temperature_K"] == 300
    assert neutron.loc[HOT, "temperature_K"] == 1500
    assert neutron.loc[HOT, "height"] == pytest.approx(TRUTH[HOT][2])
    assert neutron.loc[f"{HOT}/recovered", "where"] == "recovered"
    assert bool(neutron.loc["melt", "from_melt"])
    assert neutron.loc["melt", "temperature_K"] == 3500


def test_what_has_a_peak_by_x_rays_alone_is_in_the_legend(evidence, tmp_path, monkeypatch):
    table = tmp_path / "structure" / "summary" / "fsdp.csv"
    rows = pd.read_csv(table)
    lost = (rows.weighting == "neutron") & rows.state.str.endswith("/recovered")
    rows[~lost].to_csv(table, index=False)
    canvas = Canvas()
    monkeypatch.setattr(paths, "draw", lambda *given, size: given[-1](canvas))
    paths.temperatures(evidence)
    texts = [text.get_text() for text in canvas.legends[0].get_texts()]
    assert "annealed, recovered" in texts
    assert texts.count("annealed, in situ") == 1


def test_a_campaign_at_rest_has_no_paths(tmp_path):
    evidence = made(tmp_path, {"ambient": STATES["ambient"]})
    with pytest.raises(AbsentError, match="compressed"):
        paths.paths(evidence)
    with pytest.raises(AbsentError, match="no hot state"):
        paths.temperatures(evidence)


def numbers(table):
    return {(row.state, row.quantity): row for row in table.itertuples()}


def test_heat_is_told_glass_by_glass_and_of_melts_as_of_independent_glasses(evidence):
    found = numbers(paths.heating(evidence).frame)
    raised = found[HOT, "S(Q1), neutron"]
    assert (raised.against, raised.where) == ("cold_7.7GPa", "in situ")
    assert raised.change == pytest.approx(TRUTH[HOT][2] - TRUTH["cold_7.7GPa"][2])
    assert raised.compared == "glass by glass"
    released = found[f"{HOT}/recovered", "density, g/cm³"]
    assert released.against == "cold_7.7GPa/recovered"
    expected = TRUTH[f"{HOT}/recovered"][0] - TRUTH["cold_7.7GPa/recovered"][0]
    assert released.change == pytest.approx(expected)
    melt = found["melt", "S(Q1), neutron"]
    assert melt.compared == "as independent glasses"
    assert melt.change_error == pytest.approx(0.01 * 2**0.5)


def test_the_page_has_a_line_for_each_hot_state(evidence):
    table = paths.heating(evidence)
    shown = table.shown.set_index("hot state")
    assert shown.index.is_unique
    assert len(shown) == 4
    assert shown.loc["hot 7.7 GPa 1500 K, in situ", "S(Q1), neutron"].startswith("0.15")


def test_without_a_cold_state_under_that_pressure_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(TRUTH, "melt", (2.5, 1.6, 1.2, 0.1))
    states = {"ambient": STATES["ambient"], "melt": MORE["melt"]}
    with pytest.raises(AbsentError, match="no hot state can be compared with the cold one"):
        paths.heating(made(tmp_path, states))
