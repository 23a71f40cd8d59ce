"""Quenches at several rates: a table, a line in the logarithm of the rate, a figure."""

import csv

import pytest
import yaml

from glassml.campaign.config import load_campaign
from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import write_csv
from glassml.cli import main
from glassml.structure.tables import FSDP_COLUMNS, STATE_COLUMNS
from glassml.studies.rates import fit_rates, quench_rates

RATES = {"quench_100": 100.0, "quench_10": 10.0, "quench_1": 1.0}


def campaign(folder, rates):
    """Write a configuration with these quenches, and three states that are none."""
    hold = {"name": "hold", "ensemble": "npt", "temperature_K": 300, "pressure_GPa": 0}
    hold |= {"duration_ps": 1}
    states = {
        name: {"stages": [{**hold, "name": "quench", "temperature_K": [3500, 1500],
                           "duration_ps": None, "rate_K_per_ps": rate}, hold]}
        for name, rate in rates.items()
    }  # fmt: skip
    states["held"] = {"stages": [hold]}
    heat = states[next(iter(rates))]["stages"][0] | {"temperature_K": [300, 1500]}
    states["heated"] = {"stages": [heat]}
    pressed = states[next(iter(rates))]["stages"][0] | {"pressure_GPa": 5}
    states["pressed"] = {"stages": [pressed]}
    md = {"engine": "torch", "potential": "shik", "glasses": 2, "atoms": 72, "states": states}
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump({"name": "test", "configurations": {"families": {}}, "md": md}))
    return path


def structure(folder, rates):
    """Write what a structure stage leaves of glasses that know their rate exactly."""
    states, peaks = [], []
    for index, (state, rate) in enumerate(rates.items()):
        decade = {100.0: 2, 10.0: 1, 1.0: 0}[rate]
        common = {"state": state, "glasses": 2, "set_aside": 0, "reasons": ""}
        for name, value in (
            ("density_g_cm3", 2.2 + 0.01 * decade),
            ("angle_Si-O-Si_mean_deg", 148.0),
        ):
            error = 0.001 * (index + 1)
            states.append(common | {"observable": name, "mean": value, "error": error})
        peak = dict.fromkeys(FSDP_COLUMNS, "") | {"state": state, "peak": "Q1", "glasses": 2}
        for weighting in ("neutron", "xray"):
            values = {"weighting": weighting, "position": 1.6, "position_error": 0.01}
            peaks.append(peak | values | {"height": 1.3 - 0.05 * decade, "height_error": 0.02})
        for glass in range(2):
            sizes = [
                {"criterion": "king", "size": 6, "fraction": 0.5 + 0.02 * glass},
                {"criterion": "king", "size": 7 + decade, "fraction": 0.5 - 0.02 * glass},
            ]
            rings = folder / state / f"glass{glass:02d}" / "rings.csv"
            write_csv(rings, sizes, ("criterion", "size", "fraction"))
    write_csv(folder / "summary" / "states.csv", states, STATE_COLUMNS)
    write_csv(folder / "summary" / "fsdp.csv", peaks, FSDP_COLUMNS)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rates_of(folder, rates):
    config = campaign(folder, rates)
    structure(folder / "structure", rates)
    made = {key: folder / f"rates.{key}" for key in ("csv", "png")}
    files = ["--table", str(made["csv"]), "--fit", str(folder / "fit.csv")]
    folders = ["--folder", str(folder / "structure"), "--figure", str(made["png"])]
    return main(["studies", "rates", "--config", str(config), *folders, *files])


def test_what_depends_on_the_rate_is_followed_to_a_furnace(tmp_path):
    assert rates_of(tmp_path, RATES) == 0
    rows = read(tmp_path / "rates.csv")
    assert [row["rate_K_per_ps"] for row in rows if row["observable"] == "S_Q1"] == [
        "100.0",
        "10.0",
        "1.0",
    ]
    ring = next(row for row in rows if row["observable"] == "ring_size")
    assert float(ring["mean"]) == pytest.approx((7.5 + 7.44) / 2)
    assert float(ring["error"]) == pytest.approx(0.03)
    fits = {fit["observable"]: fit for fit in read(tmp_path / "fit.csv")}
    assert float(fits["density_g_cm3"]["per_decade"]) == pytest.approx(0.01)
    assert float(fits["density_g_cm3"]["at_1_K_per_s"]) == pytest.approx(2.2 - 0.12)
    assert float(fits["S_Q1"]["at_1_K_per_s"]) == pytest.approx(1.3 + 0.6)
    # three equal errors, at -1, 0, 1 decades from 10 K/ps: 13 decades from there to a furnace
    far = 0.02 * (1 / 3 + 13**2 / 2) ** 0.5
    assert float(fits["S_Q1"]["at_1_K_per_s_error"]) == pytest.approx(far)
    flat = fits["angle_Si-O-Si_mean_deg"]
    assert float(flat["per_decade"]) == pytest.approx(0.0, abs=1e-9)
    assert (tmp_path / "rates.png").stat().st_size > 10_000


def test_one_rate_is_no_line(tmp_path, capsys):
    assert rates_of(tmp_path, {"quench_100": 100.0}) == 2
    assert "have a stage 'quench' with rate_K_per_ps, each with its own" in capsys.readouterr().err
    with pytest.raises(GlassmlError, match=r"0 rates? of a stage 'quench'"):
        fit_rates([])


def test_only_cooling_by_a_rate_is_a_quench(tmp_path):
    assert quench_rates(load_campaign(campaign(tmp_path, RATES)).md) == RATES


def test_rate_is_that_of_the_state_where_cooling_ends(tmp_path):
    path = campaign(tmp_path, RATES)
    raw = yaml.safe_load(path.read_text())
    states = raw["md"]["states"]
    quench, hold = states["quench_10"]["stages"]
    cool = quench | {"name": "cool", "temperature_K": [1500, 300]}
    compress = hold | {"name": "compress", "pressure_GPa": [0, 2]}
    states["quench_1"]["stages"] = [quench | {"rate_K_per_ps": 1}]
    states["quench_1/cooled"] = {"parent": "quench_1", "stages": [cool, hold]}
    states["quench_1/cooled/cold"] = {"parent": "quench_1/cooled", "stages": [compress]}
    path.write_text(yaml.safe_dump(raw))
    expected = {"quench_100": 100.0, "quench_10": 10.0, "quench_1/cooled": 1.0}
    assert quench_rates(load_campaign(path).md) == expected
