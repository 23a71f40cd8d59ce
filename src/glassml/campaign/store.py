"""The label store: each label is computed once, whoever asks for it.

A label is identified by a key, a hash of its structure and of everything that determines its
value. One record per key is written atomically as ``{root}/{key[:2]}/{key}.json``; `pack` moves
records into one zip file, which keeps the number of files small and is read by random access.
Claims (``{root}/claims``) let several processes, also on several machines that share the folder,
work on one list without computing anything twice.
"""

import fcntl
import json
import logging
import os
import socket
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, cast

from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import atomic_path, write_text
from glassml.campaign.locks import boot, born

logger = logging.getLogger(__name__)

CLAIM_HEARTBEAT_S = 60.0
CLAIM_EXPIRES_S = 900.0


_PROCESSES = Path("/proc/self/ns/pid")


class StoreError(GlassmlError):
    """A file of the store that cannot be read, and must not be ignored."""


class Attempt(TypedDict):
    """A recipe that was tried, and how it ended."""

    recipe: str
    reason: str
    seconds: float


class LabelRecord(TypedDict, total=False):
    """What the store knows of a label: plain JSON types.

    Attributes
    ----------
    status
        ``"converged"``, or why there is no label: ``"failed"``, ``"refused"``, ``"imported"``.
    reason
        Of a label that is none.
    recipe, attempts
        What converged; of each recipe that was tried ``recipe``, ``reason``, ``seconds``.
    energy, forces, stress
        In eV, eV/Å and eV/Å³ (Voigt order, tension positive); no stress of isolated atoms.
    scf
        How the last iteration ended, see `glassml.dft.calculation.Converged`.
    structure, settings
        What the key is of, see `glassml.dft.labels` and `glassml.dft.settings`.
    ladder
        The recipes that would have been tried.
    versions
        Of the programs that made it.
    seeded
        Whether it came with a file of labels.
    """

    status: str
    reason: str
    recipe: str
    attempts: list[Attempt]
    energy: float
    forces: list[list[float]]
    stress: list[float] | None
    scf: dict[str, float]
    structure: dict[str, list[Any]]
    settings: dict[str, Any]
    ladder: list[str]
    versions: dict[str, str]
    seeded: bool


class LabelStore:
    """Records by key, in one folder that campaigns and machines can share.

    Parameters
    ----------
    root
        The folder; made when the first record is written.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._packs: dict[Path, zipfile.ZipFile] = {}
        self._packed: dict[str, Path] = {}

    def get(self, key: str) -> LabelRecord | None:
        """Give the record under `key`, or None.

        Loose records win over packed ones, since they are newer. A loose one that is cut off or
        no record counts as none, with a warning.

        Raises
        ------
        StoreError
            If the pack that has the record is damaged: it holds too many to be ignored.
        """
        path = self._path(key)
        try:
            return _record(path.read_bytes())
        except FileNotFoundError:
            pass
        except ValueError as error:
            logger.warning("%s: %s: left alone, and made again", path, error)
        self._open_packs()
        pack = self._packed.get(key)
        if pack is None:
            return None
        try:
            return _record(self._packs[pack].read(key))
        except (ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise StoreError(_damaged(pack, error)) from error

    def put(self, key: str, record: LabelRecord) -> None:
        """Write `record` under `key`, atomically."""
        write_text(self._path(key), json.dumps(record, sort_keys=True, allow_nan=False) + "\n")

    def keys(self) -> set[str]:
        """List the keys of all records, loose and packed."""
        self._open_packs()
        return set(self._packed) | {path.stem for path in self._loose()}

    def items(self) -> Iterator[tuple[str, LabelRecord]]:
        """Go through all records in the order of their keys."""
        for key in sorted(self.keys()):
            record = self.get(key)
            if record is not None:
                yield key, record

    def pack(self) -> int:
        """Move all loose records into a new pack; return their number.

        A kill at any moment leaves each record loose, packed or (harmlessly) both.
        """
        loose = sorted(self._loose())
        if not loose:
            return 0
        name = f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.zip"
        with (
            atomic_path(self.root / "packs" / name) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as pack,
        ):
            for path in loose:
                pack.writestr(path.stem, path.read_text(encoding="utf-8"))
        for path in loose:
            path.unlink()
        return len(loose)

    def put_many(self, records: Mapping[str, LabelRecord], pack_name: str) -> None:
        """Write many records at once as the pack called `pack_name`, replacing it if there."""
        path = self.root / "packs" / f"{pack_name}.zip"
        with (
            atomic_path(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as pack,
        ):
            for key, record in records.items():
                pack.writestr(key, json.dumps(record, sort_keys=True, allow_nan=False))

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Try to become the one process that computes `key`.

        Yields
        ------
        bool
            False if another living process has claimed it. A claim is void when its process died
            on this host, or when it was not refreshed (`refresh_claim`) for 15 minutes.
        """
        path = self.root / "claims" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = self._take_claim(path)
        try:
            yield mine
        finally:
            if mine:
                path.unlink(missing_ok=True)

    def refresh_claim(self, key: str) -> None:
        """Say that the process that claimed `key` is still at it."""
        path = self.root / "claims" / key
        if not path.parent.exists():  # somebody tidied up: the claim is made again
            path.parent.mkdir(parents=True, exist_ok=True)
            self._take_claim(path)
        path.touch()

    def _take_claim(self, path: Path) -> bool:
        # The lock makes looking and taking one step; it is held for microseconds.
        with (path.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.utime(lock.fileno())  # the time of whoever keeps the files
            now_s = os.fstat(lock.fileno()).st_mtime
            if path.exists() and _is_alive(path, now_s):
                return False
            owner = _this_place(path) | {"host": socket.gethostname(), "pid": os.getpid()}
            write_text(path, json.dumps(owner | {"born": born(os.getpid())}))
            return True

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"

    def _loose(self) -> Iterator[Path]:
        # what a killed process had begun to write has a name of its own
        return self.root.glob("[0-9a-f][0-9a-f]/[0-9a-f]*.json")

    def _open_packs(self) -> None:
        for path in sorted((self.root / "packs").glob("[!.]*.zip")):
            if path not in self._packs:
                try:
                    self._packs[path] = zipfile.ZipFile(path)
                except (OSError, zipfile.BadZipFile) as error:
                    raise StoreError(_damaged(path, error)) from error
                self._packed.update(dict.fromkeys(self._packs[path].namelist(), path))


def _record(content: bytes) -> LabelRecord:
    """Read a record.

    Raises
    ------
    ValueError
        If it is cut off, or not one.
    """
    record = json.loads(content)
    if not isinstance(record, dict) or "status" not in record:
        raise ValueError("no record of a label")
    return cast("LabelRecord", record)


def _damaged(pack: Path, error: Exception) -> str:
    return (
        f"{pack}: is damaged ({error}): bring it back from a copy; without one, move it away, and "
        "its labels are calculated again"
    )


def _this_place(claim: Path) -> dict[str, object]:
    """Say which store a claim is in, and whose process numbers it speaks of.

    A copy of a store has the claims of the original; a container has numbers of its own.
    """
    return {
        "folder": claim.parent.stat().st_ino,
        "processes": [boot(), _PROCESSES.stat().st_ino if _PROCESSES.exists() else 0],
    }


def _is_alive(claim: Path, now_s: float) -> bool:
    """Tell whether the owner of a claim still works on it."""
    try:
        owner = dict(json.loads(claim.read_text(encoding="utf-8")))
        age_s = now_s - claim.stat().st_mtime
        here = _this_place(claim)
        if owner.get("folder", here["folder"]) != here["folder"]:
            return False
        if owner.get("processes") == here["processes"]:
            return born(owner["pid"]) == owner["born"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return age_s < CLAIM_EXPIRES_S
