"""What a longer time step changes: energy's drift, temperature by element, density, g(r).

    python benchmarks/md/timestep.py shik --output FOLDER
    python benchmarks/md/timestep.py m0.nequip.zip --timesteps 1 2 4/4 --output FOLDER

4/4 is `md.respa`: 4 fs of the network, in which SHIK makes 4 steps.

SHIK melts glasses and cools them, and the potential takes over at 1 fs; from the same states each
time step then holds them as a liquid at 3000 K and as a glass at 300 K (NPT), and lets the glass go
without a thermostat (NVE).
Errors are standard errors over the glasses. Differences of g(r) are to the first time step, beside
those of the two halves of its own run, which are chance. A NequIP package in place of shik, bks or
chik is for a GPU. Tables: timestep.csv, timestep_gr.csv; picture: timestep.png.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from ase import Atoms, units
from matscipy.neighbours import neighbour_list
from tqdm import tqdm

from glassml.campaign.files import write_csv
from glassml.md.engines.pair_loading import load_pair_model
from glassml.md.engines.respa import TwoTimeSteps
from glassml.md.engines.torchmd import Batch, RampedBatch
from glassml.md.protocol import Coupling, Stage
from glassml.md.start import maxwell_boltzmann, random_start
from glassml.potential.padded import load_network

mpl.use("Agg")
import matplotlib.pyplot as plt

COUPLING = Coupling(100.0, 300.0, 37.0)
EVERY_FS = 60.0
EDGES_A = np.arange(0.8, 6.0, 0.02)
LIQUID_K, GLASS_K = 3000.0, 300.0


def stage(ensemble, temperatures, timestep, ps):
    pressure = (0.0, 0.0) if ensemble == "npt" else None
    return Stage("x", ensemble, round(1e3 * ps / timestep), timestep, temperatures, pressure, 1, 1)


def run(glasses, model, what, seed, sample=None, inner=None, substeps=1):
    """Move glasses through a stage, and give them as they are then."""
    if substeps == 1:
        batch = Batch(glasses, model, seed)
        moving = RampedBatch(batch, what, COUPLING)
    else:
        model.place(glasses)
        batch = Batch(glasses, inner, seed)
        moving = TwoTimeSteps(batch, model, what, COUPLING, substeps)
    every = max(1, round(EVERY_FS / what.timestep_fs))
    for begin in range(0, what.steps, every):
        moving.advance(min(every, what.steps - begin))
        if sample is not None:
            sample(batch, moving.energy)
    return glasses_of(batch)


def glasses_of(batch):
    made, begin = [], 0
    for glass, count, cell in zip(batch.glasses, batch.counts, batch.cells.cpu(), strict=True):
        end = begin + count
        moved = Atoms(glass.symbols, batch.positions[begin:end].cpu().numpy(), pbc=True)
        moved.set_cell(cell.numpy())
        moved.set_momenta(batch.momenta[begin:end].cpu().numpy())
        made.append(moved)
        begin = end
    return made


class Samples:
    """Collects what is compared, of each glass at each sample."""

    def __init__(self):
        self.rows, self.counts, self.energies = [], [], []

    def __call__(self, batch, energy):
        glasses = glasses_of(batch)
        rows, counts = [], []
        for glass in glasses:
            twice = (glass.get_momenta() ** 2).sum(axis=1) / glass.get_masses()
            silicon = glass.symbols == "Si"
            temperatures = [twice[each].mean() / (3.0 * units.kB) for each in (silicon, ~silicon)]
            density = glass.get_masses().sum() / glass.get_volume() / units.mol * 1e24
            rows.append([*temperatures, density])
            distance = neighbour_list("d", glass, EDGES_A[-1])
            shells = 4.0 / 3.0 * np.pi * np.diff(EDGES_A**3) * len(glass) / glass.get_volume()
            counts.append(np.histogram(distance, EDGES_A)[0] / shells / len(glass))
        kinetic = [0.5 * (g.get_momenta() ** 2 / g.get_masses()[:, None]).sum() for g in glasses]
        total = energy.cpu().numpy() + np.array(kinetic)
        self.rows.append(rows)
        self.counts.append(counts)
        self.energies.append(total / np.array(batch.counts))

    def settled(self):
        """Give the second half: means of each glass, g(r), and g(r) of its two halves."""
        half = len(self.rows) // 2
        counts = np.array(self.counts[half:]).mean(axis=1)
        middle = len(counts) // 2
        parts = counts[:middle].mean(axis=0), counts[middle:].mean(axis=0)
        return np.array(self.rows[half:]).mean(axis=0), counts.mean(axis=0), parts

    def drift(self, ps_per_sample):
        """Give the slope of each glass's energy in meV/atom/ps, and its scatter in meV/atom."""
        energies = 1e3 * np.array(self.energies)
        times = ps_per_sample * np.arange(len(energies))
        lines = [np.polyfit(times, each, 1) for each in energies.T]
        scatter = [
            np.std(e - np.polyval(line, times)) for e, line in zip(energies.T, lines, strict=True)
        ]
        return np.array([line[0] for line in lines]), np.array(scatter)


def measure(model, inner, liquid, glass, timesteps, ps):
    rows, curves = [], {}
    bar = tqdm(total=3 * len(timesteps), unit="run")
    for label in timesteps:
        timestep, _, substeps = label.partition("/")
        timestep = float(timestep)
        steps = {"inner": inner, "substeps": int(substeps or 1)}
        row = {"timestep_fs": label}
        for name, begin, kelvin in (("liquid", liquid, LIQUID_K), ("glass", glass, GLASS_K)):
            samples = Samples()
            what = stage("npt", (kelvin, kelvin), timestep, ps)
            run([each.copy() for each in begin], model, what, 7, samples, **steps)
            means, curve, parts = samples.settled()
            for number, key in enumerate(("T_Si_K", "T_O_K", "density_g_cm3")):
                values = means[:, number]
                row[f"{name}_{key}"] = values.mean()
                row[f"{name}_{key}_error"] = values.std(ddof=1) / np.sqrt(len(values))
            curves[name, label] = curve
            first = curves[name, timesteps[0]]
            row[f"{name}_g_off"] = np.abs(curve - first).max()
            row[f"{name}_g_chance"] = np.abs(parts[0] - parts[1]).max()
            bar.update()
        samples = Samples()
        what = stage("nve", None, timestep, ps)
        run([each.copy() for each in glass], model, what, 7, samples, **steps)
        slope, scatter = samples.drift(1e-3 * timestep * max(1, round(EVERY_FS / timestep)))
        row["nve_drift_meV_atom_ps"] = slope.mean()
        row["nve_drift_error"] = slope.std(ddof=1) / np.sqrt(len(slope))
        row["nve_scatter_meV_atom"] = scatter.mean()
        rows.append({k: v if isinstance(v, str) else f"{v:.5g}" for k, v in row.items()})
        bar.update()
    return rows, curves


def draw(folder):
    table = pd.read_csv(folder / "timestep.csv", dtype={"timestep_fs": str})
    curves = pd.read_csv(folder / "timestep_gr.csv", dtype={"timestep_fs": str})
    figure, axes = plt.subplots(1, 4, figsize=(13.0, 3.2), layout="constrained")
    dt = table.timestep_fs
    axes[0].errorbar(dt, table.nve_drift_meV_atom_ps, table.nve_drift_error, fmt="o-")
    axes[0].set(ylabel="NVE drift, meV/atom/ps")
    for axis, name, kelvin in ((axes[1], "liquid", LIQUID_K), (axes[1], "glass", GLASS_K)):
        for element in ("Si", "O"):
            key = f"{name}_T_{element}_K"
            ratio, error = table[key] / kelvin, table[f"{key}_error"] / kelvin
            axis.errorbar(dt, ratio, error, fmt="o-", label=f"{element}, {name}")
    axes[1].set(ylabel="temperature / thermostat's")
    for name in ("liquid", "glass"):
        key = f"{name}_density_g_cm3"
        axes[2].errorbar(dt, table[key], table[f"{key}_error"], fmt="o-", label=name)
    axes[2].set(ylabel="density, g/cm³")
    for axis in axes[:3]:
        axis.set(xlabel="time step, fs")
    for (name, timestep), rows in curves.groupby(["state", "timestep_fs"], sort=False):
        up = 0.0 if name == "liquid" else 8.0
        axes[3].plot(rows.r_A, rows.g + up, lw=0.8, label=f"{name}, {timestep} fs")
    axes[3].set(xlabel="r, Å", ylabel="g(r), glass shifted by 8", ylim=(0, 24))
    for axis in axes[1:]:
        axis.legend(fontsize=7)
    figure.savefig(folder / "timestep.png", dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("potential", help="shik, bks, chik, or a NequIP package")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--device")
    parser.add_argument("--glasses", type=int, default=4)
    parser.add_argument("--atoms", type=int, default=192, help="of a glass")
    parser.add_argument("--ps", type=float, default=6.0, help="of each run")
    parser.add_argument("--timesteps", nargs="+", default=["1", "1.5", "2"], help="in fs")
    args = parser.parse_args()
    inner, _ = load_pair_model("shik", args.device)
    if args.potential in ("shik", "bks", "chik"):
        model, _ = load_pair_model(args.potential, args.device)
    else:
        shortcuts = ["compile"] if torch.cuda.is_available() else []
        model, _ = load_network(Path(args.potential), args.device, shortcuts=shortcuts)
    starts = []
    for seed in range(args.glasses):
        rng = np.random.default_rng(seed)
        starts.append(random_start({"Si": 1, "O": 2}, args.atoms, 2.2, rng))
        maxwell_boltzmann(starts[-1], LIQUID_K, rng)
    melted = run(starts, inner, stage("nvt", (LIQUID_K, LIQUID_K), 0.5, 1.0), 1)
    liquid = run(melted, inner, stage("npt", (LIQUID_K, LIQUID_K), 1.0, args.ps), 2)
    glass = run(liquid, inner, stage("npt", (LIQUID_K, GLASS_K), 1.0, args.ps), 3)
    liquid = run(liquid, model, stage("npt", (LIQUID_K, LIQUID_K), 1.0, args.ps / 2), 4)
    glass = run(glass, model, stage("npt", (GLASS_K, GLASS_K), 1.0, args.ps / 2), 4)
    rows, curves = measure(model, inner, liquid, glass, args.timesteps, args.ps)
    args.output.mkdir(parents=True, exist_ok=True)
    write_csv(args.output / "timestep.csv", rows, tuple(rows[0]))
    middle = 0.5 * (EDGES_A[1:] + EDGES_A[:-1])
    points = [
        {"state": name, "timestep_fs": timestep, "r_A": f"{r:.2f}", "g": f"{g:.4f}"}
        for (name, timestep), curve in curves.items()
        for r, g in zip(middle, curve, strict=True)
    ]
    write_csv(args.output / "timestep_gr.csv", points, tuple(points[0]))
    draw(args.output)
    print(pd.DataFrame(rows).T.to_string())


if __name__ == "__main__":
    main()
