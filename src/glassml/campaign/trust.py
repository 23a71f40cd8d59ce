"""Which packages of potentials are loaded: a package is code, and loading one runs it.

A NequIP package (`.nequip.zip`) holds Python modules beside the weights, and a compiled model
(`.nequip.pt2`) machine code. Known, by their SHA-256, are those that ship with glassml, those that
a campaign made, and those that `potential.trust` of its configuration names.
"""

import csv
import os
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import file_sha256, write_text

#: Hashes that this process, and those that it starts, trust beside what ships.
VARIABLE = "GLASSML_TRUST"
SHIPPED = Path(__file__).with_name("config") / "packages.csv"
#: Below a campaign's results: an empty file for each package that it made, named by its hash.
MADE = Path("potential") / "made"
PREFIX = "sha256:"


class UntrustedError(GlassmlError):
    """A package that nothing vouches for."""


@cache
def shipped() -> dict[str, str]:
    """Give the packages that ship with glassml: their files by their hashes."""
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        return {row["sha256"]: row["file"] for row in csv.DictReader(file)}


def trust(hashes: Iterable[str]) -> None:
    """Trust packages in this process and in those that it starts."""
    known = _trusted() | {each.removeprefix(PREFIX) for each in hashes}
    os.environ[VARIABLE] = ",".join(sorted(known))


def trust_campaign(results: str | Path, hashes: Iterable[str] = ()) -> None:
    """Trust what a campaign made, and what its configuration names.

    Parameters
    ----------
    results
        Folder of the campaign's results.
    hashes
        Of `potential.trust`.
    """
    folder = Path(results) / MADE
    trust([*hashes, *(path.name for path in folder.glob("[0-9a-f]*"))])


def record_made(config: Path, name: str, path: Path) -> None:
    """Note that a campaign made a package, for its later commands.

    Parameters
    ----------
    config, name
        The campaign's configuration, and its name: the note goes beside the configuration where
        that stands among the results, as `campaign.yaml` does, else below `results/{name}`.
    path
        The package.
    """
    inside = path.resolve().is_relative_to(config.resolve().parent)
    results = config.parent if inside else Path("results") / name
    made = file_sha256(path)
    write_text(results / MADE / made, "")
    trust([made])


def mistake(path: str | Path, hashes: Iterable[str] = ()) -> str:
    """Say why a package must not be loaded; empty where it may.

    Parameters
    ----------
    path
        The package.
    hashes
        Trusted beside what ships and what this process trusts.
    """
    found = file_sha256(path)
    named = {each.removeprefix(PREFIX) for each in hashes}
    if found in shipped() or found in _trusted() | named:
        return ""
    if not zipfile.is_zipfile(path):
        return f"{path}: cannot be loaded as a potential: it is not a whole zip file"
    return (
        f"{path}: loading a package runs the code in it, and nothing vouches for this one: if you "
        f"trust where it is from, add {PREFIX}{found} to potential.trust (or to the variable "
        f"{VARIABLE})"
    )


def require(path: str | Path) -> None:
    """Refuse a package that is not known.

    Raises
    ------
    UntrustedError
        Naming its hash, and the key that trusts it.
    """
    if found := mistake(path):
        raise UntrustedError(found)


def _trusted() -> set[str]:
    named = os.environ.get(VARIABLE, "").split(",")
    return {each.strip().removeprefix(PREFIX) for each in named if each.strip()}
