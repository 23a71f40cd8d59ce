"""Whether two nodes of the covering graph are within a number of bonds of each other.

Most questions of a ring search are about few bonds. Lists answer them: for each node the Si within
one bond (of an O) or two (of an Si, itself included), *inner*, and for each Si those within four,
*outer*. Two nodes are within the sum of two radii if and only if their lists share a node, because
every other node of a path in the Si-O network is an Si; the lists of a near Si in place of the
node's own add its distance. That tells up to ten bonds; beyond, a search from both sides.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from glassml.structure.rings.graph import BIAS, BUFFER_FULL, IMAGES_CLASH, CoveringGraph, slot

# So many bonds the lists tell: two to a near Si, and four and four from there.
LISTED = 10
ATOM_BITS = 31  # an entry is atom · 2³¹ + packed image + BIAS


class Nearby(NamedTuple):
    """Lists of near Si: those of node i are inner[inner_pointer[i]:inner_pointer[i + 1]], sorted.

    Entries pack (atom, image); image 0 of node i is meant, others follow by adding its image.
    `outer` is of the `n_si` Si alone.
    """

    n_si: int
    inner_pointer: np.ndarray
    inner: np.ndarray
    outer_pointer: np.ndarray
    outer: np.ndarray


def nearby_silicon(graph: CoveringGraph) -> Nearby:
    """List the Si within one bond of each O, and within two and four of each Si."""
    of_node = (np.int64(graph.neighbour) << ATOM_BITS) + graph.image + BIAS
    own = (np.arange(graph.n_si, dtype=np.int64) << ATOM_BITS) + BIAS
    # Neighbours of an Si are O, and their Si: two steps. Of an O they are Si at once.
    from_si = _joined(graph.pointer[: graph.n_si + 1], of_node, graph.pointer, of_node, own)
    bonds_of_si = graph.pointer[graph.n_si]
    from_o = graph.pointer[graph.n_si + 1 :] - bonds_of_si + from_si[0][-1]
    pointer = np.concatenate([from_si[0], from_o])
    inner = np.concatenate([from_si[1], of_node[bonds_of_si:]])
    near_pointer, near = from_si
    outer_pointer, outer = _joined(near_pointer, near, near_pointer, near, own[:0])
    return Nearby(graph.n_si, pointer, inner, outer_pointer, outer)


@njit(cache=True)
def _insert(buffer, m, x):  # noqa: ANN001, ANN202
    """Insert x into the m sorted values of a short buffer unless it is there; the new m."""
    place = m
    while place > 0 and buffer[place - 1] > x:
        place -= 1
    if place > 0 and buffer[place - 1] == x:
        return m
    for i in range(m, place, -1):
        buffer[i] = buffer[i - 1]
    buffer[place] = x
    return m + 1


@njit(cache=True)
def _joined(pointer, entry, next_pointer, next_entry, own):  # noqa: ANN001, ANN202
    """For each list, join the lists of its entries (and `own`, if given), sorted, without copies.

    Returns (pointer, entries).
    """
    n = len(pointer) - 1
    longest = 1
    for i in range(n):
        total = 1
        for e in range(pointer[i], pointer[i + 1]):
            j = entry[e] >> ATOM_BITS
            total += next_pointer[j + 1] - next_pointer[j]
        longest = max(longest, total)
    buffer = np.empty(longest, np.int64)
    joined = np.empty(4 * len(entry) + longest, np.int64)
    joined_pointer = np.zeros(n + 1, np.int64)
    filled = 0
    for i in range(n):
        m = 0
        if len(own):
            buffer[0] = own[i]
            m = 1
        for e in range(pointer[i], pointer[i + 1]):
            j = entry[e] >> ATOM_BITS
            image = entry[e] - (j << ATOM_BITS) - BIAS
            for f in range(next_pointer[j], next_pointer[j + 1]):
                m = _insert(buffer, m, next_entry[f] + image)
        if filled + m > len(joined):
            longer = np.empty(2 * len(joined) + m, np.int64)
            longer[:filled] = joined[:filled]
            joined = longer
        joined[filled : filled + m] = buffer[:m]
        filled += m
        joined_pointer[i + 1] = filled
    return joined_pointer, joined[:filled]


@njit(cache=True)
def _share(a, i, end_a, b, j, end_b, shift):  # noqa: ANN001, ANN202
    """Tell whether a[i:end_a] and b[j:end_b] + shift, both sorted, have an entry in common."""
    while i < end_a and j < end_b:
        difference = a[i] - b[j] - shift
        if difference == 0:
            return True
        if difference < 0:
            i += 1
        else:
            j += 1
    return False


@njit(cache=True)
def _lists_share(u, outer_u, v, outer_v, shift, nearby):  # noqa: ANN001, ANN202
    """Tell whether the inner or outer lists of u and, shifted, of v share a node."""
    inner_pointer, outer_pointer = nearby.inner_pointer, nearby.outer_pointer
    start_u, end_u = inner_pointer[u], inner_pointer[u + 1]
    start_v, end_v = inner_pointer[v], inner_pointer[v + 1]
    if outer_u:
        start_u, end_u = outer_pointer[u], outer_pointer[u + 1]
    if outer_v:
        start_v, end_v = outer_pointer[v], outer_pointer[v + 1]
    list_u = nearby.outer if outer_u else nearby.inner
    list_v = nearby.outer if outer_v else nearby.inner
    return _share(list_u, start_u, end_u, list_v, start_v, end_v, shift)


@njit(cache=True)
def _is_in_list(u, entry, nearby):  # noqa: ANN001, ANN202
    """Tell whether the inner list of u has an entry."""
    for i in range(nearby.inner_pointer[u], nearby.inner_pointer[u + 1]):
        if nearby.inner[i] == entry:
            return True
    return False


@njit(cache=True)
def within(u, image_u, v, image_v, limit, nearby):  # noqa: ANN001, ANN201
    """Tell by the lists whether nodes are within `limit` ≤ LISTED bonds, of the right parity."""
    n_si = nearby.n_si
    if u < n_si and v >= n_si:
        u, image_u, v, image_v = v, image_v, u, image_u
    shift = image_v - image_u
    missing = limit - (2 if u < n_si else 1) - (2 if v < n_si else 1)
    if missing < 0:
        return _is_in_list(u, (np.int64(v) << ATOM_BITS) + BIAS + shift, nearby)
    if (u < n_si and missing <= 4) or missing == 0:
        return _lists_share(u, missing > 0, v, missing > 2, shift, nearby)
    if v < n_si and missing == 2:
        return _lists_share(v, True, u, False, -shift, nearby)
    # An O has no outer list, and of an Si it may not reach: by way of the near Si of u.
    for i in range(nearby.inner_pointer[u], nearby.inner_pointer[u + 1]):
        s = nearby.inner[i] >> ATOM_BITS
        shift_s = shift - (nearby.inner[i] - (s << ATOM_BITS) - BIAS)
        if v < n_si:
            shared = _lists_share(s, missing > 4, v, True, shift_s, nearby)
        elif missing <= 4:
            shared = _lists_share(s, missing > 2, v, False, shift_s, nearby)
        else:
            shared = _near_si_of_o(s, v, missing > 6, shift_s, nearby)
        if shared:
            return True
    return False


@njit(cache=True)
def _near_si_of_o(s, v, outer, shift, nearby):  # noqa: ANN001, ANN202
    """Tell whether the outer list of Si s shares a node with a list of an Si of O v."""
    for i in range(nearby.inner_pointer[v], nearby.inner_pointer[v + 1]):
        t = nearby.inner[i] >> ATOM_BITS
        shift_t = shift + nearby.inner[i] - (t << ATOM_BITS) - BIAS
        if _lists_share(s, True, t, outer, shift_t, nearby):
            return True
    return False


@njit(cache=True)
def search_within(u, image_u, v, image_v, limit, graph, bits, marks, tick):  # noqa: ANN001, ANN201, C901
    """Search from both sides: 1 if two nodes are within `limit` bonds, 0 if not, or a status.

    `marks` are a table of ticks and one of images, and two queues; `tick` and `tick + 1` are new.
    """
    pointer, neighbour, image = graph
    stamp, stamped, queue_u, queue_v = marks
    mark_u, mark_v = tick, tick + 1
    s = slot(u, image_u, bits)
    stamp[s], stamped[s] = mark_u, image_u
    s = slot(v, image_v, bits)
    if stamp[s] == mark_u:
        return IMAGES_CLASH
    stamp[s], stamped[s] = mark_v, image_v
    queue_u[0, 0], queue_u[0, 1] = u, image_u
    queue_v[0, 0], queue_v[0, 1] = v, image_v
    first_u, last_u, first_v, last_v = 0, 1, 0, 1
    for _ in range(limit):
        forward = last_u - first_u <= last_v - first_v
        if forward:
            queue, mine, other, first, last = queue_u, mark_u, mark_v, first_u, last_u
        else:
            queue, mine, other, first, last = queue_v, mark_v, mark_u, first_v, last_v
        end = last
        for t in range(first, last):
            a = queue[t, 0]
            for e in range(pointer[a], pointer[a + 1]):
                b = neighbour[e]
                o = queue[t, 1] + image[e]
                s = slot(b, o, bits)
                if stamp[s] == other:
                    return 1 if stamped[s] == o else IMAGES_CLASH
                if stamp[s] == mine:
                    if stamped[s] != o:
                        return IMAGES_CLASH
                    continue
                stamp[s], stamped[s] = mine, o
                queue[end, 0], queue[end, 1] = b, o
                end += 1
                if end == queue.shape[0]:
                    return BUFFER_FULL
        if forward:
            first_u, last_u = last, end
        else:
            first_v, last_v = last, end
    return 0
