"""GPU kernels of a network's convolution, in Triton: tensor products, their sums and derivatives.

An atom is a program, a feature a thread: neighbours are looked at one after the other, and nothing
is added in an order that is left to chance. A path takes the l of a neighbour's features and the l
of a spherical harmonic to the l of what is summed up; those of natural parity, up to l = 2, are

    000 011 022 101 110 112 121 202 211 220 222

of which a convolution has those that `IN`, `EDGE` and `OUT` (the largest l of each) allow, in this
order. What a path is weighted with depends on the distance alone, and comes from a table of cubics.
Where neighbours are looked up (`features`, `arranged`) all features of a component lie together,
component after component; `sums` and what is derived by features are in e3nn's order. Real
spherical harmonics and Wigner's 3j symbols are those of e3nn, factors of norms are in the table; a
3j symbol of even sum does not change when its columns do.
"""

# ruff: noqa: ANN001, ANN201, ANN202, ARG001, C901, PLR0912, PLR0915  (a language of its own)
# mypy: ignore-errors

import triton
import triton.language as tl


@triton.jit
def _one_one_two(a0, a1, a2, b0, b1, b2):
    """Couple two vectors to l = 2: Wigner's 3j symbol of 1, 1, 2."""
    return (
        0.316227766 * (a0 * b2 + a2 * b0),
        0.316227766 * (a0 * b1 + a1 * b0),
        0.365148372 * a1 * b1 - 0.182574186 * (a0 * b0 + a2 * b2),
        0.316227766 * (a1 * b2 + a2 * b1),
        0.316227766 * (a2 * b2 - a0 * b0),
    )


@triton.jit
def _one_two_one(a0, a1, a2, b0, b1, b2, b3, b4):
    """Couple a vector and l = 2 to a vector: the same symbol."""
    return (
        0.316227766 * (a2 * b0 + a1 * b1 - a0 * b4) - 0.182574186 * a0 * b2,
        0.316227766 * (a0 * b1 + a2 * b3) + 0.365148372 * a1 * b2,
        0.316227766 * (a0 * b0 + a1 * b3 + a2 * b4) - 0.182574186 * a2 * b2,
    )


@triton.jit
def _two_two_two(a0, a1, a2, a3, a4, b0, b1, b2, b3, b4):
    """Couple two of l = 2 to l = 2: Wigner's 3j symbol of 2, 2, 2."""
    return (
        -0.239045722 * (a0 * b2 + a2 * b0) + 0.207019668 * (a1 * b3 + a3 * b1),
        0.207019668 * (a0 * b3 + a3 * b0 - a1 * b4 - a4 * b1) + 0.119522861 * (a1 * b2 + a2 * b1),
        0.239045722 * (a2 * b2 - a0 * b0 - a4 * b4) + 0.119522861 * (a1 * b1 + a3 * b3),
        0.207019668 * (a0 * b1 + a1 * b0 + a3 * b4 + a4 * b3) + 0.119522861 * (a2 * b3 + a3 * b2),
        0.207019668 * (a3 * b3 - a1 * b1) - 0.239045722 * (a2 * b4 + a4 * b2),
    )


@triton.jit
def _dot_1(a0, a1, a2, b0, b1, b2):
    return a0 * b0 + a1 * b1 + a2 * b2


@triton.jit
def _dot_2(a0, a1, a2, a3, a4, b0, b1, b2, b3, b4):
    return a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3 + a4 * b4


@triton.jit
def _three(array, STRIDE: tl.constexpr):
    """Load three components, of all features or of a vector."""
    return tl.load(array), tl.load(array + STRIDE), tl.load(array + 2 * STRIDE)


@triton.jit
def _five(array, STRIDE: tl.constexpr):
    """Load five components of all features."""
    return (
        tl.load(array),
        tl.load(array + STRIDE),
        tl.load(array + 2 * STRIDE),
        tl.load(array + 3 * STRIDE),
        tl.load(array + 4 * STRIDE),
    )


@triton.jit
def _store_three(array, a, b, c, STRIDE: tl.constexpr):
    tl.store(array, a)
    tl.store(array + STRIDE, b)
    tl.store(array + 2 * STRIDE, c)


@triton.jit
def _store_five(array, a, b, c, d, e, STRIDE: tl.constexpr):
    _store_three(array, a, b, c, STRIDE)
    tl.store(array + 3 * STRIDE, d)
    tl.store(array + 4 * STRIDE, e)


@triton.jit
def _interval(table, along, INTERVALS: tl.constexpr, ROW: tl.constexpr):
    """Give where the cubics of a distance, in intervals, are, and the part that was gone."""
    interval = tl.minimum(along.to(tl.int32), INTERVALS - 1)
    return table + interval * (4 * ROW), along - interval.to(tl.float32)


@triton.jit
def _weight(cubics, part, ROW: tl.constexpr):
    """Give a path's weight by its cubic."""
    a, b = tl.load(cubics), tl.load(cubics + ROW)
    c, d = tl.load(cubics + 2 * ROW), tl.load(cubics + 3 * ROW)
    return a + part * (b + part * (c + part * d))


@triton.jit
def _weight_and_slope(cubics, part, per_A, ROW: tl.constexpr):
    """Give a path's weight by its cubic, and its derivative by the distance."""
    a, b = tl.load(cubics), tl.load(cubics + ROW)
    c, d = tl.load(cubics + 2 * ROW), tl.load(cubics + 3 * ROW)
    value = a + part * (b + part * (c + part * d))
    return value, (b + part * (2.0 * c + 3.0 * part * d)) * per_A


@triton.jit
def _harmonics_2(x, y, z):
    """Give the spherical harmonics of l = 2 of a direction, in e3nn's order and norm."""
    return (
        3.872983346 * x * z,
        3.872983346 * x * y,
        2.236067977 * (y * y - 0.5 * (x * x + z * z)),
        3.872983346 * y * z,
        1.936491673 * (z * z - x * x),
    )


@triton.jit
def _blocks(
    sums,
    atom,
    channel,
    OUTPUTS: tl.constexpr,
    ONES: tl.constexpr,
    TWOS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Give where an atom's sums of l = 0, 1 and 2 begin in e3nn's order, for each feature."""
    mine = sums + atom * (OUTPUTS * CHANNELS)
    return (
        mine + channel,
        mine + ONES * CHANNELS + 3 * channel,
        mine + TWOS * CHANNELS + 5 * channel,
    )


@triton.jit
def arrange(features, arranged, INPUTS: tl.constexpr, IN: tl.constexpr, CHANNELS: tl.constexpr):
    """Bring features from e3nn's order, where those of a component are apart, to the kernels'."""
    atom = tl.program_id(0)
    channel = tl.arange(0, CHANNELS)
    given = features + atom * (INPUTS * CHANNELS)
    mine = arranged + atom * (INPUTS * CHANNELS) + channel
    tl.store(mine, tl.load(given + channel))
    if IN >= 1:
        a, b, c = _three(given + CHANNELS + 3 * channel, 1)
        _store_three(mine + CHANNELS, a, b, c, CHANNELS)
    if IN >= 2:
        a, b, c, d, e = _five(given + 4 * CHANNELS + 5 * channel, 1)
        _store_five(mine + 4 * CHANNELS, a, b, c, d, e, CHANNELS)


@triton.jit
def forward(
    features,
    vectors,
    starts,
    second,
    table,
    sums,
    cutoff2,
    per_A,
    INTERVALS: tl.constexpr,
    PATHS: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    ONES: tl.constexpr,
    TWOS: tl.constexpr,
    IN: tl.constexpr,
    EDGE: tl.constexpr,
    OUT: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sum the tensor products of an atom's neighbours."""
    atom = tl.program_id(0)
    channel = tl.arange(0, CHANNELS)
    ROW: tl.constexpr = PATHS * CHANNELS
    zero = tl.zeros((CHANNELS,), dtype=tl.float32)
    s000 = zero
    s011_0, s011_1, s011_2 = zero, zero, zero
    s022_0, s022_1, s022_2, s022_3, s022_4 = zero, zero, zero, zero, zero
    s101_0, s101_1, s101_2 = zero, zero, zero
    s110 = zero
    s112_0, s112_1, s112_2, s112_3, s112_4 = zero, zero, zero, zero, zero
    s121_0, s121_1, s121_2 = zero, zero, zero
    s202_0, s202_1, s202_2, s202_3, s202_4 = zero, zero, zero, zero, zero
    s211_0, s211_1, s211_2 = zero, zero, zero
    s220 = zero
    s222_0, s222_1, s222_2, s222_3, s222_4 = zero, zero, zero, zero, zero
    for pair in range(tl.load(starts + atom), tl.load(starts + atom + 1)):
        vx, vy, vz = _three(vectors + 3 * pair, 1)
        distance2 = _dot_1(vx, vy, vz, vx, vy, vz)
        if distance2 < cutoff2:
            distance = tl.sqrt(distance2)
            x, y, z = vx / distance, vy / distance, vz / distance
            other = features + tl.load(second + pair) * (INPUTS * CHANNELS) + channel
            cubic, part = _interval(table + channel, distance * per_A, INTERVALS, ROW)
            x0 = tl.load(other)
            s000 += _weight(cubic, part, ROW) * x0
            cubic += CHANNELS
            if EDGE >= 1:
                p, q, r = 1.732050808 * x, 1.732050808 * y, 1.732050808 * z
            if EDGE >= 2:
                f, g, h, i, j = _harmonics_2(x, y, z)
            if EDGE >= 1 and OUT >= 1:
                w = _weight(cubic, part, ROW) * x0
                cubic += CHANNELS
                s011_0 += w * p
                s011_1 += w * q
                s011_2 += w * r
            if EDGE >= 2 and OUT >= 2:
                w = _weight(cubic, part, ROW) * x0
                cubic += CHANNELS
                s022_0 += w * f
                s022_1 += w * g
                s022_2 += w * h
                s022_3 += w * i
                s022_4 += w * j
            if IN >= 1:
                a, b, c = _three(other + CHANNELS, CHANNELS)
                if OUT >= 1:
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    s101_0 += w * a
                    s101_1 += w * b
                    s101_2 += w * c
                if EDGE >= 1:
                    s110 += _weight(cubic, part, ROW) * _dot_1(a, b, c, p, q, r)
                    cubic += CHANNELS
                if EDGE >= 1 and OUT >= 2:
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    k, u, m, n, o = _one_one_two(a, b, c, p, q, r)
                    s112_0 += w * k
                    s112_1 += w * u
                    s112_2 += w * m
                    s112_3 += w * n
                    s112_4 += w * o
                if EDGE >= 2 and OUT >= 1:
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    k, u, m = _one_two_one(a, b, c, f, g, h, i, j)
                    s121_0 += w * k
                    s121_1 += w * u
                    s121_2 += w * m
            if IN >= 2:
                a, b, c, d, e = _five(other + 4 * CHANNELS, CHANNELS)
                if OUT >= 2:
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    s202_0 += w * a
                    s202_1 += w * b
                    s202_2 += w * c
                    s202_3 += w * d
                    s202_4 += w * e
                if EDGE >= 1 and OUT >= 1:
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    k, u, m = _one_two_one(p, q, r, a, b, c, d, e)
                    s211_0 += w * k
                    s211_1 += w * u
                    s211_2 += w * m
                if EDGE >= 2:
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    s220 += w * _dot_2(a, b, c, d, e, f, g, h, i, j)
                if EDGE >= 2 and OUT >= 2:
                    w = _weight(cubic, part, ROW)
                    k, u, m, n, o = _two_two_two(a, b, c, d, e, f, g, h, i, j)
                    s222_0 += w * k
                    s222_1 += w * u
                    s222_2 += w * m
                    s222_3 += w * n
                    s222_4 += w * o
    zeroth, first, last = _blocks(sums, atom, channel, OUTPUTS, ONES, TWOS, CHANNELS)
    tl.store(zeroth, s000)
    if EDGE >= 1 and OUT >= 1:
        _store_three(first, s011_0, s011_1, s011_2, 1)
        first += 3 * CHANNELS
    if EDGE >= 2 and OUT >= 2:
        _store_five(last, s022_0, s022_1, s022_2, s022_3, s022_4, 1)
        last += 5 * CHANNELS
    if IN >= 1:
        if OUT >= 1:
            _store_three(first, s101_0, s101_1, s101_2, 1)
            first += 3 * CHANNELS
        if EDGE >= 1:
            zeroth += CHANNELS
            tl.store(zeroth, s110)
        if EDGE >= 1 and OUT >= 2:
            _store_five(last, s112_0, s112_1, s112_2, s112_3, s112_4, 1)
            last += 5 * CHANNELS
        if EDGE >= 2 and OUT >= 1:
            _store_three(first, s121_0, s121_1, s121_2, 1)
            first += 3 * CHANNELS
    if IN >= 2:
        if OUT >= 2:
            _store_five(last, s202_0, s202_1, s202_2, s202_3, s202_4, 1)
            last += 5 * CHANNELS
        if EDGE >= 1 and OUT >= 1:
            _store_three(first, s211_0, s211_1, s211_2, 1)
        if EDGE >= 2:
            zeroth += CHANNELS
            tl.store(zeroth, s220)
        if EDGE >= 2 and OUT >= 2:
            _store_five(last, s222_0, s222_1, s222_2, s222_3, s222_4, 1)


@triton.jit
def of_vectors(
    features,
    vectors,
    starts,
    second,
    table,
    of_sums,
    of_vectors,
    arranged,
    cutoff2,
    per_A,
    INTERVALS: tl.constexpr,
    PATHS: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    ONES: tl.constexpr,
    TWOS: tl.constexpr,
    IN: tl.constexpr,
    EDGE: tl.constexpr,
    OUT: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Give the derivative by an atom's vectors to its neighbours, from that by its sums."""
    atom = tl.program_id(0)
    channel = tl.arange(0, CHANNELS)
    ROW: tl.constexpr = PATHS * CHANNELS
    zeroth, first, last = _blocks(of_sums, atom, channel, OUTPUTS, ONES, TWOS, CHANNELS)
    mine = arranged + atom * (OUTPUTS * CHANNELS) + channel
    t000 = tl.load(zeroth)
    tl.store(mine, t000)
    mine += CHANNELS
    if EDGE >= 1 and OUT >= 1:
        t011_0, t011_1, t011_2 = _three(first, 1)
        _store_three(mine, t011_0, t011_1, t011_2, CHANNELS)
        first += 3 * CHANNELS
        mine += 3 * CHANNELS
    if EDGE >= 2 and OUT >= 2:
        t022_0, t022_1, t022_2, t022_3, t022_4 = _five(last, 1)
        _store_five(mine, t022_0, t022_1, t022_2, t022_3, t022_4, CHANNELS)
        last += 5 * CHANNELS
        mine += 5 * CHANNELS
    if IN >= 1:
        if OUT >= 1:
            t101_0, t101_1, t101_2 = _three(first, 1)
            _store_three(mine, t101_0, t101_1, t101_2, CHANNELS)
            first += 3 * CHANNELS
            mine += 3 * CHANNELS
        if EDGE >= 1:
            zeroth += CHANNELS
            t110 = tl.load(zeroth)
            tl.store(mine, t110)
            mine += CHANNELS
        if EDGE >= 1 and OUT >= 2:
            t112_0, t112_1, t112_2, t112_3, t112_4 = _five(last, 1)
            _store_five(mine, t112_0, t112_1, t112_2, t112_3, t112_4, CHANNELS)
            last += 5 * CHANNELS
            mine += 5 * CHANNELS
        if EDGE >= 2 and OUT >= 1:
            t121_0, t121_1, t121_2 = _three(first, 1)
            _store_three(mine, t121_0, t121_1, t121_2, CHANNELS)
            first += 3 * CHANNELS
            mine += 3 * CHANNELS
    if IN >= 2:
        if OUT >= 2:
            t202_0, t202_1, t202_2, t202_3, t202_4 = _five(last, 1)
            _store_five(mine, t202_0, t202_1, t202_2, t202_3, t202_4, CHANNELS)
            last += 5 * CHANNELS
            mine += 5 * CHANNELS
        if EDGE >= 1 and OUT >= 1:
            t211_0, t211_1, t211_2 = _three(first, 1)
            _store_three(mine, t211_0, t211_1, t211_2, CHANNELS)
            mine += 3 * CHANNELS
        if EDGE >= 2:
            zeroth += CHANNELS
            t220 = tl.load(zeroth)
            tl.store(mine, t220)
            mine += CHANNELS
        if EDGE >= 2 and OUT >= 2:
            t222_0, t222_1, t222_2, t222_3, t222_4 = _five(last, 1)
            _store_five(mine, t222_0, t222_1, t222_2, t222_3, t222_4, CHANNELS)
    zero = tl.zeros((CHANNELS,), dtype=tl.float32)
    for pair in range(tl.load(starts + atom), tl.load(starts + atom + 1)):
        vx, vy, vz = _three(vectors + 3 * pair, 1)
        distance2 = _dot_1(vx, vy, vz, vx, vy, vz)
        ox, oy, oz = 0.0 * vx, 0.0 * vy, 0.0 * vz
        if distance2 < cutoff2:
            distance = tl.sqrt(distance2)
            x, y, z = vx / distance, vy / distance, vz / distance
            other = features + tl.load(second + pair) * (INPUTS * CHANNELS) + channel
            cubic, part = _interval(table + channel, distance * per_A, INTERVALS, ROW)
            if EDGE >= 1:
                p, q, r = 1.732050808 * x, 1.732050808 * y, 1.732050808 * z
            if EDGE >= 2:
                f, g, h, i, j = _harmonics_2(x, y, z)
            # derivatives by the distance and by the spherical harmonics
            x0 = tl.load(other)
            w, slope = _weight_and_slope(cubic, part, per_A, ROW)
            cubic += CHANNELS
            of_distance = slope * x0 * t000
            y1_0, y1_1, y1_2 = zero, zero, zero
            y2_0, y2_1, y2_2, y2_3, y2_4 = zero, zero, zero, zero, zero
            if EDGE >= 1 and OUT >= 1:
                w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                cubic += CHANNELS
                of_distance += slope * x0 * _dot_1(t011_0, t011_1, t011_2, p, q, r)
                w *= x0
                y1_0 += w * t011_0
                y1_1 += w * t011_1
                y1_2 += w * t011_2
            if EDGE >= 2 and OUT >= 2:
                w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                cubic += CHANNELS
                dot = _dot_2(t022_0, t022_1, t022_2, t022_3, t022_4, f, g, h, i, j)
                of_distance += slope * x0 * dot
                w *= x0
                y2_0 += w * t022_0
                y2_1 += w * t022_1
                y2_2 += w * t022_2
                y2_3 += w * t022_3
                y2_4 += w * t022_4
            if IN >= 1:
                a, b, c = _three(other + CHANNELS, CHANNELS)
                if OUT >= 1:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    cubic += CHANNELS
                    of_distance += slope * _dot_1(a, b, c, t101_0, t101_1, t101_2)
                if EDGE >= 1:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    cubic += CHANNELS
                    of_distance += slope * t110 * _dot_1(a, b, c, p, q, r)
                    w *= t110
                    y1_0 += w * a
                    y1_1 += w * b
                    y1_2 += w * c
                if EDGE >= 1 and OUT >= 2:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    cubic += CHANNELS
                    k, u, m = _one_two_one(a, b, c, t112_0, t112_1, t112_2, t112_3, t112_4)
                    of_distance += slope * _dot_1(k, u, m, p, q, r)
                    y1_0 += w * k
                    y1_1 += w * u
                    y1_2 += w * m
                if EDGE >= 2 and OUT >= 1:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    cubic += CHANNELS
                    k, u, m, n, o = _one_one_two(a, b, c, t121_0, t121_1, t121_2)
                    of_distance += slope * _dot_2(k, u, m, n, o, f, g, h, i, j)
                    y2_0 += w * k
                    y2_1 += w * u
                    y2_2 += w * m
                    y2_3 += w * n
                    y2_4 += w * o
            if IN >= 2:
                a, b, c, d, e = _five(other + 4 * CHANNELS, CHANNELS)
                if OUT >= 2:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    cubic += CHANNELS
                    dot = _dot_2(a, b, c, d, e, t202_0, t202_1, t202_2, t202_3, t202_4)
                    of_distance += slope * dot
                if EDGE >= 1 and OUT >= 1:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    cubic += CHANNELS
                    k, u, m = _one_two_one(t211_0, t211_1, t211_2, a, b, c, d, e)
                    of_distance += slope * _dot_1(k, u, m, p, q, r)
                    y1_0 += w * k
                    y1_1 += w * u
                    y1_2 += w * m
                if EDGE >= 2:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    cubic += CHANNELS
                    of_distance += slope * t220 * _dot_2(a, b, c, d, e, f, g, h, i, j)
                    w *= t220
                    y2_0 += w * a
                    y2_1 += w * b
                    y2_2 += w * c
                    y2_3 += w * d
                    y2_4 += w * e
                if EDGE >= 2 and OUT >= 2:
                    w, slope = _weight_and_slope(cubic, part, per_A, ROW)
                    k, u, m, n, o = _two_two_two(
                        a, b, c, d, e, t222_0, t222_1, t222_2, t222_3, t222_4
                    )
                    of_distance += slope * _dot_2(k, u, m, n, o, f, g, h, i, j)
                    y2_0 += w * k
                    y2_1 += w * u
                    y2_2 += w * m
                    y2_3 += w * n
                    y2_4 += w * o
            # by the direction, of which only what is across it counts
            ux = 1.732050808 * y1_0
            uy = 1.732050808 * y1_1
            uz = 1.732050808 * y1_2
            ux += 3.872983346 * (z * y2_0 + y * y2_1 - x * y2_4) - 2.236067977 * x * y2_2
            uy += 3.872983346 * (x * y2_1 + z * y2_3) + 4.472135955 * y * y2_2
            uz += 3.872983346 * (x * y2_0 + y * y2_3 + z * y2_4) - 2.236067977 * z * y2_2
            total = tl.sum(of_distance, axis=0)
            ux, uy, uz = tl.sum(ux, axis=0), tl.sum(uy, axis=0), tl.sum(uz, axis=0)
            along_it = ux * x + uy * y + uz * z
            ox = total * x + (ux - along_it * x) / distance
            oy = total * y + (uy - along_it * y) / distance
            oz = total * z + (uz - along_it * z) / distance
        _store_three(of_vectors + 3 * pair, ox, oy, oz, 1)


@triton.jit
def of_features(
    vectors,
    starts,
    second,
    table,
    arranged,
    of_features,
    cutoff2,
    per_A,
    INTERVALS: tl.constexpr,
    PATHS: tl.constexpr,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    ONES: tl.constexpr,
    TWOS: tl.constexpr,
    IN: tl.constexpr,
    EDGE: tl.constexpr,
    OUT: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Give the derivative by an atom's features, from those by its neighbours' sums.

    Each pair is there in both directions, so that an atom's row has all whose neighbour it is; the
    vector from there is the opposite one.
    """
    atom = tl.program_id(0)
    channel = tl.arange(0, CHANNELS)
    ROW: tl.constexpr = PATHS * CHANNELS
    zero = tl.zeros((CHANNELS,), dtype=tl.float32)
    s0 = zero
    s1_0, s1_1, s1_2 = zero, zero, zero
    s2_0, s2_1, s2_2, s2_3, s2_4 = zero, zero, zero, zero, zero
    for pair in range(tl.load(starts + atom), tl.load(starts + atom + 1)):
        vx, vy, vz = _three(vectors + 3 * pair, 1)
        distance2 = _dot_1(vx, vy, vz, vx, vy, vz)
        if distance2 < cutoff2:
            distance = tl.sqrt(distance2)
            x, y, z = -vx / distance, -vy / distance, -vz / distance
            given = arranged + tl.load(second + pair) * (OUTPUTS * CHANNELS) + channel
            cubic, part = _interval(table + channel, distance * per_A, INTERVALS, ROW)
            s0 += _weight(cubic, part, ROW) * tl.load(given)
            cubic += CHANNELS
            given += CHANNELS
            if EDGE >= 1:
                p, q, r = 1.732050808 * x, 1.732050808 * y, 1.732050808 * z
            if EDGE >= 2:
                f, g, h, i, j = _harmonics_2(x, y, z)
            if EDGE >= 1 and OUT >= 1:
                a, b, c = _three(given, CHANNELS)
                s0 += _weight(cubic, part, ROW) * _dot_1(a, b, c, p, q, r)
                cubic += CHANNELS
                given += 3 * CHANNELS
            if EDGE >= 2 and OUT >= 2:
                a, b, c, d, e = _five(given, CHANNELS)
                s0 += _weight(cubic, part, ROW) * _dot_2(a, b, c, d, e, f, g, h, i, j)
                cubic += CHANNELS
                given += 5 * CHANNELS
            if IN >= 1:
                if OUT >= 1:
                    a, b, c = _three(given, CHANNELS)
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    given += 3 * CHANNELS
                    s1_0 += w * a
                    s1_1 += w * b
                    s1_2 += w * c
                if EDGE >= 1:
                    w = _weight(cubic, part, ROW) * tl.load(given)
                    cubic += CHANNELS
                    given += CHANNELS
                    s1_0 += w * p
                    s1_1 += w * q
                    s1_2 += w * r
                if EDGE >= 1 and OUT >= 2:
                    a, b, c, d, e = _five(given, CHANNELS)
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    given += 5 * CHANNELS
                    k, u, m = _one_two_one(p, q, r, a, b, c, d, e)
                    s1_0 += w * k
                    s1_1 += w * u
                    s1_2 += w * m
                if EDGE >= 2 and OUT >= 1:
                    a, b, c = _three(given, CHANNELS)
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    given += 3 * CHANNELS
                    k, u, m = _one_two_one(a, b, c, f, g, h, i, j)
                    s1_0 += w * k
                    s1_1 += w * u
                    s1_2 += w * m
            if IN >= 2:
                if OUT >= 2:
                    a, b, c, d, e = _five(given, CHANNELS)
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    given += 5 * CHANNELS
                    s2_0 += w * a
                    s2_1 += w * b
                    s2_2 += w * c
                    s2_3 += w * d
                    s2_4 += w * e
                if EDGE >= 1 and OUT >= 1:
                    a, b, c = _three(given, CHANNELS)
                    w = _weight(cubic, part, ROW)
                    cubic += CHANNELS
                    given += 3 * CHANNELS
                    k, u, m, n, o = _one_one_two(p, q, r, a, b, c)
                    s2_0 += w * k
                    s2_1 += w * u
                    s2_2 += w * m
                    s2_3 += w * n
                    s2_4 += w * o
                if EDGE >= 2:
                    w = _weight(cubic, part, ROW) * tl.load(given)
                    cubic += CHANNELS
                    given += CHANNELS
                    s2_0 += w * f
                    s2_1 += w * g
                    s2_2 += w * h
                    s2_3 += w * i
                    s2_4 += w * j
                if EDGE >= 2 and OUT >= 2:
                    a, b, c, d, e = _five(given, CHANNELS)
                    w = _weight(cubic, part, ROW)
                    k, u, m, n, o = _two_two_two(a, b, c, d, e, f, g, h, i, j)
                    s2_0 += w * k
                    s2_1 += w * u
                    s2_2 += w * m
                    s2_3 += w * n
                    s2_4 += w * o
    mine = of_features + atom * (INPUTS * CHANNELS)
    tl.store(mine + channel, s0)
    if IN >= 1:
        _store_three(mine + CHANNELS + 3 * channel, s1_0, s1_1, s1_2, 1)
    if IN >= 2:
        _store_five(mine + 4 * CHANNELS + 5 * channel, s2_0, s2_1, s2_2, s2_3, s2_4, 1)


@triton.jit
def of_atoms(of_vectors, vectors, starts, opposite, forces, outer, COLUMNS: tl.constexpr):
    """Sum the derivatives by an atom's vectors: its force, and what it adds to the virial."""
    atom = tl.program_id(0)
    zero = tl.zeros((COLUMNS,), dtype=tl.float64)
    fx, fy, fz = zero, zero, zero
    xx, yy, zz, yz, xz, xy_ = zero, zero, zero, zero, zero, zero
    end = tl.load(starts + atom + 1)
    for begin in range(tl.load(starts + atom), end, COLUMNS):
        pair = begin + tl.arange(0, COLUMNS)
        mask = pair < end
        back = tl.load(opposite + pair, mask=mask, other=0)
        px = tl.load(of_vectors + 3 * pair, mask=mask, other=0.0).to(tl.float64)
        py = tl.load(of_vectors + 3 * pair + 1, mask=mask, other=0.0).to(tl.float64)
        pz = tl.load(of_vectors + 3 * pair + 2, mask=mask, other=0.0).to(tl.float64)
        fx += px - tl.load(of_vectors + 3 * back, mask=mask, other=0.0).to(tl.float64)
        fy += py - tl.load(of_vectors + 3 * back + 1, mask=mask, other=0.0).to(tl.float64)
        fz += pz - tl.load(of_vectors + 3 * back + 2, mask=mask, other=0.0).to(tl.float64)
        vx = tl.load(vectors + 3 * pair, mask=mask, other=0.0)
        vy = tl.load(vectors + 3 * pair + 1, mask=mask, other=0.0)
        vz = tl.load(vectors + 3 * pair + 2, mask=mask, other=0.0)
        xx += vx * px
        yy += vy * py
        zz += vz * pz
        yz += 0.5 * (vy * pz + vz * py)
        xz += 0.5 * (vx * pz + vz * px)
        xy_ += 0.5 * (vx * py + vy * px)
    tl.store(forces + 3 * atom, tl.sum(fx, axis=0))
    tl.store(forces + 3 * atom + 1, tl.sum(fy, axis=0))
    tl.store(forces + 3 * atom + 2, tl.sum(fz, axis=0))
    tl.store(outer + 6 * atom, tl.sum(xx, axis=0))
    tl.store(outer + 6 * atom + 1, tl.sum(yy, axis=0))
    tl.store(outer + 6 * atom + 2, tl.sum(zz, axis=0))
    tl.store(outer + 6 * atom + 3, tl.sum(yz, axis=0))
    tl.store(outer + 6 * atom + 4, tl.sum(xz, axis=0))
    tl.store(outer + 6 * atom + 5, tl.sum(xy_, axis=0))
