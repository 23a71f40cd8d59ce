"""Published pair potentials of silica: their energies and forces, and LAMMPS's way to them.

A potential is a damped and shifted Coulomb energy (Fennell and Gezelter, J. Chem. Phys. 124, 234104
(2006)) and a short-range part.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import erfc

#: e²/4πε₀ in eV Å (the value of LAMMPS in metal units).
COULOMB_EV_A = 14.399645
COULOMB_CUTOFF_A = 10.0
DAMPING_PER_A = 0.2
#: Tables begin here; nearer, energies go on as lines.
INNERMOST_A = 0.4
_SMOOTHING_A = 0.2
_CORE_EV = 100.0
_TABLE_POINTS = 6000


@dataclass(frozen=True)
class PairPotential:
    """V(r) = q q' e²/r + A exp(-B r) - C/r⁶ + D/rⁿ, with A, B, C, D by pair of elements.

    Attributes
    ----------
    charges
        In elementary charges, by element.
    terms
        A in eV, B in 1/Å, C in eV Å⁶, D in eV Åⁿ, by pair of elements.
    source
        Where they were published.
    power
        n, of the core.
    cutoff_A
        Where the terms end, smoothly, in Å.
    """

    charges: dict[str, float]
    terms: dict[tuple[str, str], tuple[float, float, float, float]]
    source: str
    power: int = 24
    cutoff_A: float = 8.0


def _with_core(
    A: float, B: float, C: float, epsilon: float, sigma: float
) -> tuple[float, float, float, float]:
    """Add 4 ε [(σ/r)³⁰ - (σ/r)⁶] to a Buckingham term; ε in eV, σ in Å."""
    return A, B, C + 4.0 * epsilon * sigma**6, 4.0 * epsilon * sigma**30


POTENTIALS = {
    # The plain potential falls without end below 1.2 Å (Si-O) and 1.6 Å (O-O), which melts reach.
    "bks": PairPotential(
        {"Si": 2.4, "O": -1.2},
        {
            ("Si", "O"): _with_core(18003.7572, 4.87318, 133.5381, 0.003097948, 1.313635),
            ("O", "O"): _with_core(1388.7730, 2.76000, 175.0, 0.00105105048, 1.779239),
            ("Si", "Si"): (0.0, 1.0, 0.0, 0.0),
        },
        "van Beest, Kramer and van Santen, Phys. Rev. Lett. 64, 1955 (1990); core of Saika-Voivod, "
        "Sciortino and Poole, Phys. Rev. E 69, 041503 (2004); cutoff of Vollmayr, Kob and Binder, "
        "Phys. Rev. B 54, 15808 (1996)",
        power=30,
        cutoff_A=5.5,
    ),
    "shik": PairPotential(
        {"Si": 1.7755, "O": -0.88775},
        {
            ("Si", "O"): (23108.0, 5.0979, 139.70, 66.0),
            ("O", "O"): (1120.5, 2.8927, 26.132, 16800.0),
            ("Si", "Si"): (2798.0, 4.4073, 0.0, 3423204.0),
        },
        "Sundararaman, Huang, Ispas and Kob, J. Chem. Phys. 148, 194504 (2018)",
    ),
    "chik": PairPotential(
        {"Si": 1.910418, "O": -0.955209},
        {
            ("Si", "O"): (27029.419922, 5.158606, 148.099091, 29.0),
            ("O", "O"): (659.595398, 2.590066, 26.836679, 113.0),
            ("Si", "Si"): (3150.462646, 2.851451, 626.751953, 3423200.0),
        },
        "Carré, Horbach, Ispas and Kob, EPL 82, 17001 (2008)",
    ),
}


def damped_coulomb(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Give the damped and shifted Coulomb energy of two charges of one e, and its own energy.

    Returns
    -------
    energy, force
        In 1/Å and 1/Å², to be multiplied by `COULOMB_EV_A` and both charges.
    own
        Energy of a charge of one e by its own damping, in 1/Å.
    """
    a, edge = DAMPING_PER_A, COULOMB_CUTOFF_A
    slope = -(
        erfc(a * edge) / edge**2 + 2.0 * a / np.sqrt(np.pi) * np.exp(-((a * edge) ** 2)) / edge
    )
    shift = erfc(a * edge) / edge - slope * edge
    energy = erfc(a * distance) / distance - shift - slope * distance
    force = (
        erfc(a * distance) / distance**2
        + 2.0 * a / np.sqrt(np.pi) * np.exp(-((a * distance) ** 2)) / distance
        + slope
    )
    return energy, force, float(-(0.5 * shift + a / np.sqrt(np.pi)))


def short_range(
    potential: PairPotential, pair: tuple[str, str], distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tabulate the short-range energy (eV) and force (eV/Å), smoothed to zero at the cutoff.

    The smoothing is the factor exp(-γ²/(r-rc)²) of Sundararaman et al. (2018) with γ = 0.2 Å.
    Inside the distance where the energy passes 100 eV it goes on as a straight line, so that
    random starts have finite forces.
    """
    A, B, C, D = potential.terms[pair]
    n = potential.power

    def plain(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energy = A * np.exp(-B * r) - C / r**6 + D / r**n
        force = A * B * np.exp(-B * r) - 6 * C / r**7 + n * D / r ** (n + 1)
        gap = np.maximum(potential.cutoff_A - r, 1e-6)
        factor = np.exp(-((_SMOOTHING_A / gap) ** 2))
        slope = -factor * 2 * _SMOOTHING_A**2 / gap**3
        return energy * factor, force * factor - energy * slope

    energy, force = plain(distance)
    fine = np.linspace(INNERMOST_A, 2.5, 100_000)
    above = np.flatnonzero(plain(fine)[0] > _CORE_EV)
    # The outermost distance reached from outside, so that a well inside the core is cut off.
    wall = fine[above[-1]] if len(above) else fine[np.argmax(plain(fine)[0])]
    inside = distance < wall
    wall_energy, wall_force = (float(x[0]) for x in plain(np.array([wall])))
    energy[inside] = wall_energy + wall_force * (wall - distance[inside])
    force[inside] = wall_force
    return energy, force


def pair_commands(name: str, table: str | Path) -> list[str]:
    """Give the commands of LAMMPS for a potential, with atom types 1 Si and 2 O.

    Parameters
    ----------
    name
        A key of `POTENTIALS`.
    table
        Where `lammps_table` is written.
    """
    potential = POTENTIALS[name]
    commands = [
        f"pair_style hybrid/overlay coul/dsf {DAMPING_PER_A} {COULOMB_CUTOFF_A} "
        f"table linear {_TABLE_POINTS}",
        "pair_coeff * * coul/dsf",
    ]
    for types, pair in (("1 1", "Si-Si"), ("1 2", "Si-O"), ("2 2", "O-O")):
        commands.append(f"pair_coeff {types} table {table} {pair} {potential.cutoff_A}")
    return commands


@cache
def lammps_table(name: str) -> str:
    """Give the short-range part as a pair table of LAMMPS, equally spaced in r²."""
    potential, low = POTENTIALS[name], INNERMOST_A
    squared = np.linspace(low**2, potential.cutoff_A**2, _TABLE_POINTS)
    distance = np.sqrt(squared)
    lines = []
    for one, other in potential.terms:
        energy, force = short_range(potential, (one, other), distance)
        lines += [f"{one}-{other}", f"N {_TABLE_POINTS} RSQ {low} {potential.cutoff_A}", ""]
        lines += [
            f"{number} {r:.12g} {e:.12g} {f:.12g}"
            for number, (r, e, f) in enumerate(zip(distance, energy, force, strict=True), 1)
        ]
        lines.append("")
    return "\n".join(lines) + "\n"
