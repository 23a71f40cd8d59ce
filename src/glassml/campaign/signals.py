"""Signals that ask a command to end while it can still go on later, and what SLURM does then.

SIGTERM and SIGINT come from a user, a scheduler or a shutdown. SIGURG comes from SLURM some minutes
before a job's time is up (`sbatch --signal=URG@240`, in profiles/slurm): it is the one signal that
means nothing to the shells and to the Snakemake in between. A command that has got on since it
began then asks SLURM to run its job again, which counts as no failure; one that has not fails, and
is retried with more time.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Self

from glassml.campaign.errors import Interrupted

logger = logging.getLogger(__name__)

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGURG)
#: SLURM ends a job that is to run again within `KillWait`, by default 30 s.
REQUEUED_S = 120.0


_early: list[int] = []


def listen() -> None:
    """Note SIGURG from here on: it may come while a command still loads its libraries."""
    signal.signal(signal.SIGURG, lambda number, _frame: _early.append(number))


class SignalWatch(AbstractContextManager):
    """Notes these signals instead of dying of them, so that a checkpoint can be written."""

    def __init__(self) -> None:
        self.number: int | None = _early[0] if _early else None
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        for number in ENDING:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the former handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number


@contextmanager
def interrupting(kept: str) -> Iterator[None]:
    """Raise `Interrupted` where one of these signals comes, instead of dying of it.

    Parameters
    ----------
    kept
        What is kept of the work, for the message.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number, kept)

    previous = {number: signal.signal(number, end) for number in ENDING}
    try:
        if _early:
            raise Interrupted(_early[0], kept)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def ends_its_time(interruption: Interrupted) -> bool:
    """Have SLURM run this job again, if its time was nearly up and the command had got on.

    Returns
    -------
    bool
        Whether SLURM will; it ends this process soon after.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if interruption.number != signal.SIGURG or not interruption.progressed or job is None:
        return False
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        logger.warning("SLURM does not run job %s again: %s", job, said)
        return False
    logger.info("the time of SLURM job %s is nearly up: it will run again, and go on here", job)
    return True


def wait_to_be_ended() -> None:
    """Wait for SLURM to end this process: its exit must not be taken for the job's own end."""
    time.sleep(REQUEUED_S)
