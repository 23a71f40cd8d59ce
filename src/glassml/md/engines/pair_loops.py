"""Compiled loops over the neighbours of atoms, for a pair potential on a CPU.

The same places and rows as in `pair_kernels`: fractions of a repeated box in 32 bits, of which
differences are those of nearest images; and for each atom a row of neighbours in ascending order.
Only those within the cutoff are summed, so that a sum does not depend on when the list was built.
Numba's cache knows this file alone, so nothing here calls compiled code of another.
"""

import numba
import numpy as np

FAST = {"reassoc", "contract", "nsz", "arcp"}
TURN = 2.0**32
#: Neighbours that a row may have.
LONGEST = np.uint32(4096)


@numba.njit(cache=True, fastmath=FAST)
def build_rows(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    atoms: int,
    box: np.ndarray,
    reach2: float,
    rows: np.ndarray,
    lengths: np.ndarray,
) -> None:
    """Find the neighbours of the atoms of a glass.

    Parameters
    ----------
    x, y, z
        Places of all copies, the atoms themselves first, 32-bit integers.
    atoms
        How many atoms there are.
    box
        Of all copies, shape (3, 3) in Å.
    reach2
        Square of the cutoff and the skin, in Å².
    rows, lengths
        Receive the neighbours, shape (atoms, room), and how many there are, shape (atoms,), which
        may be more than there is room for.
    """
    copies, room = len(x), rows.shape[1]
    box = (box / TURN).astype(np.float32)
    wide2 = np.float32(reach2)
    for atom in range(atoms):
        distance2 = np.empty(copies, dtype=np.float32)
        for other in range(copies):
            a = np.float32(np.int32(x[other] - x[atom]))
            b = np.float32(np.int32(y[other] - y[atom]))
            c = np.float32(np.int32(z[other] - z[atom]))
            rx = a * box[0, 0] + b * box[1, 0] + c * box[2, 0]
            ry = a * box[0, 1] + b * box[1, 1] + c * box[2, 1]
            rz = a * box[0, 2] + b * box[1, 2] + c * box[2, 2]
            distance2[other] = rx * rx + ry * ry + rz * rz
        distance2[atom] = 2.0 * wide2
        count = 0
        for other in range(copies):
            rows[atom, min(count, room - 1)] = other
            count += distance2[other] < wide2
        lengths[atom] = count


@numba.njit(cache=True, fastmath=FAST)
def sum_rows(  # noqa: PLR0915  (one loop, of which the parts must not be calls)
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    kinds: np.ndarray,
    box: np.ndarray,
    rows: np.ndarray,
    lengths: np.ndarray,
    table: np.ndarray,
    cutoff2: float,
    innermost2: float,
    sums: np.ndarray,
) -> None:
    """Sum energy, force and virial of each atom over its neighbours.

    Parameters
    ----------
    x, y, z, box, rows, lengths
        As in `build_rows`.
    kinds
        0 for O and 1 for Si, of all copies.
    table
        Energy in eV and force over distance in eV/Å² for each kind of pair and square of distance,
        shape (3, points, 2).
    cutoff2, innermost2
        Ends of the table in Å².
    sums
        Receives the force, half the energy, and half of Σ r ⊗ dE/dr (xx yy zz yz xz xy), shape
        (atoms, 10), in eV and Å.
    """
    points = table.shape[1]
    flat = table.reshape(-1)
    per_step = (points - 1) / (cutoff2 - innermost2)
    ax, ay, az = box[0] / TURN
    bx, by, bz = box[1] / TURN
    cx, cy, cz = box[2] / TURN
    # parts of one buffer at constant distances, or a compiler must assume that they overlap
    buffer, whole = np.empty(4 * LONGEST), np.empty(4 * LONGEST, dtype=np.int32)
    near = np.empty(LONGEST, dtype=np.uint32)
    for atom in range(len(lengths)):
        count, row, kind = lengths[atom], rows[atom], kinds[atom]
        mine_x, mine_y, mine_z = x[atom], y[atom], z[atom]
        for column in range(count):
            other = row[column]
            whole[column] = np.int32(x[other] - mine_x)
            whole[column + LONGEST] = np.int32(y[other] - mine_y)
            whole[column + 2 * LONGEST] = np.int32(z[other] - mine_z)
            whole[column + 3 * LONGEST] = kind + kinds[other]
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
        inside = 0
        for column in range(count):
            near[inside] = column
            inside += buffer[column + 3 * LONGEST] < cutoff2
        energy = fx = fy = fz = xx = yy = zz = yz = xz = xy = 0.0
        for index in range(inside):
            column = near[index]
            rx, ry = buffer[column], buffer[column + LONGEST]
            rz = buffer[column + 2 * LONGEST]
            place = (buffer[column + 3 * LONGEST] - innermost2) * per_step
            # inside the innermost distance the first line goes on
            lower = np.int32(max(place, 0.0))
            weight = place - lower
            line = np.uint32(2 * (whole[column + 3 * LONGEST] * points + lower))
            pull = flat[line + np.uint32(1)]
            pull += weight * (flat[line + np.uint32(3)] - pull)
            pair = flat[line]
            energy += pair + weight * (flat[line + np.uint32(2)] - pair)
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
        sums[atom, 0], sums[atom, 1], sums[atom, 2] = fx, fy, fz
        sums[atom, 3] = 0.5 * energy
        sums[atom, 4], sums[atom, 5], sums[atom, 6] = 0.5 * xx, 0.5 * yy, 0.5 * zz
        sums[atom, 7], sums[atom, 8], sums[atom, 9] = 0.5 * yz, 0.5 * xz, 0.5 * xy
