"""The size search and the learning curve: nested subsets, the Pareto front, the fit."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from hypothesis import given
from hypothesis import strategies as st

from glassml.campaign.config.potential import LearningCurve, Network, Potential, Variant
from glassml.campaign.config.structure import Structure
from glassml.campaign.files import write_csv
from glassml.potential.members import nested_subset
from glassml.studies.glasses import CURVES, GLASS_COLUMNS, SUMMARY, glass_columns, glass_curves
from glassml.studies.plots import plot_learning_curve, plot_search, plot_search_glasses
from glassml.studies.speed import measure_speed
from glassml.studies.training import (
    ERROR_COLUMNS,
    curve_rows,
    fit_curve,
    on_pareto_front,
    search_rows,
)

TARGETS = {"energy": 3.0, "force": 0.1, "stress": 0.2}


def frames(parents, copies=3):
    return [
        Atoms("Si", info={"parent": f"p{k}", "config_id": f"{k}/{c}"})
        for k in range(parents)
        for c in range(copies)
    ]


def names(chosen):
    return [atoms.info["config_id"] for atoms in chosen]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_smaller_subsets_are_within_larger_ones(first, second, seed):
    few, many = sorted((first, second))
    subsets = [
        set(names(nested_subset(frames(10), count, np.random.default_rng(seed))))
        for count in (few, many)
    ]
    assert len(subsets[0]) == few
    assert subsets[0] <= subsets[1]


def test_subsets_take_parent_after_parent():
    chosen = nested_subset(frames(10), 9, np.random.default_rng(0))
    assert len({atoms.info["parent"] for atoms in chosen}) == 3


def test_pareto_front():
    assert on_pareto_front([1, 2, 3, 4], [4, 2, 3, 1]) == [True, True, False, True]
    assert on_pareto_front([1, 1], [1, 1]) == [True, True]


def test_a_power_law_is_found_and_says_how_many_labels_are_needed():
    rows = [
        {"labels": n}
        | {
            c: 2.0 * t * (n / 1000) ** -0.5
            for c, t in zip(ERROR_COLUMNS, TARGETS.values(), strict=True)
        }
        for n in (100, 300, 1000)
    ]
    for fit in fit_curve(rows, TARGETS):
        assert fit["exponent"] == pytest.approx(0.5)
        assert fit["at_1000_labels"] == pytest.approx(2 * fit["target"])
        assert fit["labels_needed"] == pytest.approx(4000, rel=0.01)
    assert plot_learning_curve(rows, fit_curve(rows, TARGETS)).axes


def test_errors_that_do_not_fall_need_no_number():
    rows = [{"labels": n} | dict.fromkeys(ERROR_COLUMNS, 1.0 + n) for n in (100, 300)]
    assert all("labels_needed" not in fit for fit in fit_curve(rows, TARGETS))


def write_member(folder, error):
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("epoch,seconds\n0,1.5\n1,2.5\n")
    lines = ["set,group,name,quantity,mae"]
    lines += [f"test,all,all,{q},{error}" for q in TARGETS] + ["train,all,all,force,0"]
    (folder / "errors.csv").write_text("\n".join(lines))
    return folder


def write_table(path, *rows):
    write_csv(path, rows, list(rows[0]))


def write_glasses(folder, fractions):
    """Write the structure of a variant's glasses, and give their folders."""
    error = "" if len(fractions) == 1 else 0.01
    folders = [folder / "structure" / "ambient" / f"glass{n:02d}" for n in range(len(fractions))]
    for glass, shares in zip(folders, fractions, strict=True):
        king = [{"criterion": "king", "size": n, "fraction": f} for n, f in shares.items()]
        write_table(glass / "rings.csv", *king, king[0] | {"criterion": "primitive"})
    summary = folder / SUMMARY
    density = {"observable": "density_g_cm3", "mean": 2.2, "error": error}
    rows = (density, density | {"observable": "Q4", "mean": 1.0})
    write_table(summary / "states.csv", *[{"glasses": len(fractions)} | row for row in rows])
    peak = {"position": 1.5, "position_error": 0.02, "height": 1.6, "height_error": 0.05}
    peaks = [
        {"weighting": weighting, "peak": name} | peak
        for weighting, name in (("xray", "Q1"), ("neutron", "Q2"), ("neutron", "Q1"))
    ]
    others = dict.fromkeys(peak, 9.0)
    write_table(summary / "fsdp.csv", peaks[0] | others, peaks[1] | others, peaks[2])
    rings = [
        {"criterion": name, "size": 6, "fraction": 0.3, "fraction_error": error}
        for name in ("guttman", "king")
    ]
    write_table(summary / "rings.csv", *rings)
    points = [(0.1, 9, 5.0), (1.50, 10, 1.0), (1.51, 30, 2.0), (1.52, 0, 8.0), (2.0, 5, 1.5)]
    sq = [
        {"state": "ambient", "q_per_A": q, "counts": n, "neutron": s, "neutron_error": error}
        for q, n, s in points
    ]
    write_table(summary / "sq.csv", *sq)
    return folders


def test_curves_of_glasses_have_coarser_bins_and_errors_where_there_are_some(tmp_path):
    for name, number in (("several", 3), ("single", 1)):
        write_glasses(tmp_path / name, number * [{6: 1.0}])
    rows = glass_curves({name: tmp_path / name / SUMMARY for name in ("several", "single")})
    joined, far, ring = rows[:3]
    # By 10 and 30 Q vectors; the bin without any was no mean of Q vectors.
    assert joined["value"] == pytest.approx(1.75)
    assert joined["x"] == pytest.approx(1.5075)
    assert joined["error"] == pytest.approx(0.01 * np.hypot(10, 30) / 40)
    assert (far["x"], far["value"]) == (2.0, 1.5)
    assert ring == {"variant": "several", "curve": CURVES[1], "x": 6, "value": 0.3, "error": 0.01}
    assert [set(row) for row in rows[3:]] == 3 * [{"variant", "curve", "x", "value"}]
    assert len(plot_search_glasses(rows).axes) == 2


def test_glasses_that_were_set_aside_leave_their_columns_empty(tmp_path):
    from glassml.structure.glass import set_aside, write_glass
    from glassml.structure.summary import summarise

    write_glass(tmp_path / "glass00", *set_aside("it flew apart"))
    rng = np.random.default_rng(0)
    summarise({"ambient": [tmp_path / "glass00"]}, tmp_path / "summary", rng, Structure())
    assert glass_columns(tmp_path / "summary", [tmp_path / "glass00"]) == {"glasses": 0}
    assert glass_curves({"model": tmp_path / "summary"}) == []


def test_tables_read_what_trainings_left(tmp_path):
    folders = {name: write_member(tmp_path / name, e) for name, e in [("a", 1.0), ("b", 2.0)]}
    network = Network(cutoff_A=5.0, layers=2, l_max=1, features=8)
    speeds = {n: {"ms_per_atom_step": t, "device": "cpu"} for n, t in [("a", 1.0), ("b", 2.0)]}
    made = {"a": write_glasses(tmp_path / "a", [{6: 0.5, 8: 0.5}, {5: 0.25, 7: 0.75}])}
    rows = search_rows(folders, {"a": network, "b": network}, speeds, made)
    assert [row["pareto"] for row in rows] == [True, False]
    assert not set(GLASS_COLUMNS) & set(rows[1])
    # Mean sizes are 7 and 6.5, their standard deviations 1 and √0.75.
    numbers = (2, 2.2, 0.01, 1.5, 0.02, 1.6, 0.05, 6.75, 0.25)
    numbers += ((1 + 0.75**0.5) / 2, (1 - 0.75**0.5) / 2)
    assert [rows[0][name] for name in GLASS_COLUMNS] == pytest.approx(numbers)
    assert rows[0]["epochs"] == 2
    assert rows[0]["training_s"] == 2.5
    assert plot_search(rows).axes
    curve = curve_rows({300: folders["a"], 100: folders["b"]})
    assert [(row["labels"], row["force_mae_eV_per_A"]) for row in curve] == [(100, 2), (300, 1)]


def test_variants_change_what_they_name_and_nothing_else():
    section = Potential.model_validate(
        {"search": {"variants": {"wide": {"cutoff_A": 6.0}}, "training": {"max_epochs": 7}}}
    )
    network, training = section.variant("wide")
    assert network.cutoff_A == 6.0
    assert network.features == section.model.features
    assert training.max_epochs == 7
    assert Variant().model_dump(exclude_none=True) == {}


def test_all_labels_come_last():
    assert LearningCurve(labels=[300, 100, 300]).names() == ["100", "300", "all"]


def test_speed_is_per_atom():
    calculator = LennardJones(rc=4.0)
    calculator.parameters |= {"device": "cpu", "backend": "eager"}
    atoms = Atoms("Si", cell=[3, 3, 3], pbc=True)
    found = measure_speed(calculator, [atoms], 20)
    assert found["atoms"] == 32
    assert found["ms_per_atom_step"] > 0
