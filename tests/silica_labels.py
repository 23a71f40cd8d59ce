"""Labels from a real classical potential on real crystals, so that training is fast and honest."""

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from matscipy.calculators.pair_potential import PairPotential
from matscipy.calculators.pair_potential.calculator import CutoffInteraction
from scipy.special import erfc

from glassml.campaign.config.potential import Network, Training

COULOMB = 14.399645  # eV Å
CHARGES = {14: 2.4, 8: -1.2}
BUCKINGHAM = {(14, 8): (18003.7572, 4.87318, 133.5381), (8, 8): (1388.7730, 2.76, 175.0)}
ISOLATED = {"Si": -10.0, "O": -5.0}

# A network and a training of some seconds.
SMALL = {
    "cutoff_A": 4.0,
    "layers": 2,
    "l_max": 1,
    "features": 8,
    "parity": False,
    "radial_width": 16,
    "bessels": 8,
    "zbl": True,
    "dtype": "float32",
}
SHORT = {
    "batch_size": 1,
    "learning_rate": 0.01,
    "max_epochs": 24,
    "max_minutes": 5.0,
    "patience_epochs": 100,
    "ema_decay": 0.9,
    "energy_weight": 1.0,
    "force_weight": 1.0,
    "stress_weight": 10.0,
    "final_energy_weight": 50.0,
    "final_stress_weight": 500.0,
    "shifts": "isolated_atoms",
    "kernels": "eager",
    "bagging": False,
}
NETWORK, TRAINING = Network(**SMALL), Training(**SHORT)


class IonicPair(CutoffInteraction):
    """BKS (Phys. Rev. Lett. 64, 1955 (1990)) with Coulomb terms screened by erfc(r/4 Å)."""

    def __init__(self, pair, cutoff=5.0):
        super().__init__(cutoff)
        self.A, self.B, self.C = BUCKINGHAM.get(pair, (0.0, 1.0, 0.0))
        self.qq = COULOMB * CHARGES[pair[0]] * CHARGES[pair[1]]
        self.offset = self._raw(cutoff)
        self.slope = self._raw_derivative(cutoff)

    def _raw(self, r):
        return self.A * np.exp(-self.B * r) - self.C / r**6 + self.qq * erfc(0.25 * r) / r

    def _raw_derivative(self, r):
        screened = erfc(0.25 * r) / r**2 + 0.5 / np.sqrt(np.pi) * np.exp(-((0.25 * r) ** 2)) / r
        return -self.A * self.B * np.exp(-self.B * r) + 6 * self.C / r**7 - self.qq * screened

    def __call__(self, r, *_):
        return self._raw(r) - self.offset - self.slope * (r - self.cutoff)

    def first_derivative(self, r, *_):
        return self._raw_derivative(r) - self.slope

    def second_derivative(self, r, *_):
        raise NotImplementedError


def silica_calculator():
    return PairPotential({pair: IonicPair(pair) for pair in [(14, 8), (8, 8), (14, 14)]})


def silica(silicon, oxygen, space_group, cell) -> Atoms:
    return crystal(["Si", "O"], [silicon, oxygen], spacegroup=space_group, cellpar=cell)


def quartz() -> Atoms:
    cell = [4.9137, 4.9137, 5.4047, 90, 90, 120]
    return silica((0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.7858), 154, cell)


def cristobalite() -> Atoms:
    cell = [4.9709, 4.9709, 6.9278, 90, 90, 90]
    return silica((0.3003, 0.3003, 0), (0.2392, 0.1044, 0.1787), 92, cell)


def stishovite() -> Atoms:
    cell = [4.1790, 4.1790, 2.6660, 90, 90, 90]
    return silica((0, 0, 0), (0.3062, 0.3062, 0), 136, cell)


POLYMORPHS = {"quartz": quartz, "cristobalite": cristobalite, "stishovite": stishovite}


def label(atoms, calculator):
    """Store the labels as the dataset stage does."""
    atoms = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True, info=atoms.info)
    atoms.calc = calculator
    energy, forces, stress = (
        atoms.get_potential_energy(),
        atoms.get_forces(),
        atoms.get_stress(),
    )
    atoms.calc = None
    counts = {symbol: list(atoms.symbols).count(symbol) for symbol in ISOLATED}
    atoms.info["REF_energy"] = energy + sum(counts[s] * ISOLATED[s] for s in counts)
    atoms.info["REF_stress"] = stress
    atoms.arrays["REF_forces"] = forces
    return atoms


def make_labels(count, seed, scales=(0.92, 1.06), strain=0.01, rattle=(0.02, 0.12)):
    """Strained and rattled copies of three crystals with labels."""
    rng = np.random.default_rng(seed)
    calculator = silica_calculator()
    frames = []
    for index in range(count):
        family = list(POLYMORPHS)[index % 3]
        atoms = POLYMORPHS[family]()
        deformation = np.eye(3) * rng.uniform(*scales) + rng.normal(0, strain, (3, 3))
        atoms.set_cell(atoms.cell[:] @ ((deformation + deformation.T) / 2), scale_atoms=True)
        atoms.rattle(rng.uniform(*rattle), rng=rng)
        atoms.info = {
            "config_type": "strained",
            "family": family,
            "parent": f"{family}/{family}/{index // 6:05d}",
            "config_id": f"{family}/{index:06d}",
            "seed": seed,
        }
        frames.append(label(atoms, calculator))
    return frames
