"""What is said of a batch that does not fit into the memory of its device."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil
import torch

from glassml.campaign.errors import GlassmlError

#: As torch says it, of a GPU and of a CPU.
ASKED = re.compile(r"tried to allocate ([\d.]+) ([KMGT]iB|bytes)", re.IGNORECASE)
GIB = {"bytes": 2.0**-30, "KiB": 2.0**-20, "MiB": 2.0**-10, "GiB": 1.0, "TiB": 2.0**10}


@contextmanager
def fits(counts: Sequence[int], device: torch.device) -> Iterator[None]:
    """Say in a sentence that there was too little memory for a batch.

    Parameters
    ----------
    counts
        Atoms of each glass.
    device
        Where it moves.

    Raises
    ------
    GlassmlError
        In place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        asked = ASKED.search(str(error))
        if asked is None:
            raise
        more = float(asked[1]) * GIB[asked[2]]
        raise GlassmlError(
            f"{len(counts)} glasses of {sum(counts):,} atoms together do not fit into the memory "
            f"of {_described(device)}: {more:.2g} GiB more were asked for; take fewer glasses in a "
            "batch (`glassml md all --batches`), smaller ones (md.atoms), or a device with more"
        ) from error


def _described(device: torch.device) -> str:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
    else:
        memory = psutil.virtual_memory()
        free, total, name = memory.available, memory.total, "this machine"
    return f"{name}, of whose {total / 2**30:.3g} GiB {free / 2**30:.3g} are free"
