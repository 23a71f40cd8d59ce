"""Compiled loops for pair potentials on a CPU: right, independent of the list, refused if wrong."""

import numpy as np
import pytest
from ase import Atoms

torch = pytest.importorskip("torch")

from glassml.md.engines.pair_cpu import PairLoops  # noqa: E402
from glassml.md.engines.pair_loading import load_pair_model  # noqa: E402
from glassml.md.engines.pair_model import PairModel  # noqa: E402
from glassml.md.engines.pair_verification import verify  # noqa: E402
from glassml.md.start import random_start  # noqa: E402
from glassml.potential.packages import PotentialError  # noqa: E402


def tensors(atoms):
    return torch.as_tensor(atoms.positions), torch.as_tensor(atoms.cell.array[None])


def glass(size=96):
    return random_start({"Si": 1, "O": 2}, size, 2.2, np.random.default_rng(1))


@pytest.mark.parametrize("name", ["bks", "chik", "shik"])
def test_forces_are_those_of_the_reference_and_the_record_says_so(name):
    model, described = load_pair_model(name, "cpu")
    assert isinstance(model, PairLoops)
    assert described["backend"] == "pair-kernels"
    assert 0.0 < described["verification"]["forces_eV_A"] < 1e-5


def test_they_can_be_left_out():
    model, described = load_pair_model("shik", "cpu", kernels=False)
    assert type(model) is PairModel
    assert described["backend"] == "pair"


def test_wrong_forces_are_refused():
    model = PairLoops("shik")
    model._lines = 1.0001 * model._lines
    with pytest.raises(PotentialError, match=r"off by .* eV/Å"):
        verify(model, sizes=(48, 24))


def test_a_sum_does_not_depend_on_when_the_list_was_built():
    atoms, rng = glass(), np.random.default_rng(2)
    kept = PairLoops("shik")
    kept.place([atoms])
    for _ in range(20):
        atoms.positions += 0.03 * rng.standard_normal(atoms.positions.shape)
        atoms.set_cell(atoms.cell * (1.0 + 0.002 * rng.standard_normal()), scale_atoms=True)
        fresh = PairLoops("shik")
        fresh.place([atoms])
        found, expected = kept(*tensors(atoms)), fresh(*tensors(atoms))
        for key, value in expected.items():
            assert torch.equal(found[key], value), key
    assert 1 < kept.builds < 20


def test_rows_that_are_too_short_are_made_longer(monkeypatch):
    monkeypatch.setattr("glassml.md.engines.pair_cpu.ROOM", 0.1)
    atoms = glass()
    model, reference = PairLoops("shik"), PairModel("shik", torch.device("cpu"))
    for each in (model, reference):
        each.place([atoms])
    found, expected = model(*tensors(atoms)), reference(*tensors(atoms))
    assert torch.allclose(found["forces"], expected["forces"], atol=1e-6)


def test_atoms_that_are_nowhere_give_no_number():
    atoms = glass(48)
    atoms.positions[3] = np.nan
    model = PairLoops("shik")
    model.place([atoms])
    assert torch.isnan(model(*tensors(atoms))["energy"]).all()


def test_an_unknown_element_is_refused():
    with pytest.raises(Exception, match=r"does not know \['Ge'\]"):
        PairLoops("shik").place([Atoms("GeO2", cell=[9] * 3, pbc=True)])
