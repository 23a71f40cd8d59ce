"""glassml: from quantum mechanics to the structure of glass, in one cached campaign."""

from importlib.metadata import version

__version__ = version("glassml")
