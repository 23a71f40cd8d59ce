"""Phonons of crystals by finite displacements: what to label, and frequencies from forces."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ase import Atoms
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from glassml.configurations.crystals import polymorph
from glassml.potential.packages import PotentialError

FAMILY = "phonons"


@dataclass(frozen=True)
class Displacements:
    """Supercells of a crystal with one atom displaced, by phonopy; the first is undisplaced.

    Attributes
    ----------
    crystal
        Name of the polymorph.
    cells
        The supercells, with the `info` of configurations to label.
    """

    crystal: str
    cells: list[Atoms]
    _phonopy: Phonopy

    def frequencies(self, forces: Sequence[np.ndarray]) -> np.ndarray:
        """Give the frequencies of all modes that fit into the supercell.

        The forces of the undisplaced cell are subtracted, so that the structure need not be
        exactly at rest with these forces.

        Parameters
        ----------
        forces
            Of each cell, (atoms, 3) in eV/Å.

        Returns
        -------
        np.ndarray
            THz, shape (wave vectors, branches), ascending; imaginary ones are negative.
        """
        self._phonopy.forces = np.array(forces[1:]) - forces[0]
        self._phonopy.produce_force_constants()
        self._phonopy.symmetrize_force_constants()
        counts = np.diag(self._phonopy.supercell_matrix)
        points = np.stack(np.meshgrid(*(np.arange(n) / n for n in counts)), axis=-1)
        modes = self._phonopy.run_qpoints(points.reshape(-1, 3))
        return np.sort(np.array(modes.frequencies), axis=1)


def structure(crystal: str, frames: Sequence[Atoms]) -> Atoms:
    """Give the labelled structure of lowest energy of a polymorph, or without any the measured one.

    Parameters
    ----------
    crystal
        Name of the polymorph.
    frames
        Labelled crystals at rest, with `info["polymorph"]`.

    Raises
    ------
    PotentialError
        If there are labels, but none of this crystal.
    """
    if not frames:
        return polymorph(crystal)
    found = [atoms for atoms in frames if atoms.info.get("polymorph") == crystal]
    if not found:
        raise PotentialError(f"phonons: there is no structure of {crystal}")
    return min(found, key=lambda atoms: atoms.info["REF_energy"] / len(atoms))


def displace(
    crystal: str, unit: Atoms, supercell: Sequence[int], displacement_A: float
) -> Displacements:
    """Displace the atoms of a polymorph by symmetry-distinct steps.

    Parameters
    ----------
    crystal
        Name of the polymorph.
    unit
        Its unit cell.
    supercell
        Repeats of the unit cell along its three vectors.
    displacement_A
        Length of a step.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        phonopy = Phonopy(
            PhonopyAtoms(
                symbols=unit.get_chemical_symbols(),
                cell=unit.cell[:],
                scaled_positions=unit.get_scaled_positions(),
            ),
            supercell_matrix=np.diag(supercell),
            primitive_matrix=np.eye(3),
        )
        phonopy.generate_displacements(distance=displacement_A)
    size = "x".join(map(str, supercell))
    cells = []
    for index, each in enumerate(
        [phonopy.supercell, *(phonopy.supercells_with_displacements or [])]
    ):
        atoms = Atoms(each.symbols, cell=each.cell, positions=each.positions, pbc=True)
        # as structures are written for labelling, so that their keys are the same
        atoms.positions = np.round(atoms.positions, 8)
        atoms.info = {
            "config_type": "crystal" if index == 0 else "rattled",
            "family": FAMILY,
            "parent": f"{FAMILY}/{crystal}/{size}",
            "config_id": f"{FAMILY}/{crystal}/{size}/{index:03d}",
        }
        cells.append(atoms)
    return Displacements(crystal, cells, phonopy)


def labelled_forces(displacements: Displacements, frames: Sequence[Atoms]) -> list[np.ndarray]:
    """Collect the labels of the displaced cells, in order.

    Raises
    ------
    PotentialError
        If one has no label.
    """
    known = {atoms.info["config_id"]: atoms.arrays["REF_forces"] for atoms in frames}
    missing = [a.info["config_id"] for a in displacements.cells if a.info["config_id"] not in known]
    if missing:
        raise PotentialError(f"phonons of {displacements.crystal}: no label of {missing}")
    return [known[atoms.info["config_id"]] for atoms in displacements.cells]


def compare(crystal: str, member: str, found: np.ndarray, expected: np.ndarray) -> pd.DataFrame:
    """Set frequencies beside those of the labels, mode by mode in ascending order.

    Returns
    -------
    DataFrame
        crystal, member, wave_vector, mode, label_THz, prediction_THz.
    """
    points, branches = expected.shape
    return pd.DataFrame(
        {
            "crystal": crystal,
            "member": member,
            "wave_vector": np.repeat(np.arange(points), branches),
            "mode": np.tile(np.arange(branches), points),
            "label_THz": expected.ravel(),
            "prediction_THz": found.ravel(),
        }
    )
