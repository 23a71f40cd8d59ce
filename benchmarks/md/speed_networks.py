"""Pieces of `speed.py` that belong to networks."""

# ruff: noqa: SLF001  (it looks into the engine to time its parts)

import functools
import json
import time
import warnings

import ase.io
import numpy as np
import torch
from pieces import kernel_times, time_steps
from speed_pairs import COUPLING, pair_model, ramped, stage
from throughput import silica

from glassml.md.engines.respa import TwoTimeSteps
from glassml.md.engines.torchmd import Batch
from glassml.potential.packages import PotentialError
from glassml.potential.padded import load_network
from glassml.potential.shortcuts import check_shortcuts

NONE, TF32, COMPILE, BOTH = (), ("tf32",), ("compile",), ("tf32", "compile")
FUSED, ALL = ("fused",), ("tf32", "compile", "fused")
COLUMNS = (
    "network", "backend", "shortcuts", "inner_steps", "timestep_fs", "glasses", "atoms", "pairs",
    "step_ms", "model_ms", "rest_percent", "million_atom_steps_per_s", "ns_per_day", "load_s",
    "first_step_s", "peak_GiB",
)  # fmt: skip


class Loaded:
    """The network that was loaded last: compiling one anew takes more than a minute."""

    def __init__(self, pieces):
        self.pieces = pieces
        self._key = self._model = self._exact = None

    def get(self, package, shortcuts):
        """Give a network, and a row that describes it."""
        if self._key != (package, shortcuts):
            self._key = self._model = None
            begin = time.monotonic()
            skin_A = 1.0 if "fused" in shortcuts else 0.5  # each what it is best with
            model, described = load_network(
                package, self.pieces.device.type, skin_A=skin_A, shortcuts=shortcuts
            )
            row = {"network": package.name, "backend": described["backend"],
                   "shortcuts": named(shortcuts), "load_s": time.monotonic() - begin}  # fmt: skip
            self._key, self._model = (package, shortcuts), (model, row)
        model, row = self._model
        # of another batch
        model.reserve(0)
        return model, row

    def forget(self):
        """Load the next one anew."""
        self._key = self._model = None

    def exact(self, package):
        """Give the network without shortcuts and without a graph, for errors."""
        if self._exact is None or self._exact[0] != package:
            self._exact = package, load_network(package, self.pieces.device.type, graph=False)[0]
        return self._exact[1]


def named(shortcuts):
    """Give the name of a set of shortcuts."""
    return "+".join(shortcuts) or "none"


def errors_on_labels(pieces, loaded, package, shortcuts, labels):
    """Compare a network that takes shortcuts with the same without, as a run does."""
    model = loaded.get(package, shortcuts)[0]
    graph, model.graph = model.graph, False
    try:
        found = check_shortcuts(model, loaded.exact(package), labels)
        errors = {"exact": found["exact"], "short": found["short"]}
    except PotentialError as error:
        errors = {"refused": str(error)[:300]}
    finally:
        model.graph = graph
    row = {"network": package.name, "shortcuts": named(shortcuts), "errors": json.dumps(errors)}
    pieces.row("network_errors", row)
    return errors


def median_ms(pieces, function):
    """Time a function that the device is waited for."""
    times = []
    for _ in range(10 if pieces.gpu else 3):
        pieces.wait()
        start = time.perf_counter()
        function()
        pieces.wait()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def moved(model, glasses, atoms):
    """Give a batch that a network moves."""
    return ramped(model, [silica(atoms, seed) for seed in range(glasses)], 300.0, 1.5)


def moved_by_two(pieces, model, glasses, atoms):
    """Give a batch that a network moves with time steps of 4 fs, and SHIK inside them."""
    # near rest: 4 fs are too long for atoms that a blow threw at one another
    batch = [silica(atoms, seed, noise_A=0.02) for seed in range(glasses)]
    model.place(batch)
    inner = pair_model(pieces, "shik", kernels=pieces.gpu)[0]
    return TwoTimeSteps(Batch(batch, inner, 1), model, stage("npt", 300.0, 4.0), COUPLING, 4)


def speed(pieces, loaded, package, shortcuts, glasses, atoms, *, two=False):
    """Measure a network with shortcuts, with two time steps or one."""
    model, described = loaded.get(package, shortcuts)
    if pieces.gpu:
        torch.cuda.reset_peak_memory_stats()
    begin = time.monotonic()
    moving = moved_by_two(pieces, model, glasses, atoms) if two else moved(model, glasses, atoms)
    moving.advance(1)
    pieces.wait()
    first = time.monotonic() - begin
    moving.advance(20 if pieces.gpu else 1)
    step, _ = time_steps(pieces, moving, 1.5 if pieces.gpu else 0.0)
    total = len(moving.batch.masses)
    model(moving.batch.positions, moving.batch.cells)
    alone = median_ms(pieces, model._replay)
    timestep = moving.stage.timestep_fs
    row = described | {
        "inner_steps": 4 if two else 1, "timestep_fs": timestep,
        "ns_per_day": 0.0864 * timestep / step,
        "glasses": glasses, "atoms": total, "pairs": model._used,
        "step_ms": 1e3 * step, "model_ms": alone,
        "rest_percent": 100.0 * (1.0 - 1e-3 * alone / step),
        "million_atom_steps_per_s": 1e-6 * total / step, "first_step_s": first,
        "peak_GiB": torch.cuda.max_memory_allocated() / 2**30 if pieces.gpu else 0.0,
    }  # fmt: skip
    pieces.row("networks", row, COLUMNS)
    return {"million": 1e-6 * total / step}


def shares(pieces, loaded, package, shortcuts, glasses, atoms):
    """Profile steps of a batch moved by a network."""
    moving = moved(loaded.get(package, shortcuts)[0], glasses, atoms)
    many = 4 if pieces.gpu else 1
    moving.advance(2 * many)
    found = kernel_times(pieces, lambda: moving.advance(many), times=3)
    total = sum(found.values())
    for kernel, us in sorted(found.items(), key=lambda each: -each[1])[:30]:
        row = {"network": package.name, "shortcuts": named(shortcuts), "kernel": kernel,
               "us_per_step": us / many, "percent": 100.0 * us / total}  # fmt: skip
        pieces.row("network_shares", row)
    return f"{total / many:.0f} us of kernels a step"


def parts(pieces, loaded, package, shortcuts, glasses, atoms):
    """Time the parts of a step, each for itself, and count a step's waits for the device."""
    moving = moved(loaded.get(package, shortcuts)[0], glasses, atoms)
    moving.advance(8 if pieces.gpu else 1)
    batch, edges = moving.batch, moving.batch.model._edges
    where, targets, noise = (batch.positions, batch.cells), moving.targets(1, 1)[0], moving.noise()
    still = lambda *_: {"energy": batch.energy, "forces": batch.forces, "stress": batch.stress}  # noqa: E731
    builds = edges.builds
    step, steps = time_steps(pieces, moving, 1.0 if pieces.gpu else 0.0)
    builds = 1000.0 * (edges.builds - builds) / steps
    named_parts = {
        "random numbers": moving.noise,
        "integrator": lambda: moving.move(targets, *noise, still),
        "pairs, padding, network": lambda: batch.model(*where),
        "network": batch.model._replay,
    }
    if "fused" in shortcuts:
        named_parts["a new list"] = lambda: batch.model._build(*where)
    else:
        named_parts |= {
            "is the list good": lambda: edges._stale(*where),
            "pairs within the cutoff": lambda: edges._near(*where),
            "a new list": lambda: edges._build(*where),
        }
    row = {"network": package.name, "shortcuts": named(shortcuts), "atoms": len(batch.masses)}
    waits = count_waits(pieces, moving)
    whole = {"us": 1e6 * step, "percent": 100.0, "waits": waits, "builds_per_1000": builds}
    pieces.row("network_parts", row | {"part": "step"} | whole)
    for part, function in named_parts.items():
        us = 1e3 * median_ms(pieces, function)
        pieces.row("network_parts", row | {"part": part, "us": us, "percent": 1e-4 * us / step})
    return whole


def count_waits(pieces, moving):
    """Give how often the host waits for the device in a step; nothing without a GPU."""
    if not pieces.gpu:
        return ""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            moving.advance(16)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(each.message) for each in seen) / 16


def cached(pieces, loaded, package, shortcuts, glasses, atoms):
    """Measure the time to the first step of a network whose kernels lie on disk."""
    loaded.forget()
    torch.compiler.reset()
    return speed(pieces, loaded, package, shortcuts, glasses, atoms)


def run_parts(pieces, packages):
    """Time the parts of a step of each network, with all shortcuts and without."""
    loaded = Loaded(pieces)
    batch = (3, 2880) if pieces.gpu else (1, 24)
    for package in packages:
        for shortcuts in (ALL, BOTH, NONE) if pieces.gpu else (NONE,):
            name = f"{package.name} {named(shortcuts)}, parts"
            pieces.run(name, parts, loaded, package, shortcuts, *batch, at_most_s=150)


def run(pieces, packages, labels, at_most):
    """Run what belongs to networks, the most important first."""
    known = ase.io.read(labels, f":{at_most if pieces.gpu else 1}") if labels else []
    batch = (3, 2880) if pieces.gpu else (1, 24)
    loaded = Loaded(pieces)

    def do(what, function, *args, least=5):
        pieces.run(what, function, loaded, *args, at_least_s=least, at_most_s=150)

    for package in packages:
        for shortcuts in (ALL, NONE, FUSED, TF32, BOTH):
            name = f"{package.name} {named(shortcuts)}"
            do(name, speed, package, shortcuts, *batch)
            if shortcuts in (ALL, NONE, BOTH):
                do(f"{name}, shares", shares, package, shortcuts, *batch)
                do(f"{name}, parts", parts, package, shortcuts, *batch)
            if known:
                do(f"{name}, errors", errors_on_labels, package, shortcuts, known)
            if shortcuts in (ALL, BOTH):
                two = functools.partial(speed, two=True)
                do(f"{name}, SHIK inside", two, package, shortcuts, *batch)
            for number in (999, 24000) if pieces.gpu and shortcuts == ALL else ():
                do(f"{name} {number}", speed, package, ALL, 1, number)
    for package in packages:
        do(
            f"{package.name} {named(ALL)}, kernels from disk",
            cached,
            package,
            ALL,
            *batch,
            least=20,
        )
        name = f"{package.name} {named(COMPILE)}"
        do(name, speed, package, COMPILE, *batch, least=20)
        if known:
            do(f"{name}, errors", errors_on_labels, package, COMPILE, known, least=60)
