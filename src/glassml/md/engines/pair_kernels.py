"""GPU kernels of a pair potential, in Triton: places, neighbour lists, forces, sums.

A place is where an atom is in its box, as a fraction of each edge in 32 bits, so that a difference
of two places that overflows is that of the nearest images. Boxes that are too small for that are
repeated until they are not; copies of atoms are neighbours, but have no neighbours of their own.
The list is a matrix: a row for each atom, in an order in which atoms that follow one another are
near one another. Whether it is still good is decided on the device: `build` returns at once if it
is. Nothing is added in an order that is left
to chance, so that the same state gives the same numbers, bit for bit.
"""

# ruff: noqa: ANN001, ANN201, ANN202, PLR0915  (Triton has a language of its own)
# mypy: ignore-errors

import triton
import triton.language as tl


@triton.jit
def _inverse_rows(cells, system, mask):
    """Give the box's edges and the vectors whose products with a position are its fractions."""
    ax = tl.load(cells + system * 9 + 0, mask=mask, other=1.0)
    ay = tl.load(cells + system * 9 + 1, mask=mask, other=0.0)
    az = tl.load(cells + system * 9 + 2, mask=mask, other=0.0)
    bx = tl.load(cells + system * 9 + 3, mask=mask, other=0.0)
    by = tl.load(cells + system * 9 + 4, mask=mask, other=1.0)
    bz = tl.load(cells + system * 9 + 5, mask=mask, other=0.0)
    cx = tl.load(cells + system * 9 + 6, mask=mask, other=0.0)
    cy = tl.load(cells + system * 9 + 7, mask=mask, other=0.0)
    cz = tl.load(cells + system * 9 + 8, mask=mask, other=1.0)
    ux, uy, uz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    vx, vy, vz = cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax
    wx, wy, wz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    volume = ax * ux + ay * uy + az * uz
    return ax, ay, az, bx, by, bz, cx, cy, cz, ux, uy, uz, vx, vy, vz, wx, wy, wz, volume


@triton.jit
def _turns(fraction, copy, repeats):
    """Give a fraction of a repeated box as an integer, of which the lowest 32 bits count."""
    return tl.floor((fraction + copy) / repeats * 4294967296.0 + 0.5).to(tl.int64)


@triton.jit
def place(
    positions,
    cells,
    system,
    ranks,
    first_copy,
    sizes,
    repeats,
    fractions,
    built_fractions,
    built_volumes,
    places,
    stale,
    number,
    most_copies,
    CUTOFF: tl.constexpr,
    REACH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Find places, and whether an atom moved so far that the list has to be built anew."""
    atom = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = atom < number
    s = tl.load(system + atom, mask=mask, other=0)
    x = tl.load(positions + atom * 3 + 0, mask=mask, other=0.0)
    y = tl.load(positions + atom * 3 + 1, mask=mask, other=0.0)
    z = tl.load(positions + atom * 3 + 2, mask=mask, other=0.0)
    (
        ax, ay, az, bx, by, bz, cx, cy, cz, ux, uy, uz, vx, vy, vz, wx, wy, wz, volume,
    ) = _inverse_rows(cells, s, mask)  # fmt: skip
    fa = (x * ux + y * uy + z * uz) / volume
    fb = (x * vx + y * vy + z * vz) / volume
    fc = (x * wx + y * wy + z * wz) / volume
    tl.store(fractions + atom * 3 + 0, fa, mask=mask)
    tl.store(fractions + atom * 3 + 1, fb, mask=mask)
    tl.store(fractions + atom * 3 + 2, fc, mask=mask)
    # against the box, which breathes: see `Edges`
    da = fa - tl.load(built_fractions + atom * 3 + 0, mask=mask, other=0.0)
    db = fb - tl.load(built_fractions + atom * 3 + 1, mask=mask, other=0.0)
    dc = fc - tl.load(built_fractions + atom * 3 + 2, mask=mask, other=0.0)
    dx, dy, dz = (
        da * ax + db * bx + dc * cx,
        da * ay + db * by + dc * cy,
        da * az + db * bz + dc * cz,
    )
    before = tl.load(built_volumes + s, mask=mask, other=1.0)
    scale = tl.exp(tl.log(tl.abs(volume / before)) / 3.0)
    allowed = 0.5 * (scale * REACH - CUTOFF)
    far = (tl.sqrt(dx * dx + dy * dy + dz * dz) > allowed) & mask
    tl.store(stale + tl.program_id(0), tl.max(far.to(tl.int32), axis=0))
    ra = tl.load(repeats + s * 3 + 0, mask=mask, other=1)
    rb = tl.load(repeats + s * 3 + 1, mask=mask, other=1)
    rc = tl.load(repeats + s * 3 + 2, mask=mask, other=1)
    size = tl.load(sizes + s, mask=mask, other=0)
    local = tl.load(ranks + atom, mask=mask, other=0)
    begin = tl.load(first_copy + s, mask=mask, other=0)
    for copy in range(most_copies):
        here = mask & (copy < ra * rb * rc)
        na, nb, nc = copy // (rb * rc), (copy // rc) % rb, copy % rc
        one = _turns(fa, na, ra.to(tl.float64))
        two = _turns(fb, nb, rb.to(tl.float64))
        three = _turns(fc, nc, rc.to(tl.float64))
        index = begin + copy * size + local
        tl.store(places + 4 * index + 0, one.to(tl.int32), mask=here)
        tl.store(places + 4 * index + 1, two.to(tl.int32), mask=here)
        tl.store(places + 4 * index + 2, three.to(tl.int32), mask=here)


@triton.jit
def _repeated_box(cells, repeats, s, scale):
    """Give the edges of a repeated box, times `scale`."""
    ra = tl.load(repeats + s * 3 + 0) * scale
    rb = tl.load(repeats + s * 3 + 1) * scale
    rc = tl.load(repeats + s * 3 + 2) * scale
    return (
        tl.load(cells + s * 9 + 0) * ra,
        tl.load(cells + s * 9 + 1) * ra,
        tl.load(cells + s * 9 + 2) * ra,
        tl.load(cells + s * 9 + 3) * rb,
        tl.load(cells + s * 9 + 4) * rb,
        tl.load(cells + s * 9 + 5) * rb,
        tl.load(cells + s * 9 + 6) * rc,
        tl.load(cells + s * 9 + 7) * rc,
        tl.load(cells + s * 9 + 8) * rc,
    )


@triton.jit
def _bounds(place, first, mask, axis):
    """Give the middle of places along an edge, and how far they are from it as a part of it."""
    zero = tl.load(first + axis)
    off = tl.where(mask, place - zero, 0)
    low, high = tl.min(off, axis=0), tl.max(off, axis=0)
    middle = zero + ((low.to(tl.int64) + high.to(tl.int64)) >> 1).to(tl.int32)
    return middle, 0.5 * (high.to(tl.float32) - low.to(tl.float32)) / 4294967296.0


@triton.jit
def _is_stale(stale, stale_number, FLAGS: tl.constexpr):
    """Tell whether an atom of any glass moved too far."""
    flags = tl.zeros((FLAGS,), dtype=tl.int32)
    for begin in range(0, stale_number, FLAGS):
        index = begin + tl.arange(0, FLAGS)
        flags = tl.maximum(flags, tl.load(stale + index, mask=index < stale_number, other=0))
    return tl.max(flags, axis=0) > 0


@triton.jit
def bounds(
    block_first,
    block_last,
    places,
    stale,
    stale_number,
    middles,
    halves,
    COLUMNS: tl.constexpr,
    FLAGS: tl.constexpr,
):
    """Find what a block of copies is within, if the list is to be built."""
    pid = tl.program_id(0)
    if _is_stale(stale, stale_number, FLAGS):
        first = tl.load(block_first + pid)
        copy = first + tl.arange(0, COLUMNS)
        mask = copy < tl.load(block_last + pid)
        for axis in tl.static_range(3):
            place = tl.load(places + 4 * copy + axis, mask=mask, other=0)
            middle, half = _bounds(place, places + 4 * first, mask, axis)
            tl.store(middles + 3 * pid + axis, middle)
            tl.store(halves + 3 * pid + axis, half)


@triton.jit
def _gap(middles, halves, block, axis, middle, half, height):
    """Give how far blocks are apart at least, between the faces of the box that an edge joins."""
    off = tl.abs((tl.load(middles + 3 * block + axis) - middle).to(tl.float32)) / 4294967296.0
    return tl.maximum(off - half - tl.load(halves + 3 * block + axis), 0.0) * height


@triton.jit
def build(
    cells,
    first_atom,
    first_copy,
    sizes,
    copies,
    repeats,
    block_first,
    block_last,
    block_system,
    fractions,
    built_fractions,
    built_volumes,
    places,
    stale,
    stale_number,
    first_bound,
    middles,
    halves,
    neighbours,
    counts,
    needed,
    narrow,
    builds,
    capacity,
    REACH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    FLAGS: tl.constexpr,
):
    """Build the rows of a block of atoms anew, if an atom of any glass moved too far.

    Blocks of copies that are out of reach are not looked at.
    """
    pid = tl.program_id(0)
    if _is_stale(stale, stale_number, FLAGS):
        s = tl.load(block_system + pid)
        first, last = tl.load(block_first + pid), tl.load(block_last + pid)
        atom = first + tl.arange(0, ROWS)
        mask = atom < last
        size = tl.load(sizes + s)
        begin_copy = tl.load(first_copy + s)
        end_copy = begin_copy + size * tl.load(copies + s)
        me = begin_copy + atom - tl.load(first_atom + s)
        my_x = tl.load(places + 4 * me + 0, mask=mask, other=0)
        my_y = tl.load(places + 4 * me + 1, mask=mask, other=0)
        my_z = tl.load(places + 4 * me + 2, mask=mask, other=0)
        ax, ay, az, bx, by, bz, cx, cy, cz = _repeated_box(cells, repeats, s, 1.0)
        ux, uy, uz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        vx, vy, vz = cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax
        wx, wy, wz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        volume = tl.abs(ax * ux + ay * uy + az * uz)
        size_u = tl.sqrt(ux * ux + uy * uy + uz * uz)
        size_v = tl.sqrt(vx * vx + vy * vy + vz * vz)
        size_w = tl.sqrt(wx * wx + wy * wy + wz * wz)
        widest = tl.maximum(size_u, tl.maximum(size_v, size_w))
        # of what is between faces; they are at right angles if their normals are
        high_a = (volume / size_u).to(tl.float32)
        high_b = (volume / size_v).to(tl.float32)
        high_c = (volume / size_w).to(tl.float32)
        tilt = tl.abs(ax * bx + ay * by + az * bz) + tl.abs(bx * cx + by * cy + bz * cz)
        tilt += tl.abs(ax * cx + ay * cy + az * cz)
        upright = tilt < 1e-9 * (ax * ax + ay * ay + az * az)
        my_first = places + 4 * (begin_copy + first - tl.load(first_atom + s))
        my_a, half_a = _bounds(my_x, my_first, mask, 0)
        my_b, half_b = _bounds(my_y, my_first, mask, 1)
        my_c, half_c = _bounds(my_z, my_first, mask, 2)
        # single precision is off by some 1e-6 Å
        wide: tl.constexpr = REACH + 1e-4
        scale = 1.0 / 4294967296.0
        pax, pay, paz = (
            (ax * scale).to(tl.float32),
            (ay * scale).to(tl.float32),
            (az * scale).to(tl.float32),
        )
        pbx, pby, pbz = (
            (bx * scale).to(tl.float32),
            (by * scale).to(tl.float32),
            (bz * scale).to(tl.float32),
        )
        pcx, pcy, pcz = (
            (cx * scale).to(tl.float32),
            (cy * scale).to(tl.float32),
            (cz * scale).to(tl.float32),
        )
        count = tl.zeros((ROWS,), dtype=tl.int32)
        row = atom.to(tl.int64)[:, None] * capacity
        block = tl.load(first_bound + s)
        for begin in range(begin_copy, end_copy, COLUMNS):
            gap_a = _gap(middles, halves, block, 0, my_a, half_a, high_a)
            gap_b = _gap(middles, halves, block, 1, my_b, half_b, high_b)
            gap_c = _gap(middles, halves, block, 2, my_c, half_c, high_c)
            block += 1
            most = tl.maximum(gap_a, tl.maximum(gap_b, gap_c))
            apart2 = gap_a * gap_a + gap_b * gap_b + gap_c * gap_c
            apart2 = tl.where(upright, apart2, most * most)
            if apart2 < (REACH + 1e-3) * (REACH + 1e-3):
                other = begin + tl.arange(0, COLUMNS)
                there = other < end_copy
                x = tl.load(places + 4 * other + 0, mask=there, other=0)
                y = tl.load(places + 4 * other + 1, mask=there, other=0)
                z = tl.load(places + 4 * other + 2, mask=there, other=0)
                dx = (x[None, :] - my_x[:, None]).to(tl.float32)
                dy = (y[None, :] - my_y[:, None]).to(tl.float32)
                dz = (z[None, :] - my_z[:, None]).to(tl.float32)
                rx = dx * pax + dy * pbx + dz * pcx
                ry = dx * pay + dy * pby + dz * pcy
                rz = dx * paz + dy * pbz + dz * pcz
                near = (rx * rx + ry * ry + rz * rz) < wide * wide
                near = near & there[None, :] & mask[:, None] & (other[None, :] != me[:, None])
                ones = near.to(tl.int32)
                column = count[:, None] + tl.cumsum(ones, axis=1) - 1
                code = tl.broadcast_to(other[None, :], (ROWS, COLUMNS))
                tl.store(neighbours + row + column, code, mask=near & (column < capacity))
                count += tl.sum(ones, axis=1)
        tl.store(counts + atom, tl.minimum(count, capacity), mask=mask)
        # both stay noted until the host has looked
        tl.store(needed + pid, tl.maximum(tl.load(needed + pid), tl.max(count, axis=0)))
        # two images of an atom must not be in reach
        if volume < 2.0 * wide * widest:
            tl.store(narrow + pid, 1)
        if pid == 0:
            tl.store(builds, tl.load(builds) + 1)
        for axis in tl.static_range(3):
            fraction = tl.load(fractions + atom * 3 + axis, mask=mask, other=0.0)
            tl.store(built_fractions + atom * 3 + axis, fraction, mask=mask)
        if first == tl.load(first_atom + s):
            tl.store(built_volumes + s, volume / tl.load(copies + s))


@triton.jit
def _four(array, index, mask):
    """Load four neighbours in memory at once, which is one access in place of four."""
    places = array + 4 * index[:, :, None] + tl.arange(0, 4)[None, None, :]
    four = tl.load(places, mask=mask[:, :, None], other=0)
    even, odd = tl.split(tl.reshape(four, (index.shape[0], index.shape[1], 2, 2)))
    zero, two = tl.split(even)
    one, three = tl.split(odd)
    return zero, one, two, three


@triton.jit
def _cubic(coefficients, line, mask, part):
    """Give a cubic's value where `mask` is, else zero."""
    zero, one, two, three = _four(coefficients, line, mask)
    return zero + part * (one + part * (two + part * three))


@triton.jit
def forces_and_sums(
    cells,
    order,
    first_atom,
    first_copy,
    repeats,
    block_first,
    block_last,
    block_system,
    places,
    neighbours,
    counts,
    pulls,
    energies,
    forces,
    partial,
    blocks,
    capacity,
    CUTOFF2: tl.constexpr,
    INNERMOST2: tl.constexpr,
    PER_INTERVAL: tl.constexpr,
    INTERVALS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ENERGY: tl.constexpr,
):
    """Sum forces of each atom, and energy and virial of a block of atoms."""
    pid = tl.program_id(0)
    s = tl.load(block_system + pid)
    first, last = tl.load(block_first + pid), tl.load(block_last + pid)
    atom = first + tl.arange(0, ROWS)
    mask = atom < last
    me = tl.load(first_copy + s) + atom - tl.load(first_atom + s)
    my_x = tl.load(places + 4 * me + 0, mask=mask, other=0)
    my_y = tl.load(places + 4 * me + 1, mask=mask, other=0)
    my_z = tl.load(places + 4 * me + 2, mask=mask, other=0)
    my_kind = tl.load(places + 4 * me + 3, mask=mask, other=0)
    scale = 1.0 / 4294967296.0
    ax, ay, az, bx, by, bz, cx, cy, cz = _repeated_box(cells, repeats, s, scale)
    count = tl.load(counts + atom, mask=mask, other=0)
    row = atom.to(tl.int64)[:, None] * capacity
    zero = tl.zeros((ROWS, COLUMNS), dtype=tl.float64)
    fx, fy, fz, energy = zero, zero, zero, zero
    xx, yy, zz, yz, xz, xy_ = zero, zero, zero, zero, zero, zero
    for begin in range(0, tl.max(count, axis=0), COLUMNS):
        column = begin + tl.arange(0, COLUMNS)
        there = column[None, :] < count[:, None]
        other = tl.load(neighbours + row + column[None, :], mask=there, other=0)
        x, y, z, kind = _four(places, other, there)
        dx = (x - my_x[:, None]).to(tl.float64)
        dy = (y - my_y[:, None]).to(tl.float64)
        dz = (z - my_z[:, None]).to(tl.float64)
        rx = dx * ax + dy * bx + dz * cx
        ry = dx * ay + dy * by + dz * cy
        rz = dx * az + dy * bz + dz * cz
        distance2 = rx * rx + ry * ry + rz * rz
        near = there & (distance2 < CUTOFF2)
        along = tl.maximum((distance2 - INNERMOST2) * PER_INTERVAL, 0.0)
        lower = tl.minimum(along.to(tl.int32), INTERVALS - 1)
        part = along - lower.to(tl.float64)
        line = (my_kind[:, None] + kind) * INTERVALS + lower
        # beyond the cutoff nothing is read
        pull = _cubic(pulls, line, near, part.to(tl.float32)).to(tl.float64)
        px, py, pz = pull * rx, pull * ry, pull * rz
        fx -= px
        fy -= py
        fz -= pz
        xx -= px * rx
        yy -= py * ry
        zz -= pz * rz
        yz -= py * rz
        xz -= px * rz
        xy_ -= px * ry
        if ENERGY:
            energy += _cubic(energies, line, near, part)
    given = tl.load(order + atom, mask=mask, other=0)
    tl.store(forces + given * 3 + 0, tl.sum(fx, axis=1), mask=mask)
    tl.store(forces + given * 3 + 1, tl.sum(fy, axis=1), mask=mask)
    tl.store(forces + given * 3 + 2, tl.sum(fz, axis=1), mask=mask)
    # each pair is there in both directions
    tl.store(partial + 0 * blocks + pid, 0.5 * tl.sum(tl.sum(energy, axis=1), axis=0))
    tl.store(partial + 1 * blocks + pid, 0.5 * tl.sum(tl.sum(xx, axis=1), axis=0))
    tl.store(partial + 2 * blocks + pid, 0.5 * tl.sum(tl.sum(yy, axis=1), axis=0))
    tl.store(partial + 3 * blocks + pid, 0.5 * tl.sum(tl.sum(zz, axis=1), axis=0))
    tl.store(partial + 4 * blocks + pid, 0.5 * tl.sum(tl.sum(yz, axis=1), axis=0))
    tl.store(partial + 5 * blocks + pid, 0.5 * tl.sum(tl.sum(xz, axis=1), axis=0))
    tl.store(partial + 6 * blocks + pid, 0.5 * tl.sum(tl.sum(xy_, axis=1), axis=0))


@triton.jit
def of_systems(
    cells,
    first_block,
    own,
    partial,
    energies,
    stresses,
    blocks,
    COLUMNS: tl.constexpr,
):
    """Add the blocks of each glass: its energy and stress."""
    s = tl.program_id(0)
    ax, ay, az = tl.load(cells + s * 9), tl.load(cells + s * 9 + 1), tl.load(cells + s * 9 + 2)
    bx, by, bz = tl.load(cells + s * 9 + 3), tl.load(cells + s * 9 + 4), tl.load(cells + s * 9 + 5)
    cx, cy, cz = tl.load(cells + s * 9 + 6), tl.load(cells + s * 9 + 7), tl.load(cells + s * 9 + 8)
    volume = tl.abs(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))
    which = tl.arange(0, 8)
    total = tl.zeros((8, COLUMNS), dtype=tl.float64)
    end = tl.load(first_block + s + 1)
    for begin in range(tl.load(first_block + s), end, COLUMNS):
        block = begin + tl.arange(0, COLUMNS)
        mask = (which[:, None] < 7) & (block[None, :] < end)
        total += tl.load(partial + which[:, None] * blocks + block[None, :], mask=mask, other=0.0)
    value = tl.sum(total, axis=1)
    tl.store(energies + s + 0 * which, value + tl.load(own + s), mask=which == 0)
    # xx yy zz yz xz xy, of which the last three are there twice
    upper = tl.where(
        which < 4, 4 * (which - 1), tl.where(which == 4, 5, tl.where(which == 5, 2, 1))
    )
    lower = tl.where(which == 4, 7, tl.where(which == 5, 6, 3))
    tl.store(stresses + s * 9 + upper, value / volume, mask=(which > 0) & (which < 7))
    tl.store(stresses + s * 9 + lower, value / volume, mask=(which > 3) & (which < 7))
