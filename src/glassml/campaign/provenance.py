"""What a file of labels says about how they were calculated: so that functionals never mix."""

import gzip
import json
import re
from functools import lru_cache
from pathlib import Path

from glassml.campaign.files import file_sha256

# Keys of a frame in extxyz: the exchange-correlation functional and the program.
XC, CODE = "REF_xc", "REF_code"


def same_functional(one: str, other: str) -> bool:
    """Whether two names mean one functional: PBEsol, PBE-sol and pbe_sol do."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def stated_functional(path: str | Path) -> str | None:
    """Give the functional that a file of labels states; None where it states none.

    Either `manifest.json` beside it lists the file with its hash and has `settings.xc` (or
    `dft.xc`), or its first frame has `REF_xc`.
    """
    path = Path(path)
    return _stated(path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=64)
def _stated(path: Path, modified: int) -> str | None:
    """Read it once; `modified` keeps a changed file from being taken from the cache."""
    del modified
    return _of_manifest(path) or _of_first_frame(path)


def _of_manifest(path: Path) -> str | None:
    try:
        manifest = json.loads(path.with_name("manifest.json").read_text(encoding="utf-8"))
        known = manifest["files"].get(path.name)
        settings = manifest.get("settings") or manifest.get("dft") or {}
        xc = settings.get("xc")
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return str(xc) if xc and known == file_sha256(path) else None


def _of_first_frame(path: Path) -> str | None:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            file.readline()
            match = re.search(rf'\b{XC}="?([^\s"]+)', str(file.readline(10_000)))
    except (OSError, EOFError, UnicodeDecodeError):
        return None
    return match[1] if match else None


def functional_mistake(path: str | Path, told: str | None, wanted: str) -> str:
    """Say why labels of a file must not be taken into a campaign; empty where they may.

    Parameters
    ----------
    told
        The functional that the configuration says the file has.
    wanted
        The campaign's functional.
    """
    stated = stated_functional(path)
    if stated is not None and told is not None and not same_functional(stated, told):
        return f"{path}: states {stated}, but labels.xc says {told}"
    known = told or stated
    if known is None:
        return (
            f"{path}: does not state its functional; say it with labels: {{xc: …, code: …}} "
            f"(this campaign's is {wanted})"
        )
    if not same_functional(known, wanted):
        return (
            f"{path}: its labels are of {known}, this campaign's of {wanted} (dft.xc): energies of "
            f"two functionals must not be mixed"
        )
    return ""
