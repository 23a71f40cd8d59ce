"""Models of exact and simple physics that move batches."""

import signal

import numpy as np
import torch
from ase.build import bulk

from glassml.md.start import maxwell_boltzmann

CPU = torch.device("cpu")


class Spring:
    """Atoms on springs to lattice sites that move with the box; exact, and quick."""

    device, capacity = CPU, 0

    def __init__(self, stiffness=1.0, failing=None, forces=0.0):
        self.stiffness, self.failing, self.extra, self.calls = stiffness, failing, forces, 0

    def reserve(self, capacity):
        pass

    def kept(self):
        return {}

    def take_up(self, arrays):
        pass

    def place(self, glasses):
        self.sizes = [len(atoms) for atoms in glasses]
        self.system = torch.repeat_interleave(torch.arange(len(glasses)), torch.tensor(self.sizes))
        lattice = [argon_sites(size) for size in self.sizes]
        self.sites = torch.as_tensor(np.concatenate(lattice))

    def __call__(self, positions, cells):
        self.calls += 1
        if self.calls == self.failing:
            signal.raise_signal(signal.SIGTERM)
        sites = torch.bmm(self.sites[:, None], cells[self.system])[:, 0]
        away = positions - sites
        zeros = torch.zeros(len(self.sizes), dtype=torch.float64)
        energy = zeros.index_add(0, self.system, 0.5 * self.stiffness * (away**2).sum(dim=1))
        volume = torch.linalg.det(cells)
        rest = 37.0 * torch.tensor(self.sizes)
        strain = volume / rest - 1.0
        energy = energy + 0.5 * 0.02 * rest * strain**2
        outer = self.stiffness * away[:, :, None] * away[:, None]
        stress = torch.zeros((len(self.sizes), 3, 3), dtype=torch.float64)
        stress = stress.index_add(0, self.system, outer) / volume[:, None, None]
        stress = stress + 0.02 * strain[:, None, None] * torch.eye(3, dtype=torch.float64)
        return {
            "energy": energy, "forces": -self.stiffness * away + self.extra, "stress": stress,
        }  # fmt: skip


def argon_sites(count):
    cells = round((count / 4) ** (1 / 3))
    return (bulk("Ar", cubic=True, a=5.3) * (cells, cells, cells)).get_scaled_positions()


def argon(seed, cells=2):
    atoms = bulk("Ar", cubic=True, a=5.3) * (cells, cells, cells)
    maxwell_boltzmann(atoms, 50.0, np.random.default_rng(seed))
    return atoms


class VolumeSpring:
    """Atoms that feel nothing but the volume: E = K V0 (V / V0 - 1)² / 2; K = 0 is an ideal gas."""

    device, capacity = CPU, 0

    def __init__(self, modulus, volume):
        self.modulus, self.volume = modulus, volume

    def reserve(self, capacity):
        pass

    def place(self, glasses):
        self.atoms = sum(len(atoms) for atoms in glasses)

    def __call__(self, positions, cells):
        strain = torch.linalg.det(cells) / self.volume - 1.0
        return {
            "energy": 0.5 * self.modulus * self.volume * strain**2,
            "forces": torch.zeros_like(positions),
            "stress": self.modulus * strain[:, None, None] * torch.eye(3, dtype=torch.float64),
        }
