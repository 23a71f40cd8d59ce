"""One of NequIP's commands, as a process: `python -m glassml.potential.nequip_command NAME ...`."""

import importlib
import importlib.util
import sys
from types import ModuleType

from glassml.campaign.process import live_for

KERNELS = "openequivariance"


def main() -> int:
    """Run the command that the first argument names; "train" takes device, threads and place."""
    name = sys.argv.pop(1)
    command = importlib.import_module(f"nequip.scripts.{name}")
    if name == "train":
        device, threads, place = (sys.argv.pop(1) for _ in range(3))
        sys.argv += _devices(device or None, int(threads), int(place))
    if name == "package":
        _allow_kernels()
    command.main()
    return 0


def _devices(device: str | None, threads: int, place: int) -> list[str]:
    """Say where to train: what belongs to the machine is not part of `train.yaml`."""
    import torch  # noqa: PLC0415

    from glassml.potential.packages import choose_device  # noqa: PLC0415

    if not choose_device(device).startswith("cuda"):
        return ["++trainer.accelerator=cpu", "++trainer.devices=1"]
    workers = max(0, threads - 1)
    return [
        "++trainer.accelerator=gpu",
        f"++trainer.devices=[{place % torch.cuda.device_count()}]",
        f"++data.train_dataloader.num_workers={workers}",
        f"++data.train_dataloader.persistent_workers={str(workers > 0).lower()}",
    ]


def _allow_kernels() -> None:
    """Have packages that can also be evaluated with OpenEquivariance, elsewhere.

    torch.package lets a package import only what could be imported where it was built. So a
    package that was built on a machine without OpenEquivariance could never use its kernels on a
    GPU.
    """
    if importlib.util.find_spec(KERNELS) is None:
        sys.modules[KERNELS] = ModuleType(KERNELS)


if __name__ == "__main__":
    sys.exit(live_for(main))
