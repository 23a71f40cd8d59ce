"""Relaxations that a potential guides, with cheap potentials in place of DFT."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.spacegroup import crystal
from ase.spacegroup.symmetrize import check_symmetry

from glassml.campaign.config.dft import Dft
from glassml.configurations.crystals import polymorph
from glassml.dft import polymorphs
from glassml.dft.guide import package_guide
from glassml.dft.relaxation import cell_filter, guided_rest, relax_together
from glassml.potential.calculators import load_calculator
from glassml.potential.packages import PotentialError

RESOURCES = Path(__file__).parents[2] / "resources/potential_small"
FMAX = 0.005


class Wrong(Calculator):
    """EMT whose atoms think themselves farther apart, and whose forces and stress are scaled."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, stretch, scale=1.0):
        super().__init__()
        self.stretch, self.scale = stretch, scale

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        other = atoms.copy()
        other.set_constraint()
        other.set_cell(atoms.cell * self.stretch, scale_atoms=True)
        other.calc = EMT()
        self.results = {
            "energy": self.scale * other.get_potential_energy(),
            "forces": self.scale * other.get_forces(),
            "stress": self.scale * other.get_stress(),
        }


class Labels:
    """Labels by a calculator, counted."""

    def __init__(self, calculator=None):
        self.calculator = calculator or EMT()
        self.seen = []

    def __call__(self, structures):
        return [self._record(atoms.copy()) for atoms in structures]

    def _record(self, atoms):
        atoms.set_constraint()
        self.seen.append(atoms.positions.copy())
        atoms.calc = self.calculator
        return {
            "status": "converged",
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces().tolist(),
            "stress": atoms.get_stress().tolist(),
        }


def _alloy(seed=1):
    atoms = bulk("Cu", cubic=True, a=3.7) * (2, 1, 1)
    atoms.symbols[[0, 3]] = "Au"
    atoms.rattle(0.1, seed=seed)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.03 * np.eye(3, k=1)), scale_atoms=True)
    return atoms


def _guide(calculator):
    return lambda relaxations: [guided_rest(calculator, item) for item in relaxations]


def _relax(starts, labels, calculator=None, **options):
    guide = None if calculator is None else _guide(calculator)
    options = {"fmax_eV_A": FMAX, "constant_volume": False} | options
    return relax_together(starts, labels, guide=guide, **options)


def _largest_force(relaxation):
    """Give the largest force at the end, calculated anew."""
    atoms = relaxation.result()
    atoms.calc = EMT()
    return np.linalg.norm(atoms.get_forces(), axis=1).max()


def test_a_nearly_right_guide_leads_to_the_same_minimum_by_far_fewer_labels():
    plain_labels, guided_labels = Labels(), Labels()
    (plain,) = _relax([_alloy()], plain_labels)
    (guided,) = _relax([_alloy()], guided_labels, Wrong(1.01))
    assert plain.at_rest
    assert guided.at_rest
    assert guided.guided
    assert guided.record["energy"] == pytest.approx(plain.record["energy"], abs=1e-3)
    assert guided.result().get_volume() == pytest.approx(plain.result().get_volume(), rel=2e-3)
    assert _largest_force(guided) < FMAX
    assert len(guided_labels.seen) <= len(plain_labels.seen) / 4


@pytest.mark.parametrize("scale", [0.0, -1.0, 0.2])
def test_a_guide_that_misleads_is_left_and_nothing_rests_by_its_word(scale, caplog):
    labels = Labels()
    (done,) = _relax([_alloy()], labels, Wrong(1.0, scale))
    assert done.at_rest
    assert not done.guided
    assert _largest_force(done) < FMAX
    assert "the guide misleads" in caplog.text


def test_what_a_useless_guide_does_not_bring_to_rest_in_time_is_given_up():
    (done,) = _relax([_alloy()], Labels(), Wrong(1.0, 0.0), max_steps=3)
    assert not done.at_rest
    assert done.reason == "not at rest after 3 steps"


def test_the_same_labels_give_the_same_steps_also_side_by_side():
    alone, together = Labels(), Labels()
    (once,) = _relax([_alloy()], alone, Wrong(1.01), fmax_eV_A=0.1)
    again, _ = _relax([_alloy(), _alloy(2)], together, Wrong(1.01), fmax_eV_A=0.1)
    assert np.array_equal(once.result().positions, again.result().positions)
    steps = [seen for seen in together.seen if any(np.array_equal(seen, one) for one in alone.seen)]
    assert len(steps) == len(alone.seen)


def test_at_constant_volume_a_guide_leads_to_the_same_rest_in_the_same_space_group():
    places = [(0, 0, 0.64), (0, 0.5, 0.33), (0.25, 0, 0.16)]
    lengths = [5.3, 4.5, 4.7]
    start = crystal(["Au", "Cu", "Cu"], places, spacegroup=59, cellpar=[*lengths, 90, 90, 90])
    plain_labels, guided_labels = Labels(), Labels()
    (plain,) = _relax([start], plain_labels, constant_volume=True)
    (guided,) = _relax([start], guided_labels, Wrong(1.005), constant_volume=True)
    assert plain.at_rest
    assert guided.at_rest
    assert guided.guided
    atoms, expected = guided.result(), plain.result()
    atoms.calc = EMT()
    cell = cell_filter(atoms, constant_volume=True)
    assert np.linalg.norm(cell.get_forces(), axis=1).max() < FMAX
    assert guided.record["energy"] == pytest.approx(plain.record["energy"], abs=1e-5)
    assert atoms.cell.lengths() == pytest.approx(expected.cell.lengths(), abs=2e-3)
    assert atoms.positions == pytest.approx(expected.positions, abs=2e-3)
    assert atoms.get_volume() == pytest.approx(start.get_volume(), rel=1e-8)
    assert check_symmetry(atoms, 1e-8).number == 59
    assert len(guided_labels.seen) <= len(plain_labels.seen) / 4


def test_a_package_that_is_not_there_is_refused_before_anything_is_labelled(tmp_path):
    with pytest.raises(PotentialError, match="no such potential"):
        package_guide(tmp_path / "none.nequip.zip", "cpu", 1)


@pytest.mark.slow
def test_one_potential_guides_another():
    start = polymorph("alpha_quartz")
    start.rattle(0.1, seed=1)
    labels = Labels(load_calculator(RESOURCES / "m1.nequip.zip", device="cpu"))
    relax = partial(relax_together, [start], fmax_eV_A=0.02, constant_volume=False)
    (done,) = relax(labels, guide=package_guide(RESOURCES / "m0.nequip.zip", "cpu", 2))
    assert done.at_rest
    assert done.guided
    assert len(labels.seen) <= 5


@pytest.mark.slow
def test_a_guided_study_gives_the_same_curve_by_fewer_labels(monkeypatch):
    guide = _guide(load_calculator(RESOURCES / "m0.nequip.zip", device="cpu"))
    potential = load_calculator(RESOURCES / "m1.nequip.zip", device="cpu")
    counts, minima = [], []
    for one in (None, guide):
        labels = Labels(potential)
        monkeypatch.setattr(
            polymorphs,
            "label_shard",
            lambda structures, *_, labels=labels: SimpleNamespace(records=labels(structures)),
        )
        options = {"volume_step": 0.04, "fmax_eV_A": 0.02, "guide": one}
        _, (minimum,), _ = polymorphs.study(("alpha_quartz",), Dft(), None, **options)
        counts.append(len(labels.seen))
        minima.append(minimum)
    assert minima[1].energy == pytest.approx(minima[0].energy, abs=2e-4)
    assert minima[1].volume == pytest.approx(minima[0].volume, rel=1e-3)
    assert counts[1] <= counts[0] / 2
