"""Structures of the benchmark: a glass and a dense network by SHIK, and larger ones by repetition.

    python structures.py FOLDER

Repeated boxes are displaced at random by 0.05 Å (dense: 0.03 Å): good for timing, not for physics.
"""

import sys
from pathlib import Path

import numpy as np

from glassml.configurations.melts import Segment, random_start, run_trajectory

GLASS = {"glass3k": 1, "glass24k": 2, "glass108k": (3, 3, 4), "glass1M": 7}
DENSE = {"dense3k": 1, "dense24k": 2, "dense108k": (3, 3, 4)}


def quench(density, seed):
    """A network of 3,000 atoms, cooled from 4000 K within 2 ps: many defects, but no crystal."""
    rng = np.random.default_rng(seed)
    start = random_start(3000, density, 0.03, rng)
    segments = [
        Segment(1.5, (4000.0, 4000.0), None),
        Segment(2.0, (4000.0, 300.0), None, keep=True),
    ]
    return run_trajectory(start, segments, potential="shik", timestep_fs=1.6, seed=seed)[0]


def save(path, atoms):
    np.savez(path, numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for density, sizes, noise in ((2.2, GLASS, 0.05), (4.2, DENSE, 0.03)):
        small = quench(density, 3)
        for name, repeat in sizes.items():
            atoms = small.repeat(repeat)
            if repeat != 1:
                atoms.positions += rng.normal(0, noise, atoms.positions.shape)
            save(folder / f"{name}.npz", atoms)
            print(name, len(atoms), flush=True)


if __name__ == "__main__":
    main()
