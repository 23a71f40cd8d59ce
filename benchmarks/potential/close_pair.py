"""What potentials say of the closest pair of a configuration pulled apart, all else held.

    python benchmarks/potential/close_pair.py resources/potential/stability_5000K.extxyz \
      resources/potential/m{0,1,2,3}.nequip.zip --output pairs.extxyz

Energies in eV, from that at the first distance. A potential that falls towards short distances lets
atoms fall onto each other; potentials that differ there have not learned it. `--output` keeps the
configurations, for labels.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from glassml.campaign.extxyz import read_extxyz
from glassml.md.potential import load_potential

DISTANCES_A = (1.5, 1.4, 1.3, 1.2, 1.1, 1.0, 0.9, 0.8)
REACH_A = 2.0


def closest_pair(atoms: Atoms, symbols: str) -> tuple[int, int, np.ndarray]:
    """Give the atoms of the closest pair of two elements, and the vector from one to the other."""
    first, second, distances, vectors = neighbor_list("ijdD", atoms, REACH_A)
    names = np.array(atoms.get_chemical_symbols())
    wanted = sorted(symbols.split("-"))
    pairs = [sorted(pair) == wanted for pair in zip(names[first], names[second], strict=True)]
    if not any(pairs):
        raise SystemExit(f"no {symbols} pair is nearer than {REACH_A} Å")
    index = np.flatnonzero(pairs)[np.argmin(distances[pairs])]
    return int(first[index]), int(second[index]), vectors[index]


def pulled_apart(atoms: Atoms, symbols: str, distances_A: Sequence[float]) -> list[Atoms]:
    """Give the configuration with its closest pair at each distance, the middle where it was."""
    first, second, vector = closest_pair(atoms, symbols)
    middle = atoms.positions[first] + vector / 2
    direction = vector / np.linalg.norm(vector)
    frames = []
    for distance in distances_A:
        frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        frame.positions[first] = middle - direction * distance / 2
        frame.positions[second] = middle + direction * distance / 2
        frame.info["pair_A"] = distance
        frames.append(frame)
    return frames


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each distance, a column for each potential."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configurations", type=Path, help="extxyz; the last one is taken")
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--pair", default="O-O")
    parser.add_argument("--distances-A", nargs="+", type=float, default=DISTANCES_A)
    parser.add_argument("--output", type=Path, help="the configurations, extxyz")
    args = parser.parse_args(arguments)
    *_, atoms = read_extxyz(args.configurations)
    frames = pulled_apart(atoms, args.pair, args.distances_A)
    if args.output:
        ase.io.write(args.output, frames, format="extxyz")
    calculators = [load_potential(path, device="cpu")[0] for path in args.packages]
    energies = np.array([[each.get_potential_energy(f) for each in calculators] for f in frames])
    print(f"{args.pair}, Å  ", *(f"{path.name.split('.')[0]:>8}" for path in args.packages))
    for distance, row in zip(args.distances_A, energies - energies[0], strict=True):
        print(f"{distance:<8.2f}", *(f"{energy:8.2f}" for energy in row))


if __name__ == "__main__":
    main()
