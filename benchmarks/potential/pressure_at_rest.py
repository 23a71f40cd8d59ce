"""Mean error of pressure and energy near rest, which decides on density: a mean, not its square.

    python benchmarks/potential/pressure_at_rest.py resources/potential_study/m0.nequip.zip \
      resources/reference/{,later/,test/}labels.extxyz.gz

Glasses quenched or released, of 2.1 to 2.3 g/cm³, no force above 4 eV/Å; and, apart, cells of the
family rest_cristobalite, alpha and beta. With --families those families instead, by their kind,
and of these, with --pressure-GPa, the labels under such a pressure.
"""

import argparse
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator

from glassml.campaign.extxyz import read_extxyz
from glassml.campaign.units import density_g_cm3
from glassml.dataset.build import pressure_of
from glassml.md.potential import load_potential

DENSITY_G_CM3 = (2.1, 2.3)
LARGEST_FORCE_EV_A = 4.0


def group(atoms: Atoms, families: Collection[str], pressure_GPa: Sequence[float]) -> str | None:
    """Give the name of the group that a label belongs to, if any."""
    if families:
        family, (low, high) = str(atoms.info.get("family")), pressure_GPa
        chosen = family in families and low <= pressure_of(atoms) <= high
        return f"{family}, {atoms.info['config_type']}" if chosen else None
    if atoms.info.get("family") == "rest_cristobalite":
        return str(atoms.info["parent"]).split("/")[1]
    calm = np.abs(atoms.arrays["REF_forces"]).max() < LARGEST_FORCE_EV_A
    at_rest = DENSITY_G_CM3[0] <= density_g_cm3(atoms) <= DENSITY_G_CM3[1]
    kind = atoms.info["config_type"] in {"glass", "decompressed"}
    return "glass" if kind and calm and at_rest and "REF_stress" in atoms.info else None


def errors(calculator: Calculator, atoms: Atoms) -> tuple[float, float]:
    """Give the error of the pressure in GPa and of the energy in meV/atom."""
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    predicted = -calculator.get_stress(bare)[:3].mean() / units.GPa
    energy = calculator.get_potential_energy(bare) - atoms.info["REF_energy"]
    return predicted - pressure_of(atoms), 1e3 * energy / len(atoms)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each group."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("--families", nargs="+", default=[], help="of config/reference.yaml")
    parser.add_argument("--pressure-GPa", type=float, nargs=2, default=[-np.inf, np.inf])
    args = parser.parse_args(arguments)
    calculator, _ = load_potential(args.package, device="cpu")
    groups = defaultdict(list)
    for atoms in (each for path in args.labels for each in read_extxyz(path)):
        if (name := group(atoms, args.families, args.pressure_GPa)) is not None:
            groups[name].append(errors(calculator, atoms))
    lines = sorted(groups.items())
    if args.families and groups:
        lines.append(("together", [row for rows in groups.values() for row in rows]))
    for name, rows in lines:
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
        error = spread / np.sqrt(len(rows))
        print(
            f"{name}: {len(rows)} labels, pressure {mean[0]:+.3f} +- {error[0]:.3f} GPa, "
            f"energy {mean[1]:+.2f} +- {error[1]:.2f} meV/atom"
        )


if __name__ == "__main__":
    main()
