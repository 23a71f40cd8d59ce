"""Radial functions, many points at once: splines, and a meta-GGA's PAW correction."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gpaw.gpu import as_np
from gpaw.sphere.lebedev import Y_nL, weight_n
from gpaw.xc.pawcorrection import rnablaY_nLv

FOUR_PI = 4 * np.pi


def values_and_slopes(spline: Any, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate one of GPAW's cubic splines and its derivative, which GPAW gives point by point.

    Parameters
    ----------
    spline
        GPAW's spline; zero from its cutoff on.
    r, shape (n,)
        Where, not negative.

    Returns
    -------
    (f, df/dr), each of shape (n,)
    """
    bins = spline.get_npoints() - 1
    width = spline.get_cutoff() / bins
    # A cubic is known from four points: both ends of a bin, and two between.
    y = spline.map(np.linspace(0.0, spline.get_cutoff(), 3 * bins + 1))
    y0, y1, y2, y3 = (y[start : len(y) - 3 + start : 3] for start in range(4))
    first, second, third = y1 - y0, y2 - 2 * y1 + y0, y3 - 3 * y2 + 3 * y1 - y0
    inside = r < spline.get_cutoff()
    index = np.minimum((r / width).astype(int), bins - 1)
    t = 3 * (r / width - index)  # Newton's form, in steps of a third of a bin
    d1, d2, d3 = first[index], second[index] / 2, third[index] / 6
    f = y0[index] + t * (d1 + (t - 1) * (d2 + (t - 2) * d3))
    slope = d1 + (2 * t - 1) * d2 + (3 * t**2 - 6 * t + 2) * d3
    return np.where(inside, f, 0.0), np.where(inside, slope * 3 / width, 0.0)


@dataclass(frozen=True)
class Density:
    """What the densities of a sphere are made of, of partial waves or of their smooth parts."""

    sign: int
    n_qg: Any  # products of radial functions
    core_g: Any
    tau_px: Any  # kinetic energy densities of products; x counts directions and radii
    core_tau_g: Any


class Sphere:
    """What does not change of an element's sphere, on the host or on the GPU.

    Parameters
    ----------
    xc
        GPAW's meta-GGA, which makes the kinetic energy densities of products of partial waves.
    setup
        GPAW's setup of the element.
    xp
        NumPy or CuPy.
    """

    def __init__(self, xc: Any, setup: Any, xp: Any = np) -> None:
        data = setup.xc_correction
        if data.tau_npg is None:
            data.tau_npg, data.taut_npg = xc.initialize_kinetic(data)
        self.xp = xp
        self.reference = data.e_xc0
        self.B_px = xp.asarray(np.ascontiguousarray(data.B_pqL).reshape((len(data.B_pqL), -1)))
        self.densities = [
            Density(
                sign,
                xp.asarray(n_qg),
                xp.asarray(np.sqrt(FOUR_PI) * core_g),
                xp.asarray(np.ascontiguousarray(tau_npg.transpose(1, 0, 2)).reshape(pairs, -1)),
                xp.asarray(core_tau_g / np.sqrt(FOUR_PI)),
            )
            for sign, n_qg, core_g, tau_npg, core_tau_g, pairs in (
                (1, data.n_qg, data.nc_g, data.tau_npg, data.tauc_g, len(data.B_pqL)),
                (-1, data.nt_qg, data.nct_g, data.taut_npg, data.tauct_g, len(data.B_pqL)),
            )
        ]
        grid = data.rgd
        self.dr_g, self.dv_g = xp.asarray(grid.dr_g), xp.asarray(grid.dv_g)
        # The centre has no volume, and no angular part: it gets its neighbour's values.
        self.r2_g = xp.asarray(np.where(grid.r_g > 0, grid.r_g, 1.0) ** 2)
        self.safe_dv_g = xp.asarray(np.where(grid.dv_g > 0, grid.dv_g, 1.0))
        number = data.B_pqL.shape[2]
        self.Y_nL = xp.asarray(np.ascontiguousarray(Y_nL[:, :number]))
        gradients = rnablaY_nLv[:, :number].transpose(2, 0, 1)  # r∇Y
        self.gradients_xL = xp.asarray(np.ascontiguousarray(gradients).reshape(-1, number))
        self.weight_n = xp.asarray(weight_n)

    def correction(self, kernel: Any, D_sp: np.ndarray, dEdD_sp: np.ndarray | None = None) -> float:
        """Give the energy within the sphere, spin-paired, and its derivatives.

        The same sums as `gpaw.xc.mgga.MGGA.calculate_paw_correction`, which takes the 50
        directions one by one, with a call of libxc for each: most of the time of a label that a
        GPU calculates.

        Parameters
        ----------
        kernel
            Evaluates the functional of arrays of `xp`, as GPAW's kernels do.
        D_sp, shape (1, p)
            Density matrix, packed.
        dEdD_sp, shape (1, p)
            Gets the derivatives added; None for none.

        Returns
        -------
        float
            In Hartree.
        """
        xp = self.xp
        D_p = xp.asarray(D_sp[0])
        D_Lq = (D_p @ self.B_px).reshape((-1, self.Y_nL.shape[1])).T
        energy, derivatives = -self.reference, xp.zeros(len(D_p))
        for density in self.densities:
            tau_ng = (D_p @ density.tau_px).reshape((len(self.weight_n), -1)) + density.core_tau_g
            e, d_Lq, d_tau_ng = self._integrate(kernel, density, D_Lq @ density.n_qg, tau_ng)
            weights = (self.weight_n[:, np.newaxis] * d_tau_ng * self.dv_g).reshape((-1,))
            energy += density.sign * e
            derivatives += density.sign * (
                self.B_px @ xp.ascontiguousarray(d_Lq.T).reshape((-1,)) + density.tau_px @ weights
            )
        if dEdD_sp is not None:
            dEdD_sp += as_np(derivatives)
        return energy

    def _integrate(
        self, kernel: Any, density: Density, n_Lg: Any, tau: Any
    ) -> tuple[float, Any, Any]:
        """Integrate over the sphere: energy, its derivatives by D_Lq and by τ in each direction."""
        xp, weights = self.xp, self.weight_n[:, np.newaxis]
        n_Lg[0] += density.core_g
        n, radial = self.Y_nL @ n_Lg, self.Y_nL @ self._slope(n_Lg)
        angular = (self.gradients_xL @ n_Lg).reshape((3, *n.shape))
        sigma = (angular**2).sum(axis=0) / self.r2_g
        sigma[:, 0] = sigma[:, 1]
        sigma += radial**2
        e, *derivatives = xp.zeros(n.size), *(xp.zeros((1, n.size)) for _ in range(3))
        flat = [xp.ascontiguousarray(array).reshape((1, -1)) for array in (n, sigma, tau)]
        kernel.calculate(
            e, flat[0], derivatives[0], flat[1], derivatives[1], flat[2], derivatives[2]
        )
        d_n, d_sigma, d_tau = (array.reshape(n.shape) for array in derivatives)
        d_n = d_n + self._divergence(d_sigma * radial)
        d_Lq = (weights * self.Y_nL).T @ ((self.dv_g * d_n) @ density.n_qg.T)
        flux = weights * d_sigma * self.dr_g * angular
        flux = flux.reshape((-1, n.shape[1])) @ density.n_qg.T
        d_Lq += 2 * FOUR_PI * (self.gradients_xL.T @ flux)
        energy = float(self.weight_n @ (e.reshape(n.shape) @ self.dv_g))
        return energy, d_Lq, d_tau

    def _slope(self, f_xg: Any) -> Any:
        """Give the derivative of radial functions, as GPAW's finite differences have it."""
        out = self.xp.empty_like(f_xg)
        out[:, 1:-1] = 0.5 * (f_xg[:, 2:] - f_xg[:, :-2])
        out[:, 0] = f_xg[:, 1] - f_xg[:, 0]
        out[:, -1] = f_xg[:, -1] - f_xg[:, -2]
        return out / self.dr_g

    def _divergence(self, flux_xg: Any) -> Any:
        """Give -2 times the divergence of radial functions, likewise."""
        flux_xg = -2 * self.dv_g * flux_xg / self.dr_g
        out = self.xp.empty_like(flux_xg)
        out[:, 1:-1] = 0.5 * (flux_xg[:, 2:] - flux_xg[:, :-2])
        out[:, 0] = flux_xg[:, 0] + 0.5 * flux_xg[:, 1]
        out[:, -2] = flux_xg[:, -1] - 0.5 * flux_xg[:, -3]
        out[:, -1] = -flux_xg[:, -1] - 0.5 * flux_xg[:, -2]
        out /= self.safe_dv_g
        out[:, 0] = out[:, 1]
        return out
