"""Active learning: disagreement, dynamics that stop, selection, the table of generations.

The committees here are classical stand-ins (BKS with screened charges, and distorted copies of it).
"""

import numpy as np
import pandas as pd
import pytest
from ase.calculators.calculator import Calculator, all_changes
from hypothesis import given
from hypothesis import strategies as st

from glassml.campaign.config.potential import Potential
from glassml.potential import exploration
from glassml.potential.committee import Committee
from glassml.potential.errors import PARITY_COLUMNS
from glassml.potential.exploration import (
    ACCURATE,
    CANDIDATE,
    FAILED,
    SELECTION_COLUMNS,
    TRAJECTORY_COLUMNS,
    Trajectory,
    Visit,
)
from glassml.potential.packages import PotentialError
from glassml.studies.training import GENERATION_COLUMNS, generation_rows
from silica_labels import cristobalite, silica_calculator

SHORT_RUN = {
    "temperature_K": (300.0, 300.0),
    "pressure_GPa": (0.0, 0.0),
    "picoseconds": 0.02,
    "check_steps": 5,
    "accurate_eV_A": 0.2,
    "failed_eV_A": 5.0,
}


class Scaled(Calculator):
    """Forces of a classical potential times a factor: a member that errs."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, factor=1.0):
        super().__init__()
        self.inner, self.factor = silica_calculator(), factor

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        copy = atoms.copy()
        copy.calc = self.inner
        self.results = {
            "energy": copy.get_potential_energy(),
            "forces": self.factor * copy.get_forces(),
            "stress": copy.get_stress(),
        }


def test_disagreement_is_the_spread_of_the_worst_force():
    first = np.zeros((3, 3))
    second = first.copy()
    second[1] = [3.0, 4.0, 0.0]
    assert exploration.disagreement([first, first]) == 0
    # two values at a distance d have a standard deviation of d/√2
    assert exploration.disagreement([first, second]) == pytest.approx(5 / np.sqrt(2))


def test_members_that_agree_are_accurate_to_the_end():
    members = [Scaled(), Scaled()]
    rng = np.random.default_rng(1)
    found = exploration.explore(members, cristobalite(), ratio=1.0, rng=rng, **SHORT_RUN)
    assert found.event == ""
    assert found.picoseconds == pytest.approx(0.02)
    assert [visit.step for visit in found.visits] == [5, 10, 15, 20]
    assert found.count(ACCURATE) == 4


def test_the_ratio_turns_spread_into_error():
    members = [Scaled(1.0), Scaled(1.1)]
    found = [
        exploration.explore(
            members, cristobalite(), ratio=r, rng=np.random.default_rng(1), **SHORT_RUN
        )
        for r in (1.0, 2.0)
    ]
    for one, two in zip(found[0].visits, found[1].visits, strict=False):
        assert two.error == pytest.approx(2 * one.error)
    assert found[0].visits


def test_dynamics_stop_where_the_committee_disagrees():
    members = [Scaled(1.0), Scaled(30.0)]
    rng = np.random.default_rng(1)
    found = exploration.explore(members, cristobalite(), ratio=1.0, rng=rng, **SHORT_RUN)
    assert "disagrees" in found.event
    assert found.count(FAILED) == 1
    assert found.visits[-1].verdict == FAILED
    assert found.picoseconds < 0.02


def test_dynamics_stop_at_an_unphysical_event():
    rng = np.random.default_rng(1)
    # forces that lead uphill
    members = [Scaled(-3.0), Scaled(-3.0)]
    found = exploration.explore(members, cristobalite(), ratio=1.0, rng=rng, **SHORT_RUN)
    assert "rose to" in found.event
    assert len(found.visits) < 4


def test_a_rattled_start_settles_before_it_moves():
    start = cristobalite()
    start.rattle(0.12, seed=3)
    rng = np.random.default_rng(1)
    found = exploration.explore([Scaled(), Scaled()], start, ratio=1.0, rng=rng, **SHORT_RUN)
    assert found.event == ""


def test_only_candidates_are_to_be_labelled():
    atoms = cristobalite()
    verdicts = [ACCURATE, CANDIDATE, CANDIDATE, FAILED]
    visits = [Visit(k, atoms, float(k), verdict) for k, verdict in enumerate(verdicts)]
    trajectory = Trajectory(visits, 0.1, "")
    names = {
        "family": "explored_g0",
        "parent": "explored_g0/melt/0000",
        "prefix": "explored_g0/melt",
    }
    found = exploration.candidates_of(trajectory, names, first=7)
    assert [a.info["config_id"] for a in found] == [
        "explored_g0/melt/000007",
        "explored_g0/melt/000008",
    ]
    assert [a.info["error_eV_per_A"] for a in found] == [1.0, 2.0]
    row = exploration.trajectory_row("melt", 0, "x", trajectory, 1.0)
    assert tuple(row) == TRAJECTORY_COLUMNS
    assert (row[ACCURATE], row[CANDIDATE], row[FAILED]) == (1, 2, 1)


def test_what_is_known_is_not_chosen_and_neither_is_the_same_twice():
    candidates = np.array([[0.0], [1.0], [1.0], [5.0]])
    chosen = exploration.choose(np.ones(4), candidates, np.array([[0.0]]), 4)
    assert [index for index, _ in chosen] == [3, 1]
    assert [distance for _, distance in chosen] == [5.0, 1.0]


def test_of_equally_new_ones_the_worst_is_chosen():
    candidates = np.array([[1.0], [-1.0]])
    assert exploration.choose(np.array([1.0, 2.0]), candidates, np.array([[0.0]]), 1)[0][0] == 1


@given(st.integers(0, 12), st.integers(1, 12), st.integers(0, 3))
def test_chosen_ones_are_distinct_and_no_more_than_asked_for(size, count, known):
    rng = np.random.default_rng(size)
    candidates = rng.normal(size=(size, 2))
    familiar = rng.normal(size=(known, 2)) if known else np.empty((0, 0))
    chosen = [k for k, _ in exploration.choose(np.ones(size), candidates, familiar, count)]
    assert len(chosen) == len(set(chosen)) == min(size, count)


def test_selection_says_what_became_of_each_candidate():
    candidates = []
    for k, error in enumerate((1.0, 2.0, 3.0)):
        atoms = cristobalite()
        atoms.info = {"config_id": f"explored_g0/melt/{k:06d}", "error_eV_per_A": error}
        atoms.rattle(0.05 * (k + 1), seed=k)
        candidates.append(atoms)

    def describe(frames):
        return np.array([atoms.positions.ravel() for atoms in frames])

    selected, rows = exploration.select(candidates, [cristobalite()], 2, describe)
    assert len(selected) == 2
    assert all(tuple(row) == SELECTION_COLUMNS for row in rows)
    assert [row["chosen"] for row in rows] == ["", 2, 1]
    assert exploration.select([], [], 2, describe) == ([], [])


def write_parity(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=PARITY_COLUMNS).to_csv(folder / "parity.csv", index=False)


def force_rows(offset, names=("a",)):
    rows = []
    for name in names:
        common = ["test", name, "glass", 2]
        rows.append([*common, "energy", "", "", 0.0, offset * 1e-3])
        rows += [[*common, "force", "O", axis, 0.0, offset] for axis in "xyz"]
        rows.append([*common, "stress", "", "xx", 0.0, offset])
    return rows


def test_calibration_needs_members_that_differ(tmp_path):
    for member, offset in (("m0", 1.0), ("m1", 1.0), ("m2", 2.0)):
        write_parity(tmp_path / member, force_rows(offset))
    same = Committee([tmp_path / "m0", tmp_path / "m1"], [])
    with pytest.raises(PotentialError, match="two"):
        same.calibration_ratio()
    differ = Committee([tmp_path / "m0", tmp_path / "m2"], [])
    assert differ.calibration_ratio() == pytest.approx(1.5 * np.sqrt(2))


def test_generations_are_compared_on_the_same_labels(tmp_path):
    for generation, offset in ((0, 2.0), (1, 1.0)):
        names = ("a",) if generation == 0 else ("a", "new")
        for member in ("m0", "m1"):
            folder = tmp_path / f"g{generation}" / member
            write_parity(folder, force_rows(offset, names))
            (folder / "history.csv").write_text("epoch,seconds\n0,10\n")
    runs = tmp_path / "g0" / "exploration" / "runs"
    runs.mkdir(parents=True)
    rows = [["melt", 0, "x", 0.1, 6, 2, 1, 5.0, "the committee disagrees", 3.0]]
    rows.append(["melt", 1, "x", 0.1, 1, 0, 0, 0.1, "", 2.0])
    pd.DataFrame(rows, columns=TRAJECTORY_COLUMNS).to_csv(runs / "melt.csv", index=False)
    (tmp_path / "g0" / "exploration" / "labels.csv").write_text(
        "status,seconds\nconverged,60\nfailed,30\n"
    )
    first, second = generation_rows([tmp_path / "g0", tmp_path / "g1"], ["m0", "m1"], [100, 101])
    assert set(first) == set(GENERATION_COLUMNS)
    assert (first["force_mae_eV_per_A"], second["force_mae_eV_per_A"]) == (2.0, 1.0)
    assert first["test_labels"] == second["test_labels"] == 1
    assert (first["accurate"], first["candidate"], first["failed"]) == (0.7, 0.2, 0.1)
    assert (first["selected"], first["labelled"], first["dft_s"]) == (2, 1, 90)
    assert (first["trajectories"], first["stopped"]) == (2, 1)
    assert "selected" not in second


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"generations": 2, "committee": 1}, "committee"),
        ({"exploration": {"accurate_eV_A": 2.0, "failed_eV_A": 1.0}}, "below failed"),
    ],
)
def test_explorations_that_cannot_work_are_refused(section, reason):
    with pytest.raises(ValueError, match=reason):
        Potential.model_validate(section)
