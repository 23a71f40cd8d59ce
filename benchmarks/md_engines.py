"""One protocol on each engine: density, temperature, pressure and energy agree within error.

    python benchmarks/md_engines.py --output table.csv

Silica by a pair potential, melted and quenched by LAMMPS, then held at 300 K and no pressure by
ASE, by torch and by LAMMPS, and without a thermostat for the drift. A value is a mean over the
hold with the standard error of blocks. ASE has its forces from the torch model, LAMMPS its own.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes

from glassml.campaign.files import write_csv
from glassml.configurations.classical import _set_potential
from glassml.configurations.lammps import commands, lammps_session, load_structure
from glassml.md.classical import PairModel
from glassml.md.integrator import RampedLangevin
from glassml.md.protocol import Coupling, Stage
from glassml.md.start import classical_start, maxwell_boltzmann, random_start
from glassml.md.thermodynamics import G_CM3_PER_U_A3, measure
from glassml.md.torchmd import Batch, RampedBatch

TIMESTEP_FS, TEMPERATURE_K = 1.6, 300.0
COUPLING = Coupling(100.0, 300.0, 37.0)
COLUMNS = (
    "engine", "density_g_cm3", "density_error", "temperature_K", "temperature_error",
    "pressure_GPa", "pressure_error", "potential_eV_atom", "potential_error",
    "drift_meV_atom_ps", "ms_per_step",
)  # fmt: skip


class PairCalculator(Calculator):
    """The torch model for ASE."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, atoms, name):
        super().__init__()
        self.model = PairModel(name, torch.device("cpu"))
        self.model.place([atoms])

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        found = self.model(
            torch.as_tensor(atoms.positions), torch.as_tensor(atoms.cell.array[None])
        )
        stress = found["stress"][0].numpy()
        self.results = {
            "energy": float(found["energy"][0]),
            "forces": found["forces"].numpy(),
            "stress": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


def stage(ensemble, steps):
    npt = ensemble == "npt"
    hot = (TEMPERATURE_K, TEMPERATURE_K) if npt else None
    return Stage("hold", ensemble, steps, TIMESTEP_FS, hot, (0.0, 0.0) if npt else None, 1, 1)


def by_ase(glass, name, steps, ensemble):
    atoms = glass.copy()
    atoms.calc = PairCalculator(atoms, name)
    integrator = RampedLangevin(atoms, stage(ensemble, steps), COUPLING, np.random.default_rng(1))
    rows = []
    for _ in range(steps):
        integrator.advance()
        now = measure(atoms)
        rows.append((now.density_g_cm3, now.temperature_K, now.pressure_GPa,
                     now.potential_energy_eV, now.total_energy))  # fmt: skip
    return np.array(rows)


def by_torch(glass, name, steps, ensemble):
    batch = Batch([glass], PairModel(name, torch.device("cpu")), 1)
    integrator = RampedBatch(batch, stage(ensemble, steps), COUPLING)
    mass, count = glass.get_masses().sum(), len(glass)
    rows = []
    for _ in range(steps):
        integrator.advance()
        volume = float(torch.linalg.det(batch.cells[0]))
        twice = float(batch.twice_kinetic()[0])
        trace = float(batch.stress[0].trace())
        energy = float(batch.energy[0])
        temperature = twice / (3 * count * units.kB)
        pressure = (twice / volume - trace) / 3 / units.GPa
        density = mass / volume * G_CM3_PER_U_A3
        rows.append((density, temperature, pressure, energy, energy + twice / 2))
    return np.array(rows)


def by_lammps(glass, name, steps, ensemble):
    mass, count = glass.get_masses().sum(), len(glass)
    rows = []
    with lammps_session() as session:
        load_structure(session, glass)
        _set_potential(session, name)
        commands(session, f"timestep {TIMESTEP_FS * 1e-3}",
                 f"velocity all create {TEMPERATURE_K} 4711 mom yes dist gaussian")  # fmt: skip
        if ensemble == "npt":
            commands(session, "fix move all nph iso 0 0 0.3",
                     f"fix bath all langevin {TEMPERATURE_K} {TEMPERATURE_K} 0.1 4711")  # fmt: skip
        else:
            commands(session, "fix move all nve")
        commands(session, "run 0 post no")
        for _ in range(steps // 5):
            # `pre no`, or the Langevin forces are drawn twice for a step, which cools by a tenth
            commands(session, "run 5 pre no post no")
            energy, kinetic = session.get_thermo("pe"), session.get_thermo("ke")
            volume = session.get_thermo("vol")
            # of 3N components, as glassml counts them
            rows.append((mass / volume * G_CM3_PER_U_A3, 2 * kinetic / (3 * count * units.kB),
                         session.get_thermo("press") * 1e-4, energy, energy + kinetic))  # fmt: skip
    return np.array(rows)


def mean_and_error(values, blocks=8):
    means = [block.mean() for block in np.array_split(values, blocks)]
    return np.mean(values), np.std(means, ddof=1) / np.sqrt(blocks)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="table, CSV")
    parser.add_argument("--potential", default="shik", choices=["shik", "chik"])
    parser.add_argument("--atoms", type=int, default=192)
    parser.add_argument("--steps", type=int, default=6000, help="of the hold; half as many for NVE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    start = random_start({"Si": 1, "O": 2}, args.atoms, 2.2, rng)
    glass = classical_start(start, args.potential, (3500.0, 300.0), 2.0, 1000.0, 0.0, 1.6, 4711)
    glass = Atoms(glass.numbers, glass.positions, cell=glass.cell, pbc=True)
    maxwell_boltzmann(glass, TEMPERATURE_K, rng)
    rows = []
    for engine, run in (("lammps", by_lammps), ("torch", by_torch), ("ase", by_ase)):
        begin = time.process_time()
        values = run(glass, args.potential, args.steps, "npt")
        seconds = time.process_time() - begin
        values = values[len(values) // 4 :]
        row = {"engine": engine, "ms_per_step": 1e3 * seconds / args.steps}
        for column, name in enumerate(("density", "temperature", "pressure", "potential")):
            scale = 1.0 / len(glass) if name == "potential" else 1.0
            key = next(key for key in COLUMNS if key.startswith(name))
            row[key], row[f"{name}_error"] = mean_and_error(scale * values[:, column])
        free = run(glass, args.potential, args.steps // 2, "nve")[:, 4] / len(glass)
        times = np.linspace(0.0, args.steps // 2 * TIMESTEP_FS * 1e-3, len(free))
        row["drift_meV_atom_ps"] = 1e3 * np.polyfit(times, free, 1)[0]
        row = {key: f"{v:.5g}" if isinstance(v, float) else v for key, v in row.items()}
        rows.append(row)
        write_csv(args.output, rows, COLUMNS)
        print(row, flush=True)


if __name__ == "__main__":
    main()
