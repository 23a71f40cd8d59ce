"""What potentials say of the same glasses at the end of a run: pressures, energies and forces.

    python benchmarks/potential/on_states.py resources/study_r2scan --states ambient cold_20GPa \
      --packages resources/potential_study/m0.nequip.zip resources/potential/m{0,1,2,3}.nequip.zip

Each against the first one, means over glasses with their standard errors: the committee's part of
the error of a density is its pressure over the bulk modulus.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from tqdm import tqdm

from glassml.campaign.extxyz import read_extxyz
from glassml.md.potential import load_potential


def evaluated(calculator: Calculator, atoms: Atoms) -> tuple[float, float, np.ndarray]:
    """Give pressure in GPa, energy in meV/atom and forces in eV/Å."""
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    pressure = -calculator.get_stress(bare)[:3].mean() / units.GPa
    energy = 1e3 * calculator.get_potential_energy(bare) / len(atoms)
    return pressure, energy, calculator.get_forces(bare)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each state and potential."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder of runs, STATE/GLASS/final.extxyz.gz")
    parser.add_argument("--states", nargs="+", required=True)
    parser.add_argument("--packages", nargs="+", type=Path, required=True)
    parser.add_argument("--glasses", type=int, default=3, help="of each state, at least two")
    args = parser.parse_args(arguments)
    calculators = [load_potential(path, device="cpu")[0] for path in args.packages]
    for state in args.states:
        paths = sorted((args.runs / state).glob("glass*/final.extxyz.gz"))[: args.glasses]
        if len(paths) < 2:
            parser.error(f"{args.runs / state}: fewer than two glasses have ended there")
        found = [
            [evaluated(each, next(iter(read_extxyz(path)))) for each in calculators]
            for path in tqdm(paths, desc=state, unit="glass")
        ]
        for index, package in list(enumerate(args.packages))[1:]:
            rows = [(row[index][0] - row[0][0], row[index][1] - row[0][1]) for row in found]
            forces = [np.sqrt(np.mean((row[index][2] - row[0][2]) ** 2)) for row in found]
            mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
            print(
                f"{state}, {package}: pressure {mean[0]:+.3f} +- {error[0]:.3f} GPa, energy "
                f"{mean[1]:+.2f} +- {error[1]:.2f} meV/atom, forces {np.mean(forces):.3f} eV/Å rms",
                flush=True,
            )


if __name__ == "__main__":
    main()
