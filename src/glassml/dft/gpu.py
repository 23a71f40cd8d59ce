"""GPAW's plane-wave code on a GPU, for functionals of which it has no CUDA kernel."""

import ctypes
from collections.abc import Callable, Iterator
from itertools import product
from types import MethodType
from typing import Any

import gpaw.dft
import gpaw.new.xc
import numpy as np
from gpaw.core.plane_waves import PWArray
from gpaw.core.pwacf import PWLFC
from gpaw.ffbt import rescaled_fourier_bessel_transform
from gpaw.gpu import as_np, cupy, cupy_is_fake, cupyx
from gpaw.new.pw.hamiltonian import PWHamiltonian
from gpaw.sphere.spherical_harmonics import nablarlYL
from gpaw.xc.gga import add_gradient_correction, get_gradient_ops

from glassml.dft import libxc_cuda
from glassml.dft.radial import Sphere, values_and_slopes

# Bands whose gradients are on the grid at once: launches are few, memory stays below 0.2 GB.
BANDS = 16
# Numbers in an array of projectors times plane waves, of which a block holds a few, 0.6 GB each.
BLOCK = 4e7
SMALLEST_VECTOR = 1e-10  # per Bohr: shorter ones are zero
BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC of CUDA's driver


class HostFunctional(gpaw.dft.XC):
    """A GGA or meta-GGA that libxc evaluates, while all else is on the GPU.

    GPAW's CUDA code evaluates LDA and PBE and refuses other GGAs. Of meta-GGAs it evaluates the
    potential on the host, but has no stress, and takes bands and directions one by one where the
    potential of the kinetic energy density is applied. All of it is put right here. libxc runs on
    the host, or on the GPU where `GLASSML_LIBXC_CUDA` names one that was compiled for it.

    Parameters
    ----------
    name
        The functional, as GPAW calls it.
    setups
        The functional that setups are named after.
    """

    def __init__(self, name: str, setups: str) -> None:
        super().__init__(name)
        self.setups = setups
        wait_without_spinning()

    def functional(self, **settings: Any) -> Any:
        """Build GPAW's functional; GPAW calls this once per calculation."""
        functional = super().functional(**settings)
        functional.get_setup_name = MethodType(lambda _: self.setups, functional)
        # GPAW has no place to name these; one process calculates one functional.
        PWLFC.stress_tensor_contribution = stress_of_centred_functions  # type: ignore[method-assign]
        if functional.type == "MGGA":
            gpaw.new.xc.MGGAFunctional = MetaGga  # type: ignore[assignment, misc]
            PWHamiltonian.apply_mgga = apply_kinetic_potential  # type: ignore[assignment, method-assign]
            PWArray.add_ked = add_kinetic_energy_density  # type: ignore[assignment, method-assign]
        else:
            evaluate = HostKernel(functional.kernel).calculate
            functional.name = "PBE"  # for which GPAW takes the function that is put here

            def in_order(n: Any, v: Any, e: Any, sigma: Any, d_sigma: Any) -> None:
                evaluate(e, n, v, sigma, d_sigma)

            gpaw.new.xc.evaluate_pbe_gpu = in_order  # type: ignore[assignment]
        return functional


def wait_without_spinning() -> None:
    """Let this process leave its core to others while it waits for the GPU.

    Several processes fill a GPU, often more than there are cores; each would spin while it waits.
    """
    if not cupy_is_fake:
        driver = ctypes.CDLL("libcuda.so.1")
        driver.cuInit(0)
        driver.cuDevicePrimaryCtxSetFlags_v2(0, BLOCKING_SYNC)


class HostKernel:
    """GPAW's kernel of a functional, for arrays on the GPU: there and back again."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def calculate(self, *arrays: Any) -> None:
        """Evaluate energy density, potential and derivatives; arguments as GPAW's kernels have."""
        on_host = [as_np(array).copy() for array in arrays]
        self.kernel.calculate(*on_host)
        for result in (0, *range(2, len(arrays), 2)):
            arrays[result][:] = cupy.asarray(on_host[result])


class MetaGga(gpaw.new.xc.MGGAFunctional):
    """GPAW's meta-GGA with densities, wave functions and stress on the GPU."""

    def __init__(self, xc: Any, grid: Any) -> None:
        super().__init__(xc, grid, cupy)
        self.grad_v = [
            operator.__self__  # type: ignore[attr-defined]
            for operator in get_gradient_ops(grid._gd, xc.stencil_range, cupy)  # noqa: SLF001
        ]
        library = libxc_cuda.library()
        self.xp_of_spheres: Any = np if library is None else cupy
        if library is None:
            self.kernel: Any = HostKernel(xc.kernel)
            self.kernel_of_spheres = xc.kernel
        else:
            self.kernel = libxc_cuda.CudaMetaGga(library, xc.kernel.name, xc.kernel)
            self.kernel_of_spheres = self.kernel
        self.spheres: dict[Any, Sphere] = {}

    def _evaluate(self, n: Any, tau: Any) -> tuple[Any, tuple[Any, ...]]:
        gradient, sigma = gpaw.new.xc.gradient_and_sigma(self.grad_v, n)
        energy, potential = self.grid.empty(xp=cupy), n.new(zeroed=True)
        arrays = (energy, n, potential, sigma, sigma.new(), tau, tau.new())
        self.kernel.calculate(*(array.data for array in arrays))
        return gradient, arrays

    def calculate(self, nt_sr: Any, taut_sr: Any = None) -> tuple[float, Any, Any]:
        """Give energy in Hartree, potential, and derivative by the kinetic energy density."""
        tau = nt_sr.new(zeroed=True) if taut_sr is None else taut_sr
        gradient, arrays = self._evaluate(nt_sr, tau)
        energy, _, potential, sigma, d_sigma, _, d_tau = arrays
        add_gradient_correction(
            [operator.apply for operator in self.grad_v],
            gradient.data,
            sigma.data,
            d_sigma.data,
            potential.data,
        )
        return energy.integrate(), potential, d_tau

    def calculate_paw_correction(self, setup: Any, d: Any, h: Any = None, a: Any = None) -> float:
        """Give the correction within an atom's sphere; add its derivatives to `h`."""
        del a
        if setup not in self.spheres:
            self.spheres[setup] = Sphere(self.xc, setup, self.xp_of_spheres)
        return self.spheres[setup].correction(self.kernel_of_spheres, d, h)

    def stress_contribution(
        self, ibzwfs: Any, density: Any, interpolate: Callable[[Any], Any]
    ) -> Any:
        """Give the functional's part of the stress times the volume, shape (3, 3), in Hartree."""
        gradient, arrays = self._evaluate(interpolate(density.nt_sR), interpolate(density.taut_sR))
        tau, d_tau = arrays[5:]
        of_gga = gpaw.new.xc.GGAFunctional._stress.__get__(self)  # noqa: SLF001
        stress = of_gga(*arrays[:5], gradn_svr=gradient)
        tensor = kinetic_energy_tensor(ibzwfs, density.nt_sR.desc)
        for spin in range(len(tau)):
            own = float(tau[spin].integrate(d_tau[spin], skip_sum=True))
            stress -= own * cupy.eye(3)
            for component, (i, j) in enumerate(zip(*np.triu_indices(3), strict=True)):
                part = interpolate(tensor[spin, component]).integrate(d_tau[spin], skip_sum=True)
                stress[i, j] -= part
                if i != j:
                    stress[j, i] -= part
        return stress


def stress_of_centred_functions(self: Any, a_xG: Any, c_axi: Any = 1.0) -> Any:
    """Give atom-centred functions' part of the stress, shape (3, 3), as `PWLFC`'s own method does.

    That one takes splines point by point, half of a label's time on the host, and blocks of plane
    waves that suit a CPU's cache, each of which costs thousands of launches.
    """
    xp = self.xp
    lengths = np.sqrt(2 * self.pw.ekin_G)
    radial: dict[Any, tuple[Any, Any]] = {}
    functions, first = [], 0
    for atom, splines in enumerate(self.spline_aj):
        for spline in splines:
            if spline not in radial:
                f, slope = values_and_slopes(rescaled_fourier_bessel_transform(spline), lengths)
                slope /= np.where(lengths < SMALLEST_VECTOR, 1.0, lengths)
                radial[spline] = (xp.asarray(f), xp.asarray(slope))
            last = first + 2 * spline.l + 1
            functions.append((atom, spline.l, first, last, *radial[spline]))
            first = last
    if isinstance(c_axi, float):
        c_axi = dict.fromkeys(range(len(self.pos_av)), c_axi)
    harmonics = range((max((function[1] for function in functions), default=0) + 1) ** 2)
    stress = xp.zeros((3, 3))
    small, self.blocksize = self.blocksize, int(BLOCK // max(self.nI, 1))
    blocks = list(self.block(ensure_same_number_of_blocks=True))
    self.blocksize = small
    for start, stop in blocks:
        on_host = self.pw.G_plus_k_Gv[start:stop]
        slopes = xp.asarray(np.array([nablarlYL(L, on_host.T) for L in harmonics]))
        vectors = xp.asarray(on_host)
        for i, j in product(range(3), repeat=2):
            stress[i, j] += self._stress_tensor_contribution(
                i,
                j,
                functions,
                start,
                stop,
                vectors,
                a_xG[..., start:stop],
                c_axi,
                slopes,
            )
    return stress


def kinetic_energy_tensor(ibzwfs: Any, grid: Any) -> Any:
    """Sum f ∂ᵢψ* ∂ⱼψ over all states: six components of each spin on the grid, upper half."""
    tensor = grid.zeros((ibzwfs.nspins, 6), xp=ibzwfs.xp)
    for wfs in ibzwfs:
        weights = wfs.weight * wfs.spin_degeneracy * wfs.myocc_n
        for bands, gradients in _gradients(wfs.psit_nX, grid.size_c):
            occupied = ibzwfs.xp.asarray(weights[bands])[:, None, None, None]
            for component, (i, j) in enumerate(zip(*np.triu_indices(3), strict=True)):
                product = (gradients[:, i].conj() * gradients[:, j]).real
                tensor.data[wfs.spin, component] += (occupied * product).sum(axis=0)
    symmetries = ibzwfs.ibz.symmetries
    tensor.symmetrize(symmetries.rotation_scc, symmetries.translation_sc)
    return tensor


def add_kinetic_energy_density(psi: Any, occupations: np.ndarray, tau: Any) -> None:
    """Add ½ f |∇ψ|² of all states to the kinetic energy density `tau`."""
    for bands, gradients in _gradients(psi, tau.desc.size_c):
        squares = (gradients.real**2 + gradients.imag**2).sum(axis=1)
        weights = psi.xp.asarray(0.5 * occupations[bands])
        tau.data += psi.xp.einsum("b, bxyz -> xyz", weights, squares)


def apply_kinetic_potential(_self: Any, d_tau: Any, psi: Any, out: Any) -> None:
    """Add -½ ∇·(∂e/∂τ ∇ψ) of all states to `out`."""
    xp, size = psi.xp, tuple(map(int, d_tau.desc.size_c))
    vectors = xp.asarray(psi.desc.reciprocal_vectors())
    places = xp.asarray(psi.desc.indices(size))
    for bands, gradients in _gradients(psi, size):
        flux = (gradients * d_tau.data).reshape((-1, *size))
        transformed = cupyx.scipy.fft.fftn(flux, size, norm="forward", overwrite_x=True)
        transformed = transformed.reshape((-1, 3, np.prod(size)))[:, :, places]
        out.data[bands] -= 0.5j * xp.einsum("bvG, Gv -> bG", transformed, vectors)


def _gradients(psi: Any, size: Any) -> Iterator[tuple[slice, Any]]:
    """Give ∇ψ without its Bloch phase, shape (bands, 3, *size), some bands at a time."""
    xp, size = psi.xp, tuple(map(int, size))
    vectors = xp.asarray(psi.desc.reciprocal_vectors())
    places = xp.asarray(psi.desc.indices(size))
    number = psi.mydims[0]
    for first in range(0, number, BANDS):
        bands = slice(first, min(first + BANDS, number))
        coefficients = xp.zeros((bands.stop - first, 3, np.prod(size)), dtype=complex)
        coefficients[:, :, places] = 1j * psi.data[bands, None] * vectors.T
        gradients = cupyx.scipy.fft.ifftn(
            coefficients.reshape((-1, *size)), size, norm="forward", overwrite_x=True
        )
        yield bands, gradients.reshape((-1, 3, *size))
