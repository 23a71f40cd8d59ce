"""Hot glasses against the cold series at their own density."""

import pytest
from report_campaign import STATES, make_config, write_campaign, write_glass, write_json

from glassml.report import measures_recovered, pairs
from glassml.report.equal_density import at_equal_density, cold_series
from glassml.report.evidence import Evidence
from glassml.report.page import Cell
from glassml.report.results import AbsentError, Results
from glassml.report.sections import equal_density

AMBIENT, COLD, HOT = "ambient", "cold_7.7GPa/recovered", "hot_7.7GPa_1500K/recovered"
# Density and height of two glasses in each state: on a line of 0.5 per g/cm³ when cold, 0.1 apart.
SERIES = {
    AMBIENT: ((2.20, 1.50), (2.22, 1.39)),
    COLD: ((2.60, 1.30), (2.62, 1.19)),
    HOT: ((2.40, 1.46), (2.52, 1.31)),
}


def write_glasses(root, series):
    for state, glasses in series.items():
        for index, (density, height) in enumerate(glasses):
            folder = root / "structure" / state / f"glass{index:02d}"
            write_glass(folder, density, 1.6 if height else None, height)


def evidence_of(root, series=SERIES, states=STATES):
    write_glasses(root, series)
    config = make_config(md={"glasses": 2, "atoms": 96, "states": states})
    return Evidence(Results(root, config))


def state_of(evidence, name):
    return next(state for state in evidence.states if state.name == name)


def test_the_line_between_two_cold_states_is_read_at_the_density_of_the_hot_one(tmp_path):
    evidence = evidence_of(tmp_path)
    found = at_equal_density(evidence, state_of(evidence, HOT), pairs.peak_height)
    # Cold at 2.40: 1.40; at 2.52: 1.24. So hot is higher by 0.06 and 0.07.
    assert found.difference.mean == pytest.approx(0.065)
    assert found.difference.error == pytest.approx(0.005)
    assert (found.density, found.hot, found.cold) == pytest.approx((2.46, 1.385, 1.32))
    assert found.between == (AMBIENT, COLD)


@pytest.mark.parametrize("beyond", [2.1, 2.7])
def test_nothing_is_read_beyond_the_series(tmp_path, beyond):
    evidence = evidence_of(tmp_path, SERIES | {HOT: ((2.4, 1.46), (beyond, 1.3))})
    with pytest.raises(AbsentError, match=f"glass01 has {beyond:.2f} g/cm³, beyond"):
        at_equal_density(evidence, state_of(evidence, HOT), pairs.peak_height)


def test_a_cold_state_without_a_peak_is_left_out_of_the_line(tmp_path):
    evidence = evidence_of(tmp_path, SERIES | {COLD: ((2.6, 1.3), (2.6, None))})
    with pytest.raises(AbsentError, match=r"glass01 has 2\.52"):
        at_equal_density(evidence, state_of(evidence, HOT), pairs.peak_height)


def test_a_glass_that_was_set_aside_is_not_compared(tmp_path):
    write_glasses(tmp_path, SERIES)
    evidence = evidence_of(tmp_path)
    aside = {"status": "set aside", "reason": "a hole"}
    write_json(tmp_path / "structure" / HOT / "glass00" / "network.json", aside)
    with pytest.raises(AbsentError, match=f"{HOT}/glass00 was set aside: a hole"):
        at_equal_density(evidence, state_of(evidence, HOT), pairs.peak_height)


def test_states_in_situ_are_compared_with_states_in_situ(tmp_path):
    evidence = evidence_of(tmp_path)
    names = [s.name for s in cold_series(evidence, state_of(evidence, "hot_7.7GPa_1500K"))]
    assert names == [AMBIENT, "cold_7.7GPa"]


def test_a_melt_quenched_under_pressure_is_no_pair_of_glasses(tmp_path):
    states = {name: state for name, state in STATES.items() if name != "hot_7.7GPa_1500K"}
    melt = {"name": "quench", "ensemble": "npt", "temperature_K": [3000, 300], "pressure_GPa": 7.7}
    states["hot_7.7GPa_1500K"] = {"stages": [melt | {"duration_ps": 1.0}]}
    evidence = evidence_of(tmp_path, states=states)
    hot, cold = (state_of(evidence, name) for name in (HOT, COLD))
    assert hot.kind == "hot recovered"
    with pytest.raises(AbsentError, match="do not come from the same glasses"):
        pairs.paired_difference(evidence, hot, cold, pairs.peak_height)
    # Differences of independent glasses have an error as good.
    found = at_equal_density(evidence, hot, pairs.peak_height)
    assert found.difference.mean == pytest.approx(0.065)


def test_without_a_pair_of_equal_density_row_22_interpolates(tmp_path, monkeypatch):
    root = write_campaign(tmp_path / "dense")
    monkeypatch.setattr(measures_recovered, "DENSITY_TOLERANCE_g_cm3", 0.0)
    evidence = evidence_of(root)
    found = measures_recovered.hot_above_cold(evidence, "")
    assert found.mean == 1.0
    assert f"{HOT}: at 2.460 g/cm³ by interpolation between {AMBIENT} and {COLD}" in found.remark
    write_glasses(root, {HOT: ((2.40, 1.41), (2.52, 1.35))})
    # 0.06 ± 0.05
    assert measures_recovered.hot_above_cold(evidence, "").mean == 0.0


def test_the_page_has_the_table_and_the_figure(tmp_path):
    root = write_campaign(tmp_path / "page")
    evidence = evidence_of(root)
    table = equal_density.differences(evidence)
    neutron = table.frame[table.frame.quantity == "height_neutron"]
    assert neutron.difference.tolist() == pytest.approx([0.065])
    # Student's t for 13 errors and two glasses.
    cell = Cell("0.0650 ± 0.0050", "+13.0 errors, p = 0.049")
    assert table.shown["S(Q1), neutron"].tolist() == ["–", cell]
    assert table.shown["d l2/dn, Å"].tolist() == ["–", "–"]
    # Cold glasses in situ reach 2.67 g/cm³, hot ones have 2.95.
    assert "beyond its cold" in table.shown["hot state"][0].note
    figure = equal_density.heights(evidence)
    assert set(figure.table.way) == {"hot", "cold"}
    assert set(figure.table.place) == {"recovered", "in situ"}


def test_without_hot_states_the_reason_is_told(tmp_path):
    states = {name: state for name, state in STATES.items() if "hot" not in name}
    series = {name: values for name, values in SERIES.items() if name != HOT}
    evidence = evidence_of(tmp_path, series, states)
    for make in (equal_density.differences, equal_density.heights):
        with pytest.raises(AbsentError, match="no hot state"):
            make(evidence)
