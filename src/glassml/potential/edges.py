"""Pairs of atoms within a cutoff, for a batch of periodic boxes, on the device of the positions.

A Verlet list holds all pairs within the cutoff and a skin. It is built anew when an atom moved so
far against its (breathing) box that a pair could have come within the cutoff unseen. From it, each
step takes the pairs within the cutoff, in an order that does not depend on when the list was built:
a continued run sums the same numbers in the same order.
"""

import itertools
from typing import Any

import numpy as np
import torch

from glassml.potential.boxes import heights

#: Pairs whose distances are looked at in one go while a list is built; bounds its memory. A GPU has
#: more of it, and waits for the host between two goes.
PAIRS_AT_ONCE = {"cpu": 2**22, "cuda": 2**25}


class Edges:
    """The Verlet list of a batch.

    Parameters
    ----------
    counts
        Atoms of each system, which follow one another.
    cutoff_A, skin_A
        Cutoff, and how much wider the list is, in Å.
    device
        Where the tensors are.
    """

    def __init__(
        self, counts: list[int], cutoff_A: float, skin_A: float, device: torch.device
    ) -> None:
        self.counts, self.cutoff_A, self.skin_A = counts, cutoff_A, skin_A
        sizes = torch.tensor(counts, device=device)
        self.system = torch.repeat_interleave(torch.arange(len(counts), device=device), sizes)
        glass = torch.arange(len(counts), device=device)[:, None]
        #: 1 where an atom (column) is in a system (row): sums over atoms are products with it.
        self.membership = (self.system == glass).to(torch.float64)
        self.builds = 0
        self._built_at: tuple[torch.Tensor, torch.Tensor] | None = None

    def find(
        self, positions: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give the pairs within the cutoff.

        Parameters
        ----------
        positions
            Shape (atoms, 3) in Å; need not lie in the box.
        cells
            Shape (systems, 3, 3): rows are lattice vectors in Å.

        Returns
        -------
        first, second, vectors
            Indices of atoms, shape (pairs,), each pair in both directions, and the vectors from the
            first to the second in Å, shape (pairs, 3).
        """
        near, vectors = self.near(positions, cells)
        return self.first[near], self.second[near], vectors[near]

    def near(
        self, positions: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell which pairs of the list, `first` and `second`, are within the cutoff.

        It waits for the device once, when those pairs are counted. Whether the list was good is
        computed before and looked at after that, when it costs no further wait.

        Parameters
        ----------
        positions, cells
            As in `find`.

        Returns
        -------
        near, vectors
            Indices into the list, shape (pairs,), and the vectors of all in the list in Å.
        """
        if self._built_at is None:
            self._build(positions, cells)
        stale = self._stale(positions, cells)
        found = self._near(positions, cells)
        if bool(stale):
            self._build(positions, cells)
            found = self._near(positions, cells)
        return found

    def _near(
        self, positions: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shifts = self._shifts_in(cells)
        vectors = positions[self.second] - positions[self.first] + shifts[self._shift]
        return torch.nonzero((vectors**2).sum(dim=1) < self.cutoff_A**2)[:, 0], vectors

    def candidates(
        self, positions: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give the pairs of the Verlet list, among which are all within the cutoff.

        Parameters
        ----------
        positions, cells
            As in `find`.

        Returns
        -------
        first, second, shift, shifts
            Indices of atoms, shape (pairs,), and where in `shifts`, shape (n, 3) in Å, is what is
            to be added to the second atom: there are few different ones.
        """
        if self._built_at is None or bool(self._stale(positions, cells)):
            self._build(positions, cells)
        return self.first, self.second, self._shift, self._shifts_in(cells)

    def _shifts_in(self, cells: torch.Tensor) -> torch.Tensor:
        return (self._shifts[:, :, None] * cells[self._shift_systems]).sum(dim=1)

    def _stale(self, positions: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Tell whether a pair may have come within the cutoff that is not in the list."""
        assert self._built_at is not None
        return moved_too_far(
            positions, cells, self.system, *self._built_at, self.cutoff_A, self.skin_A
        )

    def _build(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Build the list: pairs, and the shifts of boxes and systems that they have."""
        reach = self.cutoff_A + self.skin_A
        self.first, self.second, shifts = pairs(positions, cells, self.system, reach)
        # one number for each different shift and system
        lowest = shifts.min() if len(shifts) else shifts.sum()
        digits = (shifts - lowest).long()
        base = digits.max() + 1 if len(shifts) else 1
        keys = self.system[self.first]
        for axis in range(3):
            keys = keys * base + digits[:, axis]
        keys, self._shift = torch.unique(keys, return_inverse=True)
        columns: list[torch.Tensor] = []
        for _ in range(3):
            columns.insert(0, (keys % base) + lowest)
            keys = torch.div(keys, base, rounding_mode="floor")
        self._shifts, self._shift_systems = torch.stack(columns, dim=1), keys
        self._built_at = (positions.clone(), inverses(cells))
        self.builds += 1


def inverses(cells: torch.Tensor) -> torch.Tensor:
    """Give the inverses of boxes, shape (systems, 3, 3), without waiting for the device."""
    a, b, c = cells.unbind(1)
    normals = [torch.linalg.cross(*edges) for edges in ((b, c), (c, a), (a, b))]
    return torch.stack(normals, dim=2) / (a * normals[0]).sum(dim=1)[:, None, None]


def volumes(cells: torch.Tensor) -> torch.Tensor:
    """Give the volumes of boxes in Å³, shape (systems,), without waiting for the device."""
    return (cells[:, 0] * torch.linalg.cross(cells[:, 1], cells[:, 2])).sum(dim=1).abs()


def moved_too_far(*of_list: Any) -> torch.Tensor:
    """Tell whether a pair may have come within the cutoff that is not in a list: see `moves`.

    Not-a-number is no reason to build.
    """
    return (moves(*of_list) > 1.0).any()


def moves(
    positions: torch.Tensor,
    cells: torch.Tensor,
    system: torch.Tensor,
    built_positions: torch.Tensor,
    built_inverses: torch.Tensor,
    cutoff_A: float | torch.Tensor,
    skin_A: float | torch.Tensor,
) -> torch.Tensor:
    """Give how far each atom moved since a list was built, in parts of how far it may.

    A pair that was `cutoff + skin` apart is at least `s (cutoff + skin) - 2 d` apart after the box
    was scaled by s and atoms moved by d against it. Infinite where the box shrank by more than the
    skin; not-a-number stays what it is.

    Parameters
    ----------
    positions, cells, system
        As in `pairs`.
    built_positions, built_inverses
        Positions when the list was built, and the inverses of the boxes then.
    cutoff_A, skin_A
        Of the list, in Å.
    """
    strain = built_inverses @ cells
    scale = volumes(strain) ** (1.0 / 3.0)
    expected = (built_positions[:, :, None] * strain[system]).sum(dim=1)
    moved = (positions - expected).norm(dim=1)
    allowed = (0.5 * (scale * (cutoff_A + skin_A) - cutoff_A))[system]
    return torch.where(allowed <= 0.0, moved + torch.inf, moved / allowed)


def pairs(
    positions: torch.Tensor, cells: torch.Tensor, system: torch.Tensor, cutoff_A: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give all pairs within a cutoff in periodic boxes; atoms that are nowhere have none.

    Where all boxes are at least three cutoffs wide atoms are sorted into bins, and the time is
    linear in their number. Else each pair of a box and each image is looked at.

    Parameters
    ----------
    positions
        Shape (atoms, 3) in Å.
    cells
        Shape (systems, 3, 3) in Å.
    system
        The box of each atom, shape (atoms,), ascending.
    cutoff_A
        Cutoff in Å.

    Returns
    -------
    first, second, shift
        Indices, shape (pairs,), and the lattice vectors to be added to the second atom as
        numbers of boxes, shape (pairs, 3), sorted by first, second and shift.
    """
    fractions = torch.bmm(positions[:, None], inverses(cells)[system])[:, 0]
    base = torch.floor(fractions)
    wrapped = fractions - base
    wide = heights(cells.cpu().numpy())
    known = np.isfinite(wide).all(axis=1)
    bins = np.where(known[:, None], wide, 3.0 * cutoff_A) // cutoff_A
    if bins.min() >= 3:
        first, second, shift = _pairs_of_bins(wrapped, cells, system, cutoff_A, bins.astype(int))
    else:
        found, begin = [], 0
        counts = torch.bincount(system, minlength=len(cells)).tolist()
        for count, cell, width in zip(counts, cells, wide, strict=True):
            one, other, shift = _pairs_of_all(wrapped[begin : begin + count], cell, cutoff_A, width)
            found.append((one + begin, other + begin, shift))
            begin += count
        first, second, shift = (torch.cat(each) for each in zip(*found, strict=True))
    # back to the atoms where they are: r_j - r_i + shift does not change
    return first, second, shift + base[first] - base[second]


def _pairs_of_all(
    wrapped: torch.Tensor, cell: torch.Tensor, cutoff_A: float, wide: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Look at all pairs; `wrapped` are fractions of the box in [0, 1].

    In a box wider than twice the cutoff only the nearest image of a pair counts, else all in reach.
    """
    if not np.isfinite(wide).all() or not bool(torch.isfinite(wrapped).all()):
        none = torch.zeros(0, dtype=torch.long, device=wrapped.device)
        return none, none, wrapped[none]
    if (wide > 2.0 * cutoff_A).all():
        images = torch.zeros((1, 3), dtype=cell.dtype, device=cell.device)
    else:
        # wrapped atoms differ by less than a box, so one more image on each side is in reach
        reach = [range(-int(n) - 1, int(n) + 2) for n in np.ceil(cutoff_A / wide)]
        images = torch.tensor(list(itertools.product(*reach)), dtype=cell.dtype, device=cell.device)
    found = []
    rows = max(1, PAIRS_AT_ONCE[wrapped.device.type] // (len(wrapped) * len(images)))
    for begin in range(0, len(wrapped), rows):
        difference = wrapped[None] - wrapped[begin : begin + rows, None]
        nearest = -torch.round(difference) if len(images) == 1 else torch.zeros_like(difference)
        shift = nearest[:, :, None] + images
        distance2 = (((difference[:, :, None] + shift) @ cell) ** 2).sum(dim=-1)
        first, second, image = torch.nonzero(
            (distance2 < cutoff_A**2) & (distance2 > 0.0), as_tuple=True
        )
        found.append((first + begin, second, shift[first, second, image]))
    first, second, shift = (torch.cat(each) for each in zip(*found, strict=True))
    return first, second, shift


def _pairs_of_bins(
    wrapped: torch.Tensor,
    cells: torch.Tensor,
    system: torch.Tensor,
    cutoff_A: float,
    bins: np.ndarray,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Look at atoms in adjacent bins, of which there are three or more along each edge.

    Then a pair has one image within the cutoff, and a bin is adjacent through one face only. All
    boxes are done at once: on a GPU, many small steps would take longer than the work in them.
    """
    count, device = len(wrapped), wrapped.device
    # more bins than atoms would only be empty
    most = max(3, round((count / len(cells)) ** (1.0 / 3.0)))
    of_system = np.minimum(bins, most)
    sizes = of_system.prod(axis=1)
    along = np.stack([of_system[:, 1] * of_system[:, 2], of_system[:, 2], np.ones_like(sizes)], 1)
    shape, strides, offset = (
        torch.as_tensor(each, device=device)[system]
        for each in (of_system, along, np.cumsum(sizes) - sizes)
    )
    # atoms that are nowhere are in the first bin, and at no distance from anything
    place = torch.minimum((wrapped.nan_to_num(0.0) * shape).long(), shape - 1)
    number = (place * strides).sum(dim=1) + offset
    order = torch.argsort(number)
    filled = torch.bincount(number, minlength=int(sizes.sum()))
    rank = torch.arange(count, device=device) - (filled.cumsum(0) - filled)[number[order]]
    members = torch.full((len(filled), int(filled.max())), count, device=device)
    members[number[order], rank] = order
    around = torch.tensor(list(itertools.product((-1, 0, 1), repeat=3)), device=device)
    # neither is an empty place of a bin
    padded = torch.cat([wrapped, torch.full_like(wrapped[:1], torch.nan)])
    found = []
    rows = max(1, PAIRS_AT_ONCE[wrapped.device.type] // (len(around) * members.shape[1]))
    for begin in range(0, count, rows):
        these = slice(begin, begin + rows)
        near, wide = place[these, None] + around, shape[these, None]
        image = torch.div(near, wide, rounding_mode="floor")
        bin_ = ((near - image * wide) * strides[these, None]).sum(dim=-1) + offset[these, None]
        others = members[bin_]
        difference = padded[others] + (image - wrapped[these, None])[:, :, None]
        vectors = torch.bmm(difference.flatten(1, 2), cells[system[these]])
        distance2 = (vectors**2).sum(dim=-1).reshape(others.shape)
        first, side, rank = torch.nonzero(
            (distance2 < cutoff_A**2) & (distance2 > 0.0), as_tuple=True
        )
        found.append((first + begin, others[first, side, rank], image[first, side]))
    first, second, shift = (torch.cat(each) for each in zip(*found, strict=True))
    sorted_ = torch.argsort(first * count + second)
    return first[sorted_], second[sorted_], shift[sorted_].to(wrapped.dtype)
