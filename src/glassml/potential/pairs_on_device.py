"""Pairs of a batch found without waiting for the device, so that a CUDA graph can hold it.

The pairs of a Verlet list are in tensors that stay where they are. Those within the cutoff are
brought together by their running number, in the order of the list. How many there were, and how
near the list came to being too old, is noted on the device and looked at after some steps.
"""

import torch

from glassml.potential.edges import Edges, volumes

#: Room for pairs of a list beyond those of the first one.
ROOM = 1.1
#: Different shifts of a system in a list; more make more room.
SHIFTS = 32


class PairsOnDevice:
    """The Verlet list of a batch in tensors of fixed shape.

    Parameters
    ----------
    edges
        What builds the list.

    Attributes
    ----------
    layout
        Changes when the tensors are not where they were.
    """

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._length = self._number = 0
        self.layout = 0
        device = edges.system.device
        #: Most pairs within the cutoff, and largest move as a part of what the list allows.
        self._needed = torch.zeros((), dtype=torch.float64, device=device)
        self._moved = self._needed.clone()

    def renew(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Build the list for atoms where they are now."""
        edges = self._edges
        edges.build(positions, cells)
        number, shifts = len(edges.first), len(edges.shifts)
        if number > self._length or shifts >= self._number:
            self._length = max(self._length, int(ROOM * number) + 64)
            self._number = max(self._number, 2 * shifts, SHIFTS * len(cells))
            self._make_room(positions, cells)
        self._first[:number], self._second[:number] = edges.first, edges.second
        self._shift[:number] = edges.shift
        # what is nowhere is not within the cutoff
        self._shift[number:] = self._number - 1
        self._shifts[:shifts], self._systems[:shifts] = edges.shifts, edges.shift_systems
        assert edges.built_at is not None
        old_positions, old_inverses = edges.built_at
        self._old_positions.copy_(old_positions)
        self._old_inverses.copy_(old_inverses)

    def find(
        self, positions: torch.Tensor, cells: torch.Tensor, fixed: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """Give the pairs within the cutoff, and behind them the padding of `fixed`.

        Parameters
        ----------
        positions, cells
            As in `Edges.find`.
        fixed
            First and second atoms, and vectors, shape (capacity, ...): padding in all places.

        Returns
        -------
        first, second, vectors
            As `fixed`. Pairs for which there is no room are left out, and noted.
        """
        shifts = (self._shifts[:, :, None] * cells[self._systems]).sum(dim=1)
        vectors = positions[self._second] - positions[self._first] + shifts[self._shift]
        near = (vectors**2).sum(dim=1) < self._edges.cutoff_A**2
        place = near.cumsum(0) - 1
        # in double precision, which counts pairs exactly
        self._needed.copy_(torch.maximum(self._needed, (place[-1] + 1).to(torch.float64)))
        self._note_moves(positions, cells)
        capacity = len(fixed[0])
        # all others go to one place behind the end
        place = torch.where(near & (place < capacity), place, capacity)
        return tuple(
            torch.cat([padding, padding[:1]]).index_copy_(0, place, found)[:capacity]
            for padding, found in zip(fixed, (self._first, self._second, vectors), strict=True)
        )

    def noted(self) -> tuple[int, float]:
        """Give, and forget, the most pairs, and the largest move as a part of the allowed one."""
        needed, moved = torch.stack([self._needed, self._moved]).tolist()
        self._needed.zero_()
        self._moved.zero_()
        return int(needed), moved

    def _note_moves(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Note how far atoms moved against their boxes; see `Edges`."""
        edges = self._edges
        strain = self._old_inverses @ cells
        scale = volumes(strain) ** (1.0 / 3.0)
        expected = torch.bmm(self._old_positions[:, None], strain[edges.system])[:, 0]
        moved = (positions - expected).norm(dim=1)
        allowed = 0.5 * (scale * (edges.cutoff_A + edges.skin_A) - edges.cutoff_A)
        part = torch.where(allowed > 0.0, 1.0 / allowed, torch.inf)[edges.system] * moved
        self._moved.copy_(torch.maximum(self._moved, part.nan_to_num(0.0).max()))

    def _make_room(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        device = positions.device
        self._first = torch.zeros(self._length, dtype=torch.long, device=device)
        self._second, self._shift = self._first.clone(), self._first.clone()
        self._shifts = torch.full((self._number, 3), torch.nan, dtype=positions.dtype).to(device)
        self._systems = torch.zeros(self._number, dtype=torch.long, device=device)
        self._old_positions, self._old_inverses = positions.clone(), cells.clone()
        self.layout += 1
