"""Birch-Murnaghan equations of state, with errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.eos import EquationOfState, birchmurnaghan
from ase.units import GPa

from glassml.dft.relaxation import RelaxationError


@dataclass(frozen=True)
class Curve:
    """A Birch-Murnaghan equation of state: Å³, eV (both per SiO2), GPa, and standard errors."""

    volume: float
    energy: float
    modulus: float
    derivative: float
    volume_error: float
    modulus_error: float
    rms_eV: float


def fit(volumes: Sequence[float], energies: Sequence[float]) -> Curve:
    """Fit a Birch-Murnaghan equation of state; errors by leaving out one point at a time.

    Parameters
    ----------
    volumes, energies
        At least five, in Å³ and eV.

    Raises
    ------
    RelaxationError
        If the energies have no minimum within the volumes.
    """
    x, y = np.array(volumes), np.array(energies)
    best = _birch_murnaghan(x, y)
    if not x.min() < best[1] < x.max():
        raise RelaxationError(f"E(V) has no minimum between {x.min():.2f} and {x.max():.2f} Å³")
    residual = y - birchmurnaghan(x, best[0], best[2], best[3], best[1])
    others = np.array([_birch_murnaghan(np.delete(x, i), np.delete(y, i)) for i in range(len(x))])
    spread = np.sqrt((len(x) - 1) * np.mean((others - others.mean(axis=0)) ** 2, axis=0))
    return Curve(
        volume=best[1],
        energy=best[0],
        modulus=best[2] / GPa,
        derivative=best[3],
        volume_error=float(spread[1]),
        modulus_error=float(spread[2]) / GPa,
        rms_eV=float(np.sqrt(np.mean(residual**2))),
    )


def _birch_murnaghan(volumes: np.ndarray, energies: np.ndarray) -> tuple[float, ...]:
    """Fit E0 (eV), V0 (Å³), B0 (eV/Å³), B0'."""
    state = EquationOfState(volumes, energies, eos="birchmurnaghan")
    state.fit(warn=False)
    energy, modulus, derivative, volume = state.eos_parameters
    return float(energy), float(volume), float(modulus), float(derivative)
