"""Whether kernels of our own give the forces of a pair potential, on the machine of a run."""

import numpy as np
import torch
from ase import units

from glassml.md.engines.pair_model import PairModel
from glassml.md.start import random_start
from glassml.potential.packages import PotentialError

#: Forces may differ by this much from those of `PairModel`, in eV/Å.
TOLERANCE_EV_A = 1e-5
#: How often a glass is repeated along each edge, so that blocks of its atoms are out of reach.
LARGE = (2, 2, 4)


def verify(
    model: PairModel,
    sizes: tuple[int, int] = (192, 51),
    repeats: tuple[int, int, int] | None = None,
) -> dict[str, float]:
    """Compare kernels of our own with torch's functions on their table, for glasses at once.

    One is so small that it is repeated, in a box without right angles; atoms then move and the
    boxes breathe, within the list and beyond it.

    Parameters
    ----------
    model
        Its glasses are replaced.
    sizes
        Atoms of the glasses.
    repeats
        Of the first glass, which make a third: for kernels that leave out what is out of reach.

    Returns
    -------
    dict
        Largest differences: `forces_eV_A`, `energy_meV_atom`, `stress_GPa`.

    Raises
    ------
    PotentialError
        If forces, energies or stresses are off.
    """
    rng = np.random.default_rng(1)
    tilt = np.array([[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [-0.1, 0.3, 1.0]])
    glasses = [random_start({"Si": 1, "O": 2}, number, 2.2, rng) for number in sizes]
    glasses[1].set_cell(glasses[1].cell.array @ tilt, scale_atoms=True)
    if repeats is not None:
        glasses.append(glasses[0].repeat(repeats))
    reference = PairModel(model.name, torch.device("cpu"), model.intervals)
    reference.place(glasses)
    model.place(glasses)
    positions = torch.as_tensor(np.concatenate([atoms.positions for atoms in glasses]))
    cells = torch.as_tensor(np.array([atoms.cell.array for atoms in glasses]))
    counts = torch.tensor([len(atoms) for atoms in glasses])
    worst = {"forces_eV_A": 0.0, "energy_meV_atom": 0.0, "stress_GPa": 0.0}
    for scale, distance_A in ((1.0, 0.0), (1.003, 0.1), (0.9, 0.3)):
        moved = distance_A * rng.standard_normal(positions.shape).clip(-1.5, 1.5)
        positions, cells = scale * positions + torch.as_tensor(moved), scale * cells
        expected = reference(positions, cells)
        found = model(positions.to(model.device), cells.to(model.device))
        off = {key: (found[key].cpu() - expected[key]).abs() for key in expected}
        # a millionth of the large forces between atoms that all but touch, and of their stresses
        size = 1.0 + 0.1 * expected["forces"].norm(dim=1, keepdim=True)
        dense = 1.0 + 0.01 * expected["stress"].abs() / units.GPa
        now = {
            "forces_eV_A": float((off["forces"] / size).max()),
            "energy_meV_atom": 1e3 * float((off["energy"] / counts).max()),
            "stress_GPa": float((off["stress"] / dense).max()) / units.GPa,
        }
        worst = {key: max(value, now[key]) for key, value in worst.items()}
        if not (
            now["forces_eV_A"] < TOLERANCE_EV_A
            and now["energy_meV_atom"] < 1e-3
            and now["stress_GPa"] < 1e-4
        ):
            raise PotentialError(
                f"{model.name}: kernels are off by {now['forces_eV_A']:.2g} eV/Å, "
                f"{now['energy_meV_atom']:.2g} meV/atom and {now['stress_GPa']:.2g} GPa on this "
                "machine: set md.shortcuts to a list without pair_kernels, and report it"
            )
    return worst
