"""ASE calculators from NequIP packages and from models compiled on this machine."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ase.calculators.calculator import Calculator

from glassml.campaign.files import read_json
from glassml.potential.packages import (
    COMPILED_MODEL,
    COMPILED_RECORD,
    PotentialError,
    choose_device,
    load_package,
    machine,
    telling_what_is_wrong,
)

if TYPE_CHECKING:
    from glassml.potential.padded import PaddedNetwork

logger = logging.getLogger(__name__)

AOTINDUCTOR, CUDA_GRAPH, EAGER = "aotinductor", "cuda_graph", "eager"
#: With fused convolutions pairs beyond the cutoff cost next to nothing, a new list does.
FUSED_SKIN_A = 1.0


def load_calculator(
    package: Path, compiled: Path | None = None, device: str | None = None
) -> Calculator:
    """Load a potential as an ASE calculator.

    Parameters
    ----------
    package
        A NequIP package, `model.nequip.zip`.
    compiled
        The folder `compiled/` of a member, which says how the package is evaluated here. One of
        another device or another version of torch means the package itself, evaluated eagerly.
    device
        "cpu" or "cuda"; None takes a GPU if there is one.

    Returns
    -------
    Calculator
        Energies in eV, forces in eV/Å, stress in eV/Å³ (tension positive). Its `parameters`
        have `backend` ("aotinductor", "cuda_graph" or "eager") and `device`.

    Raises
    ------
    PotentialError
        If a file is missing, or is not a potential.
    """
    device = choose_device(device)
    backend = choose_backend(Path(compiled), device) if compiled is not None else EAGER
    if backend == AOTINDUCTOR and compiled is not None:
        source = Path(compiled) / COMPILED_MODEL
    else:
        source = Path(package)
    return load_backend(source, backend, device)


def load_backend(source: Path, backend: str, device: str) -> Calculator:
    """Load a potential that is evaluated in a given way.

    Parameters
    ----------
    source
        A compiled model for "aotinductor", else a package.
    backend
        "aotinductor", "cuda_graph" or "eager".
    device
        "cpu" or "cuda".

    Returns
    -------
    Calculator
        As `load_calculator` gives it.

    Raises
    ------
    PotentialError
        If the file is missing, or is not a potential.
    """
    with telling_what_is_wrong(source):
        calculator = _load(source, backend, device)
    calculator.parameters["backend"] = backend
    calculator.parameters["device"] = device
    return calculator


def _load(source: Path, backend: str, device: str) -> Calculator:
    if backend == AOTINDUCTOR:
        from nequip.integrations.ase import NequIPCalculator  # noqa: PLC0415

        return NequIPCalculator.from_compiled_model(
            source, device=device, chemical_species_to_atom_type_map=True
        )
    if backend == CUDA_GRAPH:
        from glassml.potential.padded import PaddedCalculator  # noqa: PLC0415

        return PaddedCalculator(_graphed(source, device))
    return load_package(source, device)


def _graphed(source: Path, device: str) -> "PaddedNetwork":
    """Give a network for a CUDA graph, with fused convolutions where those are for it."""
    from glassml.potential.padded import FUSED, load_network  # noqa: PLC0415

    if device.startswith("cuda"):
        try:
            return load_network(source, device, skin_A=FUSED_SKIN_A, shortcuts=(FUSED,))[0]
        except PotentialError as error:
            logger.warning("no fused convolutions: %s", error)
    return load_network(source, device)[0]


def choose_backend(compiled: Path, device: str) -> str:
    """Say how a package is evaluated on this machine.

    Parameters
    ----------
    compiled
        The folder `compiled/` of a member.
    device
        "cpu" or "cuda".

    Returns
    -------
    str
        "aotinductor", "cuda_graph", or "eager", also where the folder is of another machine.
    """
    record = read_json(compiled / COMPILED_RECORD)
    if record["backend"] == EAGER:
        return EAGER
    here = machine(device)
    if record["machine"] != here:
        logger.warning(
            "%s was compiled for %s, this is %s: using the package itself",
            compiled,
            record["machine"],
            here,
        )
        return EAGER
    return str(record["backend"])


def package_species_and_cutoff(package: Path) -> tuple[list[str], float]:
    """Give the chemical symbols of a package, in the order of its types, and its cutoff in Å."""
    calculator = load_calculator(package, device="cpu")
    metadata = calculator.model.metadata  # type: ignore[attr-defined]
    return metadata["type_names"].split(" "), float(metadata["r_max"])
