"""One protocol on each engine: density, temperature, pressure and energy agree within error.

    python benchmarks/md/engines.py --start quartz --output table.csv

Silica by a pair potential: settled, held at 300 K and no pressure, then without a thermostat for
the drift. All engines begin with the same positions and velocities, and all go through what a
campaign runs: the numbers are read from their `series.csv`. A value is the mean over the hold with
the standard error of blocks, and the last columns are its distance from the first engine's in
standard errors of the difference. LAMMPS has its own forces; those of torch are from the same
potential in double precision, and ASE has torch's.

Quartz is the sharp comparison, because every run of it explores the same basin. A glass
that was quenched in picoseconds still relaxes at 300 K, into another basin in each run.
"""

import argparse
import csv
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from glassml.campaign.files import write_csv
from glassml.configurations.crystals import polymorph
from glassml.configurations.melts import Segment, run_trajectory
from glassml.md.engines.batch import run_batch
from glassml.md.engines.lammps_input import classical_potential
from glassml.md.engines.lammps_run import find_program, run_lammps
from glassml.md.engines.pair_loading import load_pair_model
from glassml.md.engines.pair_model import PairModel
from glassml.md.engines.torchmd import TorchEngine
from glassml.md.guards import Limits
from glassml.md.protocol import Coupling, Stage
from glassml.md.run import Job, run_job
from glassml.md.start import maxwell_boltzmann, random_start

TIMESTEP_FS, TEMPERATURE_K = 1.0, 300.0
COUPLING = Coupling(100.0, 300.0, 37.0)
LIMITS = Limits(3.0, 1.0, (1.5, 4.0), 0.9)
COLUMNS = {
    "density_g_cm3": "density_g_cm3", "temperature_K": "temperature_K",
    "pressure_GPa": "pressure_GPa", "potential_meV_atom": "potential_energy_eV",
}  # fmt: skip
BLOCKS = 10


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


def protocol(hold_ps):
    def stage(name, ps):
        steps = round(ps * 1000.0 / TIMESTEP_FS)
        npt = name != "free"
        hot = (TEMPERATURE_K, TEMPERATURE_K) if npt else None
        cold = (0.0, 0.0) if npt else None
        return Stage(name, "npt" if npt else "nve", steps, TIMESTEP_FS, hot, cold, 10, steps)

    return [stage("settle", hold_ps / 4), stage("hold", hold_ps), stage("free", hold_ps / 4)]


def run(engine, name, atoms, stages, folder):
    job = Job(
        "hold", "glass00", None, stages, COUPLING, LIMITS, 1, 4711, {}, {"sha256": name}, engine
    )
    quiet = {"checkpoint_every_s": 1e9, "show_progress": False}
    if engine == "lammps":
        potential, program = classical_potential(name), find_program(None)
        return run_lammps(job, atoms, potential, program, folder, restart_every_fs=1e9)
    if engine == "torch":
        model, _ = load_pair_model(name, "cpu")
        glasses = {folder.name: atoms}
        jobs = {folder.name: job}
        return run_batch(jobs, glasses, TorchEngine(model), folder.parent, **quiet)[folder.name]
    return run_job(job, atoms, PairCalculator(atoms, name), folder, **quiet)


def cpu_seconds():
    """Give the CPU time of this process and of those that it called."""
    times = os.times()
    return sum(times[:4])


def mean_and_error(values):
    means = [block.mean() for block in np.array_split(values, BLOCKS)]
    return np.mean(values), np.std(means, ddof=1) / np.sqrt(BLOCKS)


def measure(folder, count):
    with (folder / "series.csv").open() as file:
        table = list(csv.DictReader(file))
    row = {}
    for name, column in COLUMNS.items():
        scale = 1000.0 / count if name.startswith("potential") else 1.0
        values = np.array([float(each[column]) for each in table if each["stage"] == "hold"])
        row[name], row[f"{name}_error"] = mean_and_error(scale * values)
    free = [each for each in table if each["stage"] == "free"]
    times = np.array([float(each["time_fs"]) for each in free]) * 1e-3
    energies = np.array([float(each["total_energy_eV"]) for each in free]) / count
    row["drift_meV_atom_ps"] = 1e3 * np.polyfit(times, energies, 1)[0]
    return row


def begin(args):
    rng = np.random.default_rng(1)
    if args.start == "quartz":
        atoms = polymorph("alpha_quartz") * (3, 3, 2)
    else:
        atoms = random_start({"Si": 1, "O": 2}, args.atoms, 2.2, rng)
        length = (3500.0 - TEMPERATURE_K) / args.quench_K_per_ps
        parts = [
            Segment(5.0, (3500.0, 3500.0), (0.0, 0.0)),
            Segment(length, (3500.0, TEMPERATURE_K), (0.0, 0.0), keep=True),
        ]
        (atoms,) = run_trajectory(
            atoms, parts, potential=args.potential, timestep_fs=1.6, seed=4712
        )
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    # An ideal crystal gives half of its kinetic energy to its vibrations.
    hot = 2.0 if args.start == "quartz" else 1.0
    maxwell_boltzmann(atoms, hot * TEMPERATURE_K, rng)
    return atoms


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="table, CSV")
    parser.add_argument("--start", default="quartz", choices=["quartz", "glass"])
    parser.add_argument("--potential", default="shik", choices=["bks", "chik", "shik"])
    parser.add_argument("--engines", nargs="+", default=["lammps", "torch", "ase"])
    parser.add_argument("--hold-ps", type=float, default=15.0)
    parser.add_argument("--atoms", type=int, default=192, help="of a glass")
    parser.add_argument("--quench-K-per-ps", type=float, default=100.0, help="of a glass")
    args = parser.parse_args()
    torch.set_num_threads(1)
    atoms = begin(args)
    rows = []
    for engine in args.engines:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "glass00"
            before = cpu_seconds()
            record = run(engine, args.potential, atoms.copy(), protocol(args.hold_ps), place)
            seconds = cpu_seconds() - before
            row = {"engine": engine, "atoms": len(atoms)} | measure(place, len(atoms))
            row["cpu_ms_per_step"] = 1e3 * seconds / record["steps"]
        for name in COLUMNS:
            reference = rows[0] if rows else row
            error = np.hypot(row[f"{name}_error"], reference[f"{name}_error"])
            row[f"{name}_sigmas"] = (row[name] - reference[name]) / error
        rows.append(row)
        shown = [
            {key: f"{v:.6g}" if isinstance(v, float) else v for key, v in each.items()}
            for each in rows
        ]
        write_csv(args.output, shown, list(row))
        print(shown[-1], flush=True)


if __name__ == "__main__":
    main()
