"""Figures draw the numbers of the tables, with their errors, on the axis they are given."""

import matplotlib as mpl
import numpy as np
import pytest

from glassml.structure import plots

mpl.use("Agg")


@pytest.fixture
def axis():
    from matplotlib.figure import Figure

    with mpl.rc_context(plots.STYLE):
        yield Figure().subplots()


def table(**columns):
    """Rows as `csv.DictReader` gives them."""
    return [
        dict(zip(columns, map(str, values), strict=True))
        for values in zip(*columns.values(), strict=True)
    ]


Q = np.arange(0.5, 6.0, 0.02)


def curve(values, error=0.1, counts=100):
    flat = {"neutron_error": np.full(len(Q), error), "counts": np.full(len(Q), counts)}
    partials = {pair: values + i for i, pair in enumerate(plots.PARTIALS)}
    return table(q_per_A=Q, neutron=values, xray=values, **partials, **flat)


def band(axis):
    (path,) = axis.collections[0].get_paths()
    return np.ptp(path.vertices[:, 1])


def test_structure_factor_has_its_error_as_a_band(axis):
    plots.plot_structure_factor(axis, curve(np.ones(len(Q))), "neutron", "glass")
    np.testing.assert_allclose(axis.lines[0].get_ydata(), 1.0)
    assert band(axis) == pytest.approx(0.2)
    assert axis.get_ylabel() == "$S_N(Q)$"
    plots.plot_structure_factor(axis, curve(np.ones(len(Q))), "xray")
    assert axis.get_ylabel() == "$S(Q)$"


def test_error_of_a_smoothed_curve():
    """A Gaussian of s bins averages 2 √π s independent ones."""
    error = np.full(1000, 0.3)
    q = 0.02 * np.arange(1000)
    smooth = plots.smooth_error(q, error, np.full(1000, 7.0), 0.2)
    assert smooth[500] == pytest.approx(0.3 / np.sqrt(2 * np.sqrt(np.pi) * 10), rel=1e-3)


def test_partials_are_shifted(axis):
    plots.plot_partials(axis, curve(np.zeros(len(Q))), offset=2.0)
    drawn = {line.get_label(): line.get_ydata()[0] for line in axis.lines[::2]}
    assert drawn == {"Si-Si": 0.0, "Si-O": 3.0, "O-O": 6.0}


def test_fsdp_marks_the_fit(axis):
    peak = 1 + np.exp(-(((Q - 1.6) / 0.2) ** 2))
    fit = {"position": "1.6", "position_error": "0.05", "height": "2.0", "height_error": ""}
    plots.plot_fsdp(axis, curve(peak), fit=fit)
    marker = axis.containers[0].lines[0]
    assert (marker.get_xdata()[0], marker.get_ydata()[0]) == (1.6, 2.0)
    assert axis.get_xlim() == (0.6, 2.6)


def test_ring_histogram_and_shape(axis):
    rings = table(
        criterion=["king", "king", "guttman"],
        size=[5, 6, 5],
        per_si=[0.5, 1.5, 9.0],
        per_si_error=[0.1, "", 0.1],
    )
    plots.plot_ring_histogram(axis, {"one": rings, "two": rings}, "king")
    assert [bar.get_height() for bar in axis.patches] == [0.5, 1.5, 0.5, 1.5]
    axis.clear()
    shape = table(
        criterion=["king"] * 3,
        atoms=["Si+O"] * 3,
        size=[2, 3, 4],
        l2_A_mean=[0.9, 1.1, 1.3],
        l2_A_mean_error=[0.1, 0.1, 0.1],
    )
    plots.plot_ring_shape(axis, {"one": shape}, "king", "l2_A")
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [1.1, 1.3])
    assert axis.get_ylabel() == "$l_2$ (Å)"


def test_curves_of_other_tables(axis):
    centres = table(size=["all"] * 3, q_per_A=[1, 2, 3], counts=[5, 5, 5], contribution=[1, 2, 4])
    plots.plot_ring_centres(axis, centres, ("all", 6), "contribution", width=0.0)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [1, 2, 4])
    assert len(axis.lines) == 1
    draws = {
        plots.plot_pair_distribution: table(r_A=[1, 2], neutron=[0, 3]),
        plots.plot_angles: table(angle_deg=[100, 140], **{"Si-O-Si_per_deg": [0, 3]}),
        plots.plot_kono_z: table(z_A=[1, 2], density_per_A=[0, 3]),
    }
    for draw, rows in draws.items():
        axis.clear()
        draw(axis, rows, label="glass")
        np.testing.assert_allclose(axis.lines[0].get_ydata(), [0, 3])
    axis.clear()
    aspects = table(criterion=["king"] * 2, size=[6, 6], aspect_ratio=[0.5, 0.7], density=[1, 3])
    plots.plot_ring_aspects(axis, aspects, "king", [6])
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [1, 3])
