"""A page about a file of labels: what it has, of which kinds, within which ranges."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from matplotlib.figure import Figure
from matscipy.neighbours import neighbour_list

from glassml.campaign.defaults import FIRST_SHELL_A
from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import read_json
from glassml.campaign.names import DISORDERED
from glassml.campaign.units import density_g_cm3
from glassml.dataset.build import pressure_of, statistics
from glassml.dataset.labels import Entry, isolated_energies

# Kinds from the largest to the smallest share of a typical set, with a colour each.
COLOURS = {
    "crystal": "#222222",
    "strained": "#7f7f7f",
    "rattled": "#bdbdbd",
    "liquid": "#d62728",
    "glass": "#1f77b4",
    "compressed": "#17a2b8",
    "hot_compressed": "#9467bd",
    "decompressed": "#2ca02c",
    "short_pair": "#ff9f1c",
    "dimer": "#8c564b",
}
ADDED = ("counts", "failures", "recipes")
TABLE = {
    "family": "family",
    "configurations": "labels",
    "parents": "parents",
    "atoms": "atoms",
    "density_g_cm3": "density / g/cm³",
    "energy_eV_per_atom": "energy / eV/atom",
    "force_rms_eV_A": "rms force / eV/Å",
    "force_max_eV_A": "largest force / eV/Å",
    "pressure_GPa": "pressure / GPa",
}


def cohesive_energy(atoms: Atoms, isolated: Mapping[str, float]) -> float:
    """Give the energy in eV/atom relative to isolated atoms; to GPAW's atoms without them."""
    shift = sum(isolated.get(symbol, 0.0) for symbol in atoms.get_chemical_symbols())
    return float(atoms.info["REF_energy"] - shift) / len(atoms)


def family_rows(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Sum up each family, and all: one row with the keys of `TABLE`."""
    rows = []
    for row in statistics(entries, dict.fromkeys(range(len(entries)), "train")):
        labels = int(row["configurations"]) - int(row["without_label"])
        cells = {key: str(row.get(key, "")) for key in TABLE}
        cells["configurations"] = str(labels)
        for key, digits in (("atoms", 0), ("density_g_cm3", 2), ("pressure_GPa", 1)):
            cells[key] = _range(row, key, digits)
        cells["energy_eV_per_atom"] = _range(row, "energy", 2, "_eV_per_atom")
        for key, digits in (("force_rms_eV_A", 2), ("force_max_eV_A", 1)):
            cells[key] = f"{float(row[key]):.{digits}f}" if row.get(key) else ""
        rows.append(cells)
    return rows


def coordination(frames: Sequence[Atoms]) -> tuple[list[float], list[float]]:
    """Give the shares of silicon with 3 to 6 and of oxygen with 1 to 3 neighbours of the other.

    Neighbours are within 2.2 Å, which lies between the first two shells.
    """
    counts: dict[int, list[int]] = {8: [], 14: []}
    for atoms in frames:
        first, second = neighbour_list("ij", atoms, FIRST_SHELL_A)
        unlike = first[atoms.numbers[first] != atoms.numbers[second]]
        number = np.bincount(unlike, minlength=len(atoms))
        for element, values in counts.items():
            values.extend(number[atoms.numbers == element].tolist())
    silicon, oxygen = np.array(counts[14]), np.array(counts[8])
    return (
        [float(np.mean(silicon == number)) for number in (3, 4, 5, 6)],
        [float(np.mean(oxygen == number)) for number in (1, 2, 3)],
    )


def page(
    entries: Sequence[Entry], names: Sequence[str], figure: str, manifest: Mapping[str, Any] | None
) -> str:
    """Write the page in Markdown.

    Parameters
    ----------
    entries
        Labels of the files.
    names, figure
        Of the files, and the path of the figure as the page sees it.
    manifest
        Of `joined_manifest`.
    """
    labelled = [entry for entry in entries if entry.atoms is not None]
    kinds = Counter(entry.config_type for entry in labelled)
    disordered = sum(kinds[kind] for kind in DISORDERED)
    sizes = [len(entry.atoms) for entry in labelled if entry.atoms is not None]
    isolated = isolated_energies(entries)
    summary = (
        f"{', '.join(f'`{name}`' for name in names)}: {len(labelled)} labels of cells of "
        f"{min(sizes)} to {max(sizes)} atoms, {sum(sizes)} atoms in all; "
        f"{disordered} ({100 * disordered / len(labelled):.0f} %) are liquid, glass or compressed "
        "glass. Energy, forces and stress of each; isolated atoms have no stress. Families of "
        "`config/reference.yaml`; this page is written by `glassml dataset describe` from the "
        "files themselves."
    )
    lines = [
        "# The reference set",
        "",
        summary,
        "",
        f"![Labels by density, energy, pressure and force]({figure})",
        "",
        "| kind | labels |",
        "| --- | ---: |",
        *(f"| {kind.replace('_', ' ')} | {number} |" for kind, number in kinds.most_common()),
        "",
        *_defects(labelled),
        "## Families",
        "",
        "Ranges from the lowest to the highest value. Energies are relative to GPAW's reference "
        "atoms, which another functional on their setups shifts by a constant per element"
        + (
            "; isolated atoms have "
            + ", ".join(f"{symbol} {energy:.4f} eV" for symbol, energy in isolated.items())
            + ", of which nothing remains in differences between equal compositions."
            if isolated
            else "."
        ),
        "",
        f"| {' | '.join(TABLE.values())} |",
        f"| --- |{' ---: |' * (len(TABLE) - 1)}",
        *(f"| {' | '.join(row.values())} |" for row in family_rows(entries)),
        "",
    ]
    return "\n".join(map(_wrapped, [*lines, *(_origin(manifest) if manifest else [])]))


def joined_manifest(files: Sequence[Path]) -> dict[str, Any] | None:
    """Join what `glassml dft collect` wrote beside files: numbers of labels add up.

    Returns
    -------
    dict or None
        None where a file has no manifest beside it.

    Raises
    ------
    GlassmlError
        If settings or setups differ: energies of such files do not compare.
    """
    manifests = [_manifest(file) for file in files]
    joined: dict[str, Any] = {}
    for manifest in manifests:
        if manifest is None:
            return None
        joined = joined or manifest | {key: Counter() for key in ADDED}
        for key in ("settings", "setups"):
            if manifest[key] != joined[key]:
                raise GlassmlError(
                    f"{', '.join(map(str, files))}: {key} differ: describe them one by one"
                )
        for key in ADDED:
            joined[key].update(manifest[key])
    return joined


def _manifest(file: Path) -> dict[str, Any] | None:
    beside = file.with_name("manifest.json")
    manifest = read_json(beside) if beside.exists() else {}
    return manifest if file.name in manifest.get("files", {}) else None


def _wrapped(line: str) -> str:
    """Break a paragraph at 100 characters; tables, headings and pictures stay as they are."""
    if line.startswith(("|", "#", "!")):
        return line
    return textwrap.fill(line, 100, break_long_words=False, break_on_hyphens=False)


def plot(entries: Sequence[Entry]) -> Figure:
    """Draw energy and pressure against density, forces, and sizes of cells, by kind."""
    isolated = isolated_energies(entries)
    figure = Figure(figsize=(10.0, 7.5), layout="constrained")
    energy, pressure, force, size = figure.subplots(2, 2).ravel()
    largest = max(len(entry.atoms) for entry in entries if entry.atoms is not None)
    below = np.zeros(largest + 1)
    kinds = dict.fromkeys([*COLOURS, *sorted(entry.config_type for entry in entries)])
    for kind in kinds:
        colour = COLOURS.get(kind, "#e377c2")
        frames = [e.atoms for e in entries if e.config_type == kind and e.atoms is not None]
        if not frames or kind == "isolated_atom":
            continue
        name = f"{kind.replace('_', ' ')} ({len(frames)})"
        dense = [density_g_cm3(atoms) for atoms in frames]
        # Two atoms in a box have no density.
        if kind != "dimer":
            energies = [cohesive_energy(atoms, isolated) for atoms in frames]
            energy.plot(dense, energies, ".", ms=4, color=colour)
            pressure.plot(dense, [pressure_of(atoms) for atoms in frames], ".", ms=4, color=colour)
        norms = np.concatenate([np.linalg.norm(a.arrays["REF_forces"], axis=1) for a in frames])
        bins = np.geomspace(0.01, 100, 41)
        force.hist(norms, bins=bins, histtype="step", color=colour)
        counts = np.bincount([len(atoms) for atoms in frames], minlength=largest + 1)
        size.bar(np.arange(largest + 1), counts, bottom=below, width=1.5, color=colour, label=name)
        below += counts
    energy.set(xlabel="density / g/cm³", ylabel="energy relative to isolated atoms / eV per atom")
    pressure.set(xlabel="density / g/cm³", ylabel="pressure / GPa")
    force.set(xlabel="force on an atom / eV/Å", ylabel="atoms", xscale="log", yscale="log")
    size.set(xlabel="atoms in the cell", ylabel="labels")
    size.legend(fontsize=8)
    return figure


def _defects(labelled: Sequence[Entry]) -> list[str]:
    """Tabulate coordination numbers of what is disordered: how many defects there are."""
    lines = [
        "## Coordination",
        "",
        f"Atoms with so many neighbours of the other element within {FIRST_SHELL_A} Å, per cent.",
        "",
        "| kind | Si 3 | Si 4 | Si 5 | Si 6 | O 1 | O 2 | O 3 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind in DISORDERED:
        frames = [e.atoms for e in labelled if e.config_type == kind and e.atoms is not None]
        if frames:
            silicon, oxygen = coordination(frames)
            shares = " | ".join(f"{100 * share:.1f}" for share in [*silicon, *oxygen])
            lines.append(f"| {kind.replace('_', ' ')} | {shares} |")
    return [*lines, ""]


def _range(row: Mapping[str, int | float | str], key: str, digits: int, end: str = "") -> str:
    """Write the range of a quantity of `statistics`, or one value where both ends agree."""
    stem, _, unit = key.partition("_")
    names = (f"{stem}_min", f"{stem}_max")
    low, high = (row.get(f"{name}_{unit}" if unit else f"{name}{end}", "") for name in names)
    if low == "":
        return ""
    ends = list(dict.fromkeys(f"{float(value):.{digits}f}" for value in (low, high)))
    return " … ".join(ends)


def _origin(manifest: Mapping[str, Any]) -> list[str]:
    """Describe settings, failures and versions, from the manifest."""
    counts, failures = manifest["counts"], manifest["failures"]
    recipes = ", ".join(f"{name} {number}" for name, number in manifest["recipes"].items())
    versions = manifest["versions"]["file"]
    return [
        "## Settings, failures, versions",
        "",
        "| setting | value |",
        "| --- | --- |",
        *(
            f"| `{name}` | {', '.join(value) if isinstance(value, list) else value} |"
            for name, value in manifest["settings"].items()
        ),
        *(f"| setup of {symbol} | {digest} |" for symbol, digest in manifest["setups"].items()),
        "",
        f"{counts['labelled']} labels converged (recipes: {recipes}), {counts['failed']} failed"
        + (": " + "; ".join(f"{n} times {why}" for why, n in failures.items()) if failures else "")
        + f"; {counts['not_calculated']} structures are waiting for their label. Written with "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + ". Hashes of the files are in `manifest.json` beside the labels.",
        "",
    ]
