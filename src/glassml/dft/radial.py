"""The PAW correction of a meta-GGA, all directions of a sphere at once."""

from typing import Any

import numpy as np
from gpaw.sphere.lebedev import Y_nL, weight_n
from gpaw.xc.pawcorrection import rnablaY_nLv

FOUR_PI = 4 * np.pi


def meta_gga_correction(
    xc: Any, kernel: Any, setup: Any, D_sp: np.ndarray, dEdD_sp: np.ndarray | None = None
) -> float:
    """Give the energy within an atom's sphere, spin-paired, and its derivatives.

    The same sums as `gpaw.xc.mgga.MGGA.calculate_paw_correction`, which takes the 50 directions
    one by one, with a call of libxc for each: most of the time of a label that a GPU calculates.

    Parameters
    ----------
    xc
        GPAW's meta-GGA, which makes the kinetic energy densities of products of partial waves.
    kernel
        Evaluates the functional, as GPAW's kernels do.
    setup
        GPAW's setup of the element.
    D_sp, shape (1, p)
        Density matrix, packed.
    dEdD_sp, shape (1, p)
        Gets the derivatives added; None for none.

    Returns
    -------
    float
        In Hartree.
    """
    data = setup.xc_correction
    if data.tau_npg is None:
        data.tau_npg, data.taut_npg = xc.initialize_kinetic(data)
    D_Lq = np.inner(D_sp, data.B_pqL.T)[0]
    energy, derivatives = -data.e_xc0, np.zeros_like(D_sp[0])
    for sign, n_qg, core, tau_npg, core_tau in (
        (1, data.n_qg, data.nc_g, data.tau_npg, data.tauc_g),
        (-1, data.nt_qg, data.nct_g, data.taut_npg, data.tauct_g),
    ):
        tau = np.tensordot(tau_npg, D_sp[0], axes=(1, 0)) + core_tau / np.sqrt(FOUR_PI)
        e, d_Lq, d_tau = _integrate(data.rgd, kernel, D_Lq @ n_qg, core, tau, n_qg)
        weights = weight_n[:, None] * d_tau * data.rgd.dv_g
        energy += sign * e
        derivatives += sign * (
            np.tensordot(data.B_pqL, d_Lq.T, axes=2)
            + np.einsum("ng, npg -> p", weights, tau_npg, optimize=True)
        )
    if dEdD_sp is not None:
        dEdD_sp += derivatives
    return energy


def _integrate(
    grid: Any, kernel: Any, n_Lg: np.ndarray, core: np.ndarray, tau: np.ndarray, n_qg: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Integrate over a sphere: energy, its derivatives by D_Lq and by τ in each direction."""
    n_Lg = n_Lg.copy()
    n_Lg[0] += np.sqrt(FOUR_PI) * core
    slope_Lg = np.array([grid.derivative(n_g) for n_g in n_Lg])
    Y, rnablaY = Y_nL[:, : len(n_Lg)], rnablaY_nLv[:, : len(n_Lg)]
    n, radial = Y @ n_Lg, Y @ slope_Lg
    angular = np.einsum("nLv, Lg -> vng", rnablaY, n_Lg, optimize=True)
    sigma = (angular**2).sum(axis=0)
    sigma[:, 1:] /= grid.r_g[1:] ** 2
    sigma[:, 0] = sigma[:, 1]
    sigma += radial**2
    e, d_n, d_sigma, d_tau = np.zeros(n.size), *(np.zeros((1, n.size)) for _ in range(3))
    flat = [np.ascontiguousarray(array).reshape(1, -1) for array in (n, sigma, tau)]
    kernel.calculate(e, flat[0], d_n, flat[1], d_sigma, flat[2], d_tau)
    d_n, d_sigma, d_tau = (array.reshape(n.shape) for array in (d_n, d_sigma, d_tau))
    d_n += _divergence(grid, d_sigma * radial)
    w = weight_n[:, None]
    d_Lq = (w * Y).T @ ((grid.dv_g * d_n) @ n_qg.T)
    flux = (d_sigma * grid.dr_g * angular) @ n_qg.T
    d_Lq += 2 * FOUR_PI * np.einsum("nLv, vnq -> Lq", w[:, :, None] * rnablaY, flux, optimize=True)
    return float(weight_n @ grid.integrate(e.reshape(n.shape))), d_Lq, d_tau


def _divergence(grid: Any, flux: np.ndarray) -> np.ndarray:
    """Give -2 times the divergence of radial functions, as GPAW's finite differences have it."""
    out = np.empty_like(flux)
    for row, result in zip(-2 * grid.dv_g * flux, out, strict=True):
        grid.derivative2(row, result)
    out[:, 1:] /= grid.dv_g[1:]
    out[:, 0] = out[:, 1]
    return out
