"""One DFT calculation with GPAW, and the ladder of recipes for stubborn ones."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from glassml.campaign.config.dft import Dft, setup_type
from glassml.campaign.functionals import gpaw_functional, gpaw_name
from glassml.campaign.store import Attempt, LabelRecord
from glassml.dft.labels import canonical
from glassml.dft.settings import (
    has_integer_occupations,
    is_isolated,
    kpoint_grid,
    mean_value_kpoints,
)

NATIVE_ON_GPU = frozenset({"LDA", "PBE"})
# What an open shell of integer occupations takes to converge: O with r2SCAN does in 9 iterations.
OPEN_SHELL = {
    "hund": True,
    "nbands": -4,
    "eigensolver": {"name": "davidson", "niter": 6},
    "mixer": {
        "backend": "pulay",
        "beta": 0.25,
        "nmaxold": 3,
        "weight": 50.0,
        "method": "difference",
    },
}
HUND_MOMENTS = {"H": 1, "B": 1, "C": 2, "N": 3, "O": 2, "F": 1, "Na": 1, "Al": 1, "Si": 2, "P": 3}


@dataclass(frozen=True)
class Converged:
    """A converged calculation.

    Attributes
    ----------
    energy
        Free energy in eV, to which forces and stress belong; relative to GPAW's reference atoms.
    forces, shape (n, 3)
        In eV/Å.
    stress, shape (6,)
        In eV/Å³, Voigt order xx, yy, zz, yz, xz, xy, tension positive; None for isolated atoms.
    scf
        Iterations and the last changes, log10: ``{"iterations", "eigenstates", "density"}``.
    """

    energy: float
    forces: np.ndarray
    stress: np.ndarray | None
    scf: dict[str, float]


class NotConvergedError(Exception):
    """The SCF of a recipe did not converge, or what it converged to is not finite."""


def calculate(
    atoms: Atoms, dft: Dft, recipe: str = "standard", log: Path | None = None
) -> Converged:
    """Calculate energy, forces and stress of a structure by one recipe.

    Parameters
    ----------
    atoms
        The structure; calculated as periodic, on one core.
    dft
        Section `dft` of a campaign.
    recipe
        What to change against the settings; see `RECIPES`.
    log
        GPAW's own log; None for none.

    Raises
    ------
    NotConvergedError
        With the reason.
    """
    from gpaw import GPAW, ConvergenceError  # noqa: PLC0415  loading GPAW takes a second

    atoms = canonical(atoms)
    atoms.pbc = True  # plane waves are periodic; isolated atoms sit in a large box
    parameters = gpaw_parameters(atoms, dft)
    RECIPES[recipe](parameters, atoms, dft)
    if is_isolated(atoms):
        if not parameters.get("hund"):
            atoms.set_initial_magnetic_moments([HUND_MOMENTS.get(atoms.symbols[0], 0)])
    elif dft.gpu and recipe == "standard":
        # stubborn cases, and atoms alone, whose spins are not paired, are left to CPUs
        _move_to_gpu(parameters, dft.xc)
    # Lines are flushed one by one, so that a log can be read while and after it is written.
    with nullcontext() if log is None else log.open("w", buffering=1, encoding="utf-8") as text:
        atoms.calc = GPAW(txt=text, **parameters)
        try:
            energy = float(atoms.get_potential_energy(force_consistent=True))
        except ConvergenceError as error:
            raise NotConvergedError(f"{type(error).__name__} after {_iterations(log)}") from None
        forces = np.array(atoms.get_forces())
        stress = None if is_isolated(atoms) else np.array(atoms.get_stress())
    finite = np.isfinite(energy) and np.isfinite(forces).all()
    if not finite or (stress is not None and not np.isfinite(stress).all()):
        raise NotConvergedError("energy, forces or stress are not finite")
    return Converged(energy, forces, stress, _scf_record(log))


def gpaw_parameters(atoms: Atoms, dft: Dft) -> "Parameters":
    """Translate section `dft` into GPAW's parameters for one structure."""
    from gpaw import PW  # noqa: PLC0415

    grid = kpoint_grid(atoms, dft.kpoint_spacing_per_A)
    isolated = is_isolated(atoms)
    integer = has_integer_occupations(atoms, dft.xc)
    return {
        "mode": PW(dft.cutoff_eV),
        "xc": gpaw_functional(dft.xc),
        "kpts": (1, 1, 1) if isolated else mean_value_kpoints(grid, atoms.pbc),
        # Mean-value points do not have the crystal's point group.
        "symmetry": {"point_group": False},
        "occupations": {
            "name": "fermi-dirac",
            "width": 0.0 if integer else dft.smearing_eV,
            **({"fixmagmom": True} if isolated else {}),
        },
        "convergence": {
            "density": dft.density_tolerance,
            "energy": dft.energy_tolerance_eV,
            "eigenstates": dft.eigenstates_tolerance_eV2,
        },
        "maxiter": dft.max_iterations,
        "spinpol": isolated,
        **(OPEN_SHELL if integer else {}),
    }


Parameters = dict[str, Any]


def _move_to_gpu(parameters: Parameters, xc: str) -> None:
    """Let GPAW's CUDA code do the standard recipe."""
    from glassml.dft.gpu import HostFunctional  # noqa: PLC0415  needs what GPAW needs for a GPU

    parameters["legacy_gpaw"] = False
    parameters["parallel"] = {"gpu": True}
    if xc in NATIVE_ON_GPU:
        parameters["xc"] = xc
    else:
        parameters["xc"] = HostFunctional(gpaw_name(xc), setup_type(xc))


def _standard(_parameters: Parameters, _atoms: Atoms, _dft: Dft) -> None:
    """Change nothing."""


def _slow_mixing(parameters: Parameters, _atoms: Atoms, dft: Dft) -> None:
    """Mix little of the new density, for longer."""
    parameters["mixer"] = {"backend": "pulay", "beta": 0.02, "nmaxold": 8, "weight": 100.0}
    parameters["maxiter"] = 2 * dft.max_iterations


def _conjugate_gradient(parameters: Parameters, _atoms: Atoms, _dft: Dft) -> None:
    """Take another eigensolver, and more empty bands."""
    parameters["eigensolver"] = "cg"
    parameters["nbands"] = "140%"


def _denser_kpoints(parameters: Parameters, atoms: Atoms, dft: Dft) -> None:
    """Take one more k point along each vector, which changes the parity of the grid."""
    if not is_isolated(atoms):
        n1, n2, n3 = kpoint_grid(atoms, dft.kpoint_spacing_per_A)
        parameters["kpts"] = mean_value_kpoints((n1 + 1, n2 + 1, n3 + 1), atoms.pbc)


def _smeared(parameters: Parameters, _atoms: Atoms, dft: Dft) -> None:
    """Smear the occupations more: the last resort, since it changes the values of metals."""
    parameters["occupations"]["width"] = max(0.2, 2 * dft.smearing_eV)
    parameters["mixer"] = {"backend": "pulay", "beta": 0.05, "nmaxold": 8, "weight": 100.0}


RECIPES: dict[str, Callable[[Parameters, Atoms, Dft], None]] = {
    "standard": _standard,
    "slow_mixing": _slow_mixing,
    "conjugate_gradient": _conjugate_gradient,
    "denser_kpoints": _denser_kpoints,
    "smeared": _smeared,
}


def climb(
    atoms: Atoms,
    dft: Dft,
    recipes: Sequence[str],
    log: Path | None = None,
    calculation: Callable[..., Converged] = calculate,
) -> LabelRecord:
    """Try recipes in turn until one converges.

    Parameters
    ----------
    atoms, dft, log
        As for `calculate`.
    recipes
        Names from `RECIPES`, in the order in which they are tried.
    calculation
        What runs one recipe.

    Returns
    -------
    dict
        A record of plain JSON types: ``status`` (``"converged"`` or ``"failed"``), ``recipe``,
        ``energy``, ``forces``, ``stress``, ``scf``, and ``attempts`` with the reason and seconds
        of each recipe that was tried.
    """
    attempts: list[Attempt] = []
    for recipe in recipes:
        start = time.perf_counter()
        try:
            result = calculation(atoms, dft, recipe, log)
        except NotConvergedError as error:
            seconds = round(time.perf_counter() - start, 3)
            attempts.append({"recipe": recipe, "reason": str(error), "seconds": seconds})
            continue
        seconds = round(time.perf_counter() - start, 3)
        attempts.append({"recipe": recipe, "reason": "converged", "seconds": seconds})
        return {
            "status": "converged",
            "recipe": recipe,
            "energy": result.energy,
            "forces": result.forces.tolist(),
            "stress": None if result.stress is None else result.stress.tolist(),
            "scf": result.scf,
            "attempts": attempts,
        }
    reasons = "; ".join(f"{item['recipe']}: {item['reason']}" for item in attempts)
    return {"status": "failed", "reason": f"no recipe converged ({reasons})", "attempts": attempts}


ITERATION = re.compile(
    r"^\s*iter:\s*(\d+)\s+\S+\s+(\S+)\s+(\S+?)c?\s+(\S+?)c?(?:\s|$)", re.MULTILINE
)


def _scf_record(log: Path | None) -> dict[str, float]:
    """Read the last SCF iteration from GPAW's log."""
    if log is None:
        return {}
    text = log.read_text(encoding="utf-8", errors="replace")
    iterations = ITERATION.findall(text.replace("|", " "))  # one of GPAW's two formats has bars
    if not iterations:
        return {}
    number, _, eigenstates, density = iterations[-1]
    return {
        "iterations": int(number),
        "log10_eigenstates": float(eigenstates),
        "log10_density": float(density),
    }


def _iterations(log: Path | None) -> str:
    record = _scf_record(log)
    return f"{record['iterations']} iterations" if record else "an unknown number of iterations"
