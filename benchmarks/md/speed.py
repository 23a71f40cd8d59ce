"""Speed of the torch engine on a GPU, by size and batch, each shortcut alone and together.

    python benchmarks/md/speed.py --output FOLDER [--network m0.nequip.zip --labels test.extxyz]

In one run on one machine: versions; forces of the kernels and of launches of several steps against
the reference, first of all; then speeds, shares of each kernel, energy conservation, and networks.
Each piece is on its own: what fails or finds no time is said in `pieces.csv`, and the others go
on. Tables are written row by row. `python benchmarks/md/speed.py --plot FOLDER` draws them.
"""

# ruff: noqa: PLC0415  (what one piece needs must not end the others)

import argparse
import csv
import importlib.metadata
import json
import time
import traceback
from pathlib import Path

import numpy as np
import torch
from ase import units
from throughput import silica

from glassml.campaign.files import write_csv, write_json
from glassml.md.engines.pair_model import PairModel, load_pair_model
from glassml.md.engines.torchmd import Batch, RampedBatch
from glassml.md.protocol import Coupling, Stage
from glassml.md.start import maxwell_boltzmann, random_start

COUPLING = Coupling(100.0, 300.0, 37.0)
PACKAGES = ("torch", "triton", "numpy", "ase", "nequip", "e3nn", "openequivariance")
SPEED_COLUMNS = (
    "potential", "mode", "glasses", "atoms", "temperature_K", "timestep_fs", "step_ms",
    "million_atom_steps_per_s", "ns_per_day", "builds_per_1000", "first_step_s", "peak_GiB",
)  # fmt: skip


class Pieces:
    """Runs pieces until the time is over, and keeps what came of each."""

    def __init__(self, folder, seconds):
        self.folder, self.end = folder, time.monotonic() + seconds
        self.begin, self.rows, self.tables = time.monotonic(), [], {}

    def run(self, name, function, *args, at_least_s=0.0):
        """Call a function of this object; nothing that it raises ends the others."""
        begin = time.monotonic()
        row = {"piece": name, "outcome": "done"}
        if begin + at_least_s > self.end:
            row["outcome"] = "no time left"
        else:
            try:
                row["result"] = function(self, *args)
            except Exception as error:  # noqa: BLE001
                row["outcome"] = f"{type(error).__name__}: {error}"[:300]
                text = traceback.format_exc()
                with (self.folder / "errors.txt").open("a") as file:
                    file.write(f"{name}\n{text}\n")
        row["seconds"] = f"{time.monotonic() - begin:.2f}"
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        write_csv(self.folder / "pieces.csv", self.rows, ("piece", "outcome", "seconds", "result"))
        torch.cuda.empty_cache()

    def row(self, table, row, columns):
        """Add a row to a table on disk."""
        rounded = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
        self.tables.setdefault(table, []).append(rounded)
        write_csv(self.folder / f"{table}.csv", self.tables[table], columns)
        print(table, rounded, flush=True)


def versions(pieces):
    """Write down what this machine is."""
    found = {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    write_json(pieces.folder / "versions.json", found)
    return found


def kernels_are_right(pieces, name):
    """Verify the kernels of a potential, as a run does."""
    begin = time.monotonic()
    _, described = load_pair_model(name, "cuda")
    checked = described["verification"] | {"seconds": time.monotonic() - begin}
    pieces.row("verification", {"potential": name, **checked}, ("potential", *checked))
    return checked


def melts(glasses, atoms, temperature):
    """Give random starts of small boxes, and shaken crystals of large ones, with momenta."""
    made = []
    for seed in range(glasses):
        rng = np.random.default_rng(seed)
        glass = (
            random_start({"Si": 1, "O": 2}, atoms, 2.2, rng)
            if atoms <= 3000
            else silica(atoms, seed)
        )
        maxwell_boltzmann(glass, temperature, rng)
        made.append(glass)
    return made


def ramped(model, glasses, temperature, timestep, ensemble="npt", seed=1):
    """Give a batch in a stage."""
    hot = None if ensemble == "nve" else (temperature, temperature)
    cold = (0.0, 0.0) if ensemble == "npt" else None
    stage = Stage("x", ensemble, 10**6, timestep, hot, cold, 1, 1)
    return RampedBatch(Batch(glasses, model, seed), stage, COUPLING)


def launches_are_right(pieces):
    """Compare steps made at once with steps one by one, with the same random numbers."""
    glasses = melts(2, 600, 2000.0)
    ends = []
    for model in (load_pair_model("shik", "cuda")[0], PairModel("shik", torch.device("cuda"))):
        moving = ramped(model, [glass.copy() for glass in glasses], 2000.0, 0.5)
        batch, rng = moving.batch, np.random.default_rng(7)
        drawn = [
            (rng.standard_normal((16, len(batch.masses), 3)), rng.standard_normal((16, 2)))
            for _ in range(2)
        ]
        if moving._launches is not None:  # noqa: SLF001
            blocks = iter([each for pair in drawn for each in pair])
        else:
            blocks = iter([each[i] for pair in drawn for i in range(16) for each in pair])
        batch.normal = lambda *_, blocks=blocks: torch.as_tensor(next(blocks)).cuda()
        moving.advance(32)
        ends.append((batch.positions, batch.cells, batch.forces, batch.energy))
    off = [float((one - other).abs().max()) for one, other in zip(*ends, strict=True)]
    found = dict(zip(("positions_A", "cells_A", "forces_eV_A", "energy_eV"), off, strict=True))
    write_json(pieces.folder / "launches.json", found)
    if not (off[0] < 1e-6 and off[2] < 1e-4):
        raise AssertionError(f"launches go elsewhere: {found}")
    return found


def time_steps(moving, seconds):
    """Give seconds of a step and the number of steps measured."""
    begin, count = time.perf_counter(), 0
    torch.cuda.synchronize()
    while count < 32 or time.perf_counter() - begin < seconds:
        moving.advance(16)
        count += 16
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / count, count


def pair_speed(pieces, mode, glasses, atoms, seconds=1.0, temperature=3500.0, timestep=1.6):
    """Measure a batch: mode is before, kernels, or launches."""
    torch.cuda.reset_peak_memory_stats()
    begin = time.monotonic()
    model = load_pair_model("shik", "cuda", kernels=mode != "before")[0]
    made = melts(glasses, atoms, temperature)
    made_s = time.monotonic() - begin
    begin = time.monotonic()
    mixing = ramped(model, made, temperature, 0.5, "nvt")
    if mode == "kernels":
        mixing._launches = None  # noqa: SLF001
    mixing.advance(1)
    torch.cuda.synchronize()
    first = time.monotonic() - begin
    mixing.advance(31 if mode == "before" else 400)
    moving = mixing
    moving = RampedBatch(
        mixing.batch,
        Stage("x", "npt", 10**6, timestep, (temperature,) * 2, (0.0, 0.0), 1, 1),
        COUPLING,
    )
    if mode == "kernels":
        moving._launches = None  # noqa: SLF001
    moving.advance(32)
    builds = model.builds if mode != "before" else model._edges.builds  # noqa: SLF001
    step, count = time_steps(moving, seconds)
    builds = (model.builds if mode != "before" else model._edges.builds) - builds  # noqa: SLF001
    total = len(moving.batch.masses)
    kinetic = (moving.batch.momenta**2).sum(dim=1) / moving.batch.masses
    row = {
        "potential": "shik", "mode": mode, "glasses": glasses, "atoms": total,
        "temperature_K": float(kinetic.sum()) / (3.0 * total * units.kB),
        "timestep_fs": timestep, "step_ms": 1e3 * step,
        "million_atom_steps_per_s": 1e-6 * total / step, "ns_per_day": 0.0864 * timestep / step,
        "builds_per_1000": 1e3 * builds / count, "first_step_s": first,
        "peak_GiB": torch.cuda.max_memory_allocated() / 2**30,
    }  # fmt: skip
    pieces.row("speed", row, SPEED_COLUMNS)
    return {"made_s": round(made_s, 2), "million": round(row["million_atom_steps_per_s"], 2)}


def tuning(pieces):
    """Try shapes of the force kernel and of the one that builds the list."""
    from glassml.md.engines import pair_gpu

    begun = pair_gpu.FORCE_ROWS, pair_gpu.FORCE_COLUMNS, pair_gpu.FORCE_WARPS
    glasses = melts(3, 2880, 1000.0)
    best = []
    shapes = [(4, 32, 4), (8, 32, 4), (8, 32, 8), (2, 32, 2), (1, 32, 1), (2, 64, 4), (4, 64, 8),
              (4, 32, 2), (1, 128, 4)]  # fmt: skip
    for shape in shapes:
        pair_gpu.FORCE_ROWS, pair_gpu.FORCE_COLUMNS, pair_gpu.FORCE_WARPS = shape
        model = pair_gpu.PairKernels("shik", torch.device("cuda"))
        model.place(glasses)
        positions = torch.as_tensor(np.concatenate([g.positions for g in glasses])).cuda()
        cells = torch.as_tensor(np.array([g.cell.array for g in glasses])).cuda()
        model(positions, cells)
        times = kernel_times(lambda m=model, p=positions, c=cells: m.launch(p, c, energy=False))
        row = {"rows": shape[0], "columns": shape[1], "warps": shape[2], **times}
        best.append((sum(times.values()), shape))
        columns = ("rows", "columns", "warps", "place", "build", "forces_and_sums", "of_systems")
        pieces.row("tuning", row, columns)
    pair_gpu.FORCE_ROWS, pair_gpu.FORCE_COLUMNS, pair_gpu.FORCE_WARPS = begun
    if min(best)[0] < 1e9:
        pair_gpu.FORCE_ROWS, pair_gpu.FORCE_COLUMNS, pair_gpu.FORCE_WARPS = min(best)[1]
    return str(min(best))


def kernel_times(function, times=20):
    """Give microseconds a call of each kernel, from torch's profiler."""
    function()
    torch.cuda.synchronize()
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(times):
            function()
        torch.cuda.synchronize()
    return {
        event.key[:60]: event.self_device_time_total / times
        for event in profile.key_averages()
        if event.self_device_time_total > 0
    }


def shares(pieces, mode="launches"):
    """Profile steps of three glasses of 2,880 atoms."""
    model = load_pair_model("shik", "cuda", kernels=mode != "before")[0]
    moving = ramped(model, melts(3, 2880, 3500.0), 3500.0, 0.5)
    moving.advance(160)
    found = kernel_times(lambda: moving.advance(16), times=4)
    total = sum(found.values())
    for kernel, us in sorted(found.items(), key=lambda each: -each[1])[:15]:
        row = {"mode": mode, "kernel": kernel, "us_per_step": us / 16, "percent": 100 * us / total}
        pieces.row("shares", row, ("mode", "kernel", "us_per_step", "percent"))
    return f"{total / 16:.1f} us of kernels a step"


def conservation(pieces, timestep):
    """Settle a glass at 300 K, then watch its energy without a thermostat."""
    model = load_pair_model("shik", "cuda")[0]
    glasses = [silica(2880, 5)]
    settling = ramped(model, glasses, 300.0, 1.0, "nvt")
    settling.advance(4000)
    free = RampedBatch(
        settling.batch, Stage("x", "nve", 10**6, timestep, None, None, 1, 1), COUPLING
    )
    times, energies, batch = [], [], settling.batch
    for sample in range(100):
        free.advance(round(100.0 / timestep))
        kinetic = 0.5 * ((batch.momenta**2).sum(dim=1) / batch.masses).sum()
        times.append(0.001 * timestep * round(100.0 / timestep) * sample)
        energies.append(float(kinetic + batch.energy[0]) / len(batch.masses))
    slope = 1e3 * np.polyfit(times, energies, 1)[0]
    row = {
        "potential": "shik",
        "timestep_fs": timestep,
        "ps": times[-1],
        "drift_meV_atom_ps": float(slope),
        "spread_meV_atom": 1e3 * float(np.std(energies)),
    }
    pieces.row("conservation", row, tuple(row))
    return row


def network_speed(pieces, package, labels, shortcuts, glasses, atoms, seconds=1.5):
    """Measure a network with shortcuts, after their errors on labels."""
    from glassml.potential.padded import load_network
    from glassml.potential.shortcuts import check_shortcuts

    begin = time.monotonic()
    model, described = load_network(package, "cuda", shortcuts=shortcuts)
    errors = {}
    if labels and glasses * atoms > 3000:
        exact = load_network(package, "cuda", graph=False)[0]
        plain_graph, model.graph = model.graph, False
        try:
            errors = check_shortcuts(model, exact, labels)["short"]
        except Exception as error:  # noqa: BLE001
            errors = {"refused": str(error)[:200]}
        model.graph = plain_graph
    checked = time.monotonic()
    moving = ramped(model, [silica(atoms, seed) for seed in range(glasses)], 300.0, 1.5)
    moving.advance(1)
    torch.cuda.synchronize()
    first = time.monotonic() - checked
    moving.advance(20)
    step, _ = time_steps(moving, seconds)
    total = len(moving.batch.masses)
    graph = getattr(model, "_replay", None)
    times = []
    for _ in range(10):
        torch.cuda.synchronize()
        start = time.perf_counter()
        graph()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    row = {
        "network": package.name, "backend": described["backend"],
        "shortcuts": "+".join(shortcuts) or "none", "glasses": glasses, "atoms": total,
        "step_ms": 1e3 * step, "model_ms": 1e3 * float(np.median(times)),
        "rest_percent": 100.0 * (1.0 - float(np.median(times)) / step),
        "million_atom_steps_per_s": 1e-6 * total / step,
        "load_and_check_s": checked - begin, "first_step_s": first,
        "errors": json.dumps(errors),
    }  # fmt: skip
    pieces.row("networks", row, tuple(row))
    return row["million_atom_steps_per_s"]


def network_shares(pieces, package, shortcuts):
    """Profile a network's evaluation for three glasses of 2,880 atoms."""
    from glassml.potential.padded import load_network

    model, _ = load_network(package, "cuda", shortcuts=shortcuts)
    moving = ramped(model, [silica(2880, seed) for seed in range(3)], 300.0, 1.5)
    moving.advance(8)
    found = kernel_times(lambda: moving.advance(1), times=5)
    total = sum(found.values())
    for kernel, us in sorted(found.items(), key=lambda each: -each[1])[:25]:
        row = {"shortcuts": "+".join(shortcuts) or "none", "kernel": kernel, "us_per_step": us,
               "percent": 100.0 * us / total}  # fmt: skip
        pieces.row("network_shares", row, tuple(row))
    return f"{total:.0f} us of kernels a step"


def plot(folder):
    """Draw speed against size."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    for axis, name, key in ((axes[0], "speed", "mode"), (axes[1], "networks", "shortcuts")):
        path = folder / f"{name}.csv"
        if not path.exists():
            continue
        with path.open() as file:
            rows = list(csv.DictReader(file))
        for label in dict.fromkeys(row[key] for row in rows):
            these = sorted((int(r["atoms"]), float(r["million_atom_steps_per_s"]))
                           for r in rows if r[key] == label)  # fmt: skip
            axis.plot(*zip(*these, strict=True), "o-", label=label)
        axis.set(xlabel="atoms in the batch", ylabel="million atom·steps/s", xscale="log",
                 yscale="log", title={"speed": "SHIK", "networks": "network"}[name])  # fmt: skip
        axis.legend(fontsize=8)
    figure.savefig(folder / "speed.png", dpi=150)


def pairs(run):
    """Run what belongs to pair potentials."""
    for name in ("shik", "bks", "chik"):
        run(f"kernels of {name}", kernels_are_right, name)
    run("launches", launches_are_right)
    run("tuning", tuning)
    run("3 x 2880", pair_speed, "launches", 3, 2880)
    run("3 x 2880, before", pair_speed, "before", 3, 2880, at_least_s=5)
    run("3 x 2880, kernels alone", pair_speed, "kernels", 3, 2880, at_least_s=5)
    run("shares", shares, at_least_s=5)
    for timestep in (1.0, 1.6, 2.0):
        run(f"conservation {timestep}", conservation, timestep, at_least_s=4)
    for glasses, atoms in ((16, 192), (1, 2880), (1, 9000), (6, 2880), (1, 24000), (1, 96000)):
        run(f"{glasses} x {atoms}", pair_speed, "launches", glasses, atoms, at_least_s=4)


def networks(run, args):
    """Run what belongs to networks."""
    labels = []
    if args.labels:
        import ase.io

        labels = ase.io.read(args.labels, f":{args.max_labels}")
    for package in args.network:
        for shortcuts in ((), ("tf32",), ("tf32", "compile"), ("compile",)):
            arguments = (package, labels, shortcuts, 3, 2880)
            run(f"{package.name} {shortcuts}", network_speed, *arguments, at_least_s=8)
            if shortcuts in {(), ("tf32", "compile")}:
                name = f"shares of {package.name} {shortcuts}"
                run(name, network_shares, package, shortcuts, at_least_s=5)


def main():
    """Run the pieces, the most important first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="folder of the tables")
    parser.add_argument("--plot", type=Path, help="draw the tables of a folder, and do no more")
    parser.add_argument("--seconds", type=float, default=85.0, help="for all pieces")
    parser.add_argument("--only", choices=["pair", "network"], help="one kind of potential")
    parser.add_argument("--network", type=Path, action="append", default=[], help="a package")
    parser.add_argument("--labels", type=Path, help="test labels, extxyz")
    parser.add_argument("--max-labels", type=int, default=40)
    args = parser.parse_args()
    if args.plot:
        plot(args.plot)
        return
    args.output.mkdir(parents=True, exist_ok=True)
    pieces = Pieces(args.output, args.seconds)
    run = pieces.run
    run("versions", versions)
    if args.only != "network":
        pairs(run)
    if args.only != "pair":
        networks(run, args)


if __name__ == "__main__":
    main()
