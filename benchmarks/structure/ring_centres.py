"""S(Q) of ring centres by several definitions: what counting rings many times does to it.

    python benchmarks/structure/ring_centres.py FOLDER ...

Each FOLDER is a state, with final.extxyz.gz in a folder for each of its glasses, as
`resources/study/ambient`. Of each state and criterion it prints the mean of S(Q) of the centres in
windows of Q, with its standard error over glasses, by three definitions: each ring counted once;
rings that pass the same Si counted as one; these weighted by their shares of the Si, as glassml
does.
"""

import gzip
import io
import sys
from pathlib import Path

import numpy as np
from ase.io import read

from glassml.structure import find_bonds, find_rings
from glassml.structure.lattice import lattice_sums
from glassml.structure.rings.centres import distinct_centres

WINDOWS = ((0.0, 0.4), (0.6, 1.0), (1.4, 1.6), (1.6, 1.8), (1.8, 2.0), (5.0, 6.0))
BIN = 0.02


def in_windows(positions, cell, weights):
    """Mean of |Σ w exp(iQ·r)|²/Σw² in each window."""
    everything = np.ones(len(positions), dtype=bool)
    sums = lattice_sums(positions, cell, everything, WINDOWS[-1][1], BIN, weights=weights)
    edges = [[round(q / BIN) for q in window] for window in WINDOWS]
    means = [sums[0, low:high].sum() / sums[3, low:high].sum() for low, high in edges]
    return np.array(means) / (weights**2).sum()


def definitions(atoms, criterion, bonds):
    """S(Q) of the centres by each definition, and the number of rings per Si it counts."""
    rings = find_rings(atoms, criterion, bonds=bonds)
    centres = distinct_centres(rings)
    alike, distinct = np.ones(len(rings)), np.ones(len(centres.weight))
    si = bonds.is_former.sum()
    return {
        f"each ring ({len(rings) / si:.2f}/Si)": (rings.centres, alike),
        f"distinct ({len(distinct) / si:.2f}/Si)": (centres.positions, distinct),
        "weighted": (centres.positions, centres.weight),
    }


def main():
    print("state, criterion, definition".ljust(62), *(f"{a:g}-{b:g}".rjust(11) for a, b in WINDOWS))
    for folder in map(Path, sys.argv[1:]):
        paths = sorted(folder.glob("*/final.extxyz.gz"))
        texts = [gzip.decompress(path.read_bytes()).decode() for path in paths]
        glasses = [read(io.StringIO(text), format="extxyz") for text in texts]
        bonds = [find_bonds(atoms) for atoms in glasses]
        for criterion in ("primitive", "king", "guttman"):
            curves, names = [], []
            for atoms, own in zip(glasses, bonds, strict=True):
                found = definitions(atoms, criterion, own)
                names = list(found)
                curves.append(
                    [in_windows(p, atoms.cell.array, weights) for p, weights in found.values()]
                )
            mean = np.mean(curves, axis=0)
            error = np.std(curves, axis=0, ddof=1) / np.sqrt(len(curves))
            for name, values, errors in zip(names, mean, error, strict=True):
                label = f"{folder.parent.name}/{folder.name}, {criterion}, {name}"
                cells = (f"{v:.2f}({e:.2f})" for v, e in zip(values, errors, strict=True))
                print(label.ljust(62), *(cell.rjust(11) for cell in cells))


if __name__ == "__main__":
    main()
