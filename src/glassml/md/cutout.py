"""Cells that DFT can label, cut from a glass around the atom that a potential is not sure of.

A cube around the atom is made periodic: the atoms nearest to its centre, of the glass's
composition, in a cell of the glass's density. Everything within `CORE_A` of the atom stays exactly
where it is, and the rest is pushed apart where it overlaps with images, then melted and quenched
by a pair potential around the fixed core. So the environment is the glass's, and it lies in a
network with few open bonds; only what is around it is another glass. Extraction of environments
into small periodic cells is due to Podryabinkin et al., J. Chem. Theory Comput. 18, 1109 (2022),
who relax the atoms around them with the potential in training; here a pair potential does it, since
the potential in training is what is not trusted.
"""

import numpy as np
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.campaign.units import density_g_cm3
from glassml.configurations.melts import anneal_around
from glassml.md.start import push_apart

#: Formula units of SiO2 in a cell.
UNITS = 32
#: The atom's tetrahedron and those that share a corner with it, nearly whole.
CORE_A = 4.0
#: Distance that a core keeps from its images: where a dense cell leaves less, the core is smaller.
GAP_A = 3.0
POTENTIAL = "shik"


def cube_around(glass: Atoms, centre: int) -> tuple[Atoms, np.ndarray]:
    """Cut a periodic cube of `UNITS` SiO2 around an atom.

    Parameters
    ----------
    glass
        SiO2, larger than the cube.
    centre
        Index of the atom.

    Returns
    -------
    cube, core
        The cube, with the atom in its middle and atoms that may overlap at its faces; and which
        of its atoms are so near to the middle that they stay, shape (atoms,).
    """
    away = glass.get_distances(centre, range(len(glass)), mic=True, vector=True)
    outside = np.abs(away).max(axis=1)
    chosen: list[int] = []
    for symbol, count in (("Si", UNITS), ("O", 2 * UNITS)):
        own = np.flatnonzero(glass.symbols == symbol)
        chosen += own[np.argsort(outside[own])[:count]].tolist()
    edge = float((glass.get_volume() * 3 * UNITS / len(glass)) ** (1.0 / 3.0))
    cube = Atoms(
        glass.numbers[chosen], positions=away[chosen] + 0.5 * edge, cell=[edge] * 3, pbc=True
    )
    radius = min(CORE_A, 0.5 * (edge - GAP_A))
    return cube, np.linalg.norm(away[chosen], axis=1) < radius


def cut_out(glass: Atoms, centre: int) -> Atoms:
    """Cut a cell that DFT can label around an atom of a glass.

    Parameters
    ----------
    glass, centre
        As in `cube_around`.

    Returns
    -------
    Atoms
        A periodic cube of `UNITS` SiO2 with the density of the glass.

    Raises
    ------
    StructureError
        If the atoms around the core find no place.
    LammpsError
        If LAMMPS stops.
    """
    cube, core = cube_around(glass, centre)
    # Compressed glasses have no room for the distances of a random start at 2.2 g/cm³.
    scale = min(1.0, (2.2 / density_g_cm3(glass)) ** (1.0 / 3.0))
    if not push_apart(cube, ~core, scale):
        raise StructureError("the atoms around the core find no place")
    cell = anneal_around(cube, core, potential=POTENTIAL)
    cell.wrap()
    return cell


def can_be_cut(glass: Atoms) -> bool:
    """Tell whether a glass is SiO2, and larger than twice the cell that would be cut from it."""
    silicon = glass.symbols.count("Si")
    return 3 * silicon == len(glass) > 6 * UNITS and glass.symbols.count("O") == 2 * silicon
