"""One run of a campaign at a time: a lock that ends with its process, whatever ends that."""

import fcntl
import os
from pathlib import Path
from typing import IO

from glassml.campaign.errors import GlassmlError

_held: list[IO[str]] = []  # open files hold their locks until the process ends


class AlreadyRunningError(GlassmlError):
    """Another process runs the campaign."""


def hold_campaign(results: str | Path) -> None:
    """Claim a campaign's results for this process until it ends.

    Parameters
    ----------
    results
        Folder of the campaign's results.

    Raises
    ------
    AlreadyRunningError
        If another living process holds it. Unlike Snakemake's own lock, which `kill -9` leaves
        behind, this one needs no unlocking.
    """
    path = Path(results) / ".running"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        raise AlreadyRunningError(
            f"{results}: process {file.read().strip() or 'unknown'} runs this campaign already: "
            "wait for it, or stop it"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    _held.append(file)
