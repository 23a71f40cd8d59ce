"""Compiled loops for pair potentials on a CPU: right, independent of the list, refused if wrong."""

import numpy as np
import pytest
from ase import Atoms

torch = pytest.importorskip("torch")

from glassml.configurations.pair_potentials import (  # noqa: E402
    COULOMB_CUTOFF_A,
    COULOMB_EV_A,
    INNERMOST_A,
    POTENTIALS,
    damped_coulomb,
    short_range,
)
from glassml.md.engines.pair_cpu import PairLoops, octaves  # noqa: E402
from glassml.md.engines.pair_loading import load_pair_model  # noqa: E402
from glassml.md.engines.pair_model import (  # noqa: E402
    INTERVALS,
    PER_INTERVAL_A2,
    PairModel,
    cubics,
)
from glassml.md.engines.pair_verification import verify  # noqa: E402
from glassml.md.start import random_start  # noqa: E402
from glassml.potential.packages import PotentialError  # noqa: E402


def tensors(atoms):
    return torch.as_tensor(atoms.positions), torch.as_tensor(atoms.cell.array[None])


def glass(size=96):
    return random_start({"Si": 1, "O": 2}, size, 2.2, np.random.default_rng(1))


def equal_intervals():
    begins = INNERMOST_A**2 + np.arange(INTERVALS) / PER_INTERVAL_A2
    return begins, np.full(INTERVALS, 1.0 / PER_INTERVAL_A2)


@pytest.mark.parametrize("of", [equal_intervals, octaves])
@pytest.mark.parametrize("name", POTENTIALS)
def test_tables_are_the_published_functions(name, of):
    potential = POTENTIALS[name]
    begins, widths = of()
    pulls, energies, _ = cubics(name, begins, widths)
    distance = np.random.default_rng(1).uniform(1.3, 10.0, 50_000)
    lower = np.searchsorted(begins, distance**2, side="right") - 1
    powers = np.vander((distance**2 - begins[lower]) / widths[lower], 4, increasing=True)
    coulomb = damped_coulomb(distance)
    for kind, pair in enumerate((("O", "O"), ("Si", "O"), ("Si", "Si"))):
        charges = COULOMB_EV_A * potential.charges[pair[0]] * potential.charges[pair[1]]
        short = short_range(potential, pair, distance)
        inside = distance < potential.cutoff_A
        exact = [charges * coulomb[n] + np.where(inside, short[n], 0.0) for n in (0, 1)]
        row = kind * len(begins) + lower
        known = short[0] < 10.0  # where the core ends in a line the force has a kink
        energy, force = ((table[row] * powers).sum(axis=1) for table in (energies, pulls))
        assert np.abs(energy - exact[0])[known].max() < 2e-5
        off = np.abs(force * distance - exact[1]) / (1.0 + 0.1 * np.abs(exact[1]))
        assert off[known].max() < 1e-5


@pytest.mark.parametrize("name", POTENTIALS)
def test_nothing_is_left_of_a_pair_beyond_the_cutoff(name):
    begins, widths = octaves()
    beyond = np.tile(begins >= COULOMB_CUTOFF_A**2, 3)
    assert beyond.any()
    assert not any(table[beyond].any() for table in cubics(name, begins, widths)[:2])
    assert COULOMB_CUTOFF_A**2 in begins
    assert POTENTIALS[name].cutoff_A ** 2 in begins


@pytest.mark.parametrize("name", POTENTIALS)
def test_forces_are_those_of_the_reference_and_the_record_says_so(name):
    model, described = load_pair_model(name, "cpu")
    assert isinstance(model, PairLoops)
    assert described["backend"] == "pair-kernels"
    assert 0.0 < described["verification"]["forces_eV_A"] < 1e-5


def test_they_can_be_left_out_and_that_is_said(caplog):
    model, described = load_pair_model("shik", "cpu", kernels=False)
    assert "pair_kernels among md.shortcuts" in caplog.text
    assert type(model) is PairModel
    assert described["backend"] == "pair"


def test_wrong_forces_are_refused():
    model = PairLoops("shik")
    model._tables = [1.0001 * each for each in model._tables]
    with pytest.raises(PotentialError, match=r"off by .* eV/Å"):
        verify(model, sizes=(48, 24))


def test_a_run_that_goes_on_sums_the_same_bit_for_bit():
    atoms, rng = glass(), np.random.default_rng(2)
    whole = PairLoops("shik")
    whole.place([atoms])
    for _ in range(20):
        atoms.positions += 0.06 * rng.standard_normal(atoms.positions.shape)
        atoms.set_cell(atoms.cell * (1.0 + 0.002 * rng.standard_normal()), scale_atoms=True)
        going_on, fresh = PairLoops("shik"), PairLoops("shik")
        for model in (going_on, fresh):
            model.place([atoms])
        going_on.take_up(whole.kept())
        found = whole(*tensors(atoms))
        for key, value in going_on(*tensors(atoms)).items():
            assert torch.equal(found[key], value), key
        for key, value in fresh(*tensors(atoms)).items():
            assert torch.allclose(found[key], value, atol=1e-9, rtol=1e-12), key
    assert 1 < whole.builds < 20


def test_a_batch_that_has_no_list_yet_takes_up_none():
    atoms = glass(48)
    model, other = PairLoops("shik"), PairLoops("shik")
    model.place([atoms])
    other.place([atoms])
    other.take_up(model.kept())
    other(*tensors(atoms))
    assert (model.builds, other.builds) == (0, 1)


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
