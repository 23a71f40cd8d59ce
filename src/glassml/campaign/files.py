"""Atomic writes: a file is either whole or not there, also after kill -9; digests of files."""

import csv
import errno
import gzip
import hashlib
import io
import json
import os
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from glassml.campaign.errors import GlassmlError

#: What libraries raise on files that are cut off or not theirs.
UNREADABLE = (OSError, EOFError, ValueError, KeyError, IndexError, BadZipFile, zlib.error)


#: A disk with less room than that is full: programs that stopped there say so badly, if at all.
FULL_BYTES = 1_000_000


class UnreadableError(GlassmlError):
    """A file that is not what it should be."""


def file_sha256(path: str | Path) -> str:
    """Digest a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that replaces it when the block ends well.

    Parameters
    ----------
    path
        The file to write. Its directory is made if need be.

    Yields
    ------
    Path
        Write here; the suffix is that of `path`, for libraries that look at it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}{path.name}")
    temporary.touch(exist_ok=False)  # readable for whom the umask and the folder's list say
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:  # writes do not say which file they were to
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def require_room(path: Path, size: int = FULL_BYTES) -> None:
    """Refuse to write where a disk has no room: for what fails badly, or dumbly, on a full one.

    Parameters
    ----------
    path
        A file, or where one will be.
    size
        Bytes that it takes.

    Raises
    ------
    OSError
        With the number of a full disk, of which `glassml` makes a sentence.
    """
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Refuse a file that is cut off, or that is something else, by its name.

    Parameters
    ----------
    path
        The file that is read in the block.
    what
        What it should be, for the message.

    Raises
    ------
    UnreadableError
        In place of what the reading raised.
    """
    try:
        yield
    except (GlassmlError, FileNotFoundError):
        raise
    except UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise UnreadableError(f"{path}: is not, or not the whole of, {what}: {reason}") from error


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    UnreadableError
        If it is cut off, or is not JSON.
    """
    with reading(path, "a JSON file"):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_table_text(path: str | Path) -> str:
    """Read a CSV as text, for whatever parses it.

    Raises
    ------
    UnreadableError
        If it is cut off, or is not text. Within a line that shows in nothing else: a number that
        lost its last digits is a number.
    """
    with reading(path, "a table"):
        text = Path(path).read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            raise ValueError("its last line does not end")
        return text


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV as rows by column; errors as `read_table_text`."""
    return list(csv.DictReader(io.StringIO(read_table_text(path))))


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_gzip(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` compressed, atomically; equal contents give equal bytes."""
    with atomic_path(path) as temporary:
        # no name and no time go into the file
        temporary.write_bytes(gzip.compress(content, mtime=0))


def write_json(path: str | Path, data: object) -> None:
    """Write `data` to `path` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_csv(
    path: str | Path, rows: Iterable[Mapping[str, object]], columns: Sequence[str]
) -> None:
    """Write `rows` to `path` as CSV with a header of `columns`, atomically."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
