"""Several steps of a batch in one CUDA graph, for a model that never waits for the device.

A step of some thousand atoms takes a GPU less time than its kernels take to be launched. So steps
are recorded and replayed together. Whether the model's neighbour list had room is looked at after
each replay; if it had not, the steps are made again from where they began, with more room.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch

from glassml.campaign.errors import GlassmlError
from glassml.potential.padded import RECORDING, Result

logger = logging.getLogger(__name__)

#: Times that room is made for the same steps.
MOST_MENDINGS = 20
#: Relative difference between a graph and its steps, whose lists may have been built elsewhere.
GRAPH_TOLERANCE = 1e-8


@runtime_checkable
class Launched(Protocol):
    """What a model of a batch has besides that `Launches` makes its steps.

    Attributes
    ----------
    steps_at_once
        Numbers of steps of a graph; the largest that fits is taken first.
    layout
        Changes when what a graph points to is gone.
    """

    steps_at_once: tuple[int, ...]
    layout: int

    def launch(
        self, positions: torch.Tensor, cells: torch.Tensor, *, energy: bool = True
    ) -> Result:
        """Compute as `__call__`, without a look at whether the list has room."""

    def mend(self, positions: torch.Tensor, cells: torch.Tensor) -> bool:
        """Tell whether steps from there have to be made again, for which there is room now."""

    def renew(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Prepare for the next steps, from there."""


class Launches:
    """Makes the steps of a stage in graphs of several steps; one after the other on a CPU.

    Parameters
    ----------
    ramped
        A `RampedBatch` whose model is `Launched`.
    """

    _OF_BATCH = ("positions", "momenta", "cells", "energy", "forces", "stress")
    _OWN = ("strain_momenta", "strain_forces")

    def __init__(self, ramped: Any) -> None:
        self.ramped = ramped
        self._graphs: dict[int, tuple[Callable[[], None], dict[str, torch.Tensor | None]]] = {}
        self._state: dict[str, torch.Tensor] = {}
        self._layout: Any = None

    def advance(self, count: int) -> None:
        """Make steps.

        Raises
        ------
        GlassmlError
            If the neighbour list cannot be given enough room.
        """
        while count > 0:
            lengths = self.ramped.batch.model.steps_at_once
            length = next(length for length in lengths if length <= count)
            self._advance(length)
            count -= length

    def _advance(self, length: int) -> None:
        ramped = self.ramped
        noise, strain_noise = ramped.noise(length)
        inputs = {
            "targets": ramped.targets(ramped.step + 1, length),
            "noise": noise,
            "strain_noise": strain_noise,
        }
        self._hold()
        begin = {name: tensor.clone() for name, tensor in self._state.items()}
        where, model = (begin["positions"], begin["cells"]), ramped.batch.model
        model.renew(*where)
        for _ in range(MOST_MENDINGS):
            if model.layout != self._layout:
                self._graphs.clear()
                self._layout = model.layout
            if self._replayed(length, inputs) and not model.mend(*where):
                ramped.step += length
                return
            self._restore(begin)
        raise GlassmlError(
            f"the neighbour list found no room after {MOST_MENDINGS} tries: atoms pile up, or the "
            "box changes by more than a tenth in a few steps; look at the time step and the start"
        )

    def _replayed(self, length: int, inputs: dict[str, torch.Tensor | None]) -> bool:
        """Make steps by a graph; tell whether there is one."""
        if length not in self._graphs:
            recorded = self._record(length, inputs)
            if recorded is None:
                return False
            self._graphs[length] = recorded
        replay, fixed = self._graphs[length]
        for name, tensor in inputs.items():
            if tensor is not None:
                fixed[name].copy_(tensor)  # type: ignore[union-attr]
        replay()
        return True

    def _hold(self) -> None:
        """Keep the state in tensors that stay where they are."""
        for owner, name in self._places():
            current = getattr(owner, name)
            if name not in self._state:
                self._state[name] = current.clone()
            elif current is not self._state[name]:
                self._state[name].copy_(current)
            setattr(owner, name, self._state[name])

    def _places(self) -> list[tuple[object, str]]:
        batch = self.ramped.batch
        return [(batch, name) for name in self._OF_BATCH] + [
            (self.ramped, name) for name in self._OWN
        ]

    def _record(
        self, length: int, inputs: dict[str, torch.Tensor | None]
    ) -> tuple[Callable[[], None], dict[str, torch.Tensor | None]] | None:
        """Record so many steps, from the state to the state; None if their list was no good."""
        fixed = {name: None if x is None else x.clone() for name, x in inputs.items()}

        def steps() -> None:
            ramped, model = self.ramped, self.ramped.batch.model
            for step in range(length):
                rows = {name: None if x is None else x[step] for name, x in fixed.items()}
                last = step == length - 1

                def found(positions: torch.Tensor, cells: torch.Tensor, last: bool = last) -> Any:
                    return model.launch(positions, cells, energy=last)

                ramped.move(rows["targets"], rows["noise"], rows["strain_noise"], found)
            for owner, name in self._places():
                self._state[name].copy_(getattr(owner, name))
                setattr(owner, name, self._state[name])

        if self.ramped.batch.cells.device.type != "cuda":
            return steps, fixed
        with RECORDING:
            replay = self._captured(steps)
        return None if replay is None else (replay, fixed)

    def _captured(self, steps: Callable[[], None]) -> Callable[[], None] | None:
        """Give a graph of steps, whose result is that of the steps; else the steps themselves."""
        begin = {name: tensor.clone() for name, tensor in self._state.items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            steps()  # compiles the kernels
            expected = {name: tensor.clone() for name, tensor in self._state.items()}
            self._restore(begin)
        torch.cuda.current_stream().wait_stream(stream)
        model = self.ramped.batch.model
        if model.mend(begin["positions"], begin["cells"]):
            return None
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                steps()
        except RuntimeError as error:
            logger.warning("no CUDA graph of several steps: %s", error)
            self._restore(begin)
            return steps
        self._restore(begin)
        graph.replay()
        off = {
            name: float((self._state[name] - value).abs().max() / (1.0 + value.abs().max()))
            for name, value in expected.items()
        }
        self._restore(begin)
        if not max(off.values()) < GRAPH_TOLERANCE:
            logger.warning("a CUDA graph goes elsewhere than its steps: not used: %s", off)
            return steps
        return graph.replay

    def _restore(self, begin: dict[str, torch.Tensor]) -> None:
        """Go back to where steps began, also from steps that broke off between two tensors."""
        for owner, name in self._places():
            self._state[name].copy_(begin[name])
            setattr(owner, name, self._state[name])
