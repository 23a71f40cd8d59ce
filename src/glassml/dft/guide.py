"""Potentials that say where relaxations step: guides from NequIP packages."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from ase import Atoms

from glassml.dft.relaxation import Guide, Relaxation, guided_rest
from glassml.potential.packages import telling_what_is_wrong


def package_guide(package: Path, device: str, processes: int) -> Guide:
    """Make a guide of a NequIP package, which works in processes of its own.

    The labels are forked from this process: they could not use a GPU that a potential touched here.

    Parameters
    ----------
    package
        A NequIP package.
    device
        "cpu", where the same labels give the same steps, or "cuda", where sums come in any order.
    processes
        Relaxations at once.
    """
    with telling_what_is_wrong(package):  # before anything is labelled
        pass

    def guide(relaxations: Sequence[Relaxation]) -> Sequence[Atoms]:
        workers = min(processes, len(relaxations))
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            return list(pool.map(partial(_guided, package, device), relaxations))

    return guide


def _guided(package: Path, device: str, relaxation: Relaxation) -> Atoms:
    import torch  # noqa: PLC0415  (seconds to import)

    from glassml.potential.calculators import load_calculator  # noqa: PLC0415

    torch.set_num_threads(1)  # the relaxations share the cores; and sums keep their order
    return guided_rest(load_calculator(package, device=device), relaxation)
