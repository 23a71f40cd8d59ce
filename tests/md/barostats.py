"""What the volume of a system under a barostat must be, known exactly."""

import numpy as np
import pytest
from ase import Atoms, units

from glassml.md.start import maxwell_boltzmann

CASES = [(0.0, 0.05), (2.0, 0.3)]  # bulk modulus and pressure in GPa
NUMBER, TEMPERATURE_K, VOLUME_A3 = 48, 400.0, 6000.0


def gas(edge, seed):
    rng = np.random.default_rng(seed)
    atoms = Atoms(f"Ar{NUMBER}", rng.random((NUMBER, 3)) * edge, cell=[edge] * 3, pbc=True)
    maxwell_boltzmann(atoms, TEMPERATURE_K, rng)
    return atoms


def exact_volume(bulk_modulus_GPa, pressure_GPa, power=NUMBER):
    """Give mean and variance of the volume of an ideal gas, on a spring if it has a modulus.

    `power` is that of the volume in the weight of a box.
    """
    beta = 1.0 / (units.kB * TEMPERATURE_K)
    modulus, pressure = bulk_modulus_GPa * units.GPa, pressure_GPa * units.GPa
    centre = NUMBER / (beta * pressure) if modulus == 0.0 else VOLUME_A3
    V = np.linspace(0.02 * centre, 4.0 * centre, 200_001)
    spring = 0.5 * modulus * VOLUME_A3 * (V / VOLUME_A3 - 1.0) ** 2
    weight = power * np.log(V) - beta * (spring + pressure * V)
    weight = np.exp(weight - weight.max())
    mean = float((weight * V).sum() / weight.sum())
    return mean, float((weight * (V - mean) ** 2).sum() / weight.sum())


def check_volumes(volumes, mean, variance):
    """Check volumes of shape (steps, replicas), by means over replicas and blocks of steps."""
    for values, expected, within in (
        (volumes, mean, 0.02),
        ((volumes - mean) ** 2, variance, 0.2),
    ):
        blocks = np.concatenate([block.mean(axis=0) for block in np.array_split(values, 10)])
        error = blocks.std(ddof=1) / np.sqrt(len(blocks))
        assert error < within * expected
        assert abs(values.mean() - expected) < 4.0 * error


def check_ensemble(advance, batch, steps, settled, mean, variance):
    """Move a batch, and check volumes and temperatures of the steps after `settled`."""
    boxes, temperatures = [], []
    for step in range(steps):
        advance()
        if step > settled:
            boxes.append(np.linalg.det(batch.cells.numpy()))
            twice_kinetic = batch.membership @ ((batch.momenta**2).sum(dim=1) / batch.masses)
            temperatures.append(float(twice_kinetic.mean()) / (3 * NUMBER * units.kB))
    check_volumes(np.array(boxes), mean, variance)
    assert np.mean(temperatures) == pytest.approx(TEMPERATURE_K, rel=0.02)
