"""What the ASE engine costs beside its potential: python benchmarks/md/overhead.py PACKAGE [ATOMS].

Processor time of one thread: blocks of steps (guards, series every 10 steps, frames every 50, as
in a campaign) take turns with blocks of bare calls of the calculator on the same moving atoms.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from glassml.md.checkpoint import Checkpoint
from glassml.md.engines.single import Simulation
from glassml.md.guards import Limits
from glassml.md.potential import load_potential
from glassml.md.protocol import Coupling, Stage
from glassml.md.start import maxwell_boltzmann, random_start

STEPS = 50
ROUNDS = 4


class Timed:
    """Counts the processor time that a calculator's `calculate` takes."""

    def __init__(self, calculator):
        self.seconds = 0.0
        self.calls = 0
        self._calculate = calculator.calculate
        calculator.calculate = self.calculate

    def calculate(self, *args, **kwargs):
        begin = time.process_time()
        self._calculate(*args, **kwargs)
        self.seconds += time.process_time() - begin
        self.calls += 1


def main(package, number):
    calculator, description = load_potential(Path(package))
    atoms = random_start({"Si": 1, "O": 2}, number, 2.2, np.random.default_rng(1))
    maxwell_boltzmann(atoms, 300.0, np.random.default_rng(2))
    stage = Stage("run", "npt", STEPS, 0.25, (300.0, 300.0), (0.0, 0.0), 10, 50)
    limits = Limits(1e6, 1e6, (0.1, 50.0), 0.9)
    timed = Timed(calculator)
    print(f"{number} atoms, {description['backend']} on {description['device']}, {STEPS} steps")
    shares = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            simulation = Simulation(
                atoms.copy(), calculator, [stage], Coupling(50.0, 500.0, 37.0), limits,
                np.random.default_rng(3), Checkpoint(Path(folder), "benchmark"), 1.0,
            )  # fmt: skip
            timed.seconds, timed.calls = 0.0, 0
            begin = time.process_time()
            simulation.run(show_progress=False)
            total = time.process_time() - begin
        shares.append(total / timed.seconds - 1.0)
        per_call = 1000.0 * timed.seconds / timed.calls
        print(
            f"model {per_call:.2f} ms a call, {timed.calls} calls; "
            f"engine {1000.0 * (total - timed.seconds) / STEPS:.2f} ms a step, {shares[-1]:.1%}"
        )
    print(f"overhead over the bare model: {np.median(shares):.1%} (median of {ROUNDS})")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 144)
