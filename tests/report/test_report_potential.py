"""The section of the potential: phonons and studies of training."""

import html
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from report_campaign import make_config, write_potential, write_studies

from glassml.campaign.config import parse_campaign
from glassml.campaign.errors import ConfigError
from glassml.report.build import build

STUDIES = {
    "potential": {
        "committee": 2,
        "generations": 2,
        "gates": {"phonons": {"crystals": ["alpha_quartz", "stishovite"]}},
    },
    "report": {"include": ["search", "learning_curve"]},
}
NAMES = {"generations", "size_search", "learning_curve", "phonons"}


def write_page(root, folder, **changes):
    """Build the page without warnings, and give it with its tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a glyph that the font lacks, a bad layout
        build(root, folder, make_config(**changes).model_dump(mode="json"))
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
    for title in ("Generations", "Size of the network", "Learning curve", "Phonons"):
        assert title not in text


def test_a_study_that_is_included_and_not_there_is_told(tmp_path):
    text, tables = write_page(tmp_path, tmp_path / "report", report={"include": ["search"]})
    assert "not computed: there is no potential/search/search.csv" in text
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
