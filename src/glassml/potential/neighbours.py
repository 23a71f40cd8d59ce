"""The neighbour list of a batch on a GPU, built by kernels, where a CUDA graph finds it again.

What is built is what `glassml.potential.edges.pairs` finds, in another order: each atom's pairs,
followed by padding.
"""

import numpy as np
import torch

from glassml.campaign.errors import StructureError
from glassml.potential import neighbour_kernels
from glassml.potential.boxes import heights
from glassml.potential.edges import inverses
from glassml.potential.kernels import Kernel
from glassml.potential.padded import with_room

#: Room in a row of neighbours beyond the longest.
ROW_ROOM = 1.2
#: What the kernels look at in one go.
BIN_BLOCK, COLUMNS = 128, 32
#: Images of a box to each side; a box with more of them in reach collapsed.
MOST_IMAGES = 16


class Neighbours:
    """All pairs within a reach, in both directions, sorted by their first atoms.

    Parameters
    ----------
    system, systems
        The box of each atom, shape (atoms,), ascending; and how many boxes there are.

    Attributes
    ----------
    index
        First and second atoms, shape (2, capacity); an atom and itself where an entry is padding.
    images
        The lattice vectors to be added to the second atom, as numbers of boxes, shape (capacity,
        3), double precision.
    is_pair
        False where an entry is padding, shape (capacity,).
    opposite
        Where each pair is in the other direction, shape (capacity,).
    starts
        Where each atom's entries begin, shape (atoms + 1,), 32 bits.
    count
        How many pairs there are.
    """

    def __init__(self, system: torch.Tensor, systems: int) -> None:
        self.device, self.count = system.device, 0
        self._system = system.to(torch.int32)
        atoms = len(system)
        self._sizes = torch.bincount(system, minlength=systems).cpu().numpy()
        self._every = torch.arange(atoms + 1, device=self.device)
        self._inverses = Kernel(inverses, self.device)
        self._wrapped, self._base = (self._empty(atoms, 3, kind=torch.float64) for _ in range(2))
        self._numbers, self._counts = (self._empty(atoms, kind=torch.int32) for _ in range(2))
        self.starts = self._empty(atoms + 1, kind=torch.int32)
        self._codes = self._empty(atoms, 0, kind=torch.int64)
        self._make_room(0)

    def _make_room(self, capacity: int) -> None:
        self.index = self._empty(2, capacity, kind=torch.int64)
        self.images = self._empty(capacity, 3, kind=torch.float64)
        self.is_pair = self._empty(capacity, kind=torch.bool)
        self.opposite = self._empty(capacity, kind=torch.int64)

    def _empty(self, *shape: int, kind: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=kind, device=self.device)

    def build(
        self, positions: torch.Tensor, cells: torch.Tensor, reach_A: float, capacity: int
    ) -> tuple[torch.Tensor, int]:
        """Build the list; new tensors are made only if the old ones are too short.

        Parameters
        ----------
        positions, cells
            In Å, shape (atoms, 3) and (systems, 3, 3), double precision.
        reach_A
            Pairs that are farther apart are left out.
        capacity
            Of the list, as it is or as it was in a run that goes on.

        Returns
        -------
        inverses, capacity
            Of the boxes; and of the list.

        Raises
        ------
        StructureError
            If a box collapsed.
        """
        inverse = self._inverses(cells)
        most = self._find(positions.contiguous(), cells.contiguous(), inverse, reach_A)
        if self.count > capacity:
            capacity = with_room(self.count)
        if self.index.shape[1] != capacity:
            self._make_room(capacity)
        # padding: a few for each atom, so that none takes longer than the others
        atoms, spare = len(self._counts), capacity - self.count
        self.starts.copy_((self._every * spare + atoms - 1) // max(atoms, 1))
        self.starts[1:] += torch.cumsum(self._counts, 0)
        if atoms:
            neighbour_kernels.fill[(atoms,)](
                self._codes, self._counts, self.starts, self._base, self.index, self.images,
                self.is_pair, self.opposite, self._codes.shape[1], capacity, most, COLUMNS,
                num_warps=1,
            )  # fmt: skip
        return inverse, capacity

    def _find(
        self, positions: torch.Tensor, cells: torch.Tensor, inverse: torch.Tensor, reach_A: float
    ) -> int:
        """Find the neighbours of each atom; give the largest number of boxes between two."""
        grids, total, most = self._grids(cells.cpu().numpy(), reach_A)
        atoms = len(positions)
        if not atoms:
            return most
        blocks = -(-atoms // BIN_BLOCK)
        neighbour_kernels.bins[(blocks,)](
            positions, inverse, self._system, grids, self._wrapped, self._base, self._numbers,
            atoms, BIN_BLOCK,
        )  # fmt: skip
        sorted_, order = torch.sort(self._numbers, stable=True)
        begins = torch.searchsorted(sorted_, torch.arange(total + 1, device=self.device).int())
        while True:
            width = self._codes.shape[1]
            neighbour_kernels.find[(atoms,)](
                cells, self._system, grids, self._wrapped, self._numbers, order, begins,
                self._codes, self._counts, width, reach_A**2, most, COLUMNS, num_warps=1,
            )  # fmt: skip
            longest, self.count = torch.stack([self._counts.max(), self._counts.sum()]).tolist()
            if longest <= width:
                return most
            width = COLUMNS * (int(ROW_ROOM * longest) // COLUMNS + 1)
            self._codes = self._empty(atoms, width, kind=torch.int64)

    def _grids(self, cells: np.ndarray, reach_A: float) -> tuple[torch.Tensor, int, int]:
        """Cut boxes into bins.

        Returns
        -------
        grids, total, most
            For each box how many bins it has along each edge, how many of them are in reach to each
            side, and where its bins begin, shape (systems, 7); bins of all; and the largest number
            in reach.
        """
        wide = heights(cells)
        # a box that is nowhere has no neighbours
        wide = np.where(np.isfinite(wide), wide, reach_A)
        # more bins than atoms would only be empty
        least = np.maximum(1, np.cbrt(self._sizes).round().astype(int))[:, None]
        counts = np.clip((wide // reach_A).astype(int), 1, least)
        if not (wide * MOST_IMAGES > reach_A).all():
            raise StructureError(f"a box {wide.min():.3g} Å wide: it collapsed")
        around = np.ceil(reach_A / (wide / counts)).astype(int)
        sizes = counts.prod(axis=1)
        grids = np.concatenate([counts, around, (np.cumsum(sizes) - sizes)[:, None]], axis=1)
        device = torch.as_tensor(grids.astype(np.int32)).to(self.device)
        return device, int(sizes.sum()), int(around.max(initial=1))
