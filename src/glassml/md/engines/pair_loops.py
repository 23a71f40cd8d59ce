"""Compiled loops over pairs of atoms, for a pair potential on a CPU.

The same places as in `pair_kernels`: fractions of a repeated box in 32 bits, of which differences
are those of nearest images. Each pair is in the row of one of its atoms, in ascending order. Pairs
beyond the cutoff add zeros: leaving them out would take longer. Loops are short, so that a compiler
makes vectors of those without indirection: it makes none of all of it. Numba's cache knows this
file alone, so nothing here calls compiled code of another.
"""

import numba
import numpy as np

FAST = {"reassoc", "contract", "nsz", "arcp"}
TURN = 2.0**32
#: Neighbours that a row may have.
LONGEST = np.uint32(4096)
ONE, TWO, THREE = np.uint32(1), np.uint32(2), np.uint32(3)
#: The table's intervals: a power of two from `FIRST` to `LAST` in each of r² in Å², in so many.
FIRST, LAST, BITS = -3, 8, 7
INTERVALS = (LAST - FIRST) << BITS
#: Of a number in single precision: the bits of an interval, its power of two, and one over it.
_PLACE = np.int32(23 - BITS)
_INTERVAL = np.int32(-(1 << (23 - BITS)))
_POWER, _INVERSE = np.int32(0x7F800000), np.int32(0x7F000000)
_LOWEST, _HIGHEST = np.int32((127 + FIRST) << BITS), np.int32(INTERVALS - 1)
_NONE, _PER_POWER = np.int32(0), float(1 << BITS)


@numba.njit(cache=True, fastmath=FAST, error_model="numpy")
def build_rows(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    atoms: int,
    counted: np.ndarray,
    box: np.ndarray,
    reach2: float,
    rows: np.ndarray,
    lengths: np.ndarray,
) -> None:
    """Find the neighbours of the atoms of a glass, each pair once.

    Parameters
    ----------
    x, y, z
        Places of all copies, the atoms themselves first, 32-bit integers.
    atoms
        How many atoms there are.
    counted
        For each copy of the box whether an atom's own image there is its neighbour: of two
        opposite copies one is, of the box itself none.
    box
        Of all copies, shape (3, 3) in Å.
    reach2
        Square of the cutoff and the skin, in Å².
    rows, lengths
        Receive the neighbours, shape (atoms, room), and how many there are, shape (atoms,), which
        may be more than there is room for.
    """
    last = np.uint32(rows.shape[1] - 1)
    ax, ay, az = (box[0] / TURN).astype(np.float32)
    bx, by, bz = (box[1] / TURN).astype(np.float32)
    cx, cy, cz = (box[2] / TURN).astype(np.float32)
    wide2 = np.float32(reach2)
    distance2 = np.empty(atoms, dtype=np.float32)
    for atom in range(atoms):
        count = np.uint32(0)
        for copy in range(len(counted)):
            begin, end = copy * atoms + atom, (copy + 1) * atoms
            others_x, others_y, others_z = x[begin:end], y[begin:end], z[begin:end]
            mine_x, mine_y, mine_z = x[atom], y[atom], z[atom]
            for later in range(len(others_x)):
                a = np.float32(np.int32(others_x[later] - mine_x))
                b = np.float32(np.int32(others_y[later] - mine_y))
                c = np.float32(np.int32(others_z[later] - mine_z))
                rx = a * ax + b * bx + c * cx
                ry = a * ay + b * by + c * cy
                rz = a * az + b * bz + c * cz
                distance2[later] = rx * rx + ry * ry + rz * rz
            if not counted[copy]:
                distance2[0] = 2.0 * wide2
            for later in range(len(others_x)):
                rows[atom, min(count, last)] = np.uint32(begin + later)
                count += np.uint32(distance2[later] < wide2)
        lengths[atom] = count


@numba.njit(cache=True, fastmath=FAST, error_model="numpy")
def sum_rows(  # noqa: PLR0915  (one loop, of which the parts must not be calls)
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    owners: np.ndarray,
    kinds: np.ndarray,
    box: np.ndarray,
    rows: np.ndarray,
    lengths: np.ndarray,
    pulls: np.ndarray,
    energies: np.ndarray,
    with_energy: bool,
    forces: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Sum forces on atoms, and energy and virial of a glass.

    Parameters
    ----------
    x, y, z, box, rows, lengths
        As in `build_rows`.
    owners, kinds
        The atom, and 0 for O and 1 for Si, of all copies.
    pulls, energies
        Cubics of force over distance in eV/Å² (single precision) and of energy in eV, shape
        (3, `INTERVALS`, 4), by the part of an interval; zero beyond the cutoff.
    with_energy
        Whether the energy is wanted; it is zero otherwise.
    forces
        Receives the forces in eV/Å, shape (atoms, 3).
    sums
        Receives the energy and Σ r ⊗ dE/dr (xx yy zz yz xz xy) in eV, shape (7,).
    """
    flat, flat_energies = pulls.reshape(-1), energies.reshape(-1)
    ax, ay, az = box[0] / TURN
    bx, by, bz = box[1] / TURN
    cx, cy, cz = box[2] / TURN
    # parts of one buffer at constant distances, or a compiler must assume that they overlap
    buffer, whole = np.empty(4 * LONGEST), np.empty(4 * LONGEST, dtype=np.int32)
    cubic = np.empty(4 * LONGEST, dtype=np.float32)
    forces[:] = 0.0
    total = all_xx = all_yy = all_zz = all_yz = all_xz = all_xy = 0.0
    for atom in range(len(lengths)):
        count, row, own = lengths[atom], rows[atom], np.int32(kinds[atom] * INTERVALS)
        mine_x, mine_y, mine_z = x[atom], y[atom], z[atom]
        for column in range(count):
            other = row[column]
            whole[column] = np.int32(x[other] - mine_x)
            whole[column + LONGEST] = np.int32(y[other] - mine_y)
            whole[column + 2 * LONGEST] = np.int32(z[other] - mine_z)
            whole[column + 3 * LONGEST] = kinds[other]
        for column in range(count):
            a = float(whole[column])
            b = float(whole[column + LONGEST])
            c = float(whole[column + 2 * LONGEST])
            u = a * ax + b * bx + c * cx
            v = a * ay + b * by + c * cy
            w = a * az + b * bz + c * cz
            buffer[column] = u
            buffer[column + LONGEST] = v
            buffer[column + 2 * LONGEST] = w
            buffer[column + 3 * LONGEST] = u * u + v * v + w * w
        for column in range(count):
            distance2 = buffer[column + 3 * LONGEST]
            bits = np.float32(distance2).view(np.int32)
            lower = np.int32(np.int32(bits >> _PLACE) - _LOWEST)
            lower = np.int32(min(max(lower, _NONE), _HIGHEST))
            pair = np.int32(np.int32(whole[column + 3 * LONGEST] * INTERVALS) + own)
            whole[column] = np.int32(4 * np.int32(pair + lower))
            begin = float(np.int32(bits & _INTERVAL).view(np.float32))
            inverse = float(np.int32(_INVERSE - np.int32(bits & _POWER)).view(np.float32))
            buffer[column + 3 * LONGEST] = (distance2 - begin) * (inverse * _PER_POWER)
        for column in range(count):
            # all four at once: then they are one load and one store
            line = np.uint32(whole[column])
            c0, c1, c2, c3 = flat[line], flat[line + ONE], flat[line + TWO], flat[line + THREE]
            cubic[4 * column], cubic[4 * column + 1] = c0, c1
            cubic[4 * column + 2], cubic[4 * column + 3] = c2, c3
        if with_energy:
            for column in range(count):
                line, part = np.uint32(whole[column]), buffer[column + 3 * LONGEST]
                energy = flat_energies[line + TWO] + part * flat_energies[line + THREE]
                total += flat_energies[line] + part * (flat_energies[line + ONE] + part * energy)
        fx = fy = fz = xx = yy = zz = yz = xz = xy = 0.0
        for column in range(count):
            rx, ry = buffer[column], buffer[column + LONGEST]
            rz, part = buffer[column + 2 * LONGEST], buffer[column + 3 * LONGEST]
            pull = cubic[4 * column + 2] + part * cubic[4 * column + 3]
            pull = cubic[4 * column] + part * (cubic[4 * column + 1] + part * pull)
            px, py, pz = pull * rx, pull * ry, pull * rz
            fx -= px
            fy -= py
            fz -= pz
            xx -= px * rx
            yy -= py * ry
            zz -= pz * rz
            yz -= py * rz
            xz -= px * rz
            xy -= px * ry
            buffer[column], buffer[column + LONGEST], buffer[column + 2 * LONGEST] = px, py, pz
        for column in range(count):
            owner = owners[row[column]]
            forces[owner, 0] += buffer[column]
            forces[owner, 1] += buffer[column + LONGEST]
            forces[owner, 2] += buffer[column + 2 * LONGEST]
        forces[atom, 0] += fx
        forces[atom, 1] += fy
        forces[atom, 2] += fz
        all_xx, all_yy, all_zz = all_xx + xx, all_yy + yy, all_zz + zz
        all_yz, all_xz, all_xy = all_yz + yz, all_xz + xz, all_xy + xy
    sums[0], sums[1], sums[2], sums[3] = total, all_xx, all_yy, all_zz
    sums[4], sums[5], sums[6] = all_yz, all_xz, all_xy
