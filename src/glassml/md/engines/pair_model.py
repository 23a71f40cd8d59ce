"""Published pair potentials of silica for batches of glasses, with torch, on a CPU or a GPU.

Those of `glassml.configurations.pair_potentials`, as LAMMPS runs them. They make the hybrid quench
and serve as negative controls, with the protocols of learned ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.configurations.pair_potentials import (
    COULOMB_CUTOFF_A,
    COULOMB_EV_A,
    INNERMOST_A,
    POTENTIALS,
    damped_coulomb,
    short_range,
)
from glassml.potential.edges import Edges, volumes
from glassml.potential.kernels import Kernel
from glassml.potential.padded import Result

#: Of the table, equal in r² from `INNERMOST_A` to `COULOMB_CUTOFF_A`; a cubic in each.
INTERVALS = 2**12
PER_INTERVAL_A2 = INTERVALS / (COULOMB_CUTOFF_A**2 - INNERMOST_A**2)
SKIN_A = 1.0


class PairModel:
    """Energy, forces and stress of a batch by a pair potential.

    Parameters
    ----------
    name
        "bks", "chik" or "shik".
    device
        Where it computes.
    intervals
        Of its table, as for `cubics`; None takes those of `pair_table`.
    """

    capacity = 0
    #: Of the table, where they are not those of `pair_table`.
    intervals: tuple[np.ndarray, np.ndarray] | None = None

    def __init__(
        self,
        name: str,
        device: torch.device,
        intervals: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.name, self.device = name, device
        self.species, self.cutoff_A = ["O", "Si"], COULOMB_CUTOFF_A
        table = pair_table(name) if intervals is None else cubics(name, *intervals)
        pulls, energies, self._self_energy = table
        self._uneven = [torch.as_tensor(each, device=device) for each in intervals or ()]
        self._pulls = torch.as_tensor(pulls, device=device)
        self._energies = torch.as_tensor(energies, device=device)
        self._sums = Kernel(pair_sums, device)

    def reserve(self, capacity: int) -> None:
        """Do nothing: nothing is padded."""

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch, and arrange what depends on their boxes.

        Raises
        ------
        StructureError
            If there is anything but Si and O.
        """
        unknown = sorted({s for atoms in glasses for s in atoms.symbols} - {*self.species})
        if unknown:
            raise StructureError(f"{self.name} is for Si and O; it does not know {unknown}")
        types = [self.species.index(symbol) for atoms in glasses for symbol in atoms.symbols]
        self._types = torch.tensor(types, device=self.device)
        self.counts = [len(atoms) for atoms in glasses]
        self._edges = Edges(self.counts, COULOMB_CUTOFF_A, SKIN_A, self.device)
        own = [sum(self._self_energy[s] for s in atoms.symbols) for atoms in glasses]
        self._own = torch.tensor(own, dtype=torch.float64, device=self.device)
        self._arrange(np.array([atoms.cell.array for atoms in glasses]))

    def kept(self) -> dict[str, np.ndarray]:
        """Give what a sum depends on besides places and boxes: nothing here."""
        return {}

    def take_up(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take up what `kept` gave, so that a run that goes on sums the same, bit for bit."""

    def _arrange(self, cells: np.ndarray) -> None:
        """Arrange what depends on the boxes `cells`, shape (systems, 3, 3): nothing here."""

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3) and `stress` (systems, 3, 3)."""
        pairs = self._edges.candidates(positions, cells)
        table = (self._pulls, self._energies)
        sums = self._sums(positions, self._types, *table, *pairs, *self._uneven)
        of_systems = self._edges.membership @ sums[:, 3:]
        virial = of_systems[:, 1:].reshape(-1, 3, 3)
        return {
            "energy": self._own + of_systems[:, 0],
            "forces": sums[:, :3],
            "stress": virial / volumes(cells)[:, None, None],
        }


def pair_sums(
    positions: torch.Tensor,
    types: torch.Tensor,
    pulls: torch.Tensor,
    energies: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    shift: torch.Tensor,
    shifts: torch.Tensor,
    begins: torch.Tensor | None = None,
    widths: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum force, energy and virial of each atom over its pairs.

    Parameters
    ----------
    positions
        Shape (atoms, 3) in Å.
    types
        0 for O and 1 for Si, shape (atoms,).
    pulls, energies
        From `pair_table`, or from `cubics` with these `begins` and `widths`.
    first, second, shift, shifts
        As `Edges.candidates` gives them: those beyond the cutoff add nothing.

    Returns
    -------
    Tensor
        Shape (atoms, 13): force in eV/Å, half the energy of the atom's pairs in eV, and
        half of Σ r ⊗ dE/dr in eV.
    """
    vectors = positions[second] - positions[first] + shifts[shift]
    distance2 = (vectors**2).sum(dim=1)
    if begins is None or widths is None:
        place = ((distance2 - INNERMOST_A**2) * PER_INTERVAL_A2).clamp(min=0.0).nan_to_num(0.0)
        lower = place.floor().clamp(max=INTERVALS - 1)
        part = place - lower
    else:
        lower = torch.searchsorted(begins, distance2, right=True).clamp(1, len(begins)) - 1
        part = (distance2 - begins[lower]) / widths[lower]
    row = (types[first] + types[second]) * (len(pulls) // 3) + lower.long()
    inside = distance2 < COULOMB_CUTOFF_A**2
    energy, pull = (
        torch.where(inside, c[:, 0] + part * (c[:, 1] + part * (c[:, 2] + part * c[:, 3])), 0.0)
        for c in (energies[row], pulls[row].to(positions.dtype))
    )
    along = -pull[:, None] * vectors
    # each pair is there in both directions: half the energy, and the force on the first atom
    virial = 0.5 * (along[:, :, None] * vectors[:, None]).flatten(1)
    rows = torch.cat([along, 0.5 * energy[:, None], virial], dim=1)
    return positions.new_zeros((len(positions), 13)).index_add(0, first, rows)


def pair_table(name: str) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Tabulate a potential as cubics in r², in intervals that are equal in r².

    Inside `INNERMOST_A` force over distance stays what it is there.

    Parameters
    ----------
    name
        "bks", "chik" or "shik".

    Returns
    -------
    pulls, energies, self_energies
        As of `cubics`, with `INTERVALS` from `INNERMOST_A` to `COULOMB_CUTOFF_A`.
    """
    begins = INNERMOST_A**2 + np.arange(INTERVALS) / PER_INTERVAL_A2
    return cubics(name, begins, np.full(INTERVALS, 1.0 / PER_INTERVAL_A2))


def cubics(
    name: str, begins: np.ndarray, widths: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Tabulate a potential as cubics in r², through four Chebyshev points of each interval.

    Where a pair has less than 10 eV the force is off by less than 1e-5 eV/Å, or a millionth of it,
    and the energy by less than 2e-5 eV, with the intervals of `pair_table` and of `PairLoops`.

    Parameters
    ----------
    name
        "bks", "chik" or "shik".
    begins, widths
        Of the intervals of r² in Å², shape (intervals,); the cutoffs must be ends of intervals.

    Returns
    -------
    pulls, energies, self_energies
        Coefficients of force over distance in eV/Å² (single precision) and of energy in eV, shape
        (3 * intervals, 4), for O-O, Si-O and Si-Si, one after the other, by the part of an
        interval; and the energy of an atom's own damped charge, by element. All are zero from
        `COULOMB_CUTOFF_A` on, and inside `INNERMOST_A` what they are there.
    """
    potential = POTENTIALS[name]
    points = 0.5 - 0.5 * np.cos((np.arange(4) + 0.5) * np.pi / 4)
    squares = begins[:, None] + widths[:, None] * points
    distance = np.sqrt(squares.clip(INNERMOST_A**2, COULOMB_CUTOFF_A**2).ravel())
    charged = np.repeat(begins < COULOMB_CUTOFF_A**2, 4)
    energy, force, own = damped_coulomb(distance)
    through = np.linalg.inv(np.vander(points, increasing=True)).T
    pulls, energies = [], []
    for pair in (("O", "O"), ("Si", "O"), ("Si", "Si")):
        charge = COULOMB_EV_A * potential.charges[pair[0]] * potential.charges[pair[1]]
        short_energy, short_force = short_range(potential, pair, distance)
        near = distance < potential.cutoff_A
        total = np.where(charged, charge * energy, 0.0) + np.where(near, short_energy, 0.0)
        along = np.where(charged, charge * force, 0.0) + np.where(near, short_force, 0.0)
        energies.append(total.reshape(-1, 4) @ through)
        pulls.append((along / distance).reshape(-1, 4) @ through)
    selves = {s: own * COULOMB_EV_A * q**2 for s, q in potential.charges.items()}
    return np.concatenate(pulls).astype(np.float32), np.concatenate(energies), selves
