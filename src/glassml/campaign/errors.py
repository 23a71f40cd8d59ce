"""Errors that a user can act on: they are printed without a traceback."""

import signal


class GlassmlError(Exception):
    """Something that the user can mend: the message names what, where and what to do."""


class ConfigError(GlassmlError):
    """A campaign configuration that is refused before any job starts."""


class StructureError(GlassmlError):
    """A structure that a stage cannot use."""


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
