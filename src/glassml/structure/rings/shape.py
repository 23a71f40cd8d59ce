"""Shapes of rings: principal lengths l1 ≤ l2 ≤ l3, aspect ratio, roughness, slope of l2."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassml.structure.rings.graph import unpack
from glassml.structure.rings.search import Rings

ATOMS = ("Si+O", "Si")
SLOPE_SIZES = (5, 8)
BLOCK = 100_000


@dataclass(frozen=True)
class RingShapes:
    """Shape of each ring, from the tensor G = mean (r - rc)(r - rc)ᵀ of its unwrapped atoms.

    Attributes
    ----------
    size : (rings,)
        Number of Si.
    lengths : (rings, 3)
        l1 ≤ l2 ≤ l3 in Å, l_i = √e_i of the eigenvalues e1 ≤ e2 ≤ e3 of G: thickness, short side,
        long side.
    atoms : str
        "Si+O" or "Si": which atoms count.
    """

    size: np.ndarray
    lengths: np.ndarray
    atoms: str

    @property
    def aspect_ratio(self) -> np.ndarray:
        """l2/l3, in [0, 1]; the roundness of Shiga et al., Commun. Mater. 4, 91 (2023)."""
        long = self.lengths[:, 2]
        return np.divide(self.lengths[:, 1], long, out=np.full(len(long), np.nan), where=long > 0)

    @property
    def roughness(self) -> np.ndarray:
        """l1/√(l2 l3), 0 for a flat ring (Shiga et al.)."""
        area = np.sqrt(self.lengths[:, 1] * self.lengths[:, 2])
        return np.divide(self.lengths[:, 0], area, out=np.full(len(area), np.nan), where=area > 0)

    @property
    def radius_of_gyration(self) -> np.ndarray:
        """√(l1² + l2² + l3²) in Å."""
        return np.linalg.norm(self.lengths, axis=1)

    def observables(self) -> dict[str, np.ndarray]:
        """All numbers per ring, by name."""
        return {
            "l1": self.lengths[:, 0],
            "l2": self.lengths[:, 1],
            "l3": self.lengths[:, 2],
            "aspect_ratio": self.aspect_ratio,
            "roughness": self.roughness,
            "radius_of_gyration": self.radius_of_gyration,
        }


def ring_shapes(rings: Rings, atoms: str = "Si+O") -> RingShapes:
    """Compute the shape of each ring.

    Parameters
    ----------
    rings
        From `find_rings`.
    atoms
        "Si+O" for all atoms of a ring, "Si" for its Si alone.
    """
    if atoms not in ATOMS:
        raise ValueError(f"atoms {atoms!r} is not one of {ATOMS}")
    lengths = np.zeros((len(rings), 3))
    for start in range(0, len(rings), BLOCK):
        stop = min(start + BLOCK, len(rings))
        part = slice(rings.pointer[start], rings.pointer[stop])
        lengths[start:stop] = _principal_lengths(rings, part, start, stop, atoms)
    return RingShapes(rings.size, lengths, atoms)


def _principal_lengths(rings: Rings, part: slice, start: int, stop: int, atoms: str) -> np.ndarray:
    members = rings.members[part]
    positions = rings.positions[members] + unpack(rings.packed_images[part]) @ rings.cell
    begin = rings.pointer[start:stop] - rings.pointer[start]
    weight = np.ones(len(members)) if atoms == "Si+O" else rings.is_former[members].astype(float)
    number = np.add.reduceat(weight, begin)[:, None]
    centre = np.add.reduceat(positions * weight[:, None], begin, axis=0) / number
    away = positions - np.repeat(centre, 2 * rings.size[start:stop], axis=0)
    tensor = np.empty((stop - start, 3, 3))
    for i in range(3):
        for j in range(i + 1):
            sums = np.add.reduceat(weight * away[:, i] * away[:, j], begin)
            tensor[:, i, j] = tensor[:, j, i] = sums / number[:, 0]
    return np.sqrt(np.maximum(np.linalg.eigvalsh(tensor), 0.0))


def joined(shapes: Sequence[RingShapes]) -> RingShapes:
    """Put the shapes of several frames together."""
    return RingShapes(
        np.concatenate([shape.size for shape in shapes]),
        np.concatenate([shape.lengths for shape in shapes]),
        shapes[0].atoms,
    )


def shape_by_size(shapes: RingShapes) -> dict[int, dict[str, dict[str, float]]]:
    """Mean and standard deviation over rings of each observable, by size, and the count."""
    table: dict[int, dict] = {}
    observables = shapes.observables()
    for size in np.unique(shapes.size):
        chosen = shapes.size == size
        row: dict = {"count": int(chosen.sum())}
        for name, values in observables.items():
            finite = values[chosen][np.isfinite(values[chosen])]
            if len(finite):
                row[name] = {"mean": float(finite.mean()), "sd": float(finite.std())}
            else:
                row[name] = {"mean": float("nan"), "sd": float("nan")}
        table[int(size)] = row
    return table


def slope_of_l2(shapes: RingShapes, sizes: tuple[int, int] = SLOPE_SIZES) -> float:
    """Slope d l2/dn in Å over rings of sizes 5 to 8: a line through the means, equal weights.

    NaN where a size has no ring.
    """
    numbers = np.arange(sizes[0], sizes[1] + 1)
    means = []
    for size in numbers:
        chosen = shapes.lengths[shapes.size == size, 1]
        means.append(chosen.mean() if len(chosen) else np.nan)
    if not np.all(np.isfinite(means)):
        return float("nan")
    return float(np.polyfit(numbers, means, 1)[0])
