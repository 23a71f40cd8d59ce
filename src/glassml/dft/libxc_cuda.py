"""A libxc that was compiled for CUDA: meta-GGAs of arrays that are on the GPU."""

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np
from gpaw.gpu import cupy, cupy_is_fake

from glassml.campaign.config.dft import META_GGAS
from glassml.campaign.errors import ConfigError
from glassml.campaign.functionals import gpaw_functional

LIBRARY = "GLASSML_LIBXC_CUDA"  # the environment variable that names it
FEWEST_ELECTRONS = 1e-10  # per Bohr³: GPAW's own floor of what it hands to libxc
TOLERANCE = 1e-10
FIRST_DERIVATIVES = 1
RESULTS = 100  # pointers to results, up to fourth derivatives; those that are null are not made


class CudaMetaGga:
    """A spin-paired meta-GGA, evaluated by libxc on the GPU.

    Parameters
    ----------
    library
        libxc, compiled with ``-DENABLE_CUDA=ON`` as a shared library.
    name
        libxc's names of exchange and correlation, with a plus sign between.
    on_host
        GPAW's kernel of the same functional, by which this one is verified.

    Raises
    ------
    ConfigError
        If the library lacks the functional, or does not give the values of `on_host`.
    """

    def __init__(self, library: Path, name: str, on_host: Any) -> None:
        self.libxc = ctypes.CDLL(str(library))
        self.libxc.xc_func_alloc.restype = ctypes.c_void_p
        self.functionals = [self._functional(part) for part in name.split("+")]
        self._verify(on_host)

    def _functional(self, name: str) -> ctypes.c_void_p:
        number = self.libxc.xc_functional_get_number(name.encode())
        functional = ctypes.c_void_p(self.libxc.xc_func_alloc())
        if number < 0 or self.libxc.xc_func_init(functional, number, 1):
            raise ConfigError(f"{LIBRARY}: this libxc does not have {name}")
        self.libxc.xc_func_set_fhc_enforcement(functional, 0)
        return functional

    def calculate(
        self, energy: Any, n: Any, potential: Any, sigma: Any, d_sigma: Any, tau: Any, d_tau: Any
    ) -> None:
        """Evaluate as GPAW's kernels do: `potential` is added to, the other results are set."""
        floored = n.copy()
        floored[floored < FEWEST_ELECTRONS] = FEWEST_ELECTRONS
        sigma, tau = cupy.ascontiguousarray(sigma), cupy.ascontiguousarray(tau)
        # Of energy per electron, n, |∇n|², ∇²n and τ: what they are called with, and no more.
        results = [cupy.zeros(n.shape) for _ in range(5)]
        out = (ctypes.c_void_p * RESULTS)(*map(_address, results))
        sums = [cupy.zeros(n.shape) for _ in range(5)]
        for functional in self.functionals:
            self.libxc.xc_mgga_new(
                functional,
                FIRST_DERIVATIVES,
                ctypes.c_size_t(floored.size),
                *(ctypes.c_void_p(_address(array)) for array in (floored, sigma, floored, tau)),
                out,
            )
            sums = [total + result for total, result in zip(sums, results, strict=True)]
        energy[:] = (floored * sums[0]).reshape(energy.shape)
        potential += sums[1]
        d_sigma[:] = sums[2]
        d_tau[:] = sums[4]

    def _verify(self, on_host: Any) -> None:
        """Compare with the host's libxc, from the dilute to the dense, beyond the hole's bound."""
        random = np.random.default_rng(1)
        n = 10 ** random.uniform(-6, 2, size=(1, 1000))
        tau = n ** (5 / 3) * 10 ** random.uniform(-2, 1, size=n.shape)
        sigma = 8 * n * tau * random.uniform(0, 3, size=n.shape)
        expected = [np.zeros(1000), n, np.zeros_like(n), sigma, np.zeros_like(n), tau]
        expected.append(np.zeros_like(n))
        found = [cupy.asarray(array) for array in expected]
        on_host.calculate(*expected)
        self.calculate(*found)
        for index in (0, 2, 4, 6):
            scale = np.abs(expected[index]) + 1e-6
            worst = float((np.abs(cupy.asnumpy(found[index]) - expected[index]) / scale).max())
            if not worst < TOLERANCE:
                raise ConfigError(f"{LIBRARY}: differs by {worst:.1e} from libxc on the host")


def _address(array: Any) -> int:
    """Give where an array's numbers are; GPAW's stand-in for CuPy has them on the host."""
    return array._data.ctypes.data if cupy_is_fake else array.data.ptr  # noqa: SLF001


def verify(xc: str) -> None:
    """Refuse a libxc for CUDA that would not give the values of the one on the host.

    Raises
    ------
    ConfigError
        If one is named, `xc` is a meta-GGA, and it does not.
    """
    path = library()
    if path is None or xc not in META_GGAS:
        return
    kernel = gpaw_functional(xc).kernel
    CudaMetaGga(path, kernel.name, kernel)


def library() -> Path | None:
    """Give the libxc for CUDA that the environment names, if any."""
    name = os.environ.get(LIBRARY)
    return Path(name) if name else None
