"""Search for primitive rings: no two of their atoms are joined by a path shorter than the ring.

Also called shortest-path rings; Franzblau, Phys. Rev. B 44, 4925 (1991); Yuan & Cormack, Comput.
Mater. Sci. 24, 343 (2002). The Si-O graph is bipartite, so every ring has an even number 2k of
atoms, k of them Si, and is primitive if and only if all k pairs of opposite atoms are k bonds
apart.

Each ring is found once, from its lowest node (the *root*, a Si because Si come first). The other
nodes of its rings are above the root, so a breadth-first search visits those only: half as many. A
ring of 2k atoms is two disjoint geodesics from the root to an *antipode* at distance k.

1. Every node carries the set of the root's neighbours through which its geodesics pass. The two
   atoms beside the antipode must each have a first step that the other lacks: the condition for
   the pairs (first step, atom beside the antipode), which few nodes meet.
2. From there both sides grow together towards the root. Two nodes at the same distance from it
   must be as far apart as along the ring: lists of near Si tell that (see `nearby`), and end most
   attempts after a step or two.
3. What remains is tested pair by pair in the whole network.
"""

import numpy as np
from numba import njit, prange

from glassml.structure.rings.graph import (
    BUFFER_FULL,
    FOUND_ALL,
    IMAGES_CLASH,
    MAX_BONDS,
    RINGS_FULL,
    slot,
    write_ring,
)
from glassml.structure.rings.nearby import LISTED, Nearby, search_within, within

# Columns of a ball's table: atom, image, distance from the root, slot; of the sets of first steps
# of its parents, as bits, the union and the intersection; whether two of them may each have a step
# that the other lacks.
ATOM, IMAGE, DEPTH, SLOT, FIRST, COMMON, JOINS = range(7)
COLUMNS = 8


@njit(cache=True)
def _fill_ball(root, radius, graph, bits, table, ball):  # noqa: ANN001, ANN202, C901
    """Breadth-first search around (root, image 0) above it; returns (nodes, status).

    table[slot] = row of the ball, to be reset by the caller.
    """
    pointer, neighbour, image = graph
    ball[0] = 0
    ball[0, ATOM], ball[0, SLOT] = root, slot(root, 0, bits)
    table[ball[0, SLOT]] = 0
    count, start = 1, 0
    for depth in range(radius):
        end = count
        for head in range(start, end):
            atom, image_here, first = ball[head, ATOM], ball[head, IMAGE], ball[head, FIRST]
            for e in range(pointer[atom], pointer[atom + 1]):
                b = neighbour[e]
                o = image_here + image[e]
                if b < root or (b == root and o <= 0):
                    continue
                s = slot(b, o, bits)
                t = table[s]
                if t < 0:
                    if count == ball.shape[0]:
                        return count, BUFFER_FULL
                    table[s] = count
                    if depth == 0:
                        first = 1 << (e - pointer[root])
                    ball[count, ATOM], ball[count, IMAGE] = b, o
                    ball[count, DEPTH], ball[count, SLOT] = depth + 1, s
                    ball[count, FIRST], ball[count, COMMON], ball[count, JOINS] = first, first, 0
                    count += 1
                elif ball[t, IMAGE] != o:
                    return count, IMAGES_CLASH
                elif t >= end:
                    # A set that contains all others, or is in all others, adds no such pair.
                    more, less = first & ~ball[t, COMMON], ball[t, FIRST] & ~first
                    ball[t, JOINS] |= np.int32(more != 0) & np.int32(less != 0)
                    ball[t, FIRST] |= first
                    ball[t, COMMON] &= first
        start = end
        if start == count:
            break
    return count, FOUND_ALL


@njit(cache=True)
def _list_parents(t, first, graph, bits, table, ball, parents):  # noqa: ANN001, ANN202
    """List a node's neighbours nearer to the root that some `first` steps lead to; their number."""
    pointer, neighbour, image = graph
    count = 0
    for e in range(pointer[ball[t, ATOM]], pointer[ball[t, ATOM] + 1]):
        o = ball[t, IMAGE] + image[e]
        y = table[slot(neighbour[e], o, bits)]
        if y < 0 or ball[y, IMAGE] != o:
            continue
        if ball[y, DEPTH] == ball[t, DEPTH] - 1 and ball[y, FIRST] & first:
            parents[count] = y
            count += 1
    return count


@njit(cache=True)
def _known_nearer(x, y, along, ball, nearby):  # noqa: ANN001, ANN202
    """Tell whether the lists know a path between two nodes shorter than `along` bonds."""
    u, v = ball[x, ATOM], ball[y, ATOM]
    if along <= 2 or along - 2 > LISTED:
        return False
    return within(u, ball[x, IMAGE], v, ball[y, IMAGE], along - 2, nearby)


@njit(cache=True)
def _has_shortcut(ring, k, ball, graph, nearby, bits, marks, cursor):  # noqa: ANN001, ANN202
    """Tell whether some opposite atoms are less than k bonds apart: 1, 0, or a status."""
    for x in range(k):
        u, image_u = ball[ring[x], ATOM], ball[ring[x], IMAGE]
        v, image_v = ball[ring[x + k], ATOM], ball[ring[x + k], IMAGE]
        if k - 2 <= LISTED:
            if within(u, image_u, v, image_v, k - 2, nearby):
                return 1
            continue
        cursor[2] += 2
        near = search_within(u, image_u, v, image_v, k - 2, graph, bits, marks, cursor[2])
        if near:
            return near
    return 0


@njit(cache=True)
def _grow_sides(ring, k, firsts, network, search, sides, out, cursor):  # noqa: ANN001, ANN202
    """Grow both sides of a ring from beside the antipode to the root, in all ways; write the rings.

    ring[k - 1] and ring[k + 1] are set; node j of one side is ring[j], of the other ring[2k - j].
    """
    graph, nearby, bits = network
    table, ball, marks = search
    left, right, n_left, n_right, tried = sides
    j = k - 1
    n_left[j] = -1
    while j < k:
        if j == 1:
            shortcut = 0
            if k > 2:
                shortcut = _has_shortcut(ring, k, ball, graph, nearby, bits, marks, cursor)
            if shortcut < 0:
                return shortcut
            if shortcut == 0 and not write_ring(ring, 2 * k, ball, out, cursor):
                return RINGS_FULL
            j += 1
            continue
        if n_left[j] < 0:
            n_left[j] = _list_parents(ring[j], firsts[0], graph, bits, table, ball, left[j])
            n_right[j] = _list_parents(ring[-j], firsts[1], graph, bits, table, ball, right[j])
            tried[j] = 0
        if tried[j] == n_left[j] * n_right[j]:
            j += 1
            continue
        x, y = left[j, tried[j] // n_right[j]], right[j, tried[j] % n_right[j]]
        tried[j] += 1
        along = 2 * min(k - j + 1, j - 1)
        if x == y or _known_nearer(x, y, along, ball, nearby):
            continue
        j -= 1
        ring[j], ring[-j] = x, y
        n_left[j] = -1
    return FOUND_ALL


@njit(cache=True)
def _rings_of_antipode(t, ring, network, search, sides, out, cursor):  # noqa: ANN001, ANN202
    """Find the rings with a given antipode; returns a status."""
    graph, _, bits = network
    table, ball, _ = search
    k = ball[t, DEPTH]
    parents = sides[0][k]
    count = _list_parents(t, -1, graph, bits, table, ball, parents)
    ring[0], ring[k] = 0, t
    for p in range(count):
        for q in range(p):
            a, b = parents[p], parents[q]
            firsts = (ball[a, FIRST] & ~ball[b, FIRST], ball[b, FIRST] & ~ball[a, FIRST])
            if firsts[0] == 0 or firsts[1] == 0:
                continue
            ring[k - 1], ring[k + 1] = a, b
            status = _grow_sides(ring[: 2 * k], k, firsts, network, search, sides, out, cursor)
            if status != FOUND_ALL:
                return status
    return FOUND_ALL


@njit(cache=True)
def _rings_of_root(root, radius, ring, network, search, sides, out, cursor):  # noqa: ANN001, ANN202
    """Find the rings whose lowest node is the root; returns a status."""
    graph, _, bits = network
    table, ball, _ = search
    count, status = _fill_ball(root, radius, graph, bits, table, ball)
    for t in range(count):
        if status != FOUND_ALL:
            break
        if ball[t, JOINS]:
            status = _rings_of_antipode(t, ring, network, search, sides, out, cursor)
    for t in range(count):
        table[ball[t, SLOT]] = -1
    return status


@njit(parallel=True, cache=True)
def primitive_rings(  # noqa: ANN201
    roots,  # noqa: ANN001
    radius,  # noqa: ANN001
    graph,  # noqa: ANN001
    bits,  # noqa: ANN001
    room,  # noqa: ANN001
    tables,  # noqa: ANN001
    nearby,  # noqa: ANN001
    stamps,  # noqa: ANN001
    stamped,  # noqa: ANN001
    ticks,  # noqa: ANN001
    rings,  # noqa: ANN001
    found,  # noqa: ANN001
    status,  # noqa: ANN001
):
    """Search from `roots`, one row of the tables and of `rings` per thread.

    status[i] tells for each root whether its rings were all found; if not, none was written.
    found[thread] = rings, members.
    """
    # The body of a parallel loop takes arrays only.
    pointer, neighbour, image = graph
    n_si, inner_pointer, inner, outer_pointer, outer = nearby
    members, images, sizes = rings
    threads = tables.shape[0]
    for thread in prange(threads):
        lists = Nearby(n_si, inner_pointer, inner, outer_pointer, outer)
        network = ((pointer, neighbour, image), lists, bits)
        queue_u, queue_v = np.empty((room, 2), np.int32), np.empty((room, 2), np.int32)
        marks = (stamps[thread], stamped[thread], queue_u, queue_v)
        search = (tables[thread], np.empty((room, COLUMNS), np.int32), marks)
        sides = (
            np.empty((radius + 1, MAX_BONDS), np.int32),
            np.empty((radius + 1, MAX_BONDS), np.int32),
            np.empty(radius + 1, np.int64),
            np.empty(radius + 1, np.int64),
            np.empty(radius + 1, np.int64),
        )
        ring = np.empty(2 * radius, np.int64)
        out = (members[thread], images[thread], sizes[thread])
        cursor = np.zeros(3, np.int64)
        cursor[2] = ticks[thread]
        full = False
        for i in range(thread, len(roots), threads):
            if full:
                status[i] = RINGS_FULL
                continue
            before, filled = cursor[0], cursor[1]
            status[i] = _rings_of_root(roots[i], radius, ring, network, search, sides, out, cursor)
            if status[i] != FOUND_ALL:
                cursor[0], cursor[1] = before, filled
                full = status[i] == RINGS_FULL
        found[thread, 0], found[thread, 1] = cursor[0], cursor[1]
        ticks[thread] = cursor[2] + 2
