"""A pair potential on a CPU: compiled loops in place of torch's functions."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from glassml.campaign.errors import StructureError
from glassml.configurations.pair_potentials import COULOMB_CUTOFF_A
from glassml.md.engines.pair_loops import (
    BITS,
    FIRST,
    LAST,
    LONGEST,
    TURN,
    build_rows,
    sum_rows,
)
from glassml.md.engines.pair_model import PairModel
from glassml.potential.boxes import heights
from glassml.potential.padded import Result

#: Room in a row beyond the mean number of neighbours; the first atoms' rows are twice as long.
ROOM = 2.3
#: Of the neighbour list: a list takes as long as four steps, with 9,000 atoms.
SKIN_A = 1.4
#: Single precision of the list is off by less, in Å.
MARGIN_A = 1e-4


def octaves() -> tuple[np.ndarray, np.ndarray]:
    """Give the beginnings and widths of the table's intervals of r² in Å², shape (intervals,).

    They are equal in each octave: the table is so small that it stays in a core's first cache.
    """
    octaves = 2.0 ** np.arange(FIRST, LAST)[:, None]
    parts = np.arange(2**BITS) / 2**BITS
    widths = np.broadcast_to(octaves / 2**BITS, (len(octaves), len(parts)))
    return (octaves * (1.0 + parts)).ravel(), widths.ravel()


@dataclass
class _Glass:
    """Neighbours of a glass, and where its atoms were when they were found."""

    repeats: np.ndarray
    owners: np.ndarray
    kinds: np.ndarray
    rows: np.ndarray
    lengths: np.ndarray
    fractions: np.ndarray
    cell: np.ndarray
    volume: float


class PairLoops(PairModel):
    """The same energy, forces and stress as `PairModel`, by compiled loops.

    Parameters
    ----------
    name
        "bks", "chik" or "shik".
    """

    steps_at_once, layout = (16, 4, 1), 0
    intervals = octaves()

    def __init__(self, name: str) -> None:
        super().__init__(name, torch.device("cpu"), self.intervals)
        self._tables = [each.numpy().reshape(3, -1, 4) for each in (self._pulls, self._energies)]

    def _arrange(self, cells: np.ndarray) -> None:
        """Forget the neighbours that were found."""
        self._glasses: list[_Glass | None] = [None] * len(cells)
        self.builds = 0

    def kept(self) -> dict[str, np.ndarray]:
        """Give where the lists were built: the order of a sum depends on it, by its last digits."""
        fractions, cells = [], []
        for glass, count in zip(self._glasses, self.counts, strict=True):
            fractions.append(np.full((count, 3), np.nan) if glass is None else glass.fractions)
            cells.append(np.full((3, 3), np.nan) if glass is None else glass.cell)
        return {"list_fractions": np.concatenate(fractions), "list_cells": np.array(cells)}

    def take_up(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Build the lists that `kept` was told of; older checkpoints tell of none."""
        if "list_fractions" not in arrays:
            return
        begin = 0
        for index, count in enumerate(self.counts):
            fractions = arrays["list_fractions"][begin : begin + count]
            cell = arrays["list_cells"][index]
            known = bool(np.isfinite(cell).all())
            self._glasses[index] = self._found(index, fractions, cell) if known else None
            begin += count

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3) and `stress` (systems, 3, 3)."""
        return self.launch(positions, cells)

    def launch(
        self, positions: torch.Tensor, cells: torch.Tensor, *, energy: bool = True
    ) -> Result:
        """Compute as `__call__`; the energy is that of the charges alone if it is not wanted."""
        begin, forces = 0, np.empty(positions.shape)
        energies, stress, sums = self._own.clone(), torch.empty_like(cells), np.empty(7)
        for index, count in enumerate(self.counts):
            end = begin + count
            cell = cells[index].numpy()
            of_glass = positions[begin:end].numpy()
            self._sum(index, of_glass, cell, forces[begin:end], sums, energy=energy)
            energies[index] += sums[0]
            virial = sums[[1, 6, 5, 6, 2, 4, 5, 4, 3]].reshape(3, 3)
            stress[index] = torch.as_tensor(virial / abs(np.linalg.det(cell)))
            begin = end
        return {"energy": energies, "forces": torch.as_tensor(forces), "stress": stress}

    def mend(self, positions: torch.Tensor, cells: torch.Tensor) -> bool:  # noqa: ARG002
        """Tell that nothing was wrong."""
        return False

    def _sum(
        self,
        index: int,
        positions: np.ndarray,
        cell: np.ndarray,
        forces: np.ndarray,
        sums: np.ndarray,
        *,
        energy: bool,
    ) -> None:
        """Sum over the pairs of a glass's atoms, which are found anew if need be."""
        volume = abs(np.linalg.det(cell))
        if not volume > 1.0 or not np.isfinite(positions).all():
            forces[:] = sums[:] = np.nan
            return
        fractions = positions @ np.linalg.inv(cell)
        glass = self._glasses[index]
        if glass is None or _is_stale(glass, fractions, cell, volume):
            glass = self._glasses[index] = self._found(index, fractions, cell)
            self.builds += 1
        box = glass.repeats[:, None] * cell
        x, y, z = _places(fractions, glass.repeats)
        pulls, energies = self._tables
        sum_rows(
            x, y, z, glass.owners, glass.kinds, box, glass.rows, glass.lengths, pulls, energies,
            energy, forces, sums,
        )  # fmt: skip

    def _found(self, index: int, fractions: np.ndarray, cell: np.ndarray) -> _Glass:
        """Find the neighbours of a glass's atoms."""
        count, reach = len(fractions), COULOMB_CUTOFF_A + SKIN_A + MARGIN_A
        # wide enough while the list is good, in which a box changes by a tenth of that at most
        repeats = np.ceil(2.2 * reach / heights(cell)).astype(int)
        if repeats.prod() > MOST_REPEATS:
            raise StructureError(f"a box is {heights(cell).min():.3g} Å wide: it collapsed")
        x, y, z = _places(fractions, repeats)
        begin = sum(self.counts[:index])
        copies = repeats.prod()
        kinds = np.tile(self._types[begin : begin + count].numpy(), copies).astype(np.int32)
        owners = np.tile(np.arange(count, dtype=np.uint32), copies)
        volume = abs(np.linalg.det(cell))
        room = int(ROOM * 2.0 / 3.0 * np.pi * reach**3 * count / volume) + 64
        lengths = np.empty(count, dtype=np.int32)
        box, counted = repeats[:, None] * cell, _counted(repeats)
        while True:
            rows = np.empty((count, room), dtype=np.uint32)
            build_rows(x, y, z, count, counted, box, reach**2, rows, lengths)
            if lengths.max() < room:
                break
            room = int(1.1 * lengths.max()) + 2
        if lengths.max() > LONGEST:
            raise StructureError(f"an atom has {lengths.max()} neighbours: the glass collapsed")
        return _Glass(repeats, owners, kinds, rows, lengths, fractions, cell.copy(), volume)


#: Copies of a box in which a pair has one image; more are those of a box that collapsed.
MOST_REPEATS = 10_000


def _is_stale(glass: _Glass, fractions: np.ndarray, cell: np.ndarray, volume: float) -> bool:
    """Tell whether a pair may have come within the cutoff unseen; see `Edges`."""
    moved = np.square((fractions - glass.fractions) @ cell).sum(axis=1).max()
    scale = (volume / glass.volume) ** (1.0 / 3.0)
    allowed = 0.5 * (scale * (COULOMB_CUTOFF_A + SKIN_A) - COULOMB_CUTOFF_A)
    return bool(allowed <= 0.0 or moved > allowed**2)


def _places(
    fractions: np.ndarray, repeats: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the places of all copies of atoms along each edge of the repeated box."""
    turns = (fractions[None] + _copies(repeats)[:, None]) / repeats
    turns = turns.reshape(-1, 3).T
    whole = np.floor((turns - np.floor(turns)) * TURN + 0.5).astype(np.int64)
    x, y, z = np.ascontiguousarray(whole.astype(np.int32))
    return x, y, z


def _copies(repeats: np.ndarray) -> np.ndarray:
    """Give the place of each copy of a box, the box itself first, shape (copies, 3)."""
    return np.array(list(itertools.product(*(range(n) for n in repeats))))


def _counted(repeats: np.ndarray) -> np.ndarray:
    """Tell for each copy of a box whether it is the one that counts of it and the opposite one."""
    copies = _copies(repeats)
    opposite = np.ravel_multi_index(tuple((-copies % repeats).T), tuple(repeats))
    return np.arange(len(copies)) < opposite
