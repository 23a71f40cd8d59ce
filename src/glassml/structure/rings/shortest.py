"""Search for King and Guttman rings: shortest closed paths through an atom or around a bond.

King, Nature 213, 1112 (1967): through each Si, for each pair of its O, the shortest rings that join
them. Two variants are published: only the Si itself is taken out of the way ("king"), or its other
neighbours too ("king-shell", as in R.I.N.G.S., Le Roux & Jund, Comput. Mater. Sci. 49, 70
(2010)). Guttman, J. Non-Cryst. Solids 116, 145 (1990): around each bond, the shortest rings.
All equally short rings count; each distinct ring counts once, however often it is found.
"""

import numpy as np
from numba import njit, prange

from glassml.structure.rings.graph import (
    BUFFER_FULL,
    FOUND_ALL,
    IMAGES_CLASH,
    RINGS_FULL,
    slot,
    write_ring,
)

KING, KING_SHELL, GUTTMAN = 0, 1, 2
OUTSIDE, CENTRE = -1, -2


@njit(cache=True)
def _search(kind, centre, edge, longest, graph, bits, table, ball):  # noqa: ANN001, ANN202, C901, PLR0912, PLR0915
    """Breadth-first search from the source of an edge until all its targets are reached.

    King: from neighbour number `edge`, the centre blocked, to the neighbours after it.
    Guttman: from the centre, not along the bond `edge`, to the atom at its other end.
    Returns (nodes, status); ball[t] = atom, image, distance, slot, is it a target (shell).
    """
    pointer, neighbour, image = graph
    guttman = kind == GUTTMAN
    source = centre if guttman else neighbour[edge]
    source_image = np.int32(0) if guttman else image[edge]
    s = slot(source, source_image, bits)
    ball[0, 0], ball[0, 1], ball[0, 2], ball[0, 3], ball[0, 4] = source, source_image, 0, s, 0
    centre_slot = slot(centre, 0, bits)
    if not guttman:
        if s == centre_slot:
            return 0, IMAGES_CLASH
        table[centre_slot] = CENTRE
    table[s] = 0
    wanted = 1 if guttman else pointer[centre + 1] - edge - 1
    count, start, status = 1, 0, FOUND_ALL
    for depth in range(longest - 1 if guttman else longest - 2):
        end = count
        for head in range(start, end):
            if kind == KING_SHELL and head > 0 and ball[head, 4]:
                continue  # a neighbour of the centre ends paths, none goes through it
            a = ball[head, 0]
            for e in range(pointer[a], pointer[a + 1]):
                if guttman and head == 0 and e == edge:
                    continue
                b = neighbour[e]
                o = ball[head, 1] + image[e]
                s = slot(b, o, bits)
                t = table[s]
                if t >= 0:
                    if ball[t, 1] != o:
                        status = IMAGES_CLASH
                    continue
                if t == CENTRE:
                    if o != 0:
                        status = IMAGES_CLASH
                    continue
                if count == ball.shape[0]:
                    status = BUFFER_FULL
                    break
                table[s] = count
                ball[count, 0], ball[count, 1], ball[count, 2] = b, o, depth + 1
                ball[count, 3], ball[count, 4] = s, 0
                if guttman:
                    if b == neighbour[edge] and o == image[edge]:
                        wanted -= 1
                else:
                    for e2 in range(pointer[centre], pointer[centre + 1]):
                        if b == neighbour[e2] and o == image[e2]:
                            ball[count, 4] = 1
                            if e2 > edge:
                                wanted -= 1
                count += 1
        start = end
        if status != FOUND_ALL or wanted == 0 or start == count:
            break
    if not guttman:
        table[centre_slot] = OUTSIDE
    return count, status


@njit(cache=True)
def _write_paths(kind, target, graph, bits, table, ball, trail, out, cursor):  # noqa: ANN001, ANN202
    """Walk back all geodesics from a target to the source, and write each as a ring.

    The centre of a King ring is node `len(ball) - 1`, kept there by the caller.
    """
    pointer, neighbour, image = graph
    current, position, ring = trail
    distance = ball[target, 2]
    depth = 0
    current[0] = target
    position[0] = pointer[ball[target, 0]]
    while depth >= 0:
        x = current[depth]
        a = ball[x, 0]
        if position[depth] >= pointer[a + 1]:
            depth -= 1
            continue
        e = position[depth]
        position[depth] += 1
        o = ball[x, 1] + image[e]
        y = table[slot(neighbour[e], o, bits)]
        if y < 0 or ball[y, 1] != o or ball[y, 2] != distance - depth - 1:
            continue
        if kind == KING_SHELL and y > 0 and ball[y, 4]:
            continue
        if y > 0:
            depth += 1
            current[depth] = y
            position[depth] = pointer[ball[y, 0]]
            continue
        if kind == GUTTMAN and depth == 0:
            continue  # the bond itself
        length = depth + 2
        for i in range(depth + 1):
            ring[i] = current[i]
        ring[depth + 1] = 0
        if kind != GUTTMAN:
            ring[length] = ball.shape[0] - 1
            length += 1
        if not write_ring(ring, length, ball, out, cursor):
            return RINGS_FULL
    return FOUND_ALL


@njit(cache=True)
def _rings_of_centre(kind, centre, longest, graph, bits, table, ball, trail, out, cursor):  # noqa: ANN001, ANN202
    pointer, neighbour, image = graph
    last = ball.shape[0] - 1
    status = FOUND_ALL
    for edge in range(pointer[centre], pointer[centre + 1]):
        if kind != GUTTMAN and edge + 1 == pointer[centre + 1]:
            break
        count, status = _search(kind, centre, edge, longest, graph, bits, table, ball[:last])
        ball[last, 0], ball[last, 1] = centre, 0
        if status == FOUND_ALL:
            first = edge if kind == GUTTMAN else edge + 1
            final = edge + 1 if kind == GUTTMAN else pointer[centre + 1]
            for e in range(first, final):
                target = table[slot(neighbour[e], image[e], bits)]
                if target < 0:
                    continue
                if ball[target, 1] != image[e]:
                    status = IMAGES_CLASH
                    break
                status = _write_paths(kind, target, graph, bits, table, ball, trail, out, cursor)
                if status != FOUND_ALL:
                    break
        for t in range(count):
            table[ball[t, 3]] = OUTSIDE
        if status != FOUND_ALL:
            break
    return status


@njit(parallel=True, cache=True)
def shortest_rings(kind, centres, radius, graph, bits, room, tables, rings, found, status):  # noqa: ANN001, ANN201
    """Search through `centres`; arguments and results as of `primitive.primitive_rings`.

    A ring is written once per search that finds it; the caller removes the copies.
    """
    # The body of a parallel loop takes arrays only.
    pointer, neighbour, image = graph
    members, images, sizes = rings
    threads = tables.shape[0]
    longest = 2 * radius
    for thread in prange(threads):
        network = (pointer, neighbour, image)
        ball = np.empty((room, 5), np.int32)
        trail = (
            np.empty(longest + 2, np.int64),
            np.empty(longest + 2, np.int64),
            np.empty(longest + 2, np.int64),
        )
        out = (members[thread], images[thread], sizes[thread])
        table = tables[thread]
        cursor = np.zeros(2, np.int64)
        full = False
        for i in range(thread, len(centres), threads):
            if full:
                status[i] = RINGS_FULL
                continue
            before, filled = cursor[0], cursor[1]
            status[i] = _rings_of_centre(
                kind, centres[i], longest, network, bits, table, ball, trail, out, cursor
            )
            if status[i] != FOUND_ALL:
                cursor[0], cursor[1] = before, filled
                full = status[i] == RINGS_FULL
        found[thread, 0], found[thread, 1] = cursor[0], cursor[1]
