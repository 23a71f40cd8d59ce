"""The page is whole, complete in itself, and honest about what is missing."""

import base64
import gzip
import html
import json
import re
import shutil
import warnings
from html.parser import HTMLParser
from io import BytesIO, StringIO
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from report_campaign import (
    STATES,
    TRUTH,
    make_config,
    write_dynamics,
    write_glass,
    write_json,
    write_structure,
)

from glassml.cli import main
from glassml.report import page
from glassml.report.build import build
from glassml.report.evidence import Evidence
from glassml.report.results import Results
from glassml.report.sections.provenance import grouped
from glassml.report.sections.result import answers
from glassml.report.states import describe_all


class Links(HTMLParser):
    """Collects everything that a browser would fetch or jump to."""

    def __init__(self):
        super().__init__()
        self.resources, self.anchors, self.ids = [], [], set()
        self.downloads = {}

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if "id" in named:
            self.ids.add(named["id"])
        for key in ("src", "href", "srcset", "data", "poster", "action"):
            value = named.get(key)
            if value is None:
                continue
            if value.startswith("#"):
                self.anchors.append(value[1:])
            else:
                self.resources.append(value)
            if "download" in named:
                self.downloads[named["download"]] = value


@pytest.fixture(scope="module")
def report(tiny, campaign, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a glyph that the font lacks, a bad layout
        summary = build(tiny, folder, campaign)
    return folder, summary


@pytest.fixture(scope="module")
def text(report):
    return (report[0] / "report.html").read_text(encoding="utf-8")


def view_of(text):
    """Give the document of the 3D view, which the page holds compressed."""
    packed = re.search(r'<script type="application/gzip" id="view-rings">(.*?)</script>', text)
    return gzip.decompress(base64.b64decode(packed.group(1))).decode()


def pictures_of(text):
    """Give the pictures of the page: data URIs."""
    return [source for source in parse(text).resources if source.startswith("data:image/")]


def parse(text):
    links = Links()
    links.feed(text)
    return links


def test_the_page_asks_nobody_for_anything(text):
    links = parse(text)
    assert links.resources
    assert all(resource.startswith("data:") for resource in links.resources)
    frame = view_of(text)
    assert not parse(frame).resources
    # %23 is the # of a drawing's own clipping paths.
    assert not re.search(r"@import|url\((?!data:|%23)", text)
    # Its own script and the 3D view's frame may fetch nothing.
    assert text.count("<script>") == 1
    for one in (text, frame):
        assert "Content-Security-Policy" in one
        assert "default-src 'none'" in one


def test_every_entry_of_the_contents_leads_somewhere(text):
    links = parse(text)
    assert len(links.anchors) >= 8
    assert set(links.anchors) <= links.ids


def test_every_figure_has_its_numbers_beside_it(report, text):
    folder, _ = report
    pictures = {path.stem for path in (folder / "figures").glob("*.png")}
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    parities = {"parity_energy", "parity_force", "parity_stress"}
    assert parities | {"sq_neutron", "fsdp", "gr", "ring_sizes", "ring_aspect"} <= pictures
    assert pictures <= tables
    downloads = parse(text).downloads
    assert tables == {name.split(".csv")[0] for name in downloads}
    assert {path.stem for path in (folder / "figures").glob("*.svg")} == pictures
    for name in sorted(tables):
        assert len(pd.read_csv(folder / "tables" / f"{name}.csv")) > 0


def test_every_figure_has_a_caption_and_is_inline(report, text):
    pictures = list((report[0] / "figures").glob("*.png"))
    assert len(pictures_of(text)) == len(pictures)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL)
    assert all(len(caption.strip()) > 60 for caption in captions)


def test_the_page_is_small(report, text):
    view = re.search(r'<script type="application/gzip".*?</script>', text).group()
    pictures = pictures_of(text)
    files = sum(path.stat().st_size for path in (report[0] / "figures").glob("*.png"))
    assert len(text.encode()) - len(view) < 5e6
    assert sum(map(len, pictures)) < files
    # Lines are text, which takes less than base64; pixels are the same in less room.
    assert {uri.split(",")[0] for uri in pictures} == {
        "data:image/svg+xml",
        "data:image/webp;base64",
    }


def test_a_picture_on_the_page_is_the_one_beside_it(report, text):
    for path in (report[0] / "figures").glob("*.png"):
        source = re.search(f'id="figure-{path.stem}">.*?src="([^"]*)"', text, re.DOTALL).group(1)
        kind, content = html.unescape(source).split(",", 1)
        if "webp" in kind:
            with Image.open(BytesIO(base64.b64decode(content))) as shown, Image.open(path) as kept:
                assert np.array_equal(np.asarray(shown.convert("RGBA")), np.asarray(kept))
        else:
            kept = path.with_suffix(".svg").read_text(encoding="utf-8")
            assert unquote(content) == " ".join(kept.split())


def test_nothing_of_a_whole_campaign_is_missing(text):
    missing = re.findall(r'<p class="missing"><b>(.*?):</b> (.*?)</p>', text)
    assert missing == []
    assert "could not be made" not in text


def test_the_view_shows_the_rings_of_the_crystal(text):
    # Beta-cristobalite has rings of six Si alone, two per Si: 16 in a cell of 8 Si.
    assert "its 16 primitive rings" in text
    assert "6 Si (16)" in html.unescape(view_of(text))


def test_the_measured_curve_is_in_the_figure_of_s_of_q(report):
    table = pd.read_csv(report[0] / "tables" / "sq_neutron.csv")
    measured = table[table.state == "experiment"]
    assert len(measured) == 72
    assert measured.neutron[measured.q_per_A.sub(1.5).abs().idxmin()] == pytest.approx(1.421)


def test_x_rays_are_beside_neutrons(report):
    table = pd.read_csv(report[0] / "tables" / "result_fsdp.csv")
    measured = table[(table.state == "experiment") & (table.weighting == "xray")]
    peak = measured.loc[measured.S.idxmax()]
    # The same glass scatters neutrons at 1.51 Å⁻¹; its X-ray peak is the higher one.
    assert peak.q_per_A == pytest.approx(1.52, abs=0.06)
    assert peak.S - peak.S_error > 1.5
    whole = pd.read_csv(report[0] / "tables" / "sq_xray.csv")
    whole = whole[(whole.state == "experiment") & (whole.q_per_A > 7.0)]
    assert (whole.xray - 1.0).abs().max() < 0.35


def test_the_first_peak_of_both_is_in_one_line_and_one_figure(report, text):
    start = text.index("First peak by neutrons and by X-rays</h3>")
    head = text[start : text.index("</thead>", start)]
    assert [f"S(Q1), {word}" in head for word in ("neutron", "X-ray")] == [True, True]
    table = pd.read_csv(report[0] / "tables" / "fsdp.csv")
    assert set(table[table.state == "ambient"].weighting) == {"neutron", "xray"}
    assert set(table[table.state == "experiment"].weighting) == {"neutron", "xray"}


def test_what_the_numbers_rest_on_is_told_by_hash(report):
    table = pd.read_csv(report[0] / "tables" / "hashes.csv", dtype=str)
    assert dict(zip(table.file, table.sha256, strict=True)) == {
        "labels.extxyz.gz": "34" * 32,
        "train.extxyz": "12" * 32,
        "potential/g0/m0/model.nequip.zip": "ab" * 32,
    }


def test_failures_and_stops_are_told(report, text):
    _, summary = report
    assert any("no recipe converged" in line for line in summary["warnings"])
    assert any("atoms 3 and 7 are 0.71 Å apart" in line for line in summary["warnings"])
    assert "liquid/000003" in text


def test_banner_names_the_gate_that_fails(report, text):
    _, summary = report
    assert summary["banner"]["colour"] == "red"
    assert 'class="banner red"' in text
    assert "1c. Stress error" in html.unescape(text)


def test_acceptance_is_beside_the_page(report):
    folder, summary = report
    table = pd.read_csv(folder / "acceptance.csv")
    assert list(table.number) == [row["number"] for row in summary["acceptance"]]
    assert set(table.verdict) == {"pass", "fail", "not reached"}
    data = json.loads((folder / "report.json").read_text())
    assert data == json.loads(json.dumps(summary))


@pytest.mark.parametrize("there", [{"dft", "configurations", "md"}, {"potential", "dataset"}])
def test_a_page_without_a_stage_says_so_and_shows_the_rest(there, tiny, campaign, tmp_path):
    root = tmp_path / "results"
    for part in there:
        shutil.copytree(tiny / part, root / part)
    summary = build(root, tmp_path / "report", campaign)
    text = (tmp_path / "report" / "report.html").read_text()
    assert '<p class="missing">' in text
    assert "could not be made" not in text
    assert summary["acceptance"]


def test_a_broken_table_costs_only_its_own_figure(tiny, campaign, tmp_path):
    root = tmp_path / "results"
    shutil.copytree(tiny / "structure", root / "structure")
    (root / "structure" / "summary" / "gr.csv").write_text("state,r_A\nambient,1.0\n")
    summary = build(root, tmp_path / "report", campaign)
    text = (tmp_path / "report" / "report.html").read_text()
    assert text.count("could not be made") >= 1
    assert any(
        line.startswith("Pair distributions could not be made") for line in summary["warnings"]
    )
    assert (tmp_path / "report" / "figures" / "sq_neutron.png").exists()


def test_a_table_cut_off_within_a_number_is_not_read(tiny, campaign, tmp_path):
    root = tmp_path / "cut"
    shutil.copytree(tiny / "structure", root / "structure")
    table = root / "structure/summary/fsdp.csv"
    table.write_text(table.read_text()[:-2])
    summary = build(root, tmp_path / "report", campaign)
    assert any(str(table) in line and "not the whole" in line for line in summary["warnings"])
    verdicts = {row["number"]: row["verdict"] for row in summary["acceptance"]}
    assert verdicts["10a"] == "not reached" != verdicts["5"]


def test_labels_that_came_with_the_campaign_have_no_empty_picture_of_their_cost(
    tiny, campaign, tmp_path
):
    root = tmp_path / "results"
    shutil.copytree(tiny / "dft", root / "dft")
    for path in (root / "dft").rglob("*.csv"):
        labels = pd.read_csv(path)
        if "seconds" in labels:
            labels.assign(seconds=0.0).to_csv(path, index=False)
    build(root, tmp_path / "report", campaign)
    text = (tmp_path / "report" / "report.html").read_text()
    assert "No label says what it cost" in text
    assert not (tmp_path / "report" / "figures" / "label_cost.png").exists()


def test_dynamics_that_all_stopped_are_text(campaign, tmp_path):
    root = tmp_path / "results"
    write_dynamics(root)
    for state in STATES:
        for glass in ("glass00", "glass01"):
            (root / "md" / state / glass / "series.csv").unlink()
            record = {"status": "stopped", "reason": "it exploded", "atoms": 96}
            write_json(root / "md" / state / glass / "record.json", record)
    build(root, tmp_path / "report", campaign)
    text = (tmp_path / "report" / "report.html").read_text()
    assert "<b>Series: ambient:</b> ambient: it exploded" in text


def test_the_command_writes_the_page(tiny, campaign, tmp_path, capsys):
    config = tmp_path / "campaign.yaml"
    config.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
    results = tmp_path / "results"
    shutil.copytree(tiny / "potential", results / "potential")
    command = ["report", "build", "--config", str(config), "--results", str(results)]
    assert main([*command, "--output-dir", str(tmp_path / "out")]) == 0
    assert "not reached" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()


def test_the_same_results_give_the_same_page_and_no_old_figure_stays(
    report, tiny, campaign, tmp_path
):
    stale = tmp_path / "figures" / "stale.png"
    stale.parent.mkdir()
    stale.write_bytes(b"")
    build(tiny, tmp_path, campaign)
    assert (tmp_path / "report.html").read_bytes() == (report[0] / "report.html").read_bytes()
    assert not stale.exists()


def test_text_from_files_is_escaped():
    section = page.Section("one", "One", [page.Text("<script>alert(1)</script> & more")])
    banner = {"colour": "green", "headline": "<b>", "lines": []}
    text = page.render("<i>", "", banner, [section], "")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.509, 0.031, "1.509 ± 0.031"),
        (1.5, 0.3, "1.50 ± 0.30"),
        (-0.5, 0.02, "−0.500 ± 0.020"),
        (120.0, 15.0, "120 ± 15"),
        (2.367291, 0.000048, "2.3673 ± 0.0001"),
        (1.5, None, "1.5"),
        (None, 0.1, "–"),
        (float("nan"), 0.1, "–"),
    ],
)
def test_values_are_written_to_their_error(value, error, text):
    assert page.with_error(value, error) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature_K", "temperature, K"),
        ("density_g_cm3", "density, g/cm³"),
        ("energy_mae_meV_per_atom", "energy mae, meV/atom"),
        ("set", "set"),
        ("config_id", "config id"),
    ],
)
def test_columns_say_their_units(name, text):
    assert page.readable(name) == text


def test_tables_are_downloaded_whole(report, text):
    uri = parse(text).downloads["sq_neutron.csv.gz"]
    content = gzip.decompress(base64.b64decode(uri.split(",", 1)[1])).decode()
    beside = (report[0] / "tables" / "sq_neutron.csv").read_text()
    pd.testing.assert_frame_equal(pd.read_csv(StringIO(content)), pd.read_csv(StringIO(beside)))


def test_states_are_known_by_their_history():
    kinds = {state.name: state.kind for state in describe_all(make_config().md)}
    assert kinds == {
        "ambient": "ambient",
        "cold_7.7GPa": "cold in situ",
        "cold_7.7GPa/recovered": "cold recovered",
        "hot_7.7GPa_1500K": "hot in situ",
        "hot_7.7GPa_1500K/recovered": "hot recovered",
    }
    hot = next(s for s in describe_all(make_config().md) if s.name == "hot_7.7GPa_1500K/recovered")
    assert (hot.peak_pressure_GPa, hot.anneal_temperature_K) == (7.7, 1500)


def test_what_came_out_is_said_in_five_lines_with_errors(report):
    lines = report[1]["answers"]
    assert list(lines) == ["Asked", "At rest", "Cold", "Hot", "Rings"]
    assert "2.200 ± 0.010 g/cm³" in lines["At rest"]
    assert "S(Q₁) 1.550 ± 0.010 at 1.510 ± 0.010 Å⁻¹" in lines["At rest"]
    assert "In situ at 7.7 GPa 2.670 ± 0.010" in lines["Cold"]
    assert "1.700 ± 0.010" in lines["Hot"]
    assert "rest 0.1250 ± 0.0020, cold 0.1240 ± 0.0020, hot 0.0850 ± 0.0020" in lines["Rings"]


@pytest.mark.parametrize(
    ("potential", "by"),
    [("trained", "by a potential from r2SCAN labels."), ("shik", "the published potential shik.")],
)
def test_what_was_asked_names_the_potential(tiny, campaign, potential, by):
    md = campaign.md.model_copy(update={"potential": potential})
    config = campaign.model_copy(update={"md": md})
    results = Results(tiny, config)
    assert dict(answers(results, Evidence(results)))["Asked"].endswith(by)


@pytest.mark.parametrize(
    ("hot_density", "alone"),
    [(2.95, "compression alone lowers it"), (2.4, "the cold one is lower for that alone")],
)
def test_hot_and_cold_of_other_densities_are_compared_glass_by_glass(
    tmp_path, monkeypatch, hot_density, alone
):
    monkeypatch.setitem(TRUTH, "hot_7.7GPa_1500K", (hot_density, *TRUTH["hot_7.7GPa_1500K"][1:]))
    in_situ = ("ambient", "cold_7.7GPa", "hot_7.7GPa_1500K")
    write_structure(tmp_path, states=in_situ)
    for index, (hot, cold) in enumerate([(1.10, 1.00), (1.16, 1.04)]):
        made = {"ambient": (2.2, 1.5), "cold_7.7GPa": (2.7, cold), "hot_7.7GPa_1500K": (2.65, hot)}
        for state, (density, height) in made.items():
            write_glass(tmp_path / "structure" / state / f"glass{index:02d}", density, 1.7, height)
    states = {name: STATES[name] for name in in_situ}
    config = make_config(md={"glasses": 2, "atoms": 96, "states": states})
    results = Results(tmp_path, config)
    line = dict(answers(results, Evidence(results)))["Hot"]
    assert "S(Q₁), glass by glass, 0.1100 ± 0.0100 (neutrons), 0.1100 ± 0.0100 (X-rays)" in line
    assert f"(X-rays); {alone}." in line
    assert "Hot minus rest, glass by glass: −0.370 ± 0.030 (neutrons)" in line
    # a tenth of the way from cold to ambient: 1.050 and 1.086
    assert "(2.650 g/cm³) minus cold (between ambient and cold_7.7GPa): 0.062 ± 0.012" in line


def test_findings_come_before_the_rest_and_methods_are_folded(text):
    order = re.findall(r'<section id="(.*?)">', text)
    assert order[:5] == ["result", "findings", "acceptance", "warnings", "structure"]
    folded = re.findall(r'<section id="(.*?)">\s*<details class="fold">', text)
    assert folded == ["campaign", "dataset", "potential", "dynamics", "provenance"]


def test_states_are_drawn_by_groups(report):
    names = {path.stem for path in (report[0] / "figures").glob("series_*.png")}
    kinds = ("ambient", "cold_in_situ", "cold_recovered", "hot_in_situ", "hot_recovered")
    assert names == {f"series_{kind}" for kind in kinds}


def test_warnings_that_repeat_are_one_line():
    many = [f"Dynamics of cold/glass{index:02d}: {index}.5 K too hot" for index in range(12)]
    assert grouped([*many, "another"]) == [f"{many[0]} (and 11 more like this)", "another"]
