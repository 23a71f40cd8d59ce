"""One run of a campaign at a time: a lock that ends with its process, whatever ends that."""

import atexit
from pathlib import Path

from glassml.campaign.locks import FolderLock


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
