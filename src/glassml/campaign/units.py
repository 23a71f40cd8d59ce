"""Units that `ase.units` does not have, and the density that needs one."""

from ase import Atoms
from ase.units import GPa, _amu

BAR_PER_GPA = 1e4
GPA_PER_EV_A3 = 1.0 / GPa
#: g/cm³ of 1 u/Å³, by the atomic mass constant of ASE (CODATA 2014).
G_CM3_PER_U_A3 = _amu * 1e27


def density_g_cm3(atoms: Atoms) -> float:
    """Give the mass density in g/cm³."""
    grams = atoms.get_masses().sum() * _amu * 1e3
    return float(grams / (atoms.get_volume() * 1e-24))
