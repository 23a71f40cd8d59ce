"""Collect what the store holds of a campaign into one file that can be shipped."""

import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import iread, write

from glassml.campaign.files import atomic_path
from glassml.campaign.store import LabelStore
from glassml.dft.labels import label_key, labelled_atoms
from glassml.dft.settings import determining_settings


def labelled_configurations(
    paths: Iterable[Path], store: LabelStore, dft: Mapping[str, Any]
) -> Iterator[tuple[Atoms, dict[str, Any] | None]]:
    """Go through configurations with their labels, without calculating anything.

    Parameters
    ----------
    paths
        extxyz files of configurations.
    store
        Where labels are looked up.
    dft
        Section `dft` of a campaign as a mapping.

    Yields
    ------
    tuple
        The configuration, labelled where the store has a converged label, and the store's
        record; None where it has none.
    """
    for path in paths:
        if path.stat().st_size == 0:
            continue
        for atoms in iread(path, index=":", format="extxyz"):
            key = label_key(atoms, determining_settings(atoms, dft))
            record = store.get(key)
            if record is not None and record["status"] == "converged":
                yield labelled_atoms(atoms, key, record), record
            else:
                yield atoms, record


def write_compressed(path: Path, frames: list[Atoms]) -> None:
    """Write labelled structures as compressed extxyz, atomically; equal input, equal bytes."""
    text = io.StringIO()
    write(text, frames, format="extxyz")
    # No name and no time go into the file.
    content = gzip.compress(text.getvalue().encode(), mtime=0)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
