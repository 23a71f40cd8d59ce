"""Functions of tensors, fused into few kernels on a GPU: launches take longer than small work."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import torch

logger = logging.getLogger(__name__)


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function once for all MD stages and batches of a process."""
    # numbers of atoms and pairs change
    return torch.compile(function, dynamic=True)


class Kernel:
    """A function of tensors: as it is on a CPU, compiled on a GPU where that works.

    Parameters
    ----------
    function
        Returns new tensors, and changes none.
    device
        Where its tensors are.
    """

    def __init__(self, function: Callable[..., Any], device: torch.device) -> None:
        self.function = function
        self._compiled: Callable[..., Any] | None = None
        if device.type == "cuda":
            self._compiled = _compiled(function)

    def __call__(self, *inputs: Any) -> Any:
        """Call the function."""
        if self._compiled is None:
            return self.function(*inputs)
        try:
            return self._compiled(*inputs)
        except Exception as error:  # noqa: BLE001  (compilers fail in all sorts of ways)
            logger.warning("%s is not compiled: %s", self.function.__name__, error)
            self._compiled = None
            return self.function(*inputs)
