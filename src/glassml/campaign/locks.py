"""Locks of folders that end with their process, whatever ends it, and whichever node it is on.

The lock itself is `flock`, which the kernel drops when the process ends; NFS and Lustre (mounted
with `flock`) pass it on to other nodes. Where they do not, the holder's name in the file, which
it touches every 20 s, keeps other nodes away: a holder that was not heard of for three minutes
is dead. The age of a touch is told by the file server's own clock.
"""

import contextlib
import fcntl
import json
import logging
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from glassml.campaign.errors import GlassmlError

logger = logging.getLogger(__name__)

HEARTBEAT_S = 20.0
EXPIRES_S = 180.0
POLL_S = 2.0


class LockedError(GlassmlError):
    """Another process holds the folder."""


class LostLockError(GlassmlError):
    """Another process took the folder while this one slept or could not be heard of."""


class FolderLock:
    """A lock on a folder, held through the file `.lock` in it.

    Parameters
    ----------
    folder
        The folder; made when the lock is taken.
    use
        What the holder does with it, for messages: "runs this state".

    Attributes
    ----------
    waited
        Whether another process held it when it was asked for.
    """

    def __init__(self, folder: str | Path, use: str) -> None:
        self.path = Path(folder) / ".lock"
        self.use = use
        self.waited = False
        self._file: IO[str] | None = None
        self._token = uuid.uuid4().hex
        self._ended = threading.Event()

    def acquire(self, *, wait: bool) -> None:
        """Take the lock.

        Parameters
        ----------
        wait
            Wait for its holder, however long that takes, instead of raising.

        Raises
        ------
        LockedError
            If another process holds it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+", encoding="utf-8")
        while not self._try():
            holder = _describe(self._read())
            if not wait:
                self._file.close()
                raise LockedError(
                    f"{self.path.parent}: {holder} {self.use} already: wait for it, or stop it"
                )
            if not self.waited:
                logger.warning("%s: waiting for %s, which %s", self.path.parent, holder, self.use)
                self.waited = True
            time.sleep(POLL_S)
        self._write(_this_process() | {"token": self._token})
        threading.Thread(target=self._beat, daemon=True, name=f"lock {self.path}").start()

    def release(self) -> None:
        """Give the lock back, so that nobody waits for a sign of life."""
        self._ended.set()
        if self._file is None or self._file.closed:
            return
        with contextlib.suppress(OSError):
            if self._read().get("token") == self._token:
                self._write({})
        self._file.close()

    def check(self) -> None:
        """Raise unless this process still holds the lock: called before what must not be mixed.

        Raises
        ------
        LostLockError
            If another process has taken it, because this one was not heard of for minutes.
        """
        owner = self._read()
        if owner.get("token") != self._token:
            raise LostLockError(
                f"{self.path.parent}: {_describe(owner)} took over while this process was not "
                "heard of: this one stops, and that one goes on"
            )

    def _try(self) -> bool:
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: the holder's name alone decides
            works = False
        else:
            works = True
        if not _may_live(self._read(), self._silence(), locks_work=works):
            return True
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return False

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def _silence(self) -> float:
        """Give the seconds since the last touch, by the clock of whoever keeps the files."""
        with tempfile.TemporaryFile(dir=self.path.parent) as probe:
            return os.fstat(probe.fileno()).st_mtime - self.path.stat().st_mtime

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _write(self, owner: dict[str, object]) -> None:
        assert self._file is not None
        self._file.truncate(0)
        self._file.write(json.dumps(owner) if owner else "")
        self._file.flush()


@contextmanager
def hold(folder: str | Path, use: str, *, wait: bool = True) -> Iterator[FolderLock]:
    """Hold a folder for the length of a block.

    Parameters
    ----------
    folder, use
        As in `FolderLock`.
    wait
        As in `FolderLock.acquire`.

    Yields
    ------
    FolderLock
    """
    lock = FolderLock(folder, use)
    lock.acquire(wait=wait)
    try:
        yield lock
    finally:
        lock.release()


def _may_live(owner: dict[str, Any], silence_s: float, *, locks_work: bool) -> bool:
    """Tell whether the named holder may live although the kernel gave us the lock."""
    if not owner:
        return False
    if owner.get("boot") == boot():
        return not locks_work and born(owner["pid"]) == owner["born"]
    return abs(silence_s) < EXPIRES_S


def _this_process() -> dict[str, Any]:
    own = os.getpid()
    job = os.environ.get("SLURM_JOB_ID")
    return {
        "host": socket.gethostname(),
        "boot": boot(),
        "pid": own,
        "born": born(own),
        "slurm_job": job,
    }


def _describe(owner: dict[str, object]) -> str:
    if not owner:
        return "another process"
    job = f" (SLURM job {owner['slurm_job']})" if owner.get("slurm_job") else ""
    return f"process {owner.get('pid')} on {owner.get('host')}{job}"


def boot() -> str:
    """Name the kernel that this process runs under: containers of one host share it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return socket.gethostname()


def born(pid: int) -> str | None:
    """Give the start time of a process, which tells it from a later one of the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
