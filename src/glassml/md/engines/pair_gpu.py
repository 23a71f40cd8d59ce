"""A pair potential on a GPU: kernels of its own in place of torch's, and no wait for the host."""

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.configurations.pair_potentials import COULOMB_CUTOFF_A, INNERMOST_A
from glassml.md.engines import pair_kernels
from glassml.md.engines.pair_model import INTERVALS, PER_INTERVAL_A2, SKIN_A, PairModel
from glassml.potential.boxes import heights
from glassml.potential.padded import Result

#: Room in a row of the list beyond the mean number of neighbours.
ROOM = 1.2
#: A box may become narrower by this factor before its copies are counted again.
NARROWER = 0.9
#: Copies of atoms: of each there are four numbers, which are counted in 31 bits.
MOST_COPIES = 2**29
#: Atoms of a program of each kernel, and what it looks at in one go.
FORCE_ROWS, FORCE_COLUMNS = 1, 32
BUILD_ROWS, BUILD_COLUMNS = 8, 128
#: Looks at the list between two times that atoms are brought in order; they diffuse slowly.
SORT_EVERY = 4000
#: A fraction of a box that no atom has.
NOWHERE = 1e9
PLACE_BLOCK, SUM_COLUMNS, FLAGS = 128, 1024, 256
#: Groups of 32 threads of a program.
FORCE_WARPS, BUILD_WARPS, SUM_WARPS = 1, 4, 8


class PairKernels(PairModel):
    """The same energy, forces and stress as `PairModel`, by Triton kernels.

    `launch` never waits for the device, so that a CUDA graph can hold it. What can go wrong there
    (a row of the list too short, a box too narrow) is noted on the device, and `mend` looks.

    Parameters
    ----------
    name
        "bks", "chik" or "shik".
    device
        Where it computes: a GPU, or a CPU with Triton's interpreter.
    """

    steps_at_once, layout = (16, 4, 1), 0

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch; see `PairModel`."""
        self._at = np.concatenate([atoms.positions for atoms in glasses])
        super().place(glasses)

    def reserve(self, capacity: int) -> None:
        """Give the list rows of a length that a run had which goes on."""
        self._looks = SORT_EVERY - 1
        if capacity > self.capacity:
            self.capacity = capacity
            self._empty_list()

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3) and `stress` (systems, 3, 3)."""
        found = self.launch(positions, cells)
        while self.mend(positions, cells):
            found = self.launch(positions, cells)
        return found

    @property
    def builds(self) -> int:
        """How often the list was built since the glasses were placed."""
        return int(self._builds)

    def launch(
        self, positions: torch.Tensor, cells: torch.Tensor, *, energy: bool = True
    ) -> Result:
        """Launch the kernels; as `__call__`, without looking whether the list has room.

        Parameters
        ----------
        positions, cells
            As there.
        energy
            Whether the energy is wanted; it is that of the charges alone otherwise.
        """
        positions, cells = positions.contiguous(), cells.contiguous()
        forces, stress = torch.empty_like(positions), torch.empty_like(cells)
        energies = torch.empty_like(self._own)
        atoms, reach = sum(self.counts), COULOMB_CUTOFF_A + SKIN_A
        pair_kernels.place[(len(self._stale),)](
            positions, cells, self._system, self._ranks, self._first_copy, self._sizes,
            self._repeats, self._fractions, self._built_fractions, self._built_volumes,
            self._places, self._stale, atoms, self._most_copies,
            COULOMB_CUTOFF_A, reach, PLACE_BLOCK,
        )  # fmt: skip
        pair_kernels.bounds[(len(self._copy_blocks[0]),)](
            *self._copy_blocks[:2], self._places, self._stale, len(self._stale), self._middles,
            self._halves, BUILD_COLUMNS, FLAGS, num_warps=BUILD_WARPS,
        )  # fmt: skip
        pair_kernels.build[(len(self._build_blocks[0]),)](
            cells, self._first_atom, self._first_copy, self._sizes, self._copies, self._repeats,
            *self._build_blocks, self._fractions, self._built_fractions,
            self._built_volumes, self._places, self._stale, len(self._stale),
            self._first_bound, self._middles, self._halves,
            self._neighbours, self._row_lengths, self._needed, self._narrow, self._builds,
            self.capacity, reach, BUILD_ROWS, BUILD_COLUMNS, FLAGS, num_warps=BUILD_WARPS,
        )  # fmt: skip
        blocks = len(self._force_blocks[0])
        pair_kernels.forces_and_sums[(blocks,)](
            cells, self._order, self._first_atom, self._first_copy, self._repeats,
            *self._force_blocks, self._places, self._neighbours,
            self._row_lengths, self._pulls, self._energies, forces, self._partial, blocks,
            self.capacity, COULOMB_CUTOFF_A**2, INNERMOST_A**2, PER_INTERVAL_A2, INTERVALS,
            FORCE_ROWS, FORCE_COLUMNS, energy, num_warps=FORCE_WARPS,
        )  # fmt: skip
        pair_kernels.of_systems[(len(self.counts),)](
            cells, self._first_block, self._own, self._partial, energies, stress, blocks,
            SUM_COLUMNS, num_warps=SUM_WARPS,
        )  # fmt: skip
        return {"energy": energies, "forces": forces, "stress": stress}

    def mend(self, positions: torch.Tensor, cells: torch.Tensor) -> bool:
        """Make room where a row of the list was too short or a box too narrow.

        Returns
        -------
        bool
            Whether there was such a place: what was computed since the last time is wrong then.

        Raises
        ------
        StructureError
            If a box collapsed.
        """
        needed, narrow = torch.stack([self._needed.max(), self._narrow.max()]).tolist()
        self._looks += 1
        if narrow:
            self._at = positions.cpu().numpy()
            self._arrange(cells.cpu().numpy())
        elif needed > self.capacity:
            self.capacity = _row_length(needed)
            self._empty_list()
        else:
            if self._looks % SORT_EVERY == 0:
                self._at = positions.cpu().numpy()
                self._sort(cells.cpu().numpy())
            return False
        return True

    def renew(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Do nothing: the kernels build the list when it is time."""

    def _arrange(self, cells: np.ndarray) -> None:
        """Lay out the batch: copies of atoms, and blocks of atoms for the kernels."""
        reach = COULOMB_CUTOFF_A + SKIN_A
        volumes = np.abs(np.linalg.det(cells))
        if not (volumes > 1.0).all():
            raise StructureError(f"a box of {volumes.min():.3g} Å³: it collapsed")
        wide = NARROWER * heights(cells)
        repeats = np.ceil(2.0 * reach / wide).astype(int)
        sizes, copies = np.array(self.counts), repeats.prod(axis=1)
        if (sizes * copies).sum() > MOST_COPIES:
            raise StructureError(f"{sizes.sum()} atoms are too many for a neighbour list")
        first_atom, first_copy = (np.cumsum(n) - n for n in (sizes, sizes * copies))
        self._most_copies = int(copies.max())
        self._first_atom, self._first_copy = self._integers(first_atom), self._integers(first_copy)
        self._sizes, self._copies = self._integers(sizes), self._integers(copies)
        self._repeats, self._system = self._integers(repeats), self._edges.system.to(torch.int32)
        number, self._looks = int(sizes.sum()), 0
        # of each copy its place along the edges, and its element
        total = int((sizes * copies).sum())
        self._places = torch.zeros((total, 4), dtype=torch.int32, device=self.device)
        self._order, self._ranks = (
            self._integers(np.zeros(number)),
            self._integers(np.zeros(number)),
        )
        self._build_blocks, _ = self._blocks(self.counts, BUILD_ROWS)
        self._force_blocks, self._first_block = self._blocks(self.counts, FORCE_ROWS)
        self._copy_blocks, self._first_bound = self._blocks(sizes * copies, BUILD_COLUMNS)
        self._middles = self._integers(np.zeros((len(self._copy_blocks[0]), 3)))
        self._halves = self._middles.to(torch.float32)
        self._fractions = self._zeros(number, 3)
        self._stale = self._integers(np.zeros(-(-number // PLACE_BLOCK)))
        self._partial = self._zeros(7, len(self._force_blocks[0]))
        self._builds = self._integers(np.zeros(1))
        mean = 4.0 / 3.0 * np.pi * reach**3 * (sizes / volumes).max()
        self.capacity = max(self.capacity, _row_length(ROOM * mean + 8.0))
        self._empty_list()
        self._sort(cells)

    def _sort(self, cells: np.ndarray) -> None:
        """Bring atoms in an order in which neighbours are near, for `_at`; forget the list."""
        orders, kinds, begin = [], [], 0
        types = self._types.cpu().numpy()
        for count, cell, copies in zip(self.counts, cells, self._copies.tolist(), strict=True):
            order = begin + compact_order(
                self._at[begin : begin + count] @ np.linalg.inv(cell), cell
            )
            orders.append(order)
            kinds.append(np.tile(types[order], copies))
            begin += count
        order = np.concatenate(orders)
        ranks = np.empty_like(order)
        starts = np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        ranks[order] = np.arange(len(order)) - starts
        for tensor, values in (
            (self._order, order), (self._ranks, ranks), (self._places[:, 3], np.concatenate(kinds)),
        ):  # fmt: skip
            tensor.copy_(self._integers(values))
        self._built_fractions.fill_(NOWHERE)

    def _empty_list(self) -> None:
        """Take a list that holds nothing, and is not good."""
        self.layout += 1
        number = sum(self.counts)
        self._neighbours = torch.zeros(
            (number, self.capacity), dtype=torch.int32, device=self.device
        )
        self._row_lengths = self._integers(np.zeros(number))
        self._built_fractions = self._zeros(number, 3) + NOWHERE
        self._built_volumes = self._zeros(len(self.counts)) + 1.0
        self._needed = self._integers(np.zeros(len(self._build_blocks[0])))
        self._narrow = self._needed.clone()

    def _blocks(
        self, counts: Sequence[int], rows: int
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Cut what glasses have into blocks: begins, ends, glasses; and each glass's first."""
        begins: list[int] = []
        ends: list[int] = []
        systems: list[int] = []
        firsts, begin = [0], 0
        for system, count in enumerate(map(int, counts)):
            begins += range(begin, begin + count, rows)
            ends += [min(b + rows, begin + count) for b in range(begin, begin + count, rows)]
            systems += [system] * -(-count // rows)
            firsts.append(len(begins))
            begin += count
        blocks = tuple(self._integers(np.array(each)) for each in (begins, ends, systems))
        return blocks, self._integers(np.array(firsts))

    def _integers(self, values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(values.astype(np.int32)).to(self.device)

    def _zeros(self, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self.device)


def _row_length(neighbours: float) -> int:
    """Give a length of rows that has room for so many neighbours."""
    return FORCE_COLUMNS * (int(neighbours) // FORCE_COLUMNS + 1)


def compact_order(fractions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Order atoms so that each block of the kernels is in a small part of the box.

    Parameters
    ----------
    fractions
        Of the box, shape (atoms, 3).
    cell
        Rows are lattice vectors in Å, shape (3, 3).

    Returns
    -------
    ndarray
        Indices, shape (atoms,).
    """
    places = (fractions - np.floor(fractions)) * heights(cell)
    ready: list[np.ndarray] = []
    waiting = [np.arange(len(places))]
    while waiting:
        some = waiting.pop()
        if len(some) <= BUILD_COLUMNS:
            ready.append(some)
            continue
        # at the end of a block, so that none has a part on each side
        half = BUILD_COLUMNS * max(1, round(len(some) / BUILD_COLUMNS / 2))
        axis = int(np.argmax(np.ptp(places[some], axis=0)))
        some = some[np.argsort(places[some, axis], kind="stable")]
        waiting += [some[half:], some[:half]]
    order = np.concatenate(ready)
    # and each whole block in halves again, all blocks at once, down to those of the rows
    whole = len(order) - len(order) % BUILD_COLUMNS
    blocks = order[:whole].reshape(-1, BUILD_COLUMNS)
    while blocks.size and blocks.shape[1] > BUILD_ROWS:
        axis = np.argmax(np.ptp(places[blocks], axis=1), axis=1)
        ranks = np.argsort(places[blocks, axis[:, None]], axis=1, kind="stable")
        blocks = np.take_along_axis(blocks, ranks, axis=1).reshape(-1, blocks.shape[1] // 2)
    return np.concatenate([blocks.ravel(), order[whole:]])
