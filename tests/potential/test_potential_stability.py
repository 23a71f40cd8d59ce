"""Dynamics that judges a potential: killed it goes on, and of an event the configurations stay."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from glassml.potential import stability
from glassml.potential.stability import Kept, stability_run


class StoppedError(Exception):
    """Stands for a kill."""


class Stopping(LennardJones):
    """Lennard-Jones that is gone after so many forces."""

    def __init__(self, after=None):
        super().__init__(epsilon=0.01, sigma=2.5, rc=5.0)
        self.after, self.asked = after, 0

    def calculate(self, *arguments):
        self.asked += 1
        if self.after is not None and self.asked > self.after:
            raise StoppedError
        super().calculate(*arguments)


def start():
    atoms = Atoms("Si8", cell=[5.4] * 3, pbc=True)
    atoms.set_scaled_positions(
        [[i / 2, j / 2, k / 2] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    )
    return atoms


def run(calculator, kept, **changes):
    conditions = {"temperature_K": 300.0, "pressure_GPa": None, "picoseconds": 0.1}
    rng = np.random.default_rng(3)
    return stability_run(calculator, start(), rng=rng, kept=kept, **conditions | changes)


def final(kept, name="300 K, constant volume"):
    return kept.load(name)


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(stability, "CHECKPOINT_S", 0.0)


@pytest.mark.parametrize("pressure_GPa", [None, 2.0])
def test_a_run_that_is_killed_goes_on_with_the_same_digits(tmp_path, pressure_GPa):
    whole, cut = Kept(tmp_path / "whole", "a"), Kept(tmp_path / "cut", "a")
    one_go, calculator = Stopping(), Stopping()
    expected = run(one_go, whole, pressure_GPa=pressure_GPa)
    with pytest.raises(StoppedError):
        run(Stopping(after=55), cut, pressure_GPa=pressure_GPa)
    assert run(calculator, cut, pressure_GPa=pressure_GPa) == expected
    assert calculator.asked < 0.9 * one_go.asked
    for key in ("positions", "momenta", "cell", "done"):
        ours, theirs = final(cut, expected.name)[key], final(whole, expected.name)[key]
        assert np.array_equal(ours, theirs), key


def test_a_run_that_has_ended_is_not_run_again(tmp_path):
    kept = Kept(tmp_path, "a")
    expected = run(Stopping(), kept)
    calculator = Stopping()
    assert run(calculator, kept) == expected
    assert calculator.asked == 0


def test_the_state_of_another_run_is_not_taken(tmp_path):
    run(Stopping(), Kept(tmp_path, "a"))
    calculator = Stopping()
    run(calculator, Kept(tmp_path, "b"))
    assert calculator.asked > 90


def test_of_an_event_the_configurations_before_and_at_it_stay(tmp_path, monkeypatch):
    seen = []

    def event(atoms, temperature_K, start_volume):
        seen.append(atoms.positions.copy())
        return "something" if len(seen) == 4 else ""

    monkeypatch.setattr(stability, "unphysical_event", event)
    kept = Kept(tmp_path, "a")
    ended = run(Stopping(), kept)
    assert (ended.event, ended.picoseconds) == ("something", pytest.approx(0.03))
    before, at = ase.io.read(tmp_path / "300_K_constant_volume_event.extxyz", index=":")
    assert np.abs(before.positions - seen[-2]).max() < 1e-6
    assert np.abs(at.positions - seen[-1]).max() < 1e-6
    assert run(Stopping(), kept) == ended
