"""Neighbour lists by kernels: on a GPU, or on a CPU by Triton's interpreter."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton, which runs the kernels, is for Linux")

from glassml.campaign.errors import StructureError  # noqa: E402
from glassml.potential.edges import inverses, moved_too_far, pairs  # noqa: E402
from glassml.potential.neighbours import Neighbours  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
REACH_A = 3.0
#: Narrower than the reach, oblique, of four bins along an edge and of one; with so many atoms.
BOXES = (
    (np.diag([2.0, 5.0, 7.0]), 3),
    (np.array([[6.0, 0, 0], [2.0, 7.0, 0], [-1.0, 1.5, 6.5]]), 6),
    (np.diag([12.5, 9.5, 4.0]), 6),
    (np.diag([9.0, 9.0, 9.0]), 1),
)


def batch():
    """Give atoms, not in their boxes."""
    rng = np.random.default_rng(5)
    positions = np.concatenate([rng.normal(scale=6.0, size=(count, 3)) for _, count in BOXES])
    system = np.repeat(np.arange(len(BOXES)), [count for _, count in BOXES])
    cells = np.array([cell for cell, _ in BOXES])
    return (torch.as_tensor(each).to(DEVICE) for each in (positions, cells, system))


def listed(neighbours):
    """Give the pairs of a list as a set, with their images."""
    there = neighbours.is_pair
    columns = [*neighbours.index[:, there], *neighbours.images[there].T]
    return {tuple(int(number) for number in row) for row in torch.stack(columns, 1).tolist()}


@pytest.fixture(scope="module")
def built():
    positions, cells, system = batch()
    neighbours = Neighbours(system, len(BOXES))
    inverse, capacity = neighbours.build(positions, cells, REACH_A, 0)
    assert torch.allclose(inverse, inverses(cells))
    assert capacity >= neighbours.count
    return neighbours, pairs(positions, cells, system, REACH_A)


def test_pairs_are_those_that_torch_finds(built):
    neighbours, (first, second, images) = built
    rows = torch.stack([first, second, *images.long().T], 1).tolist()
    assert neighbours.count == len(rows) == int(neighbours.is_pair.sum())
    assert listed(neighbours) == {tuple(row) for row in rows}


def test_pairs_are_sorted_by_atom_and_padding_is_spread(built):
    neighbours, (first, _, _) = built
    assert (neighbours.index[0].diff() >= 0).all()
    atoms = len(neighbours.starts) - 1
    every = torch.arange(atoms + 1, device=DEVICE)
    expected = torch.searchsorted(neighbours.index[0].contiguous(), every)
    assert torch.equal(neighbours.starts.long(), expected)
    padding = neighbours.starts.diff().cpu() - torch.bincount(first, minlength=atoms).cpu()
    assert padding.max() - padding.min() <= 1
    spare = ~neighbours.is_pair
    assert torch.equal(neighbours.index[0, spare], neighbours.index[1, spare])
    assert not neighbours.images[spare].any()


def test_opposite_pairs_are_found(built):
    neighbours, _ = built
    back, there = neighbours.opposite, neighbours.is_pair
    assert torch.equal(neighbours.index[0, back], neighbours.index[1])
    assert torch.equal(neighbours.images[back][there], -neighbours.images[there])
    assert torch.equal(back[back], torch.arange(len(back), device=DEVICE))


def test_a_list_is_built_in_its_place_while_there_is_room(built):
    neighbours, _ = built
    positions, cells, _ = batch()
    before, capacity = neighbours.index, neighbours.index.shape[1]
    _, same = neighbours.build(positions, cells, REACH_A, capacity)
    assert same == capacity
    assert neighbours.index is before
    _, more = neighbours.build(positions, cells, 1.5 * REACH_A, capacity)
    assert more > capacity
    assert neighbours.index.shape[1] == more


def test_atoms_that_are_nowhere_have_no_neighbours():
    positions, cells, system = batch()
    positions[[0, 12]] = torch.nan
    neighbours = Neighbours(system, len(BOXES))
    neighbours.build(positions, cells, REACH_A, 0)
    there = neighbours.index[:, neighbours.is_pair]
    assert not torch.isin(there, torch.tensor([0, 12], device=DEVICE)).any()
    assert neighbours.count > 0


def test_a_box_that_collapsed_is_refused():
    positions, cells, system = batch()
    cells[0, 0, 0] = 0.1
    with pytest.raises(StructureError, match=r"a box 0\.1 Å wide: it collapsed"):
        Neighbours(system, len(BOXES)).build(positions, cells, REACH_A, 0)


@pytest.mark.parametrize(
    ("scale", "moved_A", "too_far"),
    [
        (1.0, 0.24, False),
        (1.0, 0.26, True),
        (0.9, 0.0, False),
        (0.8, 0.0, True),
        (1.0, np.nan, False),
    ],
)
def test_a_list_is_too_old_when_atoms_moved_by_half_the_skin_or_the_box_shrank(
    scale, moved_A, too_far
):
    positions, cells, system = batch()
    moved = scale * positions
    moved[7, 1] += moved_A
    found = moved_too_far(
        moved, scale * cells, system, positions, inverses(cells), REACH_A - 0.5, 0.5
    )
    assert bool(found) == too_far
