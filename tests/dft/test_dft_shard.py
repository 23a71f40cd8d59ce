"""Shards: each label once, nothing lost by a bad structure, a crash or a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import GlassmlError
from glassml.campaign.store import LabelStore
from glassml.dft.calculation import Converged, NotConvergedError, climb
from glassml.dft.shard import label_shard, refuse_structure

DFT = Dft(max_minutes=0.2)


def _cells(number):
    return [
        Atoms("OSi", [[0, 0, 0], [1.6 + 0.001 * index, 0, 0]], cell=[4, 4, 4], pbc=True)
        for index in range(number)
    ]


def _pair_label(atoms, dft, recipes, log):
    """Label with a cheap potential: what is tested here is the bookkeeping around a label."""
    atoms = atoms.copy()
    atoms.symbols = ["O"] * len(atoms)
    atoms.calc = EMT()
    with Path(os.environ["COMPUTED"]).open("a") as file:
        file.write(f"{atoms.positions[1, 0]:.3f}\n")
    time.sleep(float(os.environ.get("LABEL_SECONDS", "0")))
    return {
        "status": "converged",
        "recipe": "standard",
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces().tolist(),
        "stress": atoms.get_stress().tolist(),
        "scf": {},
        "attempts": [],
    }


@pytest.fixture(autouse=True)
def computed(tmp_path, monkeypatch):
    path = tmp_path / "computed"
    monkeypatch.setenv("COMPUTED", str(path))
    return path


def test_a_second_run_computes_nothing(tmp_path, computed):
    store = LabelStore(tmp_path / "store")
    first = label_shard(_cells(5), DFT, store, 2, _pair_label)
    second = label_shard(_cells(6), DFT, store, 2, _pair_label)
    assert (first.computed, second.computed) == (5, 1)
    assert second.records[:5] == first.records
    assert len(computed.read_text().split()) == 6


def test_equal_structures_of_a_shard_are_computed_once(tmp_path, computed):
    result = label_shard(_cells(1) * 3, DFT, LabelStore(tmp_path / "store"), 2, _pair_label)
    assert result.computed == 1
    assert [record["status"] for record in result.records] == ["converged"] * 3


def test_each_configuration_can_have_settings_of_its_own(tmp_path, computed):
    store = LabelStore(tmp_path / "store")
    sections = [DFT.model_copy(update={"cutoff_eV": cutoff}) for cutoff in (400.0, 500.0, 400.0)]
    result = label_shard(_cells(1) * 3, sections, store, 2, _pair_label)
    assert result.computed == 2
    assert [record["settings"]["cutoff_eV"] for record in result.records] == [400.0, 500.0, 400.0]
    with pytest.raises(ValueError, match="zip"):
        label_shard(_cells(2), sections, store, 2, _pair_label)


BAD = {
    "overlap": Atoms("OSi", [[0, 0, 0], [0.2, 0, 0]], cell=[4, 4, 4], pbc=True),
    "overlap through the boundary": Atoms("OO", [[0.1, 0, 0], [3.9, 0, 0]], cell=[4] * 3, pbc=True),
    "not finite": Atoms("OSi", [[0, 0, 0], [np.nan, 0, 0]], cell=[4, 4, 4], pbc=True),
    "no cell": Atoms("OSi", [[0, 0, 0], [1.6, 0, 0]]),
    "more than": Atoms("Si", [[0, 0, 0]], cell=[40, 40, 40], pbc=True),
    "no atoms": Atoms(cell=[4, 4, 4], pbc=True),
    "max_atoms": Atoms("Si201", np.arange(603).reshape(-1, 3), cell=[700] * 3, pbc=True),
    "without an element": Atoms("XSi", [[0, 0, 0], [2, 0, 0]], cell=[4, 4, 4], pbc=True),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_structure_is_refused_and_the_rest_labelled(tmp_path, reason):
    good = _cells(2)
    shard = [good[0], BAD[reason], good[1]]
    result = label_shard(shard, DFT, LabelStore(tmp_path / "store"), 1, _pair_label)
    assert [record["status"] for record in result.records] == ["converged", "refused", "converged"]
    assert reason.split()[0] in result.records[1]["reason"]
    assert result.keys[1] is None


def test_good_structures_are_not_refused():
    assert refuse_structure(_cells(1)[0], max_atoms=2) is None


def _crash_on_second(atoms, dft, recipes, log):
    if atoms.positions[1, 0] > 1.6005:
        os.kill(os.getpid(), signal.SIGKILL)
    return _pair_label(atoms, dft, recipes, log)


def _hang(atoms, dft, recipes, log):
    time.sleep(60)


def _raise(atoms, dft, recipes, log):
    raise ValueError("a reason")


def test_a_crash_costs_one_label(tmp_path):
    result = label_shard(_cells(2), DFT, LabelStore(tmp_path / "s"), 2, _crash_on_second)
    assert [record["status"] for record in result.records] == ["converged", "failed"]
    assert "SIGKILL" in result.records[1]["reason"]


def test_time_and_exceptions_are_reasons(tmp_path):
    hasty = DFT.model_copy(update={"max_minutes": 0.01})
    slow = label_shard(_cells(1), hasty, LabelStore(tmp_path / "a"), 1, _hang)
    assert slow.records[0]["reason"] == "took longer than allowed"
    wrong = label_shard(_cells(1), DFT, LabelStore(tmp_path / "b"), 1, _raise)
    assert wrong.records[0]["reason"] == "ValueError: a reason"


def _gpu_fails_on_second(atoms, dft, recipes, log):
    if atoms.positions[1, 0] > 1.6005:
        kind = type("CUDARuntimeError", (RuntimeError,), {"__module__": "cupy_backends.cuda.api"})
        raise kind("cudaErrorIllegalAddress")
    return _pair_label(atoms, dft, recipes, log)


def test_a_gpu_that_fails_says_nothing_of_the_structure(tmp_path):
    store = LabelStore(tmp_path / "store")
    with pytest.raises(GlassmlError, match=r"under 1 of 2 labels.*cudaErrorIllegalAddress.*fewer"):
        label_shard(_cells(2), DFT, store, 2, _gpu_fails_on_second)
    again = label_shard(_cells(2), DFT, store, 2, _pair_label)
    assert [record["status"] for record in again.records] == ["converged", "converged"]
    assert again.computed == 1


def test_a_failure_is_tried_again_when_the_ladder_changes(tmp_path):
    store = LabelStore(tmp_path / "store")
    label_shard(_cells(1), DFT, store, 1, _raise)
    same = label_shard(_cells(1), DFT, store, 1, _pair_label)
    assert (same.computed, same.records[0]["status"]) == (0, "failed")
    smeared = DFT.model_copy(update={"recipes": ("smeared",)})
    other = label_shard(_cells(1), smeared, store, 1, _pair_label)
    assert (other.computed, other.records[0]["status"]) == (1, "converged")


RUN_SHARD = """
import sys
sys.path.insert(0, sys.argv[1])
import test_dft_shard as t
t.label_shard(t._cells(12), t.DFT, t.LabelStore(sys.argv[2]), 2, t._pair_label)
"""


def _start(store, computed):
    command = [sys.executable, "-c", RUN_SHARD, str(Path(__file__).parent), str(store)]
    environment = os.environ | {"COMPUTED": str(computed), "LABEL_SECONDS": "0.05"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def test_kills_lose_no_label_and_repeat_at_most_the_pieces_in_hand(tmp_path, computed):
    rng = np.random.default_rng(1)
    kills = 0
    for _ in range(20):
        process = _start(tmp_path / "store", computed)
        try:
            process.wait(rng.uniform(0.4, 1.6))
        except subprocess.TimeoutExpired:
            kills += 1
            process.kill()
            process.wait()
            stored = LabelStore(tmp_path / "store").keys()
            assert stored <= LabelStore(tmp_path / "store").keys()
        else:
            break
    assert _start(tmp_path / "store", computed).wait(600) == 0
    attempts = computed.read_text().split()
    assert set(attempts) == {f"{1.6 + 0.001 * index:.3f}" for index in range(12)}
    assert len(LabelStore(tmp_path / "store").keys()) == 12
    # A kill costs at most what the two workers had in hand.
    assert len(attempts) <= 12 + 2 * kills


def test_two_shards_at_once_compute_each_label_once(tmp_path, computed):
    processes = [_start(tmp_path / "store", computed) for _ in range(2)]
    assert [process.wait(600) for process in processes] == [0, 0]
    assert len(computed.read_text().split()) == 12


def _converges_with(name):
    def calculation(atoms, dft, recipe, log):
        if recipe != name:
            raise NotConvergedError(f"{recipe} oscillates")
        return Converged(-1.0, np.zeros((2, 3)), np.zeros(6), {"iterations": 5})

    return calculation


def test_the_ladder_is_climbed_until_a_recipe_converges():
    recipes = ["standard", "slow_mixing", "smeared"]
    record = climb(_cells(1)[0], DFT, recipes, None, _converges_with("slow_mixing"))
    assert (record["status"], record["recipe"]) == ("converged", "slow_mixing")
    assert [attempt["reason"] for attempt in record["attempts"]] == [
        "standard oscillates",
        "converged",
    ]


def test_a_ladder_without_success_is_a_failure_with_every_reason():
    record = climb(_cells(1)[0], DFT, ["standard", "smeared"], None, _converges_with("none"))
    assert record["status"] == "failed"
    assert "standard oscillates" in record["reason"]
    assert "smeared oscillates" in record["reason"]
