"""How long an evaluation of a potential takes."""

import statistics
import time
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from glassml.potential.probes import enlarge

WARM_UP = 3
REPEATS = 7


def measure_speed(
    calculator: Calculator, frames: Sequence[Atoms], atoms: int
) -> dict[str, float | int | str]:
    """Time evaluations of a box with its neighbour list: median of the times per atom.

    On a CPU it is the time of the process on one thread, so that other work on the machine does
    not matter; on a GPU, time on the clock.

    Parameters
    ----------
    calculator
        The potential, with the parameters that `load_calculator` gives.
    frames
        Configurations: the largest is repeated.
    atoms
        Least number of atoms of the box.
    """
    import torch  # noqa: PLC0415  (seconds to import)

    torch.set_num_threads(1)
    box = enlarge(max(frames, key=len), atoms)
    box.calc = calculator
    device = str(calculator.parameters["device"])
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    rng = np.random.default_rng(1)
    times = []
    for _ in range(WARM_UP + REPEATS):
        box.positions += rng.normal(0.0, 1e-3, box.positions.shape)
        start = clock()
        box.get_forces()
        times.append(clock() - start)
    return {
        "atoms": len(box),
        "device": device,
        "backend": str(calculator.parameters["backend"]),
        "ms_per_atom_step": 1e3 * statistics.median(times[WARM_UP:]) / len(box),
    }
