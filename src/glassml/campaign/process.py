"""Shorter lives for processes: what Python does beside a command that loads NequIP.

Its modules, and those that they need, are 400,000 objects. Python's collector looks through all of
them several times while they are loaded (0.7 s), and takes them apart at the end (1.1 s). What a
command needs of both is little.
"""

import atexit
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress


def load_faster() -> None:
    """Have this process look through all of its objects more seldom; new ones as often as ever."""
    new, middle, _ = gc.get_threshold()
    gc.set_threshold(new, middle, 100)


def live_for(command: Callable[[], int]) -> int:
    """Run the command that this process is for, after which it ends without more ado.

    Parameters
    ----------
    command
        Gives the exit code; where it raises, the process ends as any other.

    Returns
    -------
    int
        The exit code, to leave with.
    """
    load_faster()
    codes: list[int] = []
    atexit.register(_end, codes)  # before what libraries register, and thus called after that
    codes.append(command())
    return codes[0]


def _end(codes: list[int]) -> None:
    """End this process where it would take its modules apart, if its command is over."""
    if not codes or "torch" not in sys.modules:
        return
    with suppress(OSError, ValueError):  # what cannot be written is told by Python's own end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(codes[0])
