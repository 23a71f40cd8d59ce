"""GPAW's functionals, by the names of the configuration."""

import warnings
from typing import Any

from glassml.campaign.config.dft import setup_type

#: Where GPAW's names differ from those of the configuration.
GPAW_NAMES = {"r2SCAN": "MGGA_X_R2SCAN+MGGA_C_R2SCAN"}


def gpaw_name(xc: str) -> str:
    """Give GPAW's name of a functional."""
    return GPAW_NAMES.get(xc, xc)


def gpaw_functional(xc: str) -> Any:
    """Build GPAW's functional, which takes the setups that there are.

    Raises
    ------
    NameError
        If libxc does not have it.
    """
    from gpaw.xc import XC  # noqa: PLC0415  GPAW is slow to import

    with warnings.catch_warnings():
        # Of every libxc before 7, whatever it was compiled with; the doctor looks at what it does.
        warnings.filterwarnings("ignore", message=".*disable-fhc")
        functional = XC(gpaw_name(xc))
    # GPAW looks for setups named after the functional; there are only those of LDA and PBE.
    functional.get_setup_name = lambda: setup_type(xc)  # type: ignore[method-assign]
    return functional
