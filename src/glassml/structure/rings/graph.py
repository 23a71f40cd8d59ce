"""The covering graph of a periodic network: its nodes are (atom, image), so it is infinite.

A search that forgets images closes rings through the periodic boundary, and misses rings in small
cells. Here every step carries the image along, packed into one integer; a table that is indexed by
the atom and the image *modulo a power of two* replaces a hash. Where two nodes of one search
would share an entry, the search says so, and is repeated with a larger table: large boxes cost
nothing (one image per atom), a cell of nine atoms is exact.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from glassml.campaign.errors import StructureError
from glassml.structure.bonds import Bonds

# Images are packed as x·2²⁰ + y·2¹⁰ + z, -512 ≤ x, y, z < 512: sums of steps are sums of these.
BITS = 10
BIAS = 512 * ((1 << 2 * BITS) + (1 << BITS) + 1)
# How a search from one atom ends: done; two images share an entry of its table; its own space or
# the space for rings is too small.
FOUND_ALL, IMAGES_CLASH, BUFFER_FULL, RINGS_FULL = 0, -1, -2, -3
MAX_BONDS = 30  # of one atom: sets of them are bits of an integer


def pack(images: np.ndarray) -> np.ndarray:
    """Pack image vectors (…, 3) into integers that add as the vectors do."""
    images = np.asarray(images, np.int32)
    return (images[..., 0] << 2 * BITS) + (images[..., 1] << BITS) + images[..., 2]


def unpack(packed: np.ndarray) -> np.ndarray:
    """Unpack integers into image vectors (…, 3)."""
    biased = np.asarray(packed, np.int64) + BIAS
    digits = [(biased >> 2 * BITS), (biased >> BITS) & 1023, biased & 1023]
    return np.stack(digits, axis=-1) - 512


@dataclass(frozen=True)
class CoveringGraph:
    """Bonds in compressed rows, Si first, without the branches that lie on no ring.

    Attributes
    ----------
    order : (n,)
        Atom of the structure for each node number: Si in spatial order, then O.
    n_si : int
        How many of them are Si.
    pointer, neighbour, image : arrays
        The neighbours of node i are neighbour[pointer[i]:pointer[i + 1]], at packed images.
    """

    order: np.ndarray
    n_si: int
    pointer: np.ndarray
    neighbour: np.ndarray
    image: np.ndarray

    @property
    def n(self) -> int:
        """Number of atoms."""
        return len(self.order)

    @classmethod
    def from_bonds(cls, bonds: Bonds, max_steps: int) -> "CoveringGraph":
        """Build the graph for searches of up to `max_steps` bonds.

        Raises
        ------
        StructureError
            If the cell is so thin or skewed that images cannot be numbered, or an atom has more
            bonds than any has.
        """
        if len(bonds.shift) and int(np.abs(bonds.shift).max()) * max_steps >= 500:
            raise StructureError(
                "a bond spans too many cell vectors: reduce the cell (ase.build.niggli_reduce)"
            )
        if len(bonds.first) and bonds.coordination.max() > MAX_BONDS:
            worst = int(np.argmax(bonds.coordination))
            raise StructureError(
                f"atom {worst} has {bonds.coordination[worst]} bonds of up to {bonds.cutoff:.2f} "
                f"Å: is the cutoff right?"
            )
        order = np.lexsort((_blocks(bonds), ~bonds.is_former)).astype(np.int32)
        new = np.empty(len(order), np.int32)
        new[order] = np.arange(len(order), dtype=np.int32)
        kept = _on_cycles(bonds)
        first, second = new[bonds.first[kept]], new[bonds.second[kept]]
        image = pack(bonds.shift[kept])
        rows = np.lexsort((image, second, first))
        pointer = np.zeros(len(order) + 1, np.int64)
        np.cumsum(np.bincount(first, minlength=len(order)), out=pointer[1:])
        return cls(
            order=order,
            n_si=int(bonds.is_former.sum()),
            pointer=pointer,
            neighbour=second[rows],
            image=image[rows],
        )


def _blocks(bonds: Bonds) -> np.ndarray:
    """Sort atoms into blocks of about 8 Å, so that neighbours stay close in memory."""
    grid = np.maximum(1, np.round(np.linalg.norm(bonds.cell, axis=1) / 8)).astype(np.int64)
    block = np.zeros(bonds.n, np.int64)
    for axis, inverse in enumerate(np.linalg.inv(bonds.cell).T):
        index = (bonds.positions @ inverse * grid[axis]).astype(np.int64)
        block = block * grid[axis] + np.minimum(index, grid[axis] - 1)
    return block


def _on_cycles(bonds: Bonds) -> np.ndarray:
    """Mark bonds that remain when dangling atoms are taken off again and again."""
    kept = np.ones(len(bonds.first), bool)
    while True:
        degree = np.bincount(bonds.first[kept], minlength=bonds.n)
        dangling = (degree[bonds.first] < 2) | (degree[bonds.second] < 2)
        if not np.any(kept & dangling):
            return kept
        kept &= ~dangling


@njit(inline="always")
def slot(atom, image, bits):  # noqa: ANN001, ANN201 - compiled
    """Entry of a node in a search's table; `bits` are the log2 of the images kept per axis."""
    if image == 0:
        return np.int64(atom) << (bits[0] + bits[1] + bits[2])
    biased = np.int64(image) + BIAS
    x = (biased >> (2 * BITS)) & ((1 << bits[0]) - 1)
    y = (biased >> BITS) & ((1 << bits[1]) - 1)
    z = biased & ((1 << bits[2]) - 1)
    return (((((np.int64(atom) << bits[0]) | x) << bits[1]) | y) << bits[2]) | z


@njit(cache=True)
def write_ring(ring, length, ball, out, cursor):  # noqa: ANN001, ANN201
    """Write a ring from its lowest node towards the lower of that node's neighbours.

    `ring` holds rows of `ball`, of which columns 0 and 1 are atom and image; `out` are members,
    images and sizes, `cursor` how many rings and members they hold. False if there is no room.
    """
    members, images, sizes = out
    filled = cursor[1]
    if cursor[0] == len(sizes) or filled + length > len(members):
        return False
    lowest = 0
    for i in range(1, length):
        if _is_lower(ball, ring[i], ring[lowest]):
            lowest = i
    after, before = ring[(lowest + 1) % length], ring[(lowest - 1) % length]
    step = 1 if _is_lower(ball, after, before) else -1
    for i in range(length):
        node = ring[(lowest + step * i) % length]
        members[filled + i] = ball[node, 0]
        images[filled + i] = ball[node, 1] - ball[ring[lowest], 1]
    sizes[cursor[0]] = length // 2
    cursor[0] += 1
    cursor[1] += length
    return True


@njit(cache=True)
def _is_lower(ball, x, y):  # noqa: ANN001, ANN202
    if ball[x, 0] == ball[y, 0]:
        return ball[x, 1] < ball[y, 1]
    return ball[x, 0] < ball[y, 0]


def image_bits(heights: np.ndarray, reach: float) -> np.ndarray:
    """First guess of the table's size: log2 of the images per axis that span `reach` Å."""
    return np.maximum(0, np.ceil(np.log2(np.maximum(reach / heights, 1e-9)))).astype(np.int64)
