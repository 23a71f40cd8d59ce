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

import logging
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from glassml.campaign.defaults import CUT_UNITS
from glassml.campaign.errors import GlassmlError, StructureError
from glassml.campaign.units import density_g_cm3
from glassml.configurations.melts import anneal_around
from glassml.md.start import push_apart
from glassml.potential.disagreement import force_spreads

logger = logging.getLogger(__name__)

#: The atom's tetrahedron and those that share a corner with it, nearly whole.
CORE_A = 4.0
#: Distance that a core keeps from its images: where a dense cell leaves less, the core is smaller.
GAP_A = 3.0
POTENTIAL = "shik"


def cut_doubted(
    glass: Atoms,
    committee: Sequence[Calculator],
    count: int,
    *,
    units: int,
    parent: str,
) -> list[Atoms]:
    """Cut cells for DFT around the atoms of a glass that a committee agrees on least.

    Parameters
    ----------
    glass
        SiO2, larger than twice the cells.
    committee
        Two calculators or more.
    count
        Number of cells; fewer where no further core has room, or a core finds no surroundings.
    units
        SiO2 in a cell.
    parent
        Of their names; one parent is never split between training and test.

    Raises
    ------
    StructureError
        If the glass is not SiO2, or too small.
    """
    if not can_be_cut(glass, units):
        raise StructureError(
            f"{parent}: {glass.symbols.formula.reduce()[0]} of {len(glass)} atoms: cells of "
            f"{units} SiO2 are cut from SiO2 of more than {6 * units} atoms"
        )
    spreads = force_spreads([each.get_forces(glass) for each in committee])
    cells = []
    for number, atom in enumerate(least_certain(glass, spreads, count)):
        try:
            cell = cut_out(glass, atom, units)
        except GlassmlError as error:
            logger.warning("%s: no cell around atom %d: %s", parent, atom, error)
            continue
        cell.info = {
            "config_type": "explored",
            "family": "cut_out",
            "parent": parent,
            "config_id": f"{parent}/{number:06d}",
            "error_eV_per_A": float(spreads[atom]),
        }
        cells.append(cell)
    return cells


def least_certain(glass: Atoms, spreads: np.ndarray, count: int) -> list[int]:
    """Choose atoms by the spread of their forces, the largest first, whose cores do not overlap.

    Parameters
    ----------
    glass
        With periodic boundaries.
    spreads
        Of each atom's force between the members of a committee, shape (atoms,).
    count
        Number of atoms; fewer where no further core has room.
    """
    chosen: list[int] = []
    free = np.ones(len(glass), dtype=bool)
    for atom in np.argsort(-spreads, kind="stable"):
        if len(chosen) == count:
            break
        if free[atom]:
            chosen.append(int(atom))
            free &= glass.get_distances(atom, range(len(glass)), mic=True) > 2 * CORE_A
    return chosen


def cube_around(glass: Atoms, centre: int, units: int = CUT_UNITS) -> tuple[Atoms, np.ndarray]:
    """Cut a periodic cube of SiO2 around an atom.

    Parameters
    ----------
    glass
        SiO2, larger than the cube.
    centre
        Index of the atom.
    units
        SiO2 in the cube.

    Returns
    -------
    cube, core
        The cube, with the atom in its middle and atoms that may overlap at its faces; and which
        of its atoms are so near to the middle that they stay, shape (atoms,).
    """
    away = glass.get_distances(centre, range(len(glass)), mic=True, vector=True)
    outside = np.abs(away).max(axis=1)
    chosen: list[int] = []
    for symbol, count in (("Si", units), ("O", 2 * units)):
        own = np.flatnonzero(glass.symbols == symbol)
        chosen += own[np.argsort(outside[own])[:count]].tolist()
    edge = float((glass.get_volume() * 3 * units / len(glass)) ** (1.0 / 3.0))
    cube = Atoms(
        glass.numbers[chosen], positions=away[chosen] + 0.5 * edge, cell=[edge] * 3, pbc=True
    )
    radius = min(CORE_A, 0.5 * (edge - GAP_A))
    return cube, np.linalg.norm(away[chosen], axis=1) < radius


def cut_out(glass: Atoms, centre: int, units: int = CUT_UNITS) -> Atoms:
    """Cut a cell that DFT can label around an atom of a glass.

    Parameters
    ----------
    glass, centre, units
        As in `cube_around`.

    Returns
    -------
    Atoms
        A periodic cube with the density of the glass.

    Raises
    ------
    StructureError
        If the atoms around the core find no place.
    LammpsError
        If LAMMPS stops.
    """
    cube, core = cube_around(glass, centre, units)
    # Compressed glasses have no room for the distances of a random start at 2.2 g/cm³.
    scale = min(1.0, (2.2 / density_g_cm3(glass)) ** (1.0 / 3.0))
    if not push_apart(cube, ~core, scale):
        raise StructureError("the atoms around the core find no place")
    cell = anneal_around(cube, core, potential=POTENTIAL)
    cell.wrap()
    return cell


def can_be_cut(glass: Atoms, units: int = CUT_UNITS) -> bool:
    """Tell whether a glass is SiO2, and larger than twice the cell that would be cut from it."""
    silicon = glass.symbols.count("Si")
    return 3 * silicon == len(glass) > 6 * units and glass.symbols.count("O") == 2 * silicon
