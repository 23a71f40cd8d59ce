"""Lives of processes: as short as can be, and none longer than its parent's.

NequIP's modules, and those that they need, are 400,000 objects. Python's collector looks through
all of them several times while they are loaded (0.7 s), and takes them apart at the end (1.1 s).
What a command needs of both is little.
"""

import atexit
import ctypes
import gc
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PARENT = "GLASSML_PARENT"  # in the environment: whom a process shall not outlive


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


def output_is_closed() -> bool:
    """Tell whether nobody reads this process's output any more, and if so stop writing there."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # it is no file
        return False
    watch = select.poll()
    watch.register(output, select.POLLERR)
    if not watch.poll(0):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output)
    os.close(nowhere)
    return True


def die_with(parent: int) -> None:
    """Have the kernel kill this process at once when its parent ends, however that ends.

    To the kernel the parent is the thread that started this process: let the main one do that.

    Parameters
    ----------
    parent
        Process that started this one, by its id. If it is gone by now, this process ends here.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)
