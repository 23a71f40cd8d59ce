"""How much energy a glass holds: glasses brought to rest by a potential, above its quartz.

    python benchmarks/structure/relaxed_glasses.py m0.nequip.zip glass.extxyz.gz --output rest.csv

Positions and volume come to rest, at no pressure unless --pressure-GPa says so. Of two glasses
whose rings other potentials or rates have made, the one with less energy (under pressure: enthalpy)
is nearer to what the potential itself would make in more time. To compare with: quartz melts at
1700 K with 9.4 ± 1.0 kJ/mol of SiO2, 32 ± 3 meV/atom, the glass transition being at 1480 K (Richet
et al., Geochim. Cosmochim. Acta 46, 2639 (1982), abstract).
"""

import argparse
from pathlib import Path

from ase.filters import FrechetCellFilter
from ase.io import read
from ase.optimize import LBFGS
from ase.units import GPa

from glassml.campaign.files import write_csv
from glassml.campaign.units import density_g_cm3
from glassml.configurations.crystals import polymorph
from glassml.potential.calculators import load_calculator
from glassml.structure.bonds import find_bonds
from glassml.structure.network import bond_angles

MAX_STEPS = 200
SI_O_A = 2.2
SILICON = 14


def at_rest(atoms, calculator, *, isotropic, fmax_eV_A, pressure_GPa=0.0):
    """Give the atoms at rest under a pressure, and how many steps that took."""
    atoms.calc = calculator
    # a strain counts four times as much as by default: 0.05 eV/Å are then 0.14 GPa of a glass
    cell = FrechetCellFilter(
        atoms,
        hydrostatic_strain=isotropic,
        exp_cell_factor=max(1.0, len(atoms) / 4),
        scalar_pressure=pressure_GPa * GPa,
    )
    optimizer = LBFGS(cell, logfile=None, memory=30)
    if not optimizer.run(fmax=fmax_eV_A, steps=MAX_STEPS):
        print(f"not at rest after {MAX_STEPS} steps")
    return atoms, optimizer.nsteps


def measured(path, calculator, zero, pressure_GPa):
    """Bring a glass to rest, and give a row of the table."""
    glass, steps = at_rest(
        read(path), calculator, isotropic=True, fmax_eV_A=0.05, pressure_GPa=pressure_GPa
    )
    bonds = find_bonds(glass, cutoff=SI_O_A)
    angles = bond_angles(glass, bonds, centre=8)
    energy = glass.get_potential_energy() / len(glass) - zero
    work = pressure_GPa * GPa * glass.get_volume() / len(glass)
    return {
        "glass": path,
        "energy_meV_atom": f"{1e3 * energy:.2f}",
        "enthalpy_meV_atom": f"{1e3 * (energy + work):.2f}",
        "density_g_cm3": f"{density_g_cm3(glass):.4f}",
        "angle_deg": f"{angles.mean():.2f}",
        "angle_spread_deg": f"{angles.std():.2f}",
        "neighbours_of_Si": f"{bonds.coordination[glass.numbers == SILICON].mean():.3f}",
        "pressure_GPa": f"{-glass.get_stress(voigt=True)[:3].mean() / GPa:.3f}",
        "steps": steps,
    }


def main():
    """Print a line for each glass."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("package", help="NequIP package")
    parser.add_argument("glasses", nargs="+", help="structures")
    parser.add_argument("--pressure-GPa", type=float, default=0.0, help="on the glasses")
    parser.add_argument("--output", type=Path, help="table")
    args = parser.parse_args()
    calculator = load_calculator(args.package)
    quartz, _ = at_rest(polymorph("alpha_quartz"), calculator, isotropic=False, fmax_eV_A=0.005)
    zero = quartz.get_potential_energy() / len(quartz)
    print(f"quartz: {zero:.4f} eV/atom, {density_g_cm3(quartz):.3f} g/cm³")
    rows = []
    for path in args.glasses:
        row = measured(path, calculator, zero, args.pressure_GPa)
        print(
            f"{path}: {row['energy_meV_atom']} meV/atom above quartz, enthalpy "
            f"{row['enthalpy_meV_atom']}, {row['neighbours_of_Si']} O at Si, "
            f"{row['density_g_cm3']} g/cm³, Si-O-Si {row['angle_deg']}°, "
            f"its spread {row['angle_spread_deg']}°, {row['pressure_GPa']} GPa, "
            f"{row['steps']} steps",
            flush=True,
        )
        rows.append(row)
        if args.output:
            write_csv(args.output, rows, tuple(row))


if __name__ == "__main__":
    main()
