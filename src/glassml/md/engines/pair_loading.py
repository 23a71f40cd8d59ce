"""Pair potentials for batches: the fastest that a device has, verified."""

import logging

import torch

from glassml.configurations.pair_potentials import POTENTIALS
from glassml.md.engines.pair_model import PairModel
from glassml.md.engines.pair_verification import LARGE, verify
from glassml.potential.packages import choose_device

logger = logging.getLogger(__name__)


def load_pair_model(
    name: str, device: str | None = None, *, kernels: bool = True
) -> tuple[PairModel, dict[str, object]]:
    """Load a pair potential for batches, and describe it for records.

    Parameters
    ----------
    name
        "bks", "chik" or "shik".
    device
        "cpu" or "cuda"; None takes a GPU if there is one.
    kernels
        Whether to compute with kernels of our own, whose forces are verified first.

    Raises
    ------
    PotentialError
        If the kernels' forces are wrong.
    """
    device = choose_device(device)
    described: dict[str, object] = {
        "path": name,
        "sha256": name,
        "source": POTENTIALS[name].source,
        "backend": "pair",
        "device": device,
    }
    place = torch.device(device)
    if not kernels:
        logger.warning(
            "%s by functions of torch, many times slower than kernels of our own: "
            "pair_kernels among md.shortcuts takes these",
            name,
        )
        return PairModel(name, place), described
    try:
        model, checked = _fast(name, place)
    except ImportError as error:
        logger.warning("no kernels for pair potentials, but functions of torch: %s", error)
        return PairModel(name, place), described
    return model, described | {"backend": "pair-kernels", "verification": checked}


def _fast(name: str, device: torch.device) -> tuple[PairModel, dict[str, float]]:
    """Give a model that computes by itself, and how far it is from the reference."""
    if device.type == "cuda":
        # of Triton, which torch brings along for GPUs alone
        from glassml.md.engines.pair_gpu import PairKernels  # noqa: PLC0415

        kernels = PairKernels(name, device)
        return kernels, verify(kernels, repeats=LARGE)
    from glassml.md.engines.pair_cpu import PairLoops  # noqa: PLC0415

    loops = PairLoops(name)
    return loops, verify(loops)
