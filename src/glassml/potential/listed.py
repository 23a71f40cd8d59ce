"""A NequIP network with fused convolutions for a batch of glasses, on all pairs of a Verlet list.

Kernels pass by pairs beyond the cutoff, so that no step has to collect those within it. Steps that
are made at once are not interrupted to look whether the list is good. That is asked at their end,
and whether it will hold for as many steps again: else there is a new one before them.
"""

from collections.abc import Sequence

import torch
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.potential.convolution import pulls_of_atoms
from glassml.potential.edges import moved_too_far, moves, volumes
from glassml.potential.kernels import Kernel
from glassml.potential.neighbours import Neighbours
from glassml.potential.padded import PaddedNetwork, Result

#: A list that does not hold for the steps between two looks gets a skin as many times as wide.
WIDER = 1.5


class ListedNetwork(PaddedNetwork):
    """As `PaddedNetwork`, for a network that `glassml.potential.convolution.fuse` gave.

    `launch` never waits for the device, so that a CUDA graph can hold it, and whole steps with it
    (`glassml.md.engines.launches`). Whether the list was good is noted there, and `mend` looks.
    """

    steps_at_once, layout = (4, 2, 1), 0

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch: their elements and numbers of atoms."""
        super().place(glasses)
        self._vectors_now = Kernel(vectors_and_moves, self.device)
        self._too_old = Kernel(moved_too_far, self.device)
        #: Whether the list was built where the next steps begin, and whether it should be.
        self._fresh, self._due = False, False
        self._widen(self.skin_A)
        # of xx, yy, zz, yz, xz, xy
        self._full = torch.tensor([0, 5, 4, 5, 1, 3, 4, 3, 2], device=self.device)
        #: Whether the list was too old, and whether it will be.
        self._flags = torch.zeros(2, dtype=torch.bool, device=self.device)
        #: Steps since the list was built.
        self._age = torch.zeros((), dtype=self.dtype, device=self.device)
        self._fixed: tuple[torch.Tensor, torch.Tensor] | None = None
        self._neighbours = Neighbours(self._edges.system, len(glasses))
        self._built: tuple[torch.Tensor, torch.Tensor] | None = None

    def reserve(self, capacity: int) -> None:
        """Make room for so many pairs at the next evaluation, as a run had that goes on."""
        if capacity != self.capacity:
            self._built = None
        super().reserve(capacity)

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3) and `stress` (systems, 3, 3)."""
        if self._fixed is None:
            self._fixed, self._replay = (positions.clone(), cells.clone()), None
        for fixed, given in zip(self._fixed, (positions, cells), strict=True):
            fixed.copy_(given)
        # before, and not after: there is nothing to be done again, and nothing to wait for
        if self._built is None or bool(self._is_too_old()):
            self._build(*self._fixed)
        if self._replay is None:
            self._replay = self._captured() if self.graph else self._evaluate_fixed
        found = self._replay()
        self._flags.zero_()
        return {name: value.clone() for name, value in found.items()}

    def _is_too_old(self) -> torch.Tensor:
        assert self._built is not None
        assert self._fixed is not None
        found: torch.Tensor = self._too_old(
            *self._fixed, self._edges.system, *self._built, *self._lengths.unbind()
        )
        return found

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
        if self._built is None:
            self._build(positions, cells)
        assert self._built is not None
        neighbours = self._neighbours
        self._age += 1.0
        vectors, moved = self._vectors_now(
            positions,
            cells,
            self._edges.system,
            neighbours.index,
            neighbours.images,
            neighbours.is_pair,
            *self._built,
            self._lengths,
        )
        # atoms go on as they went, so many steps more
        ahead = 1.0 + self.steps_at_once[0] / self._age
        self._flags[0].logical_or_(moved > 1.0)
        self._flags[1].copy_(moved * ahead > 1.0)
        atomic_energies, pulls = self._network(vectors.detach(), neighbours.index, self._types)
        forces, outer = pulls_of_atoms(pulls, vectors, neighbours.starts, neighbours.opposite)
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
        was, due = self._flags.tolist()
        self._due = bool(due)
        if was:
            self._flags.zero_()
            if self._fresh:
                # a list that was built where these steps begin did not hold to their end
                self._widen(WIDER * (self._reach_A - self.cutoff_A))
            self._build(positions, cells)
            self._fresh = True
        else:
            self._fresh = False
        return bool(was)

    def renew(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Build the list from there, if it would not hold for the next steps."""
        if self._due:
            self._build(positions, cells)
            self._fresh = True

    def _widen(self, skin_A: float) -> None:
        """Let lists have this skin until the next batch."""
        if skin_A > self.cutoff_A:
            raise StructureError(
                f"atoms move by more than {0.5 * self.cutoff_A:g} Å in {self.steps_at_once[0]} "
                "steps: look at the time step and the start"
            )
        self._reach_A = self.cutoff_A + skin_A
        self._fresh, self._due = False, False
        # on the device: a compiled kernel would be one for each value
        self._lengths = torch.tensor([self.cutoff_A, skin_A], dtype=self.dtype, device=self.device)
        self._replay = None
        self.layout += 1

    def _build(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Build the list, in the same place as long as it fits."""
        self._edges.builds += 1
        inverse, capacity = self._neighbours.build(positions, cells, self._reach_A, self.capacity)
        self._used = self._neighbours.count
        if self._built is None or capacity != self.capacity:
            self._built = positions.clone(), inverse.clone()
            self.capacity, self._replay = capacity, None
            self.layout += 1
        else:
            self._built[0].copy_(positions)
            self._built[1].copy_(inverse)
        self._age.zero_()
        self._due = False


def vectors_and_moves(
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
    """Give the vectors of pairs, padding beyond the cutoff, and how far the list's atoms moved.

    Parameters
    ----------
    positions, cells, system
        Of the atoms in Å, of the boxes, and the box of each atom.
    index, images, is_pair
        As in `glassml.potential.neighbours.Neighbours`.
    built_positions, built_inverses
        Positions when the list was built, and the inverses of the boxes then.
    cutoff_and_skin
        Of the list in Å, shape (2,).

    Returns
    -------
    vectors, moved
        In Å, shape (pairs, 3); and the largest move, in parts of the one that is allowed.
    """
    cutoff_A, skin_A = cutoff_and_skin[0], cutoff_and_skin[1]
    first, second = index[0], index[1]
    shifts = (images[:, :, None] * cells[system[first]]).sum(dim=1)
    vectors = positions[second] - positions[first] + shifts
    vectors = torch.where(is_pair[:, None], vectors, 2.0 * cutoff_A)
    moved = moves(positions, cells, system, built_positions, built_inverses, cutoff_A, skin_A)
    return vectors, moved.nan_to_num(0.0, posinf=torch.inf).max()
