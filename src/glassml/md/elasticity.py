"""Elastic moduli of a glass at rest, from its stress under small strains."""

import os

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.optimize import LBFGS
from tqdm import tqdm

from glassml.campaign.defaults import REST_FORCE_EV_A, STRAIN
from glassml.campaign.errors import GlassmlError, StructureError

#: Voigt order of ASE: xx, yy, zz, yz, xz, xy.
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
SMALLEST_FORCE_EV_A = 1e-6  # below, steps are lost in rounding, of which L-BFGS takes curvatures
LARGEST_STRAIN = 0.02  # beyond it the stress of a glass is not linear


def relax(atoms: Atoms, force_eV_A: float, steps: int = 2000) -> None:
    """Bring the atoms to rest in their box.

    Raises
    ------
    StructureError
        If the forces do not become that small.
    """
    if not LBFGS(atoms, logfile=os.devnull).run(fmax=force_eV_A, steps=steps):
        raise StructureError(
            f"the atoms did not come to rest ({force_eV_A:g} eV/Å) in {steps} steps: "
            "is the potential's precision enough for this limit?"
        )


def stiffness_matrix(
    atoms: Atoms,
    calculator: Calculator,
    strain: float = STRAIN,
    force_eV_A: float = REST_FORCE_EV_A,
) -> np.ndarray:
    """Give the stiffness from central differences of the stress, atoms at rest at each strain.

    Parameters
    ----------
    atoms
        A glass; its own stress may be different from zero.
    calculator
        ASE calculator with stress.
    strain
        Size of the strains: small enough for the answer to be linear, large enough for the forces
        that are left.
    force_eV_A
        Largest force in eV/Å at which the atoms count as being at rest.

    Returns
    -------
    np.ndarray
        Shape (6, 6), in GPa and ASE's Voigt order; d stress / d engineering strain. How far it
        is from symmetric says how well the atoms came to rest.

    Raises
    ------
    GlassmlError
        If strain or force are out of range.
    StructureError
        If there is no box, or the atoms do not come to rest.
    """
    if not 0.0 < strain <= LARGEST_STRAIN:
        raise GlassmlError(f"strain {strain:g}: must be above 0 and at most {LARGEST_STRAIN:g}")
    if not force_eV_A >= SMALLEST_FORCE_EV_A:
        raise GlassmlError(f"force {force_eV_A:g} eV/Å: must be {SMALLEST_FORCE_EV_A:g} at least")
    if atoms.cell.rank < 3:
        raise StructureError("the glass has no box of three vectors: moduli are those of a bulk")
    rest = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    rest.calc = calculator
    relax(rest, force_eV_A)
    matrix = np.zeros((6, 6))
    for column, (i, j) in enumerate(tqdm(VOIGT, desc="strains", unit="")):
        moved = np.zeros_like(rest.positions)
        for sign in (1.0, -1.0):
            deformation = np.eye(3)
            deformation[i, j] += 0.5 * sign * strain
            deformation[j, i] += 0.5 * sign * strain
            affine = rest.positions @ deformation
            # What the atoms move beside the strain changes its sign with it, nearly.
            strained = Atoms(
                rest.numbers, affine - moved, cell=rest.cell.array @ deformation, pbc=True
            )
            strained.calc = calculator
            relax(strained, force_eV_A)
            moved = strained.positions - affine
            matrix[:, column] += sign * strained.get_stress() / (2.0 * strain)
    return matrix / units.GPa


def isotropic_moduli(stiffness: np.ndarray) -> dict[str, float]:
    """Average a stiffness over all directions.

    Parameters
    ----------
    stiffness
        Shape (6, 6) in GPa.

    Returns
    -------
    dict
        `bulk_GPa`, `shear_GPa`, `young_GPa` and `poisson` of Hill's average (Hill, Proc. Phys.
        Soc. A 65, 349 (1952)), `shear_range_GPa`, the difference between Voigt's and Reuss's
        shear modulus: what a finite glass differs by from an isotropic one, and `asymmetry_GPa`,
        the largest difference between elements that should be equal.
    """
    asymmetry = np.abs(stiffness - stiffness.T).max()
    stiffness = 0.5 * (stiffness + stiffness.T)
    compliance = np.linalg.inv(stiffness)
    normal, mixed, shears = _invariants(stiffness)
    bulk_voigt = (normal + 2.0 * mixed) / 9.0
    shear_voigt = (normal - mixed + 3.0 * shears) / 15.0
    normal, mixed, shears = _invariants(compliance)
    bulk_reuss = 1.0 / (normal + 2.0 * mixed)
    shear_reuss = 15.0 / (4.0 * normal - 4.0 * mixed + 3.0 * shears)
    bulk, shear = 0.5 * (bulk_voigt + bulk_reuss), 0.5 * (shear_voigt + shear_reuss)
    return {
        "bulk_GPa": float(bulk),
        "shear_GPa": float(shear),
        "young_GPa": float(9.0 * bulk * shear / (3.0 * bulk + shear)),
        "poisson": float((3.0 * bulk - 2.0 * shear) / (2.0 * (3.0 * bulk + shear))),
        "shear_range_GPa": float(shear_voigt - shear_reuss),
        "asymmetry_GPa": float(asymmetry),
    }


def _invariants(matrix: np.ndarray) -> tuple[float, float, float]:
    """Give M11 + M22 + M33, M12 + M13 + M23 and M44 + M55 + M66."""
    mixed = matrix[0, 1] + matrix[0, 2] + matrix[1, 2]
    return np.trace(matrix[:3, :3]), mixed, np.trace(matrix[3:, 3:])
