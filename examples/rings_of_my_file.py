"""Rings of a file: how many of each size, and how round they are.

Run `python examples/rings_of_my_file.py FILE`; without a file it takes a glass of the study.
"""

import sys
from pathlib import Path

from glassml.structure import find_bonds, find_rings, read_frames, ring_shapes, shape_by_size

SHIPPED = Path(__file__).parents[1] / "resources/study/ambient/glass00/final.extxyz.gz"
path = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
atoms = next(iter(read_frames(path)))
rings = find_rings(atoms, "king", bonds=find_bonds(atoms))
print(f"{path}: {len(atoms)} atoms, {len(rings)} King rings")
for size, row in shape_by_size(ring_shapes(rings)).items():
    shape = ", ".join(
        f"{name} {value['mean']:.3f}" for name, value in row.items() if name != "count"
    )
    print(f"{size:3} formers: {row['count']:5} rings; {shape}")
