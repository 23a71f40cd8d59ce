"""The section of the potential: parity, published potentials, phonons and studies of training."""

import html
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from report_campaign import STATES, make_config, write_csv, write_potential, write_studies

from glassml.campaign.config import parse_campaign
from glassml.campaign.errors import ConfigError
from glassml.report.build import build
from glassml.report.sections.errors import MANY_POINTS

STUDIES = {
    "potential": {
        "committee": 2,
        "generations": 2,
        "gates": {"phonons": {"crystals": ["alpha_quartz", "stishovite"]}},
        "search": {"variants": {"model": {}, "large": {}}, "glasses": ["model", "large"]},
    },
    "md": {"engine": "torch", "states": STATES},
    "report": {"include": ["search", "learning_curve"]},
}
NAMES = {"generations", "size_search", "size_search_glasses", "learning_curve", "phonons"}


def write_page(root, folder, **changes):
    """Build the page without warnings, and give it with its tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a glyph that the font lacks, a bad layout
        build(root, folder, make_config(**changes))
    text = html.unescape((folder / "report.html").read_text(encoding="utf-8"))
    tables = {path.stem: pd.read_csv(path) for path in (folder / "tables").glob("*.csv")}
    return text, tables


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    root = tmp_path_factory.mktemp("studied")
    write_potential(root, generation=0, members=2)
    write_potential(root, generation=1, members=2)
    write_studies(root)
    folder = root / "report"
    return folder, *write_page(root, folder, **STUDIES)


def test_studies_and_phonons_are_figures_with_their_numbers(studied):
    folder, text, tables = studied
    assert {path.stem for path in (folder / "figures").glob("*.png")} >= NAMES
    assert set(tables) >= NAMES
    assert "could not be made" not in text
    section = re.search(r'<section id="potential">.*?</section>', text, re.DOTALL).group()
    assert 'class="missing"' not in section


def test_a_campaign_without_studies_has_no_place_for_them(tmp_path):
    write_potential(tmp_path)
    text, tables = write_page(tmp_path, tmp_path / "report")
    assert not set(tables) & NAMES
    titles = (
        "Generations",
        "Size of the neural network",
        "Glasses of the variants",
        "Learning curve",
    )
    for title in (*titles, "Phonons"):
        assert title not in text


def test_a_study_that_is_included_and_not_there_is_told(tmp_path):
    text, tables = write_page(tmp_path, tmp_path / "report", report={"include": ["search"]})
    assert "not computed: there is no studies/search/search.csv" in text
    assert "size_search" not in tables


def test_a_study_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"report\.include"):
        make_config(report={"include": ["exploration"]})
    assert parse_campaign(make_config().model_dump(mode="json")).report.include == []


def test_phonons_are_means_over_members_with_their_spread(studied):
    phonons = studied[2]["phonons"]
    assert len(phonons) == 2 * 6
    # Members are wrong by 0.3 and 0.6 THz.
    assert np.allclose(phonons.prediction_THz - phonons.label_THz, 0.45)
    assert np.allclose(phonons.spread_THz, 0.3 / np.sqrt(2))


def test_the_line_of_the_learning_curve_is_its_fit(studied):
    curve, fit = studied[2]["learning_curve"], studied[2]["learning_curve_fit"]
    assert np.allclose(curve.energy_fit, curve.energy_mae_meV_per_atom)
    assert fit.set_index("quantity").exponent["force"] == pytest.approx(0.5)
    # An error that does not fall never meets its target, and that is a dash.
    assert np.isnan(fit.set_index("quantity").labels_needed["stress"])


def test_costs_of_generations_are_in_hours_and_the_last_explores_nothing(studied):
    costs = studied[2]["generations_cost"]
    assert costs.training_h.to_list() == [0.5, 0.5]
    assert costs.dft_h.fillna(-1).to_list() == [2.0, -1]
    assert costs.labelled.fillna(-1).to_list() == [31, -1]


def test_the_networks_of_the_search_are_ordered_by_their_cost(studied):
    search = studied[2]["size_search"]
    assert list(search.variant) == ["small", "model", "wide", "large"]
    assert list(search.pareto) == [True, True, False, True]


def test_what_networks_make_of_the_glass_is_shown_with_its_errors(studied):
    _, text, tables = studied
    observables = tables["size_search_observables"]
    assert list(observables.variant) == ["model", "large"]
    assert list(observables.glasses) == [3, 1]
    assert "1.520 ± 0.020" in text
    assert not {"glasses", "Q1_per_A"} & set(tables["size_search_networks"])
    assert "state ambient, made anew by each of them" in text


def test_a_search_without_glasses_shows_none(tmp_path):
    write_potential(tmp_path, generation=1)
    write_studies(tmp_path)
    _, tables = write_page(tmp_path, tmp_path / "report", report={"include": ["search"]})
    assert "size_search" in tables
    assert not {"size_search_glasses", "size_search_observables"} & set(tables)


def test_own_errors_beside_published_ones_are_rms_of_glass_and_liquid(studied):
    published = studied[2]["published"]
    own = published.iloc[0]
    assert own.potential == "this campaign, worst member"
    # The crystal's error is fifty times as large, and rmse is 1.3 of mae; member 1 is twice as bad.
    assert own.energy_meV_per_atom == pytest.approx(4.0 * 1.3)
    assert own.force_eV_per_A == pytest.approx(0.05 * 1.3)
    others = published[1:]
    assert list(others.potential) == ["GAP, Erhard 2022", "NEP, Liang 2023"]
    assert others.source.str.match(r"https://github\.com/.*/tree/[0-9a-f]{40}/").all()
    assert "the CSV has the address" in studied[1]


def parity_rows(families):
    """Rows of held-out labels that are wrong by 1 meV/atom, 0.1 eV/Å, 1 GPa (shear 2 GPa)."""
    rows = []
    common = {"set": "test", "atoms": 24, "species": "", "component": "", "label": 0.0}
    for family, number in families.items():
        for index in range(number):
            one = common | {"config_id": f"{family}/{index:06d}", "config_type": "glass"}
            rows.append(one | {"quantity": "energy", "prediction": 0.001})
            rows += [one | {"quantity": "force", "prediction": s * 0.1} for s in (-1, 1)]
            one |= {"quantity": "stress"}
            rows += [one | {"component": c, "prediction": 1.0} for c in ("xx", "yy", "zz")]
            rows += [one | {"component": c, "prediction": 2.0} for c in ("yz", "xz", "xy")]
    return rows


def test_parity_is_drawn_by_family_and_as_a_density_where_points_are_many(tmp_path):
    families = {f"family_{index}": 5 for index in range(6)} | {"large": MANY_POINTS}
    write_csv(tmp_path / "potential/g0/m0/parity.csv", parity_rows(families))
    text, tables = write_page(tmp_path, tmp_path / "report")
    counted = tables["parity_force"].family.value_counts()
    assert counted.to_dict() == {name: 2 * number for name, number in families.items()}
    assert len(tables["parity_energy"]) == 30 + MANY_POINTS
    assert list(tables["parity_stress"].component.unique()) == ["xx", "yy", "zz", "yz", "xz", "xy"]
    assert text.count(f"by family: {30 + MANY_POINTS} configurations") == 3
    # Energies are 30 more than a figure shows as points; forces and stress are many more.
    assert text.count("Colour counts points") == 3
    few = {"family_1": 5}
    write_csv(tmp_path / "potential/g0/m0/parity.csv", parity_rows(few))
    text, _ = write_page(tmp_path, tmp_path / "report")
    assert "Colour counts points" not in text


def test_shear_counts_twice_in_the_error_of_stress():
    from glassml.potential.errors import error_rows
    from glassml.report.sections.errors import _rms

    rows = parity_rows({"glass": 3})
    expected = {row["quantity"]: row["rmse"] for row in error_rows(rows) if row["group"] == "all"}
    table = pd.DataFrame(rows)
    found = {name: _rms(part) for name, part in table.groupby("quantity")}
    assert found["stress"] == pytest.approx(expected["stress"]) == pytest.approx(np.sqrt(3))
    assert 1e3 * found["energy"] == pytest.approx(expected["energy"])


def test_labels_without_a_family_go_by_their_type(tmp_path):
    rows = parity_rows({"liquid": 2})
    for index, row in enumerate(rows):
        row["config_id"] = f"configuration {index}"
    write_csv(tmp_path / "potential/g0/m0/parity.csv", rows)
    _, tables = write_page(tmp_path, tmp_path / "report")
    assert set(tables["parity_energy"].family) == {"glass"}
