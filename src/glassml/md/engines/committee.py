"""A committee that is asked for its forces beside the steps of a batch, not between them."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from ase import Atoms

from glassml.potential.disagreement import worst_force
from glassml.potential.padded import RECORDING

#: Of each glass, largest standard deviation of a force in eV/Å, and the atom that has it.
Spreads = list[tuple[float, int]]


class Committee:
    """Members that a thread asks, on a GPU in a stream of its own.

    Parameters
    ----------
    members
        Models as those that move a batch.
    """

    def __init__(self, members: Sequence[Any]) -> None:
        self._members = list(members)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="committee")
        self._waiting: Future[Spreads] | None = None
        on_gpu = any(member.device.type == "cuda" for member in members)
        self._stream = torch.cuda.Stream() if on_gpu else None

    def __len__(self) -> int:
        return len(self._members)

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch; nothing may be asked for that is not answered."""
        for member in self._members:
            member.place(glasses)

    def ask(
        self,
        positions: torch.Tensor,
        cells: torch.Tensor,
        forces: torch.Tensor,
        counts: Sequence[int],
    ) -> None:
        """Begin to ask the members about a batch, which may move on meanwhile.

        Parameters
        ----------
        positions, cells, forces
            Of the batch, and what moves it; copied.
        counts
            Atoms of each glass.
        """
        places, boxes, pulls = positions.clone(), cells.clone(), forces.clone()
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream())
        self._waiting = self._thread.submit(self._spreads, places, boxes, pulls, list(counts))

    def answer(self) -> Spreads:
        """Wait for what was asked for last, and give it; nothing if nothing was."""
        waiting, self._waiting = self._waiting, None
        return [] if waiting is None else waiting.result()

    def _spreads(
        self,
        positions: torch.Tensor,
        cells: torch.Tensor,
        forces: torch.Tensor,
        counts: Sequence[int],
    ) -> Spreads:
        with RECORDING, torch.cuda.stream(self._stream):
            found = [forces.cpu().numpy()]
            found += [member(positions, cells)["forces"].cpu().numpy() for member in self._members]
        ends = np.cumsum(counts)
        return [
            worst_force([each[end - count : end] for each in found])
            for count, end in zip(counts, ends, strict=True)
        ]
