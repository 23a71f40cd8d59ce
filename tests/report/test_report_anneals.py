"""Whether anneals under pressure are at their end, of densities that are made here."""

import numpy as np
import pandas as pd
import pytest
from report_campaign import STATES, make_config, npt

from glassml.report.anneals import anneals, density_slopes
from glassml.report.results import AbsentError, Results
from glassml.report.states import describe_all

HOT = "hot_7.7GPa_1500K"


@pytest.fixture
def config():
    heat, cool = STATES[HOT]["stages"]
    hot = STATES[HOT] | {"stages": [heat, npt("hold", 1500, 7.7), cool]}
    return make_config(md={"glasses": 2, "atoms": 96, "states": STATES | {HOT: hot}})


def states(config):
    return [state for state in describe_all(config.md) if state.kind == "hot in situ"]


def write_anneal(root, index, slope_mg_cm3_ps):
    """Write a glass whose density rises fast while it is heated, then by a straight line."""
    time_ps = np.arange(41.0)
    density = 2.6 + 1e-3 * slope_mg_cm3_ps * time_ps
    held = pd.DataFrame({"time_fs": 1e3 * time_ps, "stage": "hold", "density_g_cm3": density})
    heat = pd.DataFrame({"time_fs": [-2e3, -1e3], "stage": "heat", "density_g_cm3": [2.0, 2.5]})
    folder = root / "md" / HOT / f"glass{index:02d}"
    folder.mkdir(parents=True)
    pd.concat([heat, held]).to_csv(folder / "series.csv", index=False)


def test_slope_is_that_of_the_second_half(tmp_path, config):
    write_anneal(tmp_path, 0, 1.5)
    (row,) = density_slopes(Results(tmp_path, config), states(config)).itertuples()
    assert (row.state, row.glass, row.temperature_K) == (HOT, "glass00", 1500)
    assert row.slope_mg_cm3_ps == pytest.approx(1.5)
    assert row.picoseconds == 19  # of the twenty points after the middle
    assert row.density_g_cm3 == pytest.approx(2.6 + 1.5e-3 * 30.5)


@pytest.mark.parametrize(
    ("slopes", "said"),
    [
        ((1.4, 1.6), "rises"),
        ((-1.6, -1.4), "falls"),
        ((-0.2, 0.4), "steady"),
        ((1.5,), "unknown"),
    ],
)
def test_density_rises_or_falls_beyond_three_errors(tmp_path, config, slopes, said):
    for index, slope in enumerate(slopes):
        write_anneal(tmp_path, index, slope)
    (row,) = anneals(Results(tmp_path, config), states(config)).itertuples()
    assert row.trend == said
    assert row.slope_mg_cm3_ps == pytest.approx(np.mean(slopes))
    assert row.glasses == len(slopes)


def test_quenched_melts_were_not_annealed(tmp_path, config):
    write_anneal(tmp_path, 0, 1.5)
    melts = [state for state in describe_all(config.md) if state.kind == "hot in situ"]
    melts = [type(state)(**vars(state) | {"from_melt": True}) for state in melts]
    with pytest.raises(AbsentError, match="no anneal"):
        anneals(Results(tmp_path, config), melts)
