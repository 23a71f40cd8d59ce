"""The size search and the learning curve: nested subsets, the Pareto front, the fit."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from hypothesis import given
from hypothesis import strategies as st

from glassml.campaign.config.potential import LearningCurve, Potential, Variant
from glassml.potential.members import nested_subset
from glassml.potential.plots import plot_learning_curve, plot_search
from glassml.potential.speed import measure_speed
from glassml.potential.studies import (
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


def test_tables_read_what_trainings_left(tmp_path):
    folders = {name: write_member(tmp_path / name, e) for name, e in [("a", 1.0), ("b", 2.0)]}
    network = {"cutoff_A": 5.0, "layers": 2, "l_max": 1, "features": 8}
    speeds = {n: {"ms_per_atom_step": t, "device": "cpu"} for n, t in [("a", 1.0), ("b", 2.0)]}
    rows = search_rows(folders, {"a": network, "b": network}, speeds)
    assert [row["pareto"] for row in rows] == [True, False]
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
