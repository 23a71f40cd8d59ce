"""Polymorphs of silica from space group, lattice parameters and sites."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.spacegroup import crystal
from scipy.optimize import least_squares
from spglib import find_primitive

from glassml.campaign.errors import StructureError


@dataclass(frozen=True)
class Polymorph:
    """A crystal: space group (International number, standard setting), cell, sites, source."""

    space_group: int
    cell: tuple[float, float, float, float, float, float]  # Å, degrees
    sites: tuple[tuple[str, float, float, float], ...]  # symbol, fractional coordinates
    silicon_coordination: int
    source: str


# fmt: off
POLYMORPHS = {
    "alpha_quartz": Polymorph(
        154, (4.9137, 4.9137, 5.4047, 90, 90, 120),
        (("Si", 0.4697, 0, 2 / 3), ("O", 0.4133, 0.2672, 0.7855)), 4,
        "Kihara, Eur. J. Mineral. 2, 63 (1990), 298 K"),
    "beta_quartz": Polymorph(
        180, (4.9977, 4.9977, 5.4601, 90, 90, 120),
        (("Si", 0.5, 0, 0), ("O", 0.2072, 0.4144, 0.5)), 4,
        "Kihara, Eur. J. Mineral. 2, 63 (1990), 848 K"),
    "alpha_cristobalite": Polymorph(
        92, (4.9709, 4.9709, 6.9278, 90, 90, 90),
        (("Si", 0.3003, 0.3003, 0), ("O", 0.2392, 0.1044, 0.1787)), 4,
        "Downs and Palmer, Am. Mineral. 79, 9 (1994)"),
    # Ideal, with straight Si-O-Si bridges: the mean of the disordered real one.
    "beta_cristobalite": Polymorph(
        227, (7.126, 7.126, 7.126, 90, 90, 90),
        (("Si", 0, 0, 0), ("O", 0.125, 0.125, 0.125)), 4,
        "Wright and Leadbetter, Philos. Mag. 31, 1391 (1975), ideal oxygen positions"),
    "tridymite": Polymorph(
        194, (5.052, 5.052, 8.27, 90, 90, 120),
        (("Si", 1 / 3, 2 / 3, 0.062), ("O", 1 / 3, 2 / 3, 0.25), ("O", 0.5, 0, 0)), 4,
        "Kihara, Z. Kristallogr. 148, 237 (1978), hexagonal at 733 K"),
    "coesite": Polymorph(
        15, (7.1356, 12.3692, 7.1736, 90, 120.34, 90),
        (("Si", 0.1403, 0.1083, 0.0723), ("Si", 0.5068, 0.1580, 0.5408), ("O", 0, 0, 0),
         ("O", 0.5, 0.1163, 0.75), ("O", 0.2660, 0.1232, 0.9404), ("O", 0.3112, 0.1038, 0.3279),
         ("O", 0.0175, 0.2118, 0.4785)), 4,
        "Levien and Prewitt, Am. Mineral. 66, 324 (1981)"),
    "stishovite": Polymorph(
        136, (4.1773, 4.1773, 2.6655, 90, 90, 90),
        (("Si", 0, 0, 0), ("O", 0.3061, 0.3061, 0)), 6,
        "Ross et al., Am. Mineral. 75, 739 (1990)"),
    "seifertite": Polymorph(
        60, (4.097, 5.0462, 4.4946, 90, 90, 90),
        (("Si", 0, 0.1522, 0.25), ("O", 0.7336, 0.6245, 0.9186)), 6,
        "Dera et al., Am. Mineral. 87, 1018 (2002)"),
    # Published in I2/a; transformed to the standard setting C2/c.
    "moganite": Polymorph(
        15, (13.8294, 4.876, 8.758, 90, 129.2132, 90),
        (("Si", 0.5, 0.4908, 0.75), ("Si", 0.1678, 0.2533, 0.1563), ("O", 0.2860, 0.0680, 0.3174),
         ("O", 0.6050, 0.6770, 0.9339), ("O", 0.5739, 0.7148, 0.2082)), 4,
        "Miehe and Graetsch, Eur. J. Mineral. 4, 693 (1992)"),
    "keatite": Polymorph(
        96, (7.464, 7.464, 8.620, 90, 90, 90),
        (("Si", 0.410, 0.410, 0), ("Si", 0.326, 0.120, 0.248), ("O", 0.445, 0.132, 0.400),
         ("O", 0.117, 0.123, 0.296), ("O", 0.344, 0.297, 0.143)), 4,
        "Shropshire, Keat and Vaughan, Z. Kristallogr. 112, 409 (1959)"),
    "sodalite": Polymorph(
        229, (8.965, 8.965, 8.965, 90, 90, 90),
        (("Si", 0.25, 0.5, 0), ("O", 0.3529, 0.3529, 0)), 4,
        "SOD, Baerlocher and McCusker, Database of Zeolite Structures (IZA)"),
    # Published with rhombohedral axes; transformed to hexagonal ones. Measured with potassium and
    # aluminium in it, which make the cell large: silica's framework is denser by some 5 %.
    "chabazite": Polymorph(
        166, (13.8436, 13.8436, 15.1762, 90, 90, 120),
        (("Si", -0.3336, -0.4374, 0.4369), ("O", 0.2665, 0, 0), ("O", -0.01607, -1 / 3, 1 / 6),
         ("O", -0.21423, -0.42847, 0.46453), ("O", -0.09963, -0.19927, 0.12003)), 4,
        "Calligaris, Nardin and Randaccio, Zeolites 3, 205 (1983)"),
}
# fmt: on


def polymorph(name: str) -> Atoms:
    """Build the primitive cell of a polymorph.

    Parameters
    ----------
    name
        A key of `POLYMORPHS`.

    Returns
    -------
    Atoms
        The primitive cell, periodic.

    Raises
    ------
    StructureError
        If there is no such polymorph.
    """
    if name not in POLYMORPHS:
        raise StructureError(f"{name}: unknown polymorph; known: {', '.join(POLYMORPHS)}")
    row = POLYMORPHS[name]
    conventional = crystal(
        [site[0] for site in row.sites],
        [site[1:] for site in row.sites],
        spacegroup=row.space_group,
        cellpar=row.cell,
        onduplicates="keep",
    )
    primitive = find_primitive(
        (conventional.cell[:], conventional.get_scaled_positions(), conventional.numbers), 1e-3
    )
    if primitive is None:
        raise StructureError(f"{name}: spglib finds no primitive cell")
    cell, positions, numbers = primitive
    return Atoms(numbers, cell=cell, scaled_positions=positions, pbc=True)


def rotated_cristobalite(angle_deg: float, bond_A: float) -> Atoms:
    """Build alpha-cristobalite of regular tetrahedra, turned until Si-O-Si is as asked.

    Tetrahedra that turn about their twofold axes take cristobalite from its ideal beta form, where
    bridges are straight, through alpha, and change no bond and no angle O-Si-O: its soft mode.

    Parameters
    ----------
    angle_deg
        Every angle Si-O-Si in degrees, 120 to 175; at 175 the cell has nearly the beta form.
    bond_A
        Every Si-O distance in Å.

    Returns
    -------
    Atoms
        The primitive cell of 12 atoms, in space group P4₁2₁2.

    Raises
    ------
    StructureError
        If there is no such structure.
    """
    row = POLYMORPHS["alpha_cristobalite"]
    (_, u, _, _), (_, *oxygen) = row.sites

    def build(parameters: np.ndarray) -> Atoms:
        a, c, u, x, y, z = parameters
        return crystal(
            ["Si", "O"],
            [(u, u, 0), (x, y, z)],
            spacegroup=row.space_group,
            cellpar=(a, a, c, 90, 90, 90),
        )

    measured = np.array([row.cell[0], row.cell[2], u, *oxygen])
    first = build(measured)
    silicon, bridge = np.flatnonzero(first.numbers == 14)[0], np.flatnonzero(first.numbers == 8)[0]
    shell = [np.argsort(first.get_distances(i, range(12), mic=True)) for i in (silicon, bridge)]
    corners, ends = shell[0][1:5], shell[1][1:3]

    def misfit(parameters: np.ndarray) -> np.ndarray:
        atoms = build(parameters)
        bonds = atoms.get_distances(silicon, corners, mic=True, vector=True) / bond_A
        cosines = (bonds @ bonds.T)[np.triu_indices(4, 1)]
        angle = atoms.get_angle(ends[0], bridge, ends[1], mic=True)
        lengths = np.linalg.norm(bonds, axis=1) - 1
        return np.array([*lengths, *(cosines + 1 / 3), np.radians(angle - angle_deg)])

    found = least_squares(misfit, measured, x_scale=measured, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    if np.abs(found.fun).max() > 1e-6:
        raise StructureError(
            f"no cristobalite of regular tetrahedra has Si-O-Si angles of {angle_deg:g}°"
        )
    return build(found.x)


def supercells(primitive: Atoms, smallest: int, largest: int) -> list[tuple[int, int, int]]:
    """List the diagonal supercells with `smallest` to `largest` atoms, most compact per size.

    Returns
    -------
    list of tuple of int
        One multiplier triple for each number of atoms, by growing size; of several shapes the one
        whose shortest lattice vector is longest. At least one: the cell itself if none fits.
    """
    best: dict[int, tuple[float, tuple[int, int, int]]] = {}
    lengths = primitive.cell.lengths()
    for multipliers in product(range(1, 7), range(1, 7), range(1, 7)):
        atoms = len(primitive) * int(np.prod(multipliers))
        if not smallest <= atoms <= largest:
            continue
        shortest = float(np.min(lengths * multipliers))
        if atoms not in best or shortest > best[atoms][0] + 1e-9:
            best[atoms] = (shortest, multipliers)
    return [best[atoms][1] for atoms in sorted(best)] or [(1, 1, 1)]


def repeat(primitive: Atoms, multipliers: tuple[int, int, int]) -> Atoms:
    """Repeat a cell along its lattice vectors."""
    return make_supercell(primitive, np.diag(multipliers))


def deform(atoms: Atoms, volume_change: float, shear: np.ndarray) -> Atoms:
    """Scale the volume and shear the cell; fractional coordinates stay.

    Parameters
    ----------
    volume_change
        Relative: 0.1 is 10 % larger.
    shear
        Symmetric traceless strain, shape (3, 3); it leaves the volume as it is exactly, since the
        deformation is divided by the cube root of its determinant.
    """
    gradient = np.eye(3) + shear
    gradient *= ((1.0 + volume_change) / np.linalg.det(gradient)) ** (1 / 3)
    deformed = atoms.copy()
    deformed.set_cell(atoms.cell[:] @ gradient.T, scale_atoms=True)
    return deformed


def random_shear(rng: np.random.Generator, largest: float) -> np.ndarray:
    """Draw a symmetric traceless strain with components up to `largest`."""
    strain = rng.uniform(-largest, largest, (3, 3))
    strain = (strain + strain.T) / 2
    return strain - np.eye(3) * np.trace(strain) / 3
