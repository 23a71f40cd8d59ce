"""Pairs of atoms within a cutoff, for a batch of periodic boxes, on the device of the positions.

A Verlet list holds all pairs within the cutoff and a skin. It is built anew when an atom moved so
far against its (breathing) box that a pair could have come within the cutoff unseen. From it, each
step takes the pairs within the cutoff, in an order that does not depend on when the list was built:
a continued run sums the same numbers in the same order.
"""

import itertools

import numpy as np
import torch

#: Pairs whose distances are looked at in one go while a list is built; bounds its memory.
PAIRS_AT_ONCE = 2**22


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
        if self._is_stale(positions, cells):
            self._build(positions, cells)
        # there are few different shifts: theirs are computed, and looked up for the pairs
        shifts = (self._shifts[:, :, None] * cells[self._shift_systems]).sum(dim=1)
        vectors = positions[self._second] - positions[self._first] + shifts[self._shift]
        near = torch.nonzero((vectors**2).sum(dim=1) < self.cutoff_A**2)[:, 0]
        return self._first[near], self._second[near], vectors[near]

    def _is_stale(self, positions: torch.Tensor, cells: torch.Tensor) -> bool:
        """Tell whether a pair may have come within the cutoff that is not in the list.

        A pair that was `cutoff + skin` apart is at least `s (cutoff + skin) - 2 d` apart after the
        box was scaled by s and atoms moved by d against it. Not-a-number is no reason to build.
        """
        if self._built_at is None:
            return True
        old_positions, old_inverses = self._built_at
        strain = old_inverses @ cells
        scale = volumes(strain) ** (1.0 / 3.0)
        expected = torch.bmm(old_positions[:, None], strain[self.system])[:, 0]
        moved = (positions - expected).norm(dim=1)
        allowed = 0.5 * (scale * (self.cutoff_A + self.skin_A) - self.cutoff_A)
        return bool((moved > allowed[self.system]).any())

    def _build(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        parts = []
        begin = 0
        for count, cell in zip(self.counts, cells, strict=True):
            first, second, shift = pairs(
                positions[begin : begin + count], cell, self.cutoff_A + self.skin_A
            )
            parts.append((first + begin, second + begin, shift))
            begin += count
        self._first, self._second, shifts = (torch.cat(each) for each in zip(*parts, strict=True))
        # one number for each different shift and system
        lowest = shifts.min() if len(shifts) else shifts.sum()
        digits = (shifts - lowest).long()
        base = digits.max() + 1 if len(shifts) else 1
        keys = self.system[self._first]
        for axis in range(3):
            keys = keys * base + digits[:, axis]
        keys, self._shift = torch.unique(keys, return_inverse=True)
        columns: list[torch.Tensor] = []
        for _ in range(3):
            columns.insert(0, (keys % base) + lowest)
            keys = torch.div(keys, base, rounding_mode="floor")
        self._shifts, self._shift_systems = torch.stack(columns, dim=1), keys
        self._built_at = (positions.clone(), torch.linalg.inv(cells))
        self.builds += 1


def volumes(cells: torch.Tensor) -> torch.Tensor:
    """Give the volumes of boxes in Å³, shape (systems,), without waiting for the device."""
    return (cells[:, 0] * torch.linalg.cross(cells[:, 1], cells[:, 2])).sum(dim=1).abs()


def heights(cell: np.ndarray) -> np.ndarray:
    """Give the distances between opposite faces of a box in Å, shape (3,)."""
    normals = np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]])
    return np.abs(np.linalg.det(cell)) / np.linalg.norm(normals, axis=1)


def pairs(
    positions: torch.Tensor, cell: torch.Tensor, cutoff_A: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give all pairs within a cutoff in one periodic box.

    In a box at least three cutoffs wide atoms are sorted into bins, and the time is linear in their
    number. In a smaller one each pair and image is looked at.

    Parameters
    ----------
    positions
        Shape (atoms, 3) in Å.
    cell
        Shape (3, 3) in Å.
    cutoff_A
        Cutoff in Å.

    Returns
    -------
    first, second, shift
        Indices, shape (pairs,), and the lattice vectors to be added to the second atom as
        numbers of boxes, shape (pairs, 3), sorted by first, second and shift.
    """
    wide = heights(cell.cpu().numpy())
    if not np.isfinite(wide).all() or not bool(torch.isfinite(positions).all()):
        none = torch.zeros(0, dtype=torch.long, device=positions.device)
        return none, none, positions[none]
    fractions = positions @ torch.linalg.inv(cell)
    base = torch.floor(fractions)
    bins = [int(n) for n in wide // cutoff_A]
    if min(bins) < 3:
        first, second, shift = _pairs_of_all(fractions - base, cell, cutoff_A, wide)
    else:
        first, second, shift = _pairs_of_bins(fractions - base, cell, cutoff_A, bins)
    # back to the atoms where they are: r_j - r_i + shift does not change
    return first, second, shift + base[first] - base[second]


def _pairs_of_all(
    wrapped: torch.Tensor, cell: torch.Tensor, cutoff_A: float, wide: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Look at all pairs; `wrapped` are fractions of the box in [0, 1].

    In a box wider than twice the cutoff only the nearest image of a pair counts, else all in reach.
    """
    if (wide > 2.0 * cutoff_A).all():
        images = torch.zeros((1, 3), dtype=cell.dtype, device=cell.device)
    else:
        # wrapped atoms differ by less than a box, so one more image on each side is in reach
        reach = [range(-int(n) - 1, int(n) + 2) for n in np.ceil(cutoff_A / wide)]
        images = torch.tensor(list(itertools.product(*reach)), dtype=cell.dtype, device=cell.device)
    found = []
    rows = max(1, PAIRS_AT_ONCE // (len(wrapped) * len(images)))
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
    wrapped: torch.Tensor, cell: torch.Tensor, cutoff_A: float, bins: list[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Look at atoms in adjacent bins, of which there are three or more along each edge.

    Then a pair has one image within the cutoff, and a bin is adjacent through one face only.
    """
    count, device = len(wrapped), wrapped.device
    # more bins than atoms would only be empty
    most = max(3, round(count ** (1.0 / 3.0)))
    shape = torch.tensor([min(number, most) for number in bins], device=device)
    place = torch.minimum((wrapped * shape).long(), shape - 1)
    strides = torch.stack([shape[1] * shape[2], shape[2], torch.ones_like(shape[0])])
    number = (place * strides).sum(dim=1)
    order = torch.argsort(number)
    filled = torch.bincount(number, minlength=int(shape.prod()))
    rank = torch.arange(count, device=device) - (filled.cumsum(0) - filled)[number[order]]
    members = torch.full((len(filled), int(filled.max())), count, device=device)
    members[number[order], rank] = order
    around = torch.tensor(list(itertools.product((-1, 0, 1), repeat=3)), device=device)
    # an empty place is an atom out of reach
    padded = torch.cat([wrapped, torch.full_like(wrapped[:1], torch.inf)])
    found = []
    rows = max(1, PAIRS_AT_ONCE // (len(around) * members.shape[1]))
    for begin in range(0, count, rows):
        near = place[begin : begin + rows, None] + around
        image = torch.div(near, shape, rounding_mode="floor")
        others = members[((near - image * shape) * strides).sum(dim=-1)]
        difference = padded[others] + (image - wrapped[begin : begin + rows, None])[:, :, None]
        distance2 = ((difference @ cell) ** 2).sum(dim=-1)
        first, bin_, rank = torch.nonzero(
            (distance2 < cutoff_A**2) & (distance2 > 0.0), as_tuple=True
        )
        found.append((first + begin, others[first, bin_, rank], image[first, bin_]))
    first, second, shift = (torch.cat(each) for each in zip(*found, strict=True))
    sorted_ = torch.argsort(first * count + second)
    return first[sorted_], second[sorted_], shift[sorted_].to(cell.dtype)
