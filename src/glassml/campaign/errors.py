"""Errors that a user can act on: they are printed without a traceback."""

import errno
import os
import re
import signal

#: Of a full disk, a used-up quota, and a limit on the size of files.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}


class GlassmlError(Exception):
    """Something that the user can mend: the message names what, where and what to do."""


class ConfigError(GlassmlError):
    """A campaign configuration that is refused before any job starts."""


class StructureError(GlassmlError):
    """A structure that a stage cannot use."""


def file_trouble(error: OSError) -> str | None:
    """Say in a sentence what is wrong with a file or its disk; None where it is something else.

    HDF5 gives the number of its errors in their text.
    """
    found = re.search(r"errno = (\d+)", str(error))
    number = error.errno or (int(found[1]) if found else None)
    where = f"{error.filename}: " if error.filename is not None else ""
    if number in FULL:
        return (
            f"{where}no space is left on the disk, or none that you may use: what was written "
            "before is whole; free some, and the same command goes on"
        )
    if number in NOT_WRITABLE:
        return f"{where}cannot be read or written here ({os.strerror(number)})"
    return f"{where}{os.strerror(number)}" if number is not None and where else None


class Interrupted(Exception):  # noqa: N818  (the run is whole and goes on when called again)
    """A signal asked the run to stop; it goes on from its checkpoint.

    Parameters
    ----------
    number
        The signal.
    kept
        What is kept, for the message.
    progressed
        Whether anything was done since the command began.
    """

    def __init__(
        self, number: int, kept: str = "a checkpoint is written", *, progressed: bool = True
    ) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; {kept}")
        self.number = number
        self.progressed = progressed
