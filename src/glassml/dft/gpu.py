"""GPAW's plane-wave code on a GPU, for functionals of which it has no CUDA kernel."""

from types import MethodType
from typing import Any

import gpaw.dft
import gpaw.new.xc
from gpaw.gpu import as_np, cupy


class HostFunctional(gpaw.dft.XC):
    """A GGA that libxc evaluates on the host, while all else of a calculation is on the GPU.

    GPAW's CUDA code evaluates LDA and PBE and refuses other functionals; libxc takes a percent of
    a label's time.

    Parameters
    ----------
    name
        The functional.
    setups
        The functional that setups are named after.
    """

    def __init__(self, name: str, setups: str) -> None:
        super().__init__(name)
        self.setups = setups

    def functional(self, **settings: Any) -> Any:
        """Build GPAW's functional; GPAW calls this once per calculation."""
        functional = super().functional(**settings)
        functional.get_setup_name = MethodType(lambda _: self.setups, functional)
        kernel = functional.kernel

        def evaluate(density: Any, potential: Any, energy: Any, sigma: Any, d_sigma: Any) -> None:
            on_host = [
                as_np(array).copy() for array in (energy, density, potential, sigma, d_sigma)
            ]
            kernel.calculate(*on_host)
            for array, value in ((energy, 0), (potential, 2), (d_sigma, 4)):
                array[:] = cupy.asarray(on_host[value])

        # GPAW takes this function for what it calls PBE; one process calculates one functional.
        functional.name = "PBE"
        gpaw.new.xc.evaluate_pbe_gpu = evaluate  # type: ignore[assignment]
        return functional
