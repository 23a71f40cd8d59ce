"""Independent pieces of work in forked processes: a crash or a time-out costs one piece."""

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from glassml.campaign.process import die_with
from glassml.campaign.store import LabelRecord


@dataclass
class Worker:
    """A piece of work under way."""

    item: int
    process: BaseProcess
    receiver: Connection
    deadline: float


class CrashError(Exception):
    """A worker ended without a result: killed, crashed, out of time, or by an exception."""


class GpuError(CrashError):
    """A worker's GPU failed: its memory was full, or another process on it did something wrong."""


def start_worker(item: int, work: Callable[[int], LabelRecord], seconds: float) -> Worker:
    """Start ``work(item)`` in a forked process that may take `seconds`.

    The fork inherits what the parent has loaded, so that loading GPAW is paid once.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(os.getpid(), item, work, sender), daemon=True)
    process.start()
    sender.close()
    return Worker(item, process, receiver, time.monotonic() + seconds)


def wait_any(
    workers: list[Worker], seconds: float
) -> Iterator[tuple[Worker, LabelRecord | CrashError]]:
    """Wait up to `seconds` for workers to end, or for their time to; give each that did.

    Parameters
    ----------
    workers
        Ended ones are removed from this list.
    seconds
        Longest wait; it ends when the time of a worker is up.

    Yields
    ------
    tuple
        The worker and what its work returned, or a `CrashError` that says how it ended.
    """
    sentinels = [worker.process.sentinel for worker in workers]
    receivers = [worker.receiver for worker in workers]
    nearest = min((worker.deadline for worker in workers), default=math.inf) - time.monotonic()
    multiprocessing.connection.wait([*sentinels, *receivers], max(0.0, min(seconds, nearest)))
    for worker in list(workers):
        outcome = _outcome(worker)
        if outcome is not None:
            workers.remove(worker)
            worker.receiver.close()
            worker.process.join()
            yield worker, outcome


def _outcome(worker: Worker) -> LabelRecord | CrashError | None:
    """Give a worker's result, or why there is none; None while it works."""
    if worker.receiver.poll():
        try:
            return worker.receiver.recv()
        except EOFError:
            worker.process.join()
            return CrashError(_describe_exit(worker.process.exitcode))
    if not worker.process.is_alive():
        return CrashError(_describe_exit(worker.process.exitcode))
    if time.monotonic() >= worker.deadline:
        worker.process.kill()
        return CrashError("took longer than allowed")
    return None


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _child(parent: int, item: int, work: Callable[[int], LabelRecord], sender: Connection) -> None:
    # A calculation must not outlive its shard: another process would start it again.
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGURG, signal.SIG_IGN)
    try:
        result: LabelRecord | CrashError = work(item)
    except Exception as error:  # noqa: BLE001  whatever it is, it is this piece's reason
        of_gpu = type(error).__module__.startswith("cupy")
        result = (GpuError if of_gpu else CrashError)(f"{type(error).__name__}: {error}")
    sender.send(result)
    sender.close()
