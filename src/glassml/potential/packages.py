"""NequIP packages: the machine that they are compiled for, and the error that names a bad one."""

from typing import Any

from glassml.campaign.errors import GlassmlError

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


def with_openequivariance(model: Any) -> Any:
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
