"""Pieces of `speed.py` that belong to pair potentials."""

# ruff: noqa: SLF001  (it looks into the engine to time its parts)

import time

import numpy as np
import torch
from ase import units
from pieces import kernel_times, time_steps
from throughput import silica

from glassml.campaign.files import write_json
from glassml.md.engines import pair_gpu
from glassml.md.engines.pair_loading import load_pair_model
from glassml.md.engines.pair_model import PairModel
from glassml.md.engines.pair_verification import verify
from glassml.md.engines.torchmd import Batch, RampedBatch
from glassml.md.protocol import Coupling, Stage
from glassml.md.start import maxwell_boltzmann, random_start

COUPLING = Coupling(100.0, 300.0, 37.0)
#: Atoms of a program of the force kernel, what it looks at in one go, groups of 32 threads.
SHAPES = (
    (4, 32, 4), (1, 32, 1), (2, 32, 2), (8, 32, 8), (1, 64, 1), (1, 128, 4), (2, 64, 4),
    (4, 32, 2), (2, 32, 1),
)  # fmt: skip
#: Of kernels, by potential and shapes.
VERIFIED = {}
BUILD_SHAPES = (
    (8, 128, 4), (4, 128, 4), (16, 128, 4), (8, 64, 4), (8, 64, 2), (4, 64, 2), (16, 64, 4),
)  # fmt: skip
COLUMNS = (
    "potential", "mode", "glasses", "atoms", "temperature_K", "timestep_fs", "step_ms",
    "million_atom_steps_per_s", "ns_per_day", "builds_per_1000", "first_step_s", "peak_GiB",
)  # fmt: skip


def pair_model(pieces, name, *, kernels=True):
    """Give a pair potential, and its verification if it computes by kernels."""
    if not kernels:
        return PairModel(name, pieces.device), {}
    if pieces.gpu:
        shapes = [value for key, value in vars(pair_gpu).items() if key.isupper()]
        known = (name, str(shapes), pair_gpu.compact_order.__name__)
        if known not in VERIFIED:
            # seconds on the host
            VERIFIED[known] = load_pair_model(name, "cuda")[1]["verification"]
        return pair_gpu.PairKernels(name, pieces.device), VERIFIED[known]
    # by Triton's interpreter, which takes a second for a small block
    pair_gpu.BUILD_ROWS, pair_gpu.BUILD_COLUMNS, pair_gpu.FORCE_ROWS = 32, 1024, 32
    return pair_gpu.PairKernels(name, pieces.device), {}


def kernels_are_right(pieces, name):
    """Verify the kernels of a potential, as a run does."""
    begin = time.monotonic()
    model, checked = pair_model(pieces, name)
    if not pieces.gpu:
        checked = verify(model, (24, 24))
    checked = checked | {"seconds": time.monotonic() - begin}
    pieces.row("verification", {"potential": name, **checked})
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


def stage(ensemble, temperature, timestep):
    """Give a stage that holds what it begins with."""
    hot = None if ensemble == "nve" else (temperature, temperature)
    cold = (0.0, 0.0) if ensemble == "npt" else None
    return Stage("x", ensemble, 10**6, timestep, hot, cold, 1, 1)


def ramped(model, glasses, temperature, timestep, ensemble="npt"):
    """Give a batch in a stage."""
    return RampedBatch(Batch(glasses, model, 1), stage(ensemble, temperature, timestep), COUPLING)


def launches_are_right(pieces, atoms):
    """Compare steps made at once with steps one by one, with the same random numbers."""
    glasses = melts(2, atoms, 2000.0)
    ends, many = [], 16 if pieces.gpu else 1
    for kernels in (True, False):
        model = pair_model(pieces, "shik", kernels=kernels)[0]
        moving = ramped(model, [glass.copy() for glass in glasses], 2000.0, 0.5)
        batch, rng = moving.batch, np.random.default_rng(7)
        drawn = [
            (rng.standard_normal((many, len(batch.masses), 3)), rng.standard_normal((many, 2)))
            for _ in range(2)
        ]
        if moving._launches is not None:
            blocks = iter([each for pair in drawn for each in pair])
        else:
            blocks = iter([each[i] for pair in drawn for i in range(many) for each in pair])
        batch.normal = lambda *_, blocks=blocks: torch.as_tensor(next(blocks)).to(pieces.device)
        moving.advance(2 * many)
        ends.append((batch.positions, batch.cells, batch.forces, batch.energy))
    off = [float((one - other).abs().max()) for one, other in zip(*ends, strict=True)]
    found = dict(zip(("positions_A", "cells_A", "forces_eV_A", "energy_eV"), off, strict=True))
    write_json(pieces.folder / "launches.json", found)
    if not (off[0] < 1e-6 and off[2] < 1e-4):
        raise AssertionError(f"launches go elsewhere: {found}")
    return found


def speed(pieces, mode, glasses, atoms, temperature=3500.0, timestep=1.6):
    """Measure a batch: mode is before, kernels, launches, unsorted, or tuned."""
    order = pair_gpu.compact_order
    if mode == "unsorted":
        pair_gpu.compact_order = lambda fractions, _: np.arange(len(fractions))
    try:
        return _speed(pieces, mode, glasses, atoms, temperature, timestep)
    finally:
        pair_gpu.compact_order = order


def _speed(pieces, mode, glasses, atoms, temperature, timestep):
    if pieces.gpu:
        torch.cuda.reset_peak_memory_stats()
    begin = time.monotonic()
    model = pair_model(pieces, "shik", kernels=mode != "before")[0]
    made = melts(glasses, atoms, temperature)
    made_s = time.monotonic() - begin
    begin = time.monotonic()
    mixing = ramped(model, made, temperature, 0.5, "nvt")
    if mode == "kernels":
        mixing._launches = None
    mixing.advance(1)
    pieces.wait()
    first = time.monotonic() - begin
    mixing.advance(400 if pieces.gpu and mode != "before" else 4)
    moving = RampedBatch(mixing.batch, stage("npt", temperature, timestep), COUPLING)
    if mode == "kernels":
        moving._launches = None
    moving.advance(32 if pieces.gpu else 1)
    counter = model if mode != "before" else model._edges
    builds = counter.builds
    step, count = time_steps(pieces, moving, 1.0)
    builds = counter.builds - builds
    batch = moving.batch
    total = len(batch.masses)
    kinetic = (batch.momenta**2).sum(dim=1) / batch.masses
    peak = torch.cuda.max_memory_allocated() / 2**30 if pieces.gpu else 0.0
    row = {
        "potential": "shik", "mode": mode, "glasses": glasses, "atoms": total,
        "temperature_K": float(kinetic.sum()) / (3.0 * total * units.kB),
        "timestep_fs": timestep, "step_ms": 1e3 * step,
        "million_atom_steps_per_s": 1e-6 * total / step, "ns_per_day": 0.0864 * timestep / step,
        "builds_per_1000": 1e3 * builds / count, "first_step_s": first, "peak_GiB": peak,
    }  # fmt: skip
    pieces.row("speed", row, COLUMNS)
    return {"made_s": round(made_s, 2), "million": round(row["million_atom_steps_per_s"], 2)}


def _fastest(pieces, table, kernel, shapes, atoms, measured, parts):
    """Try shapes of a kernel, and take the fastest from here on.

    `measured` gives the times of parts of a model at a place, and which of them to compare.
    """
    constants = [f"{kernel}_{name}" for name in ("ROWS", "COLUMNS", "WARPS")]
    found = [(float("inf"), tuple(getattr(pair_gpu, name) for name in constants))]
    glasses = melts(1, atoms, 1000.0)
    positions = torch.as_tensor(glasses[0].positions).to(pieces.device)
    cells = torch.as_tensor(glasses[0].cell.array[None].copy()).to(pieces.device)
    for shape in shapes if pieces.gpu else shapes[:1]:
        vars(pair_gpu).update(zip(constants, shape, strict=True))
        row = dict(zip(("rows", "columns", "warps"), shape, strict=True))
        try:
            model = pair_gpu.PairKernels("shik", pieces.device)
            model.place(glasses)
            model(positions, cells)
            times, cost = measured(model, positions, cells)
            found.append((cost, shape))
            row |= {part: times.get(part) for part in parts}
        except RuntimeError as error:
            row["refused"] = str(error)[:100]
        pieces.row(table, row, ("rows", "columns", "warps", *parts, "refused"))
    vars(pair_gpu).update(zip(constants, min(found)[1], strict=True))
    return min(found)


def building(pieces, atoms):
    """Try shapes of the kernel that builds the list, and take the fastest from here on."""

    def measured(model, positions, cells):
        def built():
            model._built_fractions.fill_(pair_gpu.NOWHERE)
            model.launch(positions, cells, energy=False)

        times = kernel_times(pieces, built, times=5)
        return times, times.get("build", sum(times.values()))

    parts = ("bounds", "build", "host")
    return _fastest(pieces, "building", "BUILD", BUILD_SHAPES, atoms, measured, parts)


def tuning(pieces, atoms):
    """Try shapes of the force kernel, and take the fastest from here on."""

    def measured(model, positions, cells):
        times = kernel_times(pieces, lambda: model.launch(positions, cells, energy=False))
        return times, sum(times.values())

    parts = ("place", "bounds", "build", "forces_and_sums", "of_systems", "host")
    return _fastest(pieces, "tuning", "FORCE", SHAPES, atoms, measured, parts)


def shares(pieces, mode, atoms):
    """Profile steps of a glass."""
    model = pair_model(pieces, "shik", kernels=mode != "before")[0]
    moving = ramped(model, melts(1, atoms, 3500.0), 3500.0, 0.5)
    many = 16 if pieces.gpu else 1
    moving.advance(10 * many)
    begin = time.perf_counter()
    moving.advance(many)
    pieces.wait()
    wall = 1e6 * (time.perf_counter() - begin)
    found = kernel_times(pieces, lambda: moving.advance(many), times=4)
    total = sum(found.values())
    columns = ("mode", "kernel", "us_per_step", "percent")
    for kernel, us in sorted(found.items(), key=lambda each: -each[1])[:12]:
        row = {"mode": mode, "kernel": kernel, "us_per_step": us / many, "percent": 100 * us / wall}
        pieces.row("shares", row, columns)
    rest = wall - total
    row = {"mode": mode, "kernel": "rest", "us_per_step": rest / many, "percent": 100 * rest / wall}
    pieces.row("shares", row, columns)
    return f"{total / many:.1f} us of kernels in {wall / many:.1f} us a step"


def conservation(pieces, atoms, timestep, samples=100):
    """Settle a glass at 300 K, then watch its energy without a thermostat."""
    model = pair_model(pieces, "shik")[0]
    settling = ramped(model, [silica(atoms, 5)], 300.0, 1.0, "nvt")
    settling.advance(4000 if pieces.gpu else 4)
    free = RampedBatch(settling.batch, stage("nve", None, timestep), COUPLING)
    times, energies, batch = [], [], settling.batch
    many = round(100.0 / timestep) if pieces.gpu else 1
    for sample in range(samples):
        free.advance(many)
        kinetic = 0.5 * ((batch.momenta**2).sum(dim=1) / batch.masses).sum()
        times.append(0.001 * timestep * many * sample)
        energies.append(float(kinetic + batch.energy[0]) / len(batch.masses))
    row = {
        "potential": "shik",
        "timestep_fs": timestep,
        "ps": times[-1],
        "drift_meV_atom_ps": float(1e3 * np.polyfit(times, energies, 1)[0]),
        "spread_meV_atom": 1e3 * float(np.std(energies)),
    }
    pieces.row("conservation", row)
    return row


def run(pieces):
    """Run what belongs to pair potentials, the most important first."""
    do = pieces.run
    for name in ("shik", "bks", "chik"):
        do(f"kernels of {name}", kernels_are_right, name)
    large = pieces.gpu
    do("launches", launches_are_right, 600 if large else 24)
    do("1 x 9000", speed, "launches", 1, 9000 if large else 24)
    sizes = ((1, 999), (1, 2880), (3, 2880), (1, 24000), (1, 72000)) if large else ((2, 24),)
    for glasses, atoms in sizes:
        do(f"{glasses} x {atoms}", speed, "launches", glasses, atoms, at_least_s=3)
    some = 9000 if large else 24
    for atoms in (9000, 24000) if large else (24,):
        do(f"1 x {atoms}, unsorted", speed, "unsorted", 1, atoms, at_least_s=3)
    do("build", building, 24000 if large else 24)
    do("tuning", tuning, some)
    do("1 x 9000, tuned", speed, "tuned", 1, some)
    do("shares", shares, "launches", some)
    for timestep in (1.0, 1.6, 2.0):
        do(f"conservation {timestep}", conservation, 2880 if large else 24, timestep,
           100 if large else 3, at_least_s=4)  # fmt: skip
    do("1 x 9000, kernels one by one", speed, "kernels", 1, some, at_least_s=3)
    do("1 x 9000, before", speed, "before", 1, some, at_least_s=5)
    do("shares before", shares, "before", some, at_least_s=5)
    for glasses, atoms in ((16, 192), (6, 2880)) if large else ():
        do(f"{glasses} x {atoms}", speed, "tuned", glasses, atoms, at_least_s=3)
