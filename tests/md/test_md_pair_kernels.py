"""The GPU's kernels of pair potentials: on a GPU, or on a CPU by Triton's interpreter."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton, which runs the kernels, is for Linux")

from glassml.campaign.errors import StructureError  # noqa: E402
from glassml.md.engines.batch import run_batch, steps_to_next  # noqa: E402
from glassml.md.engines.pair_model import PairModel  # noqa: E402
from glassml.md.engines.pair_verification import verify  # noqa: E402
from glassml.md.engines.torchmd import Batch, RampedBatch, TorchEngine  # noqa: E402
from glassml.md.guards import Limits  # noqa: E402
from glassml.md.protocol import Coupling, Stage  # noqa: E402
from glassml.md.run import Job  # noqa: E402
from glassml.md.start import maxwell_boltzmann, random_start  # noqa: E402
from glassml.potential.packages import PotentialError  # noqa: E402

CPU = torch.device("cpu")
COUPLING = Coupling(50.0, 200.0, 37.0)
STAGE = Stage("a", "npt", 40, 1.0, (2000.0, 1500.0), (0.0, 1.0), 10, 10)


@pytest.fixture(scope="module")
def gpu():
    """Give the module of the kernels; without a GPU they are interpreted, in large blocks."""
    from glassml.md.engines import pair_gpu

    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setattr(pair_gpu, "BUILD_ROWS", 64)
            patch.setattr(pair_gpu, "BUILD_COLUMNS", 512)
            patch.setattr(pair_gpu, "FORCE_ROWS", 64)
        yield pair_gpu


def kernels(gpu, name="shik"):
    return gpu.PairKernels(name, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def glasses(*sizes, temperature=2000.0):
    rng = np.random.default_rng(1)
    made = [random_start({"Si": 1, "O": 2}, size, 2.2, rng) for size in sizes]
    for atoms in made:
        maxwell_boltzmann(atoms, temperature, rng)
    return made


def tensors(atoms, device=CPU):
    positions = np.concatenate([each.positions for each in atoms])
    cells = np.array([each.cell.array for each in atoms])
    return torch.as_tensor(positions).to(device), torch.as_tensor(cells).to(device)


def assert_right(model, batch):
    reference = PairModel(model.name, CPU)
    reference.place(batch)
    expected = reference(*tensors(batch))
    found = model(*tensors(batch, model.device))
    for key, value in expected.items():
        assert torch.allclose(found[key].cpu(), value, rtol=1e-7, atol=1e-5), key


@pytest.mark.parametrize("name", ["bks", "chik", "shik"])
def test_forces_are_those_of_the_reference(gpu, name):
    off = verify(kernels(gpu, name), sizes=(48, 24))
    assert off["forces_eV_A"] < 1e-5


def test_a_kernel_with_wrong_forces_is_refused(gpu):
    model = kernels(gpu)
    model._pulls *= 1.0001
    with pytest.raises(PotentialError, match=r"off by .* eV/Å"):
        verify(model, sizes=(48, 24))


def test_the_order_of_atoms_is_one_in_which_blocks_are_small(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "BUILD_ROWS", 8)
    monkeypatch.setattr(gpu, "BUILD_COLUMNS", 128)
    rng = np.random.default_rng(5)
    for number in (7, 128, 130, 1500):
        fractions, cell = rng.uniform(-1.0, 2.0, (number, 3)), np.diag([20.0, 30.0, 40.0])
        order = gpu.compact_order(fractions, cell)
        assert sorted(order) == list(range(number))
    places = ((fractions - np.floor(fractions)) @ cell)[order]
    # 128 atoms of this density fill a cube of 13 Å, and 8 one of 5 Å
    for block, most in ((128, 14.0), (8, 5.0)):
        whole = places[: len(places) // block * block].reshape(-1, block, 3)
        assert np.ptp(whole, axis=1).mean() < most


def in_blocks(gpu, monkeypatch):
    """Give a long glass, a model that cuts it into small blocks, and the blocks' half widths."""
    monkeypatch.setattr(gpu, "BUILD_ROWS", 64)
    monkeypatch.setattr(gpu, "BUILD_COLUMNS", 32)
    long = [glasses(24)[0].repeat((1, 1, 10))]
    rng = np.random.default_rng(2)
    long[0].positions += 0.1 * rng.standard_normal(long[0].positions.shape)
    # as a list of atoms that diffused
    long[0] = long[0][rng.permutation(len(long[0]))]
    model = kernels(gpu)
    model.place(long)
    return long, model


def test_blocks_that_are_out_of_reach_are_left_out_and_no_others(gpu, monkeypatch):
    long, model = in_blocks(gpu, monkeypatch)
    assert_right(model, long)
    high = model._halves[:, 2].cpu() * long[0].cell.lengths()[2]
    assert high.max() < 10.0 < 0.25 * long[0].cell.lengths()[2]
    # an order that is no longer one of neighbours
    model._order.copy_(torch.arange(len(long[0])))
    model._ranks.copy_(model._order)
    model._places[:, 3] = model._types.repeat(len(model._places) // len(long[0]))
    model._built_fractions.fill_(gpu.NOWHERE)
    assert_right(model, long)
    assert (model._halves[:, 2].cpu() * long[0].cell.lengths()[2]).max() > 20.0


def test_a_block_that_is_left_out_though_in_reach_is_refused(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "BUILD_ROWS", 32)
    monkeypatch.setattr(gpu, "BUILD_COLUMNS", 32)
    model = kernels(gpu)
    launch = gpu.pair_kernels.build

    class Forgetful:
        """Takes blocks for points."""

        def __getitem__(self, grid):
            def run(*args, **kwargs):
                model._halves.zero_()
                return launch[grid](*args, **kwargs)

            return run

    monkeypatch.setattr(gpu.pair_kernels, "build", Forgetful())
    with pytest.raises(PotentialError, match="kernels are off"):
        verify(model, (24, 24), (1, 1, 6))


def test_atoms_are_brought_in_order_again_as_they_diffuse(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "SORT_EVERY", 2)
    monkeypatch.setattr(gpu, "BUILD_ROWS", 16)
    monkeypatch.setattr(gpu, "BUILD_COLUMNS", 32)
    batch = glasses(48)
    model = kernels(gpu)
    model.place(batch)
    first, oxygen = model._order.clone(), np.flatnonzero(batch[0].numbers == 8)
    rng = np.random.default_rng(4)
    for _ in range(2):
        # oxygen takes the place of oxygen
        batch[0].positions[oxygen] = batch[0].positions[rng.permutation(oxygen)]
        assert_right(model, batch)
    assert not torch.equal(model._order, first)
    assert sorted(model._order.tolist()) == list(range(48))


def test_a_list_that_overflows_is_made_longer(gpu):
    batch = glasses(48)
    model = kernels(gpu)
    model.place(batch)
    room = model.capacity
    model.capacity = 32
    model._empty_list()
    assert_right(model, batch)
    assert 32 < model.capacity <= room


def test_a_box_that_shrinks_is_repeated_more_often(gpu):
    batch = glasses(48)
    model = kernels(gpu)
    model.place(batch)
    before = model._repeats.clone()
    batch[0].set_cell(0.75 * batch[0].cell, scale_atoms=True)
    assert_right(model, batch)
    assert (model._repeats > before).any()


def test_the_list_is_built_when_atoms_moved_and_not_before(gpu):
    batch = glasses(48)
    model = kernels(gpu)
    model.place(batch)
    for moved, builds in ((0.0, 1), (0.2, 1), (0.2, 1), (0.2, 2), (0.2, 2)):
        batch[0].positions[3, 1] += moved
        assert_right(model, batch)
        assert model.builds == builds
    # a whole glass that drifts by boxes
    batch[0].positions += 3 * batch[0].cell.array[1]
    assert_right(model, batch)


def test_a_box_that_collapsed_is_refused_by_name(gpu):
    batch = glasses(24)
    model = kernels(gpu)
    batch[0].cell[2] = 0.0
    with pytest.raises(StructureError, match="a box of 0 Å³"):
        model.place(batch)


def ramped(model, batch, rows):
    """Give a batch with random numbers from `rows`, which are of steps made at once or singly."""
    moving = RampedBatch(Batch([each.copy() for each in batch], model, 1), STAGE, COUPLING)
    if moving._launches is None:
        rows = [each[step] for pair in rows for step in range(len(pair[0])) for each in pair]
    else:
        rows = [each for pair in rows for each in pair]
    numbers = iter(rows)
    moving.batch.normal = lambda *_: torch.as_tensor(next(numbers)).to(model.device)
    return moving


@pytest.mark.parametrize("room", [None, 32], ids=["room", "no room at first"])
def test_steps_made_at_once_are_the_steps(gpu, room):
    batch = glasses(48, 24)
    rng = np.random.default_rng(3)
    rows = [(rng.normal(size=(n, 72, 3)), rng.normal(size=(n, 2))) for n in (4, 1, 4)]
    at_once = ramped(kernels(gpu), batch, rows)
    if room is not None:
        at_once.batch.model.capacity = room
        at_once.batch.model._empty_list()
    at_once.advance(5)
    at_once.advance(4)
    singly = ramped(PairModel("shik", CPU), batch, rows)
    for _ in range(9):
        singly.advance()
    assert at_once.step == singly.step == 9
    for name in ("positions", "momenta", "cells", "energy", "stress"):
        found = getattr(at_once.batch, name).cpu()
        assert torch.allclose(found, getattr(singly.batch, name), atol=2e-6), name
    moved = singly.batch.positions - tensors(batch)[0]
    assert moved.abs().max() > 0.05


def test_a_list_without_end_stops_the_run(gpu, monkeypatch):
    from glassml.campaign.errors import GlassmlError

    batch = glasses(24)
    moving = RampedBatch(Batch(batch, kernels(gpu), 1), STAGE, COUPLING)
    monkeypatch.setattr(moving.batch.model, "mend", lambda *_: True)
    monkeypatch.setattr("glassml.md.engines.launches.MOST_MENDINGS", 2)
    with pytest.raises(GlassmlError, match="found no room"):
        moving.advance(1)


def test_a_run_of_several_stages_finishes_and_its_series_is_whole(gpu, tmp_path):
    stages = (
        Stage("melt", "nvt", 7, 0.5, (2000.0, 2000.0), None, 3, 5),
        Stage("squeeze", "npt", 5, 0.5, (2000.0, 1500.0), (0.0, 0.5), 3, 5),
    )
    names = {"glass00": 24, "glass01": 24}
    limits = Limits(20.0, 50.0, (0.5, 6.0), 0.1)
    jobs = {
        name: Job(
            "melt", name, None, stages, COUPLING, limits, 1, 7, {}, {"sha256": "shik"}, "torch"
        )
        for name in names
    }
    batch = dict(zip(names, glasses(*names.values()), strict=True))
    records = run_batch(jobs, batch, TorchEngine(kernels(gpu)), tmp_path, show_progress=False)
    assert {record["status"] for record in records.values()} == {"finished"}
    rows = (tmp_path / "glass00" / "series.csv").read_text().splitlines()
    times = [float(row.split(",")[rows[0].split(",").index("time_fs")]) for row in rows[1:]]
    assert times == [0.0, 1.5, 3.0, 3.5, 5.0, 6.0]


def test_steps_end_where_something_is_looked_at():
    stage = Stage("a", "nve", 1000, 1.0, None, None, 300, 500)
    ends, step = [], 0
    while step < stage.steps:
        step += steps_to_next(stage, step)
        ends.append(step)
    assert ends == [256, 300, 500, 512, 600, 768, 900, 1000]
