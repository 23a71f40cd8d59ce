"""Pieces of a benchmark: each on its own, so that one which fails costs only itself.

Tables are written row by row. A piece that ended, or failed, is left out when the benchmark is
started again in the same folder, and one that found no time is not: a GPU that refuses all work
after a kernel's bad access is one's own again in a new process.
"""

import csv
import json
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from glassml.campaign.files import write_csv

#: What a process ends with whose GPU refuses all work.
GPU_LOST = 3
NO_TIME = "no time left"
COLUMNS = ("piece", "outcome", "seconds", "result")


class PieceTimeout(BaseException):
    """The time of a piece is over; nothing that catches errors on its way takes it for one."""


class Pieces:
    """Runs pieces until the time is over, and keeps what came of each.

    Parameters
    ----------
    folder
        Of the tables.
    seconds
        For all pieces.
    device
        "cuda", or "cpu" for trying the benchmark itself.
    """

    def __init__(self, folder: Path, seconds: float, device: str) -> None:
        self.folder, self.device = folder, torch.device(device)
        self.end = time.monotonic() + seconds
        folder.mkdir(parents=True, exist_ok=True)
        self.tables = {path.stem: _rows(path) for path in folder.glob("*.csv")}
        begun = [row for row in self.tables.get("pieces", []) if row["outcome"] != NO_TIME]
        self.tables["pieces"], self._done = begun, {row["piece"] for row in begun}

    @property
    def gpu(self) -> bool:
        """Whether this is a measurement."""
        return self.device.type == "cuda"

    def run(self, name, function, *args, at_least_s=0.0, at_most_s=40.0):
        """Call a function with this object and `args`; nothing that it raises ends the others."""
        if name in self._done:
            return
        begin = time.monotonic()
        left = self.end - begin
        row = {"piece": name, "outcome": "done"}
        if left < max(at_least_s, 0.1):
            row["outcome"] = NO_TIME
        else:
            signal.signal(signal.SIGALRM, _too_long)
            signal.setitimer(signal.ITIMER_REAL, min(at_most_s, left + 3.0))
            try:
                row["result"] = json.dumps(function(self, *args), default=str)
                self.wait()
            except (Exception, PieceTimeout) as error:  # noqa: BLE001  (the others go on)
                row["outcome"] = f"{type(error).__name__}: {error}"[:300]
                traced = f"{name}\n{traceback.format_exc()}\n"
                print(traced, file=sys.stderr, flush=True)
                with (self.folder / "errors.txt").open("a") as file:
                    file.write(traced)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
        row["seconds"] = f"{time.monotonic() - begin:.2f}"
        self.row("pieces", row, COLUMNS)
        self._go_on_only_with_a_gpu()

    def row(self, table, row, columns=None):
        """Add a row to a table on disk."""
        rounded = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
        rows = self.tables.setdefault(table, [])
        rows.append(rounded)
        write_csv(self.folder / f"{table}.csv", rows, columns or tuple(rows[0]))
        print(table, rounded, flush=True)

    def wait(self):
        """Wait for the device."""
        if self.gpu:
            torch.cuda.synchronize()

    def _go_on_only_with_a_gpu(self):
        if not self.gpu:
            return
        try:
            torch.cuda.empty_cache()
            torch.cuda.synchronize()
        except RuntimeError as error:
            print(f"the GPU is lost: {error}", flush=True)
            sys.exit(GPU_LOST)


def _too_long(*_):
    raise PieceTimeout("the piece's time is over")


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def kernel_times(pieces, function, times=20):
    """Give microseconds a call of each kernel, from torch's profiler."""
    function()
    pieces.wait()
    if not pieces.gpu:
        begin = time.perf_counter()
        function()
        return {"host": 1e6 * (time.perf_counter() - begin)}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(times):
            function()
        pieces.wait()
    return {
        event.key[:60]: event.self_device_time_total / times
        for event in profile.key_averages()
        if event.self_device_time_total > 0
    }


def time_steps(pieces, moving, seconds):
    """Give seconds of a step and the number of steps measured."""
    begin, count = time.perf_counter(), 0
    pieces.wait()
    while count < (32 if pieces.gpu else 16) or time.perf_counter() - begin < seconds:
        moving.advance(16)
        count += 16
    pieces.wait()
    return (time.perf_counter() - begin) / count, count
