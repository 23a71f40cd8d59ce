"""Errors that a user can act on: they are printed without a traceback."""


class GlassmlError(Exception):
    """Something that the user can mend: the message names what, where and what to do."""


class ConfigError(GlassmlError):
    """A campaign configuration that is refused before any job starts."""


class StructureError(GlassmlError):
    """A structure that a stage cannot use."""
