"""Rings as files: JSON with members and images, xyz and cif with the number of each ring."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from glassml.campaign.errors import StructureError
from glassml.campaign.files import atomic_path, write_json, write_text
from glassml.structure.rings.search import Rings

FORMATS = (".json", ".xyz", ".cif")


def write_rings(path: str | Path, atoms: Atoms, rings: Rings) -> None:
    """Write rings to a file whose format follows from its name.

    Parameters
    ----------
    path
        `.json`: for each ring its size, members (atoms counted from 0), images (cell vectors) and
        centre (Å). `.xyz`: extended xyz for OVITO, one row per member, unwrapped, with `ring_id`,
        `ring_size` and `atom_id`. `.cif`: for VESTA, all members in P1, labelled by element, ring
        and place in the ring (`Si12_0`).
    atoms
        The structure that was searched.
    rings
        From `find_rings`.

    Raises
    ------
    StructureError
        If the format is unknown.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise StructureError(f"{path}: the name must end in {', '.join(FORMATS)}")
    if path.suffix == ".json":
        write_json(path, rings_document(rings))
    elif path.suffix == ".xyz":
        with atomic_path(path) as temporary:
            write(temporary, rings_as_atoms(atoms, rings), format="extxyz")
    else:
        write_text(path, rings_as_cif(atoms, rings))


def rings_document(rings: Rings) -> dict:
    """Give all rings as plain numbers."""
    centres = rings.centres
    items = []
    for index in range(len(rings)):
        members, images = rings.ring(index)
        items.append(
            {
                "size": int(rings.size[index]),
                "members": members.tolist(),
                "images": images.tolist(),
                "centre_A": [round(float(x), 6) for x in centres[index]],
            }
        )
    return {"criterion": rings.criterion, "cell_A": rings.cell.tolist(), "rings": items}


def rings_as_atoms(atoms: Atoms, rings: Rings) -> Atoms:
    """Give the members of all rings as atoms, unwrapped, one ring after the other."""
    copies = Atoms(atoms.numbers[rings.members], rings.coordinates, cell=rings.cell, pbc=True)
    copies.set_array("ring_id", np.repeat(np.arange(len(rings)), 2 * rings.size))
    copies.set_array("ring_size", np.repeat(rings.size, 2 * rings.size))
    copies.set_array("atom_id", rings.members)
    return copies


def rings_as_cif(atoms: Atoms, rings: Rings) -> str:
    """Give the members of all rings as a CIF in P1, with the ring in each label."""
    a, b, c, alpha, beta, gamma = atoms.cell.cellpar()
    lines = [
        "data_rings",
        f"_cell_length_a {a:.6f}",
        f"_cell_length_b {b:.6f}",
        f"_cell_length_c {c:.6f}",
        f"_cell_angle_alpha {alpha:.6f}",
        f"_cell_angle_beta {beta:.6f}",
        f"_cell_angle_gamma {gamma:.6f}",
        "_symmetry_space_group_name_H-M 'P 1'",
        "loop_",
        "_atom_site_label",
        "_atom_site_type_symbol",
        "_atom_site_fract_x",
        "_atom_site_fract_y",
        "_atom_site_fract_z",
    ]
    symbols = np.array(atoms.get_chemical_symbols())[rings.members]
    fractions = rings.coordinates @ np.linalg.inv(rings.cell)
    ring = np.repeat(np.arange(len(rings)), 2 * rings.size)
    place = np.arange(len(ring)) - rings.pointer[ring]
    for symbol, number, member, (x, y, z) in zip(symbols, ring, place, fractions, strict=True):
        lines.append(f"{symbol}{number}_{member} {symbol} {x:.6f} {y:.6f} {z:.6f}")
    return "\n".join(lines) + "\n"
