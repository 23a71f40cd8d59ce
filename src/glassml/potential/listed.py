"""A NequIP network with fused convolutions for a batch of glasses, on all pairs of a Verlet list.

Kernels pass by pairs beyond the cutoff, so that no step has to collect those within it, and nothing
waits for the host but the question whether the list was good, which is asked at last.
"""

from collections.abc import Sequence

import torch
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.potential.convolution import pulls_of_atoms
from glassml.potential.edges import inverses, moved_too_far, pairs, volumes
from glassml.potential.kernels import Kernel
from glassml.potential.padded import ROOM, PaddedNetwork, Result

#: A list that does not hold for the steps between two looks gets a skin as many times as wide.
WIDER = 1.5


class ListedNetwork(PaddedNetwork):
    """As `PaddedNetwork`, for a network that `glassml.potential.convolution.fuse` gave.

    `launch` never waits for the device, so that a CUDA graph can hold it, and a whole step with it
    (`glassml.md.engines.launches`). Whether the list was good is noted there, and `mend` looks.
    """

    steps_at_once, layout = (2, 1), 0

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch: their elements and numbers of atoms."""
        super().place(glasses)
        self._vectors_now = Kernel(vectors_and_stale, self.device)
        self._widen(self.skin_A)
        # of xx, yy, zz, yz, xz, xy
        self._full = torch.tensor([0, 5, 4, 5, 1, 3, 4, 3, 2], device=self.device)
        self._stale = torch.zeros((), dtype=torch.bool, device=self.device)
        self._fixed: tuple[torch.Tensor, torch.Tensor] | None = None
        self._has_list = False

    def reserve(self, capacity: int) -> None:
        """Make room for so many pairs at the next evaluation, as a run had that goes on."""
        if capacity != self.capacity:
            self._has_list = False
        super().reserve(capacity)

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3) and `stress` (systems, 3, 3)."""
        if self._fixed is None:
            self._fixed, self._replay = (positions.clone(), cells.clone()), None
        for fixed, given in zip(self._fixed, (positions, cells), strict=True):
            fixed.copy_(given)
        found = self._replayed()
        while self.mend(positions, cells):
            found = self._replayed()
        return {name: value.clone() for name, value in found.items()}

    def _replayed(self) -> Result:
        """Evaluate where the fixed inputs are; record that first, where it is not yet."""
        assert self._fixed is not None
        if not self._has_list:
            self._build(*self._fixed)
        if self._replay is None:
            self._replay = self._captured() if self.graph else self._evaluate_fixed
        return self._replay()

    def _evaluate_fixed(self) -> Result:
        assert self._fixed is not None
        return self.launch(*self._fixed)

    def launch(
        self,
        positions: torch.Tensor,
        cells: torch.Tensor,
        *,
        energy: bool = True,  # noqa: ARG002  (it costs nothing here)
    ) -> Result:
        """Compute as `__call__`, without a look at whether the list was good."""
        if not self._has_list:
            self._build(positions, cells)
        vectors, stale = self._vectors_now(
            positions,
            cells,
            self._edges.system,
            self._index,
            self._images,
            self._is_pair,
            self._built_positions,
            self._built_inverses,
            self._lengths,
        )
        self._stale.logical_or_(stale)
        atomic_energies, pulls = self._network(vectors.detach(), self._index, self._types)
        forces, outer = pulls_of_atoms(pulls, vectors, self._starts, self._opposite)
        of_glasses = self._edges.membership @ outer
        virial = torch.index_select(of_glasses, 1, self._full).reshape(-1, 3, 3)
        return {
            "energy": self._edges.membership @ atomic_energies[:, 0].to(self.dtype),
            "forces": forces,
            "stress": virial / volumes(cells)[:, None, None],
        }

    def mend(self, positions: torch.Tensor, cells: torch.Tensor) -> bool:
        """Build the list from there, if one was too old since the last time.

        Returns
        -------
        bool
            Whether it was: what was computed since is wrong then.

        Raises
        ------
        StructureError
            If atoms move by more than half the cutoff in the steps between two looks.
        """
        if not bool(self._stale):
            self._fresh = False
            return False
        self._stale.zero_()
        if self._fresh:
            # a list that was built where these steps begin did not hold to their end
            self._widen(WIDER * (self._reach_A - self.cutoff_A))
        self._build(positions, cells)
        self._fresh = True
        return True

    def _widen(self, skin_A: float) -> None:
        """Let lists have this skin until the next batch."""
        if skin_A > self.cutoff_A:
            raise StructureError(
                f"atoms move by more than {0.5 * self.cutoff_A:g} Å in {self.steps_at_once[0]} "
                "steps: look at the time step and the start"
            )
        self._reach_A, self._fresh = self.cutoff_A + skin_A, False
        # on the device: a compiled kernel would be one for each value
        self._lengths = torch.tensor([self.cutoff_A, skin_A], dtype=self.dtype, device=self.device)
        self._replay = None
        self.layout += 1

    def _build(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Build the list, in the same place as long as it fits."""
        self._edges.builds += 1
        system = self._edges.system
        first, second, images = pairs(positions, cells, system, self._reach_A)
        if not self._has_list or len(first) > self.capacity:
            if len(first) > self.capacity:
                self.capacity = int(ROOM * len(first)) + 64
            self._make_list(positions, cells)
            self._replay, self._has_list = None, True
            self.layout += 1
        self._used = len(first)
        self._fill(first, second, images)
        self._built_positions.copy_(positions)
        self._built_inverses.copy_(inverses(cells))

    def _make_list(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Make what an evaluation reads, of fixed shape and address."""
        size, device = self.capacity, self.device
        self._index = torch.zeros((2, size), dtype=torch.long, device=device)
        self._images = torch.zeros((size, 3), dtype=self.dtype, device=device)
        self._is_pair = torch.zeros(size, dtype=torch.bool, device=device)
        self._opposite = torch.zeros(size, dtype=torch.long, device=device)
        self._starts = torch.zeros(len(self._types) + 1, dtype=torch.int32, device=device)
        self._built_positions = torch.zeros_like(positions)
        self._built_inverses = torch.zeros_like(cells)

    def _fill(self, first: torch.Tensor, second: torch.Tensor, images: torch.Tensor) -> None:
        """Take up pairs, sorted as `pairs` gives them, each atom's followed by its padding."""
        atoms, count = len(self._types), len(first)
        spare = self.capacity - count
        # a few for each atom, so that none takes longer than the others
        padding = torch.arange(spare, device=self.device) * atoms // max(spare, 1)
        every = torch.arange(atoms + 1, device=self.device)
        before = torch.searchsorted(padding, every)  # padding of the atoms before
        of_atoms = torch.searchsorted(first, every)
        place = torch.arange(count, device=self.device) + before[first]
        rest = torch.arange(spare, device=self.device) + of_atoms[padding + 1]
        for row, given in zip(self._index, (first, second), strict=True):
            row[place], row[rest] = given, padding
        self._images[place], self._images[rest] = images, torch.zeros_like(images[:1])
        self._is_pair.zero_()[place] = True
        self._opposite[place] = place[opposites(first, second, images, atoms)]
        self._opposite[rest] = rest
        self._starts.copy_(of_atoms + before)


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
        Of a list that has each pair in both directions, sorted by these; images in boxes, shape
        (pairs, 3).
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

    return torch.searchsorted(keys(first, second, digits), keys(second, first, -digits))
