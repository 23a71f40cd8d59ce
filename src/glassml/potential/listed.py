"""A NequIP network with fused convolutions for a batch of glasses, on all pairs of a Verlet list.

Kernels pass by pairs beyond the cutoff, so that no step has to collect those within it: nothing of
an evaluation waits for the host but the question whether the list was good, which is asked at last.
"""

from collections.abc import Sequence

import torch
from ase import Atoms

from glassml.potential.convolution import pulls_of_atoms
from glassml.potential.edges import moved_too_far, pairs, volumes
from glassml.potential.kernels import Kernel
from glassml.potential.padded import ROOM, PaddedNetwork, Result


class ListedNetwork(PaddedNetwork):
    """As `PaddedNetwork`, for a network that `glassml.potential.convolution.fuse` gave."""

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch: their elements and numbers of atoms."""
        super().place(glasses)
        self._system = self._edges.system
        self._vectors_now = Kernel(vectors_and_stale, self.device)
        # on the device: a compiled kernel would be one for each value
        self._lengths = torch.tensor(
            [self.cutoff_A, self.skin_A], dtype=self.dtype, device=self.device
        )
        # of xx, yy, zz, yz, xz, xy
        self._full = torch.tensor([0, 5, 4, 5, 1, 3, 4, 3, 2], device=self.device)
        self._positions: torch.Tensor | None = None

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3) and `stress` (systems, 3, 3)."""
        if self._positions is None:
            self._positions, self._cells = positions.clone(), cells.clone()
            self._build()
        self._positions.copy_(positions)
        self._cells.copy_(cells)
        if self._replay is None:
            self._build()
        assert self._replay is not None
        found = self._replay()
        if bool(found["stale"]):
            self._build()
            found = self._replay()
        return {
            "energy": found["energy"].clone(),
            "forces": found["forces"].clone(),
            "stress": found["virial"] / volumes(cells)[:, None, None],
        }

    def _build(self) -> None:
        """Build the list, and record the evaluation anew where it does not fit."""
        self._edges.builds += 1
        assert self._positions is not None
        reach = self.cutoff_A + self.skin_A
        first, second, images = pairs(self._positions, self._cells, self._system, reach)
        if self._replay is None or len(first) > self.capacity:
            if len(first) > self.capacity:
                self.capacity = int(ROOM * len(first)) + 64
            self._make_list()
            self._replay = None
        self._used = len(first)
        self._fill(first, second, images)
        self._built_positions.copy_(self._positions)
        self._built_inverses.copy_(torch.linalg.inv(self._cells))
        if self._replay is None:
            self._replay = self._captured() if self.graph else self._evaluate_fixed

    def _make_list(self) -> None:
        """Make what an evaluation reads, of fixed shape and address."""
        assert self._positions is not None
        size, device = self.capacity, self.device
        self._index = torch.zeros((2, size), dtype=torch.long, device=device)
        self._images = torch.zeros((size, 3), dtype=self.dtype, device=device)
        self._is_pair = torch.zeros(size, dtype=torch.bool, device=device)
        self._opposite = torch.zeros(size, dtype=torch.long, device=device)
        self._starts = torch.zeros(len(self._types) + 1, dtype=torch.int32, device=device)
        self._built_positions = torch.zeros_like(self._positions)
        self._built_inverses = torch.zeros_like(self._cells)

    def _fill(self, first: torch.Tensor, second: torch.Tensor, images: torch.Tensor) -> None:
        """Sort pairs and padding by the first atom."""
        atoms, count = len(self._types), len(first)
        # a few in each row, so that none takes longer than the others
        padding = torch.arange(self.capacity - count, device=self.device)
        padding = padding * atoms // max(len(padding), 1)
        firsts, order = torch.sort(torch.cat([first, padding]), stable=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=self.device)
        self._index[0] = firsts
        self._index[1] = torch.cat([second, padding])[order]
        self._images.copy_(torch.cat([images, images.new_zeros((len(padding), 3))])[order])
        self._is_pair.copy_(order < count)
        back = torch.cat(
            [opposites(first, second, images, atoms), count + torch.arange(len(padding)).to(first)]
        )
        self._opposite.copy_(place[back][order])
        every = torch.arange(atoms + 1, device=self.device)
        self._starts.copy_(torch.searchsorted(firsts, every))

    def _evaluate_fixed(self) -> Result:
        """Evaluate the network for the pairs of the list."""
        assert self._positions is not None
        vectors, stale = self._vectors_now(
            self._positions,
            self._cells,
            self._system,
            self._index,
            self._images,
            self._is_pair,
            self._built_positions,
            self._built_inverses,
            self._lengths,
        )
        atomic_energies, pulls = self._network(vectors.detach(), self._index, self._types)
        forces, outer = pulls_of_atoms(pulls, vectors, self._starts, self._opposite)
        of_glasses = self._edges.membership @ outer
        virial = torch.index_select(of_glasses, 1, self._full).reshape(-1, 3, 3)
        energies = atomic_energies[:, 0].to(self.dtype)
        return {
            "energy": self._edges.membership @ energies,
            "forces": forces,
            "virial": virial,
            "stale": stale,
        }


def vectors_and_stale(
    positions: torch.Tensor,
    cells: torch.Tensor,
    system: torch.Tensor,
    index: torch.Tensor,
    images: torch.Tensor,
    is_pair: torch.Tensor,
    built_positions: torch.Tensor,
    built_inverses: torch.Tensor,
    cutoff_and_skin: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the vectors of pairs, padding beyond the cutoff, and whether the list is too old.

    Parameters
    ----------
    positions, cells, system
        Of the atoms in Å, of the boxes, and the box of each atom.
    index, images
        First and second atoms, shape (2, pairs), and by how many boxes the second is away.
    is_pair
        False where an entry is padding, shape (pairs,).
    built_positions, built_inverses
        Positions when the list was built, and the inverses of the boxes then.
    cutoff_and_skin
        Of the list in Å, shape (2,).
    """
    cutoff_A, skin_A = cutoff_and_skin[0], cutoff_and_skin[1]
    first, second = index[0], index[1]
    shifts = (images[:, :, None] * cells[system[first]]).sum(dim=1)
    vectors = positions[second] - positions[first] + shifts
    vectors = torch.where(is_pair[:, None], vectors, 2.0 * cutoff_A)
    stale = moved_too_far(
        positions, cells, system, built_positions, built_inverses, cutoff_A, skin_A
    )
    return vectors, stale


def opposites(
    first: torch.Tensor, second: torch.Tensor, images: torch.Tensor, atoms: int
) -> torch.Tensor:
    """Give where each pair is in the other direction: second atom first, opposite image.

    Parameters
    ----------
    first, second, images
        Of a list that has each pair in both directions; images in boxes, shape (pairs, 3).
    atoms
        How many there are.
    """
    digits = images.round().long()
    most = int(digits.abs().max()) if len(digits) else 0
    base = 2 * most + 1

    def keys(one: torch.Tensor, other: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        number = one * atoms + other
        for axis in range(3):
            number = number * base + image[:, axis] + most
        return number

    ordered, order = torch.sort(keys(first, second, digits))
    return order[torch.searchsorted(ordered, keys(second, first, -digits))]
