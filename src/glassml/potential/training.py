"""Train with NequIP's own trainer in a process of its own, and go on where a kill stopped it."""

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glassml.campaign.errors import Interrupted
from glassml.campaign.files import atomic_path, file_sha256, require_room
from glassml.campaign.process import PARENT
from glassml.campaign.signals import interrupting
from glassml.campaign.trust import trust
from glassml.potential.packages import PotentialError

logger = logging.getLogger(__name__)

CONFIG = "train.yaml"
LAST = "last.ckpt"
BEST = "best.ckpt"
HISTORY = "history.csv"
DONE = "done"
PACKAGE = "model.nequip.zip"
PROGRAM = "glassml.potential.nequip_command"
HISTORY_COLUMNS = (
    "epoch",
    "seconds",
    "learning_rate",
    "train_loss",
    "validation_loss",
    "validation_energy_mae_meV_per_atom",
    "validation_force_mae_eV_per_A",
    "validation_stress_mae_GPa",
)


def training_digest(*determinants: str) -> str:
    """Name a training by all that determines it: the trainer's configuration, and the labels.

    A training that was killed is found again by this name, and one of other labels or settings
    is never mistaken for it.
    """
    return hashlib.sha256("\0".join(determinants).encode()).hexdigest()[:16]


def train(folder: Path, device: str | None = None, threads: int = 1, place: int = 0) -> None:
    """Run `nequip-train` in `folder`, from its last checkpoint if there is one, and package it.

    Parameters
    ----------
    folder
        Holds `train.yaml`; receives `last.ckpt`, `best.ckpt`, `history.csv`, and the package, which
        `package` takes from there.
    device
        "cpu" or "cuda"; None takes a GPU if there is one.
    threads
        CPU threads: on a GPU those beyond the first prepare batches.
    place
        Among the trainings at the same time: they are spread over the GPUs.

    Raises
    ------
    PotentialError
        If the trainer fails.
    Interrupted
        If a signal came; call again to go on.
    """
    with _alone(folder) as lock:
        if (folder / DONE).exists():
            logger.info("training in %s is complete", folder)
            return
        before = _modified(folder / LAST)
        try:
            command = _train_command(folder, device, threads, place)
            run_nequip(command, threads, folder / LAST, keep_open=(lock,))
        except Interrupted as interruption:
            interruption.progressed = _modified(folder / LAST) != before
            raise
        if not (folder / BEST).exists():
            raise PotentialError(f"{folder}: training left no checkpoint: see the log above")
        (folder / DONE).touch()


def _modified(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Wait until no other process trains in `folder`, e.g. one that outlived a killed workflow.

    The trainer inherits the lock, so that it is held until the trainer itself has ended.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another process trains in %s: waiting for it", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _train_command(folder: Path, device: str | None, threads: int, place: int) -> list[str]:
    """Put together the command line of the trainer."""
    # Which devices there are, the trainer itself finds: to ask torch takes a second to load it.
    command = ["train", device or "", str(threads), str(place)]
    command += [str(folder / BEST), str(folder / PACKAGE)]
    command += ["-cp", str(folder.resolve()), "-cn", Path(CONFIG).stem]
    command += [f"hydra.run.dir={folder}/hydra", "hydra/job_logging=stdout"]
    if (folder / LAST).exists():
        logger.info("going on from %s", folder / LAST)
        command.append(f"++ckpt_path={folder / LAST}")
    return command


def package(folder: Path, output: Path) -> None:
    """Make `output` of the best checkpoint, with the averaged weights, once training is done."""
    made = folder / PACKAGE
    with _alone(folder), atomic_path(output) as temporary:
        if not made.exists():
            run_nequip(["package", str(folder / BEST), str(made)], 1, made)
        shutil.move(made, temporary)
    trust([file_sha256(output)])


def run_nequip(
    command: list[str], threads: int, output: Path, keep_open: tuple[int, ...] = ()
) -> None:
    """Run one of NequIP's commands ("train", "package", "compile") with this Python.

    `output` is what it writes: where that has no room, that is said.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        PARENT: str(os.getpid()),  # as an orphan it would slow down what is started anew
    }
    logger.info("nequip-%s", " ".join(command))
    name, command = command[0], [sys.executable, "-m", PROGRAM, *command]
    # Signals are for the main thread alone, which the child's life hangs on.
    with interrupting("training goes on from its last epoch"):
        process = subprocess.Popen(command, env=environment, pass_fds=keep_open)
        try:
            code = process.wait()
        except BaseException:
            process.kill()  # at most the epochs since the last checkpoint are lost
            process.wait()
            raise
    if code != 0:
        require_room(output)
        raise PotentialError(f"nequip-{name} ended with exit code {code}: see the log above")
