"""Rings of a network by four criteria, with their members and images.

Si and O stand for formers and bridges, whichever elements these are (see `BondRule`).
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numba import njit
from tqdm import tqdm

from glassml.campaign.defaults import MAX_RING_SIZE
from glassml.campaign.errors import StructureError
from glassml.campaign.names import CRITERIA
from glassml.structure.bonds import Bonds, find_bonds
from glassml.structure.compiled import thread_count
from glassml.structure.gr import perpendicular_heights
from glassml.structure.rings.graph import (
    BUFFER_FULL,
    FOUND_ALL,
    IMAGES_CLASH,
    RINGS_FULL,
    CoveringGraph,
    image_bits,
    unpack,
)
from glassml.structure.rings.nearby import nearby_silicon
from glassml.structure.rings.primitive import primitive_rings
from glassml.structure.rings.shortest import GUTTMAN, KING, KING_SHELL, shortest_rings

_KINDS = {"king": KING, "king-shell": KING_SHELL, "guttman": GUTTMAN}
CHUNK = 8192
MAX_TABLE = 1 << 27  # entries of a table of (atom, image)
MAX_TICKS = 1 << 30  # searches whose marks 32 bits tell apart
MAX_ROOM = 1 << 22  # nodes of one search, or rings of one chunk


@dataclass(frozen=True)
class Rings:
    """Rings of a structure.

    Attributes
    ----------
    size : (rings,)
        Number of Si in each ring, half its number of atoms.
    pointer : (rings + 1,)
        Ring i has members pointer[i] … pointer[i + 1].
    members : (total,)
        Atoms along the ring, bonded one to the next; Si and O alternate.
    packed_images : (total,)
        Periodic image of each member, packed (see `images`).
    positions : (atoms, 3)
        Positions that the images refer to, folded into the cell, in Å.
    cell : (3, 3)
        Rows are the vectors in Å.
    is_former, is_bridge : (atoms,) of bool
        Which atoms are Si, and O, or what stands for them.
    criterion : str
        The criterion of the search.
    """

    size: np.ndarray
    pointer: np.ndarray
    members: np.ndarray
    packed_images: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    is_former: np.ndarray
    is_bridge: np.ndarray
    criterion: str

    def __len__(self) -> int:
        return len(self.size)

    @property
    def images(self) -> np.ndarray:
        """(total, 3): image of each member in cell vectors."""
        return unpack(self.packed_images)

    @property
    def coordinates(self) -> np.ndarray:
        """(total, 3): positions of the members in Å, unwrapped: each ring is whole."""
        return self.positions[self.members] + self.images @ self.cell

    @property
    def centres(self) -> np.ndarray:
        """(rings, 3): mean position of each ring's atoms (Si and O) in Å."""
        if len(self) == 0:
            return np.zeros((0, 3))
        sums = np.add.reduceat(self.coordinates, self.pointer[:-1], axis=0)
        return sums / (2 * self.size[:, None])

    def counts(self) -> dict[int, int]:
        """Count the rings of each size."""
        numbers, counts = np.unique(self.size, return_counts=True)
        return {int(n): int(c) for n, c in zip(numbers, counts, strict=True)}

    def per_former(self) -> dict[int, float]:
        """Count the rings of each size per Si (former) of the cell."""
        formers = int(self.is_former.sum())
        return {size: count / formers for size, count in self.counts().items()}

    def ring(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Members (2n,) and images (2n, 3) of one ring."""
        part = slice(self.pointer[index], self.pointer[index + 1])
        return self.members[part], unpack(self.packed_images[part])

    def of_size(self, size: int) -> "Rings":
        """Give the rings of one size only."""
        return self.select(self.size == size)

    def select(self, chosen: np.ndarray) -> "Rings":
        """Give the rings that a boolean array chooses."""
        kept = np.repeat(chosen, 2 * self.size)
        size = self.size[chosen]
        return Rings(
            size,
            np.concatenate([[0], np.cumsum(2 * size)]),
            self.members[kept],
            self.packed_images[kept],
            self.positions,
            self.cell,
            self.is_former,
            self.is_bridge,
            self.criterion,
        )


def find_rings(
    atoms: Atoms,
    criterion: str = "primitive",
    max_size: int = MAX_RING_SIZE,
    bonds: Bonds | None = None,
    progress: bool = False,
) -> Rings:
    """Find the rings of a network, exactly, in any periodic cell.

    Parameters
    ----------
    atoms
        In a periodic cell of any shape and size.
    criterion
        "primitive" (no shortcut), "king" (shortest through each pair of an Si's neighbours, the Si
        out of the way), "king-shell" (its other neighbours too), "guttman" (shortest around each
        bond).
    max_size
        Largest ring in Si atoms.
    bonds
        From `find_bonds`; by default with its own formers, bridges and cutoffs.
    progress
        Whether to show a progress bar.

    Raises
    ------
    StructureError
        If there is no network, or it is so dense or the limit so large that the search does not fit
        in memory.
    """
    if criterion not in CRITERIA:
        raise StructureError(f"ring criterion {criterion!r} is not one of {', '.join(CRITERIA)}")
    bonds = find_bonds(atoms) if bonds is None else bonds
    is_former, is_bridge = bonds.is_former, bonds.is_bridge
    graph = CoveringGraph.from_bonds(bonds, 2 * max_size)
    # Paths meander: in silica, 2k bonds rarely span more than 2k · 0.8 Å.
    bits = image_bits(perpendicular_heights(bonds.cell), 1.6 * max_size)
    order, roots = graph.order, np.arange(graph.n_si)
    search = _Search(graph, criterion, max_size)
    positions, cell = bonds.positions, bonds.cell
    del graph, bonds  # what is of no use any more is large
    pieces = []
    bar = tqdm(total=len(roots), desc=f"{criterion} rings", unit="Si", disable=not progress)
    for start in range(0, len(roots), CHUNK):
        chunk = roots[start : start + CHUNK]
        pieces.append(search.run(chunk, bits))
        bar.update(len(chunk))
    bar.close()
    del search
    size, members, images = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    del pieces
    if criterion != "primitive":
        size, members, images = _without_copies(size, members, images)
    return Rings(
        size=size,
        pointer=np.concatenate([[0], np.cumsum(2 * size)]).astype(np.int64),
        members=order[members],
        packed_images=images,
        positions=positions,
        cell=cell,
        is_former=is_former,
        is_bridge=is_bridge,
        criterion=criterion,
    )


class _Search:
    """Runs a compiled search over chunks of roots, and repeats what did not fit."""

    def __init__(self, graph: CoveringGraph, criterion: str, max_size: int) -> None:
        self.graph, self.criterion, self.max_size = graph, criterion, max_size
        self.room = 8192
        self.ring_room = 8 * CHUNK
        self.bits = np.array([-1, -1, -1])
        self.tables = self.stamps = self.stamped = np.zeros((0, 0))
        self.ticks = np.zeros(0, np.int64)
        self.nearby = nearby_silicon(graph) if criterion == "primitive" else None

    def run(self, roots: np.ndarray, bits: np.ndarray) -> tuple[np.ndarray, ...]:
        """Search from roots until all of them are done."""
        pieces = []
        bits = bits.copy()
        while len(roots):
            status, piece = self._attempt(roots, bits)
            pieces.append(piece)
            if np.any(status == IMAGES_CLASH):
                bits += 1
            if np.any(status == RINGS_FULL):
                self.ring_room *= 2
            if np.any(status == BUFFER_FULL):
                self.room *= 2
            if max(self.room, self.ring_room) > MAX_ROOM:
                raise StructureError(
                    f"{self.criterion} rings of up to {self.max_size} Si do not fit in memory: "
                    f"is the cutoff right? Lower the largest size otherwise"
                )
            roots = roots[status != FOUND_ALL]
        size, members, images = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        if self.criterion != "primitive":
            return _without_copies(size, members, images)
        return size, members, images

    def _prepare(self, bits: np.ndarray) -> None:
        """Allocate the tables of (atom, image) for each thread."""
        if np.array_equal(bits, self.bits):
            return
        entries = self.graph.n << int(bits.sum())
        if entries > MAX_TABLE:
            raise StructureError(
                f"{self.criterion} rings of up to {self.max_size} Si wind around this cell too "
                f"often: lower the largest size"
            )
        threads = thread_count()
        self.bits = bits.copy()
        self.tables = np.full((threads, entries), -1, np.int32)
        if self.criterion == "primitive":
            self.stamps = np.zeros((threads, entries), np.int32)
            self.stamped = np.zeros((threads, entries), np.int32)
            self.ticks = np.full(threads, 1, np.int64)

    def _attempt(self, roots: np.ndarray, bits: np.ndarray) -> tuple[np.ndarray, tuple]:
        self._prepare(bits)
        threads = thread_count()
        members = np.empty((threads, 14 * self.ring_room), np.int32)
        images = np.empty((threads, 14 * self.ring_room), np.int32)
        sizes = np.empty((threads, self.ring_room), np.int64)
        found = np.zeros((threads, 2), np.int64)
        status = np.zeros(len(roots), np.int64)
        network = (self.graph.pointer, self.graph.neighbour, self.graph.image)
        given = (self.max_size, network, self.bits, self.room, self.tables)
        output = ((members, images, sizes), found, status)
        if self.criterion == "primitive":
            if self.ticks.max() > MAX_TICKS:
                self.stamps[:], self.ticks[:] = 0, 1
            marks = (self.stamps, self.stamped, self.ticks)
            primitive_rings(roots, *given, self.nearby, *marks, *output)
        else:
            shortest_rings(_KINDS[self.criterion], roots, *given, *output)
        rows = range(threads)
        return status, (
            np.concatenate([sizes[t, : found[t, 0]] for t in rows]),
            np.concatenate([members[t, : found[t, 1]] for t in rows]),
            np.concatenate([images[t, : found[t, 1]] for t in rows]),
        )


def _without_copies(
    size: np.ndarray, members: np.ndarray, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep one of each ring; all are written from their lowest node in the same direction."""
    pointer = np.concatenate([[0], np.cumsum(2 * size)]).astype(np.int64)
    hashes = _hash_rings(pointer, members, images)
    order = np.argsort(hashes, kind="stable")
    first = _first_of_each(order, hashes, pointer, members, images)
    kept = np.repeat(first, 2 * size)
    return size[first], members[kept], images[kept]


@njit(cache=True)
def _hash_rings(pointer, members, images):  # noqa: ANN001, ANN202
    hashes = np.empty(len(pointer) - 1, np.uint64)
    for ring in range(len(hashes)):
        value = np.uint64(1469598103934665603)  # FNV-1a
        for i in range(pointer[ring], pointer[ring + 1]):
            value = (value ^ np.uint64(members[i])) * np.uint64(1099511628211)
            value = (value ^ np.uint64(images[i] + (1 << 30))) * np.uint64(1099511628211)
        hashes[ring] = value
    return hashes


@njit(cache=True)
def _first_of_each(order, hashes, pointer, members, images):  # noqa: ANN001, ANN202
    """Mark the first of each set of equal rings; equal hashes are compared member by member."""
    first = np.ones(len(order), np.bool_)
    for rank in range(1, len(order)):
        ring = order[rank]
        length = pointer[ring + 1] - pointer[ring]
        back = rank - 1
        while back >= 0 and hashes[order[back]] == hashes[ring] and first[ring]:
            other = order[back]
            same = pointer[other + 1] - pointer[other] == length
            if same and first[other]:
                for i in range(length):
                    a, b = pointer[ring] + i, pointer[other] + i
                    if members[a] != members[b] or images[a] != images[b]:
                        same = False
                        break
                if same:
                    first[ring] = False
            back -= 1
    return first
