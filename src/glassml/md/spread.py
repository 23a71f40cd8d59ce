"""States of batches of glasses over the GPUs of a machine, by a process for each GPU.

Nobody deals the work out: each process takes the next batch of a state that is ready and that no
other has. So each loads the potential once, and none waits while there is something to do.
"""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassml.campaign.errors import GlassmlError, Interrupted
from glassml.campaign.files import write_json
from glassml.campaign.locks import LockedError, hold
from glassml.campaign.signals import SignalWatch
from glassml.md.protocol import digest

logger = logging.getLogger(__name__)

#: Seconds between two looks for work that became ready, or for a process that ended.
POLL_S = 0.5


@dataclass(frozen=True)
class Task:
    """A state of some glasses, which move in one batch.

    Parameters
    ----------
    state, parent
        Names in the configuration, or the folder of a classical quench; a melt has no parent.
    glasses
        Their names.
    quench_GPa
        The pressure in GPa of a classical quench; None for a state of the configuration.
    """

    state: str
    parent: str | None
    glasses: tuple[str, ...]
    quench_GPa: float | None = None

    def is_done(self, results: Path) -> bool:
        """Tell whether all glasses have the record of this state."""
        return all((results / self.state / name / "record.json").exists() for name in self.glasses)

    def is_ready(self, results: Path) -> bool:
        """Tell whether all glasses have the record of the state before."""
        return self.parent is None or Task(self.parent, None, self.glasses).is_done(results)

    def claim(self, results: Path) -> Path:
        """Give the folder whose lock the process holds that runs this."""
        return results / self.state / f".batch_{digest(list(self.glasses))[:12]}"


def batches(results: Path, names: Sequence[str], wanted: int | None, gpus: int) -> list[list[str]]:
    """Divide the glasses into batches, and keep to that when the runs go on.

    Glasses of a batch share random numbers, so that a glass's run is another in another batch.

    Parameters
    ----------
    results
        Of all states; `batches.json` is in it.
    names
        Of the glasses.
    wanted
        Number of batches; None: as many as GPUs, as far as there are glasses for them.
    gpus
        Number of GPUs.

    Raises
    ------
    GlassmlError
        If the runs have begun with another number of batches than is wanted.
    """
    kept = results / "batches.json"
    if kept.exists():
        found: list[list[str]] = json.loads(kept.read_text(encoding="utf-8"))
        if [name for batch in found for name in batch] == list(names):
            if wanted not in (None, len(found)):
                raise GlassmlError(
                    f"--batches {wanted}: {kept} says {len(found)}, with which the runs began: "
                    "leave --batches out, or choose another --output-dir"
                )
            return found
    count = min(len(names), gpus if wanted is None else wanted)
    made = [part.tolist() for part in np.array_split(np.array(names), count)]
    write_json(kept, made)
    return made


def run_ready(tasks: Sequence[Task], results: Path, run: Callable[[Task], None]) -> None:
    """Run what no other process runs, in the order of `tasks`, until all are done.

    Parameters
    ----------
    tasks
        Parents before children.
    results
        Of all states.
    run
        Runs one.
    """
    while missing := [task for task in tasks if not task.is_done(results)]:
        for task in missing:
            if task.is_ready(results) and _run_alone(task, results, run):
                break
        else:
            time.sleep(POLL_S)


def _run_alone(task: Task, results: Path, run: Callable[[Task], None]) -> bool:
    """Run a task unless another process does; tell whether it is this one that has."""
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(task.claim(results), "runs this state", wait=False))
        except LockedError:
            return False
        if not task.is_done(results):
            run(task)
        return True


def devices(device: str | None, wanted: int | None) -> list[str | None]:
    """Give what `CUDA_VISIBLE_DEVICES` is for each process; None leaves it as it is.

    Parameters
    ----------
    device
        "cuda" or None takes all GPUs, another name one process.
    wanted
        Number of processes, in place of the number of GPUs.
    """
    visible: list[str] = []
    if device in (None, "cuda"):
        import torch  # noqa: PLC0415  (seconds to import)

        count = torch.cuda.device_count()
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        visible = listed.split(",")[:count] if listed else [str(gpu) for gpu in range(count)]
    if not visible or (wanted or len(visible)) == 1:
        return [None] * (wanted or 1)
    return [visible[place % len(visible)] for place in range(wanted or len(visible))]


def spread(arguments: Sequence[str], places: Sequence[str | None]) -> int:
    """Run `glassml` with these arguments in a process for each place, until all have ended.

    If one fails the others are stopped, which can go on; so are all when a signal comes.

    Returns
    -------
    int
        Exit code: 0, or that of the process that failed.

    Raises
    ------
    Interrupted
        If a signal came.
    """
    code = 0
    with SignalWatch() as watch:
        running = [_start(arguments, place, number) for number, place in enumerate(places)]
        stopping = False
        while running:
            time.sleep(POLL_S)
            ended = [process for process in running if process.poll() is not None]
            running = [process for process in running if process not in ended]
            failed = [process.returncode for process in ended if process.returncode != 0]
            code = code or next(iter(failed), 0)
            if (watch.number or code) and not stopping:
                stopping = True
                for process in running:
                    process.terminate()
    if watch.number:
        raise Interrupted(watch.number)
    if code:
        logger.error("a process failed, the others were stopped: the same command goes on")
    return code


def _start(arguments: Sequence[str], place: str | None, number: int) -> subprocess.Popen:
    environment = os.environ | {"TQDM_POSITION": str(number)}
    if place is not None:
        environment["CUDA_VISIBLE_DEVICES"] = place
    # a signal of the terminal comes through this process alone
    return subprocess.Popen(
        [sys.executable, "-m", "glassml", *arguments], env=environment, process_group=0
    )
