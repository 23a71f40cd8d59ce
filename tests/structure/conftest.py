"""Crystals, networks and shared glasses for the tests of structure."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.io import read

from glassml.configurations.crystals import polymorph

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def quartz():
    return polymorph("alpha_quartz")


@pytest.fixture(scope="session")
def disordered(quartz):
    """648 atoms of quartz, heavily rattled, in a triclinic cell."""
    atoms = make_supercell(quartz, np.diag([4, 4, 4]))
    rng = np.random.default_rng(1)
    strain = np.eye(3) + 0.08 * rng.standard_normal((3, 3))
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.positions += rng.normal(0, 0.15, atoms.positions.shape)
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array, pbc=True)


def shared_structure(name):
    path = SHARED / "structures" / name
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the repository (../shared)")
    if name.startswith("sova"):
        atoms = read(path, format="xyz")
        atoms.set_cell([24.713] * 3)
        atoms.pbc = True
    else:
        atoms = read(path)
    return atoms


@pytest.fixture(scope="session")
def glass3000():
    return shared_structure("amorphouspy_SiO2_glass_3000_atoms.xyz")


@pytest.fixture(scope="session")
def glass999():
    return shared_structure("sova_a_SiO2_speed1e11K.xyz")


@pytest.fixture(scope="session")
def h5md(tmp_path_factory):
    """Four frames of a small rattled silica crystal: trajectory, final structure, the frames."""
    from ase.io import write
    from MDAnalysis import Universe
    from MDAnalysis.coordinates.H5MD import H5MDWriter

    folder = tmp_path_factory.mktemp("md")
    start = make_supercell(polymorph("alpha_cristobalite"), np.diag([2, 2, 2]))
    rng = np.random.default_rng(0)
    universe = Universe.empty(len(start), trajectory=True)
    frames = []
    options = {"velocities": False, "forces": False, "lengthunit": "Angstrom", "timeunit": "ps"}
    with H5MDWriter(str(folder / "trajectory.h5md"), len(start), **options) as writer:
        for number in range(4):
            atoms = start.copy()
            atoms.set_cell(start.cell.array * (1 + 0.002 * number), scale_atoms=True)
            atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
            timestep = universe.trajectory.ts
            timestep.positions = atoms.positions
            timestep.triclinic_dimensions = atoms.cell.array
            timestep.data["time"], timestep.data["step"] = float(number), number
            writer.write(universe.atoms)
            frames.append(Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array, pbc=True))
    write(folder / "final.extxyz", frames[-1])
    return folder / "trajectory.h5md", folder / "final.extxyz", frames
