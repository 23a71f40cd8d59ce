"""Collect what the store holds of a campaign into one file that can be shipped."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from ase import Atoms
from ase.io import write

from glassml.campaign.config import Campaign
from glassml.campaign.config.dft import Dft
from glassml.campaign.extxyz import read_extxyz
from glassml.campaign.files import file_sha256, write_gzip
from glassml.campaign.store import LabelRecord, LabelStore
from glassml.dft.labels import PROTOCOL, label_key, labelled_atoms
from glassml.dft.settings import determining_settings, setup_digest


def labelled_configurations(
    paths: Iterable[Path], store: LabelStore, dft: Dft
) -> Iterator[tuple[Atoms, LabelRecord | None]]:
    """Go through configurations with their labels, without calculating anything.

    Parameters
    ----------
    paths
        extxyz files of configurations.
    store
        Where labels are looked up.
    dft
        Section `dft` of a campaign.

    Yields
    ------
    tuple
        The configuration, labelled where the store has a converged label, and the store's
        record; None where it has none.
    """
    for path in paths:
        if path.stat().st_size == 0:
            continue
        for atoms in read_extxyz(path):
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
    write_gzip(path, text.getvalue().encode())


def manifest(
    found: Sequence[tuple[Atoms, LabelRecord | None]],
    inputs: Iterable[Path],
    output: Path,
    campaign: Campaign,
) -> dict[str, object]:
    """Describe a file of labels: where it comes from, and what made it.

    Parameters
    ----------
    found
        As `labelled_configurations` gives them.
    inputs, output
        The files of configurations, and that of the labels.
    campaign
        Whose labels they are.

    Returns
    -------
    dict
        ``files`` and ``inputs`` (SHA-256 by name), ``counts`` (``labelled``, ``failed``,
        ``not_calculated``), ``recipes`` and ``failures`` (counts), ``settings`` of the labels with
        the digests of the ``setups``, the ``protocol`` of the key, and ``versions``: of GPAW and
        others by number of labels, where the store knows, and of what wrote the file.
    """
    records = [record for _, record in found if record is not None]
    converged = [record for record in records if record["status"] == "converged"]
    failed = [record for record in records if record["status"] == "failed"]
    elements = sorted({symbol for atoms, _ in found for symbol in atoms.get_chemical_symbols()})
    settings = campaign.dft.model_dump(mode="json")
    used: dict[str, Counter[str]] = {}
    for record in converged:
        for name, number in record["versions"].items():
            used.setdefault(name, Counter())[number] += 1
    return {
        "campaign": campaign.name,
        "seed": campaign.seed,
        "files": {output.name: file_sha256(output)},
        "inputs": {path.name: file_sha256(path) for path in inputs},
        "counts": {
            "labelled": len(converged),
            "failed": len(failed),
            "not_calculated": len(found) - len(records),
        },
        "recipes": dict(Counter(record["recipe"] for record in converged)),
        "failures": dict(Counter(record["reason"] for record in failed)),
        "protocol": PROTOCOL,
        "settings": {
            name: value
            for name, value in settings.items()
            if name.endswith(("_eV", "_eV2", "_per_A", "tolerance")) or name in {"xc", "recipes"}
        },
        "setups": {symbol: setup_digest(symbol, campaign.dft.xc) for symbol in elements},
        "versions": {
            "labels": {name: dict(counts) for name, counts in used.items()},
            "file": {name: version(name) for name in ("glassml", "gpaw", "gpaw-data", "ase")},
        },
    }
