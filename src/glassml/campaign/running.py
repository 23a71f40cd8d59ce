"""One run of a campaign at a time: a lock that ends with its process, whatever ends that."""

import atexit
import logging
import os
import tempfile
from pathlib import Path

from glassml.campaign.locks import FolderLock

logger = logging.getLogger(__name__)


def hold_campaign(results: str | Path) -> None:
    """Claim a campaign's results for this process until it ends.

    Parameters
    ----------
    results
        Folder of the campaign's results.

    Raises
    ------
    LockedError
        If another living process holds it. Unlike Snakemake's own lock, which `kill -9` leaves
        behind, this one needs no unlocking.
    """
    lock = FolderLock(results, "runs this campaign")
    lock.acquire(wait=False)
    atexit.register(lock.release)


def bring_back_times(results: str | Path) -> list[Path]:
    """Set the times of files that lie in the future to now.

    A node whose clock is ahead leaves such files, and Snakemake refuses, and removes, whatever a
    job makes of them: it is older than what it was made of.

    Parameters
    ----------
    results
        Folder of the campaign's results.

    Returns
    -------
    list of Path
        The files whose times were changed.
    """
    with tempfile.TemporaryFile(dir=results) as probe:  # the clock of whoever keeps the files
        now_s = os.fstat(probe.fileno()).st_mtime
    ahead = [path for path in Path(results).rglob("*") if _changed_s(path) > now_s + 1]
    for path in ahead:
        os.utime(path, (now_s, now_s), follow_symlinks=False)
    if ahead:
        logger.warning(
            "%s and %d more files lie in the future: their times are now; a clock is wrong",
            ahead[0],
            len(ahead) - 1,
        )
    return ahead


def _changed_s(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # a job of an earlier run has just removed it
        return 0.0
