"""Pieces of `speed.py` that belong to networks."""

# ruff: noqa: SLF001  (it looks into the engine to time its parts)

import json
import time

import ase.io
import numpy as np
from pieces import kernel_times, time_steps
from speed_pairs import ramped
from throughput import silica

from glassml.potential.packages import PotentialError
from glassml.potential.padded import load_network
from glassml.potential.shortcuts import check_shortcuts

SETS = ((), ("tf32",), ("tf32", "compile"), ("compile",))


def errors_on_labels(pieces, package, model, labels):
    """Compare a network that takes shortcuts with the same without, as a run does."""
    exact = load_network(package, pieces.device.type, graph=False)[0]
    graph, model.graph = model.graph, False
    try:
        found = check_shortcuts(model, exact, labels)
        return {"exact": found["exact"], "short": found["short"]}
    except PotentialError as error:
        return {"refused": str(error)[:300]}
    finally:
        model.graph = graph


def model_ms(pieces, model):
    """Time an evaluation of the network alone."""
    times = []
    for _ in range(10):
        pieces.wait()
        start = time.perf_counter()
        model._replay()
        pieces.wait()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def speed(pieces, package, labels, shortcuts, glasses, atoms, seconds=1.5):
    """Measure a network with shortcuts, after their errors on labels."""
    name, some = package.name, "+".join(shortcuts) or "none"
    begin = time.monotonic()
    model, described = load_network(package, pieces.device.type, shortcuts=shortcuts)
    loaded = time.monotonic()
    moving = ramped(model, [silica(atoms, seed) for seed in range(glasses)], 300.0, 1.5)
    moving.advance(1)
    pieces.wait()
    first = time.monotonic() - loaded
    moving.advance(20 if pieces.gpu else 1)
    step, _ = time_steps(pieces, moving, seconds)
    total = len(moving.batch.masses)
    alone = model_ms(pieces, model)
    row = {
        "network": name, "backend": described["backend"], "shortcuts": some, "glasses": glasses,
        "atoms": total, "pairs": model._used, "step_ms": 1e3 * step, "model_ms": alone,
        "rest_percent": 100.0 * (1.0 - 1e-3 * alone / step),
        "million_atom_steps_per_s": 1e-6 * total / step, "load_s": loaded - begin,
        "first_step_s": first,
    }  # fmt: skip
    pieces.row("networks", row)
    if labels:
        errors = errors_on_labels(pieces, package, model, labels)
        row = {"network": name, "shortcuts": some, "errors": json.dumps(errors)}
        pieces.row("network_errors", row)
    return {"million": 1e-6 * total / step}


def shares(pieces, package, shortcuts, glasses, atoms):
    """Profile steps of a batch moved by a network."""
    model, _ = load_network(package, pieces.device.type, shortcuts=shortcuts)
    moving = ramped(model, [silica(atoms, seed) for seed in range(glasses)], 300.0, 1.5)
    moving.advance(8 if pieces.gpu else 1)
    found = kernel_times(pieces, lambda: moving.advance(1), times=5)
    total = sum(found.values())
    for kernel, us in sorted(found.items(), key=lambda each: -each[1])[:25]:
        row = {"network": package.name, "shortcuts": "+".join(shortcuts) or "none",
               "kernel": kernel, "us_per_step": us, "percent": 100.0 * us / total}  # fmt: skip
        pieces.row("network_shares", row)
    return f"{total:.0f} us of kernels a step"


def run(pieces, packages, labels, at_most):
    """Run what belongs to networks, the most important first."""
    known = ase.io.read(labels, f":{at_most}") if labels else []
    glasses, atoms = (3, 2880) if pieces.gpu else (1, 24)
    for package in packages:
        for shortcuts in SETS:
            what = f"{package.name} {'+'.join(shortcuts) or 'none'}"
            known_here = known if pieces.gpu else known[:1]
            pieces.run(what, speed, package, known_here, shortcuts, glasses, atoms,
                       1.5 if pieces.gpu else 0.0, at_least_s=5, at_most_s=90)  # fmt: skip
        for shortcuts in (SETS[0], SETS[2]):
            what = f"shares of {package.name} {'+'.join(shortcuts) or 'none'}"
            pieces.run(what, shares, package, shortcuts, glasses, atoms, at_least_s=5)
        if pieces.gpu:
            for number in (999, 24000):
                what = f"{package.name} {'+'.join(SETS[2])} {number}"
                pieces.run(what, speed, package, [], SETS[2], 1, number, at_least_s=8)
