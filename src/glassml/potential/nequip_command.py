"""One of NequIP's commands, as a process: `python -m glassml.potential.nequip_command NAME ...`."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import yaml

from glassml.campaign.process import PARENT, die_with, live_for
from glassml.potential.training import CONFIG

KERNELS = "openequivariance"
#: What does the same in less time, and is thus no part of `train.yaml`, which names a training.
FASTER = {
    "nequip.data.datamodule.ASEDataModule": "glassml.potential.datamodule.PreparedDataModule",
    "nequip.train.MuonWithAuxAdam": "glassml.potential.muon.StackedMuon",
}


def main() -> int:
    """Run the command that the first argument names: "train", "package" or "compile".

    "package" takes a checkpoint and the package to make of it. "train" takes device, threads,
    place, then what "package" takes, then the arguments of `nequip-train`.
    """
    if parent := os.environ.get(PARENT):
        die_with(int(parent))
    _, name, *arguments = sys.argv
    if name == "package":
        _package(*arguments)
    elif name == "train":
        device, threads, place, checkpoint, package, *arguments = arguments
        arguments += faster(Path(checkpoint).with_name(CONFIG))
        _run(name, arguments + _devices(device or None, int(threads), int(place)))
        if Path(checkpoint).exists():
            _package(checkpoint, package)  # at once: to load NequIP anew takes longer
    else:
        _run(name, arguments)
    return 0


def _run(name: str, arguments: list[str]) -> None:
    command = importlib.import_module(f"nequip.scripts.{name}")
    sys.argv[1:] = arguments
    command.main()


def _package(checkpoint: str, package: str) -> None:
    """Make a package, whole or not at all, that OpenEquivariance can evaluate elsewhere.

    torch.package lets a package import only what could be imported where it was built. So a
    package that was built on a machine without OpenEquivariance could never use its kernels on a
    GPU.
    """
    output = Path(package)
    importlib.import_module("nequip.scripts.package")
    if importlib.util.find_spec(KERNELS) is None:
        sys.modules[KERNELS] = ModuleType(KERNELS)
    with TemporaryDirectory(dir=output.parent, prefix=".tmp-") as place:
        # a package holds its own name, which must not differ between two of the same
        made = Path(place) / output.name
        _run("package", ["build", checkpoint, str(made)])
        made.replace(output)


def faster(config: Path) -> list[str]:
    """Say what takes the place of NequIP's own in the training that a file describes."""
    training = yaml.safe_load(config.read_text())
    targets = {
        "data": training["data"]["_target_"],
        "training_module.optimizer": training["training_module"]["optimizer"]["_target_"],
    }
    return [
        f"++{place}._target_={FASTER[target]}"
        for place, target in targets.items()
        if target in FASTER
    ]


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


if __name__ == "__main__":
    sys.exit(live_for(main))
