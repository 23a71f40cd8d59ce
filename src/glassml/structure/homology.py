"""Persistent homology: the loops that atoms of an element make, from birth to death.

Balls around the atoms grow. A loop is born where a chain of overlapping balls closes, and dies
where its inside is filled (one-dimensional holes of the alpha complex; Hiraoka et al., Proc. Natl.
Acad. Sci. 113, 7035 (2016)). Births and deaths are radii in Å, not their squares, which that paper
plots. The complex and its homology are GUDHI's (https://gudhi.inria.fr).
"""

from collections.abc import Sequence

import gudhi
import numpy as np
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.structure.frames import wrapped
from glassml.structure.gr import perpendicular_heights
from glassml.structure.network import images_and_owners

#: Images of atoms within this distance of the cell, in Å: twice the largest empty sphere and more.
REACH_A = 9.0
#: Narrower cells are repeated, in Å: so that no two simplices have the same atoms as corners.
NARROWEST_A = 16.0
#: Atoms are moved by so much, in Å: in a crystal many lie on one empty sphere.
MOVED_A = 1e-6
#: Shorter lives are that or rounding, in Å.
SHORTEST_A = 1e-4
#: Of diagrams, in Å.
BIN_A = 0.05
LARGEST_A = 5.0


def persistence_diagram(atoms: Atoms, element: str) -> tuple[np.ndarray, int]:
    """Give birth and death of each loop of the atoms of an element, and how many atoms make them.

    The three loops that close through the boundary and are never filled are not there.

    Parameters
    ----------
    atoms
        A periodic cell of any shape; one that is narrow is repeated.
    element
        Chemical symbol.

    Returns
    -------
    (loops, 2), int
        Radii in Å, sorted by the death; atoms of the element, with those of repeated cells.

    Raises
    ------
    StructureError
        If there is no such atom, the structure is not periodic in three dimensions, or atoms are
        so far apart that its loops are as large as the cell.
    """
    enough = _enough(atoms, element)
    return _diagram(enough), len(enough)


def _enough(atoms: Atoms, element: str) -> Atoms:
    """Give the atoms of an element alone, in general position, in a cell that is wide enough."""
    folded = wrapped(atoms)
    chosen = folded[folded.symbols == element]
    if len(chosen) == 0:
        raise StructureError(f"persistent homology: there is no {element} in {atoms.symbols}")
    heights = perpendicular_heights(folded.cell.array)
    chosen = chosen.repeat(np.ceil(NARROWEST_A / heights).astype(int))
    rng = np.random.default_rng(len(chosen))
    chosen.positions += MOVED_A * rng.uniform(-1.0, 1.0, chosen.positions.shape)
    return wrapped(chosen)


def _diagram(atoms: Atoms) -> np.ndarray:
    """Give the diagram of all atoms of a cell: of the alpha complex on the torus."""
    cell = atoms.cell.array
    points, owners = images_and_owners(atoms.positions, cell, perpendicular_heights(cell), REACH_A)
    images = gudhi.AlphaComplex(points=points, precision="safe").create_simplex_tree()
    torus = _on_torus(images, points @ np.linalg.inv(cell), owners)
    torus.compute_persistence(homology_coeff_field=2, min_persistence=-1.0)
    squares = [
        (torus.filtration(born), torus.filtration(filled))
        for born, filled in torus.persistence_pairs()
        if len(born) == 2 and len(filled) == 3
    ]
    radii = np.sqrt(np.array(squares, dtype=float).reshape(-1, 2).clip(min=0.0))
    lasting = radii[radii[:, 1] - radii[:, 0] > SHORTEST_A]
    return lasting[np.argsort(lasting[:, 1])]


def _on_torus(
    images: "gudhi.SimplexTree", fractions: np.ndarray, owners: np.ndarray
) -> "gudhi.SimplexTree":
    """Take of all images of a simplex the one whose middle lies in the cell, of atoms as corners.

    Raises
    ------
    StructureError
        If the result is no torus: its Euler characteristic is not zero.
    """
    corners: dict[int, list[list[int]]] = {1: [], 2: [], 3: [], 4: []}
    squares: dict[int, list[float]] = {1: [], 2: [], 3: [], 4: []}
    for simplex, square in images.get_simplices():
        corners[len(simplex)].append(simplex)
        squares[len(simplex)].append(square)
    torus, number = gudhi.SimplexTree(), 0
    for size, simplices in corners.items():
        indices = np.array(simplices, dtype=int).reshape(-1, size)
        middles = fractions[indices].mean(axis=1)
        inside = np.all((middles >= 0.0) & (middles < 1.0), axis=1)
        number += (-1) ** size * int(inside.sum())
        torus.insert_batch(owners[indices[inside]].T, np.array(squares[size])[inside])
    sizes = np.array([len(simplex) for simplex, _ in torus.get_simplices()])
    if number != 0 or ((-1.0) ** sizes).sum() != 0:
        raise StructureError(
            "persistent homology: the atoms are too far apart for the cell: repeat it"
        )
    torus.make_filtration_non_decreasing()
    return torus


def loop_statistics(diagram: np.ndarray, count: int) -> dict[str, float]:
    """Sum up a diagram.

    Parameters
    ----------
    diagram
        From `persistence_diagram`.
    count
        Atoms that make the loops.

    Returns
    -------
    dict
        `loops` an atom; `persistence_A`, the sum of all deaths minus births an atom; `birth_A` and
        `death_A`, their means over loops, each weighted with its life.
    """
    lives = diagram[:, 1] - diagram[:, 0]
    total = float(lives.sum())
    births, deaths = (lives @ diagram / total).tolist() if total > 0.0 else (np.nan, np.nan)
    return {
        "loops": len(diagram) / count,
        "persistence_A": total / count,
        "birth_A": births,
        "death_A": deaths,
    }


def diagram_rows(
    diagram: np.ndarray, count: int, bin_A: float = BIN_A
) -> Sequence[tuple[float, float, float]]:
    """Count the loops of a diagram in squares.

    Parameters
    ----------
    diagram
        From `persistence_diagram`.
    count
        Atoms that make the loops.
    bin_A
        Edge of a square, in Å.

    Returns
    -------
    sequence of (birth, death, loops an atom)
        Middles of those squares that have any; what is beyond 5 Å is left out.
    """
    edges = np.arange(0.0, LARGEST_A + bin_A / 2, bin_A)
    counts, _, _ = np.histogram2d(diagram[:, 0], diagram[:, 1], bins=(edges, edges))
    middles = (edges[1:] + edges[:-1]) / 2
    return [
        (float(middles[i]), float(middles[j]), float(counts[i, j]) / count)
        for i, j in np.argwhere(counts > 0)
    ]
