"""ASE calculators from NequIP packages and from models compiled on this machine."""

import json
import logging
import warnings
from pathlib import Path

from ase.calculators.calculator import Calculator

from glassml.campaign.errors import GlassmlError

logger = logging.getLogger(__name__)

COMPILED_MODEL = "model.nequip.pt2"
COMPILED_RECORD = "compiled.json"


class PotentialError(GlassmlError):
    """A potential, or what it is made from, that cannot be used."""


def choose_device(device: str | None = None) -> str:
    """Give `device`, or "cuda" where there is a GPU that torch can use, else "cpu"."""
    import torch  # noqa: PLC0415  (seconds to import, and not needed to parse a command line)

    if device is not None:
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_calculator(
    package: Path, compiled: Path | None = None, device: str | None = None
) -> Calculator:
    """Load a potential as an ASE calculator.

    Parameters
    ----------
    package
        A NequIP package, `model.nequip.zip`.
    compiled
        The folder `compiled/` of a member, or a compiled model (`.nequip.pt2`). A folder that
        holds no model, or one for another device or version of torch, means the package itself,
        evaluated eagerly.
    device
        "cpu" or "cuda"; None takes a GPU if there is one.

    Returns
    -------
    Calculator
        Energies in eV, forces in eV/Å, stress in eV/Å³ (tension positive). Its `parameters`
        have `backend`, "aotinductor" or "eager", and `device`.

    Raises
    ------
    PotentialError
        If a file is missing, or is not a potential.
    """
    from nequip.integrations.ase import NequIPCalculator  # noqa: PLC0415

    device = choose_device(device)
    model = find_compiled_model(Path(compiled), device) if compiled is not None else None
    source = Path(package) if model is None else model
    if not source.is_file():
        raise PotentialError(f"{source}: there is no such potential")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notices of torch about its own internals
            if model is None:
                calculator = NequIPCalculator._from_saved_model(  # noqa: SLF001
                    source, device=device, chemical_species_to_atom_type_map=True
                )
            else:
                calculator = NequIPCalculator.from_compiled_model(
                    source, device=device, chemical_species_to_atom_type_map=True
                )
    except Exception as error:
        raise PotentialError(f"{source}: cannot be loaded as a potential: {error}") from error
    calculator.parameters["backend"] = "eager" if model is None else "aotinductor"
    calculator.parameters["device"] = device
    return calculator


def find_compiled_model(compiled: Path, device: str) -> Path | None:
    """Give the compiled model that fits this machine, or None where the package is to be used.

    Parameters
    ----------
    compiled
        A compiled model, which is given back as it is, or the folder `compiled/` of a member.
    device
        "cpu" or "cuda".
    """
    if compiled.suffix == ".pt2":
        return compiled
    record = json.loads((compiled / COMPILED_RECORD).read_text(encoding="utf-8"))
    if record["backend"] != "aotinductor":
        return None
    here = machine(device)
    if record["machine"] != here:
        logger.warning(
            "%s was compiled for %s, this is %s: using the package itself",
            compiled,
            record["machine"],
            here,
        )
        return None
    return compiled / COMPILED_MODEL


def package_species_and_cutoff(package: Path) -> tuple[list[str], float]:
    """Give the chemical symbols of a package, in the order of its types, and its cutoff in Å."""
    calculator = load_calculator(package, device="cpu")
    metadata = calculator.model.metadata  # type: ignore[attr-defined]
    return metadata["type_names"].split(" "), float(metadata["r_max"])


def machine(device: str) -> dict[str, str]:
    """Describe what a compiled model is bound to: versions, device and instruction set."""
    import nequip  # noqa: PLC0415
    import torch  # noqa: PLC0415

    name = (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else torch.backends.cpu.get_cpu_capability()
    )
    return {
        "device": device,
        "processor": name,
        "torch": torch.__version__,
        "nequip": nequip.__version__,
    }
