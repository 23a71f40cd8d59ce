"""A descriptor of a whole structure: statistics of the SNAP bispectrum, computed by LAMMPS."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from tqdm import tqdm

from glassml.configurations.crystals import polymorph
from glassml.configurations.lammps import commands, lammps_session, load_structure

if TYPE_CHECKING:
    from lammps import lammps

_CUTOFF_A = 5.0
_TWO_J = 6


def fingerprints(structures: Sequence[Atoms]) -> np.ndarray:
    """Describe structures such that rotated, translated or permuted ones are the same.

    Mean and standard deviation over the atoms of each element of the bispectrum components
    (SNAP, Thompson et al., J. Comput. Phys. 285, 316 (2015); cutoff 5 Å, 2J = 6, weights Si 1,
    O 0.5), each divided by its size in alpha-quartz. Dimensionless; distances are root mean squares
    over the features: 0.005 is a change of volume by 0.2 % or a rattle of 0.002 Å, 0.07 one by 3 %
    or of 0.02 Å, and snapshots of glass of one trajectory are 0.1 to 0.3 apart.

    Returns
    -------
    np.ndarray
        Shape (structures, features); NaN where an element is absent.
    """
    scale = _quartz_scale()
    with lammps_session() as session:
        progress = tqdm(structures, desc="fingerprints", unit="", disable=len(structures) < 200)
        rows = [_statistics(_bispectrum(session, atoms) / scale, atoms) for atoms in progress]
    return np.array(rows) / np.sqrt(len(rows[0])) if rows else np.empty((0, 0))


def _statistics(components: np.ndarray, atoms: Atoms) -> np.ndarray:
    symbols = np.array(atoms.get_chemical_symbols())
    parts = []
    for symbol in ("Si", "O"):
        rows = components[symbols == symbol]
        absent = np.full(components.shape[1], np.nan)
        parts += [rows.mean(axis=0), rows.std(axis=0)] if len(rows) else [absent, absent]
    return np.concatenate(parts)


@cache
def _quartz_scale() -> np.ndarray:
    with lammps_session() as session:
        typical = np.abs(_bispectrum(session, polymorph("alpha_quartz"))).mean(axis=0)
    return np.maximum(typical, 0.01 * typical.max())


def _bispectrum(session: "lammps", atoms: Atoms) -> np.ndarray:
    load_structure(session, atoms)
    commands(
        session,
        f"pair_style zero {_CUTOFF_A + 0.1}",
        "pair_coeff * *",
        "neigh_modify one 20000 page 200000",
        f"compute snap all sna/atom {_CUTOFF_A} 0.99363 {_TWO_J} 0.5 0.5 1.0 0.5",
        "thermo_style custom step",
        "run 0 post no",
    )
    count = len(atoms)
    # A per-atom compute is evaluated when asked for, in the order of LAMMPS's own atoms.
    data = session.numpy.extract_compute("snap", 1, 2)[:count]
    order = np.argsort(session.numpy.extract_atom("id")[:count])
    return np.array(data)[order]
