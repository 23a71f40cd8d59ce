"""Settings of a calculation: k points, functional and setups, from a structure and numbers."""

import gzip
import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from glassml.campaign.config.dft import META_GGAS, Dft, setup_type
from glassml.campaign.doctor import LIBXC_ADVICE, meta_gga_converges
from glassml.campaign.errors import ConfigError


def kpoint_grid(atoms: Atoms, spacing: float) -> tuple[int, int, int]:
    """Give the number of k points along each reciprocal vector.

    Parameters
    ----------
    atoms
        The structure; a direction that is not periodic has one point.
    spacing
        Largest distance of points in 1/Å, the 2π included.
    """
    lengths = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    counts = np.ceil(lengths / spacing - 1e-6).astype(int)
    counts = np.where(atoms.pbc, np.maximum(counts, 1), 1)
    return int(counts[0]), int(counts[1]), int(counts[2])


def mean_value_kpoints(grid: tuple[int, int, int], pbc: np.ndarray) -> np.ndarray:
    """Give the k points (m + 1/4) / n, in units of the reciprocal vectors.

    One such point (n = 1) is the mean-value point (1/4, 1/4, 1/4) of A. Baldereschi, Phys. Rev. B
    7, 5212 (1973), taken in the cell's own reciprocal vectors: with its time-reversed partner it
    integrates all plane waves exactly whose shortest unintegrated lattice vector is a sum of two
    cell vectors, at the price of a single point. A grid with Γ needs several times as many
    points for the same error in an insulator.

    Parameters
    ----------
    grid
        Numbers of points n along each reciprocal vector.
    pbc, shape (3,)
        Directions that are not periodic get k = 0.

    Returns
    -------
    ndarray, shape (n1 n2 n3, 3)
    """
    axes = [
        (np.arange(n) + 0.25) / n if periodic else np.zeros(1)
        for n, periodic in zip(grid, pbc, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points - np.round(points)


def is_isolated(atoms: Atoms) -> bool:
    """Tell whether this is an isolated atom: those are calculated with spin, at Γ."""
    return len(atoms) == 1


def has_integer_occupations(atoms: Atoms, xc: str) -> bool:
    """Tell whether states are filled one by one: those of isolated atoms with a meta-GGA.

    A smeared open shell mixes degenerate states, between which a meta-GGA goes back and forth.
    """
    return is_isolated(atoms) and xc in META_GGAS


def determining_settings(atoms: Atoms, dft: Dft) -> dict[str, Any]:
    """Collect everything beside the structure that determines a label's value.

    Parameters
    ----------
    atoms
        The structure: its elements choose the setups, its cell the k points, its size the spin.
    dft
        Section `dft` of a campaign.

    Returns
    -------
    dict
        Plain JSON types, for `glassml.dft.labels.label_key`.
    """
    names = (
        "xc",
        "cutoff_eV",
        "smearing_eV",
        "density_tolerance",
        "energy_tolerance_eV",
        "eigenstates_tolerance_eV2",
    )
    settings: dict[str, Any] = {name: getattr(dft, name) for name in names}
    isolated = is_isolated(atoms)
    if has_integer_occupations(atoms, dft.xc):
        settings["smearing_eV"] = 0.0
    grid = kpoint_grid(atoms, dft.kpoint_spacing_per_A)
    settings["kpoints"] = "gamma" if isolated else list(grid)
    settings["spin_polarised"] = isolated
    settings["setups"] = {
        symbol: setup_digest(symbol, dft.xc) for symbol in sorted(set(atoms.symbols))
    }
    settings["gpaw"] = _gpaw_version()
    return settings


@cache
def _gpaw_version() -> str:
    return ".".join(version("gpaw").split(".")[:2])


@cache
def setup_path(symbol: str, xc: str) -> Path:
    """Find the PAW setup of an element.

    Raises
    ------
    ConfigError
        If gpaw-data is not installed, or has no such setup.
    """
    name = f"{symbol}.{setup_type(xc)}"
    spec = importlib.util.find_spec("gpaw_data")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        for path in sorted(folder.rglob(f"{name}.gz")) or sorted(folder.rglob(name)):
            return path
    raise ConfigError(
        f"dft: no PAW setup {name} is installed: install gpaw-data (`pip install gpaw-data`), "
        f"or leave {symbol} out of configurations"
    )


@cache
def setup_digest(symbol: str, xc: str) -> str:
    """Hash the content of an element's setup."""
    path = setup_path(symbol, xc)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]


def require_setups(symbols: Iterable[str], xc: str) -> None:
    """Refuse elements without an installed setup.

    Raises
    ------
    ConfigError
        Naming the setup that is missing.
    """
    for symbol in sorted(symbols):
        setup_path(symbol, xc)


def require_functional(xc: str) -> None:
    """Refuse a meta-GGA where libxc cannot converge it.

    Raises
    ------
    ConfigError
        If this libxc enforces the Fermi-hole curvature, with which meta-GGAs run off to energies
        of -1e10 eV, or lacks the functional.
    """
    if xc not in META_GGAS:
        return
    try:
        converges = meta_gga_converges(xc)
    except NameError as error:  # what GPAW raises for what libxc does not have
        raise ConfigError(f"dft.xc: this libxc does not have {xc}: {error}") from None
    if not converges:
        raise ConfigError(
            f"dft.xc: {xc} is a meta-GGA, and this libxc enforces the Fermi-hole curvature: its "
            f"SCF would diverge. {LIBXC_ADVICE}"
        )


def require_gpu(xc: str) -> None:
    """Refuse to go on without a GPU that GPAW can use, or with a libxc on it that is wrong.

    Raises
    ------
    ConfigError
        If CuPy, a GPU, or GPAW's code for it is missing.
    """
    # In a process of its own: what is forked later could not use a GPU that was touched here.
    probe = (
        "import os, gpaw.gpu as g; from glassml.dft.libxc_cuda import verify\n"
        "if g.cupy_is_fake and 'GPAW_CPUPY' not in os.environ: raise SystemExit('no GPU')\n"
        f"verify({xc!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], check=False, capture_output=True, text=True
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        raise ConfigError(
            "dft.gpu: GPAW cannot use a GPU here: it takes a GPU, CuPy, and a GPAW compiled with "
            f"`gpu = True` in its siteconfig.py ({reason}). Set dft.gpu to false to calculate on "
            "CPUs"
        )
