"""GPU kernels of a neighbour list, in Triton: bins, the neighbours of each atom, pairs in a row.

Boxes are cut into bins, and an atom's neighbours are looked for in the bins around its own. In a
box that is narrower than what is in reach, a bin is its own neighbour through the faces of the box.
A neighbour and its image are one number, a code: atom times `IMAGES` and the image, of which the
opposite one's is `IMAGES - 1` less it. Neighbours of an atom come in the order of the bins, atoms
of a bin in their own.
"""

# ruff: noqa: ANN001, ANN201  (a language of its own)
# mypy: ignore-errors

import triton
import triton.language as tl


@triton.jit
def bins(
    positions,
    inverses,
    system,
    grids,
    wrapped,
    base,
    numbers,
    atoms,
    BLOCK: tl.constexpr,
):
    """Find the bin of each atom, and its place as fractions of the box."""
    atom = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = atom < atoms
    s = tl.load(system + atom, mask=mask, other=0)
    x = tl.load(positions + atom * 3 + 0, mask=mask, other=0.0)
    y = tl.load(positions + atom * 3 + 1, mask=mask, other=0.0)
    z = tl.load(positions + atom * 3 + 2, mask=mask, other=0.0)
    number = tl.zeros((BLOCK,), dtype=tl.int32)
    for axis in tl.static_range(3):
        fraction = x * tl.load(inverses + s * 9 + axis, mask=mask, other=0.0)
        fraction += y * tl.load(inverses + s * 9 + 3 + axis, mask=mask, other=0.0)
        fraction += z * tl.load(inverses + s * 9 + 6 + axis, mask=mask, other=0.0)
        whole = tl.floor(fraction)
        part = fraction - whole
        tl.store(base + atom * 3 + axis, whole, mask=mask)
        tl.store(wrapped + atom * 3 + axis, part, mask=mask)
        count = tl.load(grids + s * 7 + axis, mask=mask, other=1)
        # atoms that are nowhere are in the first bin, and at no distance from anything
        place = (tl.where(part >= 0.0, part, 0.0) * count).to(tl.int32)
        number = number * count + tl.minimum(place, count - 1)
    number += tl.load(grids + s * 7 + 6, mask=mask, other=0)
    tl.store(numbers + atom, number, mask=mask)


@triton.jit
def find(
    cells,
    system,
    grids,
    wrapped,
    numbers,
    order,
    begins,
    codes,
    counts,
    width,
    reach2,
    MOST: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Find the neighbours of an atom."""
    # neighbours of atoms that follow one another are the same
    me = tl.load(order + tl.program_id(0))
    s = tl.load(system + me)
    na, nb, nc = tl.load(grids + s * 7), tl.load(grids + s * 7 + 1), tl.load(grids + s * 7 + 2)
    ma, mb, mc = tl.load(grids + s * 7 + 3), tl.load(grids + s * 7 + 4), tl.load(grids + s * 7 + 5)
    first = tl.load(grids + s * 7 + 6)
    number = tl.load(numbers + me) - first
    a, b, c = number // (nb * nc), (number // nc) % nb, number % nc
    ax, ay, az = tl.load(cells + s * 9), tl.load(cells + s * 9 + 1), tl.load(cells + s * 9 + 2)
    bx, by, bz = tl.load(cells + s * 9 + 3), tl.load(cells + s * 9 + 4), tl.load(cells + s * 9 + 5)
    cx, cy, cz = tl.load(cells + s * 9 + 6), tl.load(cells + s * 9 + 7), tl.load(cells + s * 9 + 8)
    my_a, my_b = tl.load(wrapped + me * 3), tl.load(wrapped + me * 3 + 1)
    my_c = tl.load(wrapped + me * 3 + 2)
    row = me.to(tl.int64) * width
    count = 0
    for around in range((2 * ma + 1) * (2 * mb + 1) * (2 * mc + 1)):
        # never negative, which would be rounded the other way
        pa = a + around // ((2 * mb + 1) * (2 * mc + 1)) - ma + na * ma
        pb = b + (around // (2 * mc + 1)) % (2 * mb + 1) - mb + nb * mb
        pc = c + around % (2 * mc + 1) - mc + nc * mc
        ia, ib, ic = pa // na - ma, pb // nb - mb, pc // nc - mc
        image = ((ia + MOST) * (2 * MOST + 1) + ib + MOST) * (2 * MOST + 1) + ic + MOST
        other_bin = first + ((pa % na) * nb + pb % nb) * nc + pc % nc
        end = tl.load(begins + other_bin + 1)
        for begin in range(tl.load(begins + other_bin), end, COLUMNS):
            place = begin + tl.arange(0, COLUMNS)
            there = place < end
            other = tl.load(order + place, mask=there, other=0)
            # a difference before the image: opposite pairs are opposite to the last bit
            da = (tl.load(wrapped + other * 3 + 0, mask=there, other=0.0) - my_a) + ia
            db = (tl.load(wrapped + other * 3 + 1, mask=there, other=0.0) - my_b) + ib
            dc = (tl.load(wrapped + other * 3 + 2, mask=there, other=0.0) - my_c) + ic
            x = da * ax + db * bx + dc * cx
            y = da * ay + db * by + dc * cy
            z = da * az + db * bz + dc * cz
            distance2 = x * x + y * y + z * z
            near = there & (distance2 < reach2) & (distance2 > 0.0)
            ones = near.to(tl.int32)
            column = count + tl.cumsum(ones, axis=0) - 1
            code = other.to(tl.int64) * ((2 * MOST + 1) * (2 * MOST + 1) * (2 * MOST + 1)) + image
            tl.store(codes + row + column, code, mask=near & (column < width))
            count += tl.sum(ones, axis=0)
    tl.store(counts + me, count)


@triton.jit
def fill(
    codes,
    counts,
    starts,
    base,
    index,
    images,
    is_pair,
    opposite,
    width,
    capacity,
    MOST: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Put the pairs of an atom where the list has them, the rest of its room with padding."""
    me = tl.program_id(0)
    start, end = tl.load(starts + me), tl.load(starts + me + 1)
    count = tl.load(counts + me)
    side: tl.constexpr = 2 * MOST + 1
    number: tl.constexpr = side * side * side
    for begin in range(0, end - start, COLUMNS):
        column = begin + tl.arange(0, COLUMNS)
        inside, there = column < end - start, column < count
        code = tl.load(codes + me.to(tl.int64) * width + column, mask=there, other=0)
        other, image = code // number, code % number
        wanted = me.to(tl.int64) * number + (number - 1 - image)
        its_count = tl.load(counts + other, mask=there, other=0)
        found = tl.zeros((COLUMNS,), dtype=tl.int32)
        for along in range(0, tl.max(its_count, axis=0), COLUMNS):
            its = along + tl.arange(0, COLUMNS)
            mask = there[:, None] & (its[None, :] < its_count[:, None])
            theirs = tl.load(codes + other[:, None] * width + its[None, :], mask=mask, other=-1)
            found += tl.sum(tl.where(theirs == wanted[:, None], its[None, :], 0), axis=1)
        back = tl.load(starts + other, mask=there, other=0) + found
        at = start + column
        tl.store(index + at, me.to(tl.int64) + 0 * code, mask=inside)
        tl.store(index + capacity + at, tl.where(there, other, me), mask=inside)
        tl.store(is_pair + at, there, mask=inside)
        tl.store(opposite + at, tl.where(there, back, at).to(tl.int64), mask=inside)
        for axis in tl.static_range(3):
            if axis == 0:
                turns = image // (side * side) - MOST
            elif axis == 1:
                turns = (image // side) % side - MOST
            else:
                turns = image % side - MOST
            # back to the atoms where they are: r_j - r_i + image does not change
            own = tl.load(base + me * 3 + axis)
            whole = turns.to(tl.float64) + own
            whole -= tl.load(base + other * 3 + axis, mask=there, other=0.0)
            tl.store(images + at * 3 + axis, tl.where(there, whole, 0.0), mask=inside)
