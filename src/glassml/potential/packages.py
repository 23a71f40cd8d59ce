"""NequIP packages: the machine that they are compiled for, and the error that names a bad one."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ase.calculators.calculator import Calculator

from glassml.campaign.errors import GlassmlError
from glassml.campaign.trust import mistake

if TYPE_CHECKING:
    import torch

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


def with_openequivariance(model: "torch.nn.Module") -> "torch.nn.Module":
    """Give a NequIP model whose tensor products are those of OpenEquivariance, for a GPU."""
    from nequip.model.modify_utils import modify  # noqa: PLC0415

    return modify(model, [{"modifier": "enable_OpenEquivariance"}])


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


@contextmanager
def telling_what_is_wrong(source: Path) -> Iterator[None]:
    """Refuse a file that is missing, untrusted, or cannot be loaded as a potential, by its name.

    Raises
    ------
    PotentialError
        In place of what the loading raised; also if nothing vouches for the file, since loading
        it would run what is in it.
    """
    if not source.is_file():
        raise PotentialError(f"{source}: there is no such potential")
    if refused := mistake(source):
        raise PotentialError(refused)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notices of torch about its own internals
            yield
    except PotentialError:
        raise
    except Exception as error:
        raise PotentialError(f"{source}: cannot be loaded as a potential: {error}") from error


def load_package(source: Path, device: str) -> Calculator:
    """Load a NequIP package as it is, evaluated eagerly.

    Raises
    ------
    PotentialError
        If the file is missing, or is not a potential.
    """
    from nequip.integrations.ase import NequIPCalculator  # noqa: PLC0415

    with telling_what_is_wrong(source):
        return NequIPCalculator._from_saved_model(  # noqa: SLF001
            source, device=device, chemical_species_to_atom_type_map=True
        )
