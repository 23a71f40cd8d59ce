"""Speed of the torch engine by size and batch, and whether it agrees with the ASE calculator.

    python benchmarks/md/throughput.py model.nequip.zip --output table.csv
    python benchmarks/md/throughput.py shik --glasses 3x2880 --output pair.csv

A row is a batch of so many glasses of so many atoms (perturbed cristobalite at 2.2 g/cm³, 300 K):
wall time of a step of NPT dynamics with everything that belongs to it, of the model alone, and the
share of the rest. `graph` replays a CUDA graph, `eager` launches each kernel. Before the table the
forces, energy and stress of 192 atoms are compared with NequIP's own ASE calculator.
"""

# ruff: noqa: SLF001  (it looks into the engine to time its parts)

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from matscipy.neighbours import neighbour_list

from glassml.campaign.files import write_csv
from glassml.md.engines.pair_loading import load_pair_model
from glassml.md.engines.torchmd import Batch, RampedBatch
from glassml.md.protocol import Coupling, Stage
from glassml.md.start import maxwell_boltzmann
from glassml.potential.calculators import load_calculator
from glassml.potential.packages import choose_device, machine
from glassml.potential.padded import load_network

COLUMNS = (
    "backend", "mode", "glasses", "atoms_each", "atoms", "pairs", "step_ms", "model_ms",
    "rest_percent", "atom_steps_per_s", "ns_per_day", "rebuilds_per_1000", "peak_GiB", "reason",
)  # fmt: skip
TIMESTEP_FS = 1.5
STEPS = 16
#: The last one measures.
CLOCKS = [time.perf_counter]


def silica(atoms, seed, noise_A=0.08):
    """Give perturbed beta-cristobalite (24 atoms a cell) of at least so many atoms at 2.2 g/cm³."""
    cell = bulk("Si", "diamond", a=7.13, cubic=True)
    i, j, bond = neighbour_list("ijD", cell, 3.2)
    one_way = (i < j) | ((i == j) & (bond[:, 0] > 0))
    cell += Atoms(f"O{one_way.sum()}", cell.positions[i[one_way]] + 0.5 * bond[one_way])
    repeats = np.ones(3, dtype=int)
    while len(cell) * repeats.prod() < atoms:
        repeats[np.argmin(repeats)] += 1
    glass = cell.repeat(repeats)
    rng = np.random.default_rng(seed)
    glass.positions += noise_A * rng.standard_normal(glass.positions.shape)
    maxwell_boltzmann(glass, 300.0, rng)
    return glass


def synchronised(device):
    if device.type == "cuda":
        torch.cuda.synchronize()
    return CLOCKS[-1]()


def median_ms(function, device, seconds):
    times, begin = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        start = synchronised(device)
        function()
        times.append(synchronised(device) - start)
    return 1e3 * statistics.median(times)


def mean_ms(function, device, seconds):
    """Give the mean over many steps: with the rebuilding of neighbour lists in it."""
    count, begin = 0, synchronised(device)
    while count < 2 or time.perf_counter() - begin < seconds:
        function()
        count += 1
    return 1e3 * (synchronised(device) - begin) / count, count


def measure(model, glasses, seconds):
    device = model.device
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    batch = Batch(glasses, model, 1)
    stage = Stage("hold", "npt", 10**6, TIMESTEP_FS, (300.0, 300.0), (0.0, 0.0), 1, 1)
    integrator = RampedBatch(batch, stage, Coupling(100.0, 300.0, 37.0))
    for _ in range(10):
        integrator.advance()
    builds = model._edges.builds
    # as a run does, between two samples
    step, count = mean_ms(lambda: integrator.advance(STEPS), device, seconds)
    step, count = step / STEPS, count * STEPS
    builds = model._edges.builds - builds
    alone = getattr(model, "_replay", None) or (lambda: model(batch.positions, batch.cells))
    model_ms = median_ms(alone, device, seconds / 4)
    atoms = sum(len(glass) for glass in glasses)
    return {
        "atoms": atoms,
        "pairs": len(model._edges.find(batch.positions, batch.cells)[0]),
        "step_ms": step,
        "model_ms": model_ms,
        "rest_percent": 100.0 * (step - model_ms) / step,
        "atom_steps_per_s": 1e3 * atoms / step,
        "ns_per_day": 86.4 * TIMESTEP_FS / step,
        "rebuilds_per_1000": 1000.0 * builds / count,
        "peak_GiB": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else "",
    }


def compare(package, device):
    """Print how far the padded network is from NequIP's ASE calculator."""
    glass = silica(192, 3)
    model, described = load_network(package, device)
    model.place([glass])
    for moved in range(3):
        glass.rattle(0.05, seed=moved)
        found = model(
            torch.as_tensor(glass.positions).to(model.device),
            torch.as_tensor(glass.cell.array[None]).to(model.device),
        )
        reference = glass.copy()
        reference.calc = load_calculator(package, device=device)
        forces = np.abs(found["forces"].cpu().numpy() - reference.get_forces()).max()
        energy = (float(found["energy"][0]) - reference.get_potential_energy()) / len(glass)
        stress = found["stress"][0].cpu().numpy() - reference.get_stress(voigt=False)
        print(
            f"{described['backend']} and the ASE calculator: forces differ by {forces:.1e} eV/Å (of"
            f" {np.abs(reference.get_forces()).max():.1f}), energy by {1e3 * energy:.1e} meV/atom, "
            f"stress by {np.abs(stress).max() / 0.00624:.1e} GPa; graph: {model.graph}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("potential", help="NequIP package, or shik, chik")
    parser.add_argument("--output", type=Path, required=True, help="table, CSV")
    parser.add_argument("--device")
    parser.add_argument(
        "--glasses", nargs="*", default=["1x192", "16x192", "1x2880", "3x2880", "6x2880", "1x24000"]
    )
    parser.add_argument("--modes", nargs="*", default=["graph", "eager"])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--budget", type=float, default=1e9, help="seconds for the whole table")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="of one core, where other work has the cores too: with OMP_NUM_THREADS=1",
    )
    args = parser.parse_args()
    if args.processor_time:
        CLOCKS.append(time.process_time)
    device = choose_device(args.device)
    deadline = time.monotonic() + args.budget
    print(machine(device))
    pair = args.potential in ("shik", "chik")
    if not pair:
        compare(Path(args.potential), device)
    rows = []
    for mode in ["pair"] if pair else args.modes:
        for batch in args.glasses:
            count, atoms = (int(each) for each in batch.split("x"))
            row = {"mode": mode, "glasses": count, "atoms_each": atoms}
            if time.monotonic() > deadline:
                row["reason"] = "not measured: out of time"
            else:
                try:
                    if pair:
                        model, described = load_pair_model(args.potential, device)
                    else:
                        model, described = load_network(
                            Path(args.potential), device, graph=mode == "graph"
                        )
                    row["backend"] = described["backend"]
                    glasses = [silica(atoms, seed) for seed in range(count)]
                    row |= measure(model, glasses, args.seconds)
                except RuntimeError as error:
                    row["reason"] = str(error).splitlines()[0][:150]
            row = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            rows.append(row)
            write_csv(args.output, rows, COLUMNS)
            print(",".join(str(row.get(column, "")) for column in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
