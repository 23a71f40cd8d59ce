"""Search for primitive rings: no two of their atoms are joined by a path shorter than the ring.

Also called shortest-path rings; Franzblau, Phys. Rev. B 44, 4925 (1991); Yuan & Cormack, Comput.
Mater. Sci. 24, 343 (2002). The Si-O graph is bipartite, so every ring has an even number 2k of
atoms, k of them Si, and is primitive if and only if all k pairs of opposite atoms are k bonds
apart.

Each ring is found once, from its lowest node (the *root*, a Si because Si come first): a
breadth-first search gives all distances from the root; a ring of 2k atoms is two disjoint
geodesics to an *antipode* at distance k. Every node carries the set of the root's neighbours
through which its geodesics pass. The two atoms beside the antipode must each have a first
step that the other lacks, which is the condition for the pairs (first step, atom beside the
antipode), and ends most searches early. The remaining pairs are tested by a search from both sides.
"""

import numpy as np
from numba import njit, prange

from glassml.structure.graph import slot

FOUND_ALL, IMAGES_CLASH, BUFFER_FULL = 0, 1, 2


@njit(cache=True)
def _closer(u, image_u, v, image_v, limit, graph, bits, stamp, stamped, tick, queues):  # noqa: ANN001, ANN202, C901
    """Tell whether two nodes are less than `limit` bonds apart: 1, 0, or 2 if images clash."""
    pointer, neighbour, image = graph
    queue_u, queue_v = queues
    mark_u, mark_v = tick, tick + 1
    s = slot(u, image_u, bits)
    stamp[s], stamped[s] = mark_u, image_u
    s = slot(v, image_v, bits)
    if stamp[s] == mark_u:
        return 2
    stamp[s], stamped[s] = mark_v, image_v
    queue_u[0, 0], queue_u[0, 1] = u, image_u
    queue_v[0, 0], queue_v[0, 1] = v, image_v
    first_u, last_u, first_v, last_v = 0, 1, 0, 1
    for _ in range(limit - 1):
        if last_u - first_u <= last_v - first_v:
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
                    return 1 if stamped[s] == o else 2
                if stamp[s] == mine:
                    if stamped[s] != o:
                        return 2
                    continue
                stamp[s], stamped[s] = mine, o
                queue[end, 0], queue[end, 1] = b, o
                end += 1
                if end == queue.shape[0]:
                    return 2
        if last_u - first_u <= last_v - first_v:
            first_u, last_u = last, end
        else:
            first_v, last_v = last, end
    return 0


@njit(cache=True)
def _geodesics(node, k, required, ball, parents, paths, current, position):  # noqa: ANN001, ANN202
    """List paths of allowed nodes from a node at distance k down to the first step.

    Returns their number, or -1 if `paths` is full. paths[i] = node, …, first step.
    """
    depth_of, mask = ball[:, 2], ball[:, 4]
    parent_pointer, parent = parents
    if k == 1:
        paths[0, 0] = node
        return 1 if mask[node] & required else 0
    count, depth = 0, 0
    current[0] = node
    position[0] = parent_pointer[node]
    while depth >= 0:
        if position[depth] >= parent_pointer[current[depth] + 1]:
            depth -= 1
            continue
        z = parent[position[depth]]
        position[depth] += 1
        if not mask[z] & required:
            continue
        depth += 1
        current[depth] = z
        if depth_of[z] == 1:
            if count == paths.shape[0]:
                return -1
            for i in range(depth + 1):
                paths[count, i] = current[i]
            count += 1
            depth -= 1
            continue
        position[depth] = parent_pointer[z]
    return count


@njit(cache=True)
def _can_grow(ball, start, end, masks):  # noqa: ANN001, ANN202
    """Tell whether two nodes of the outermost shell have first steps that the other lacks.

    Both must be reached through allowed nodes. If not, no larger ring can come.
    """
    masks[:] = 0
    for t in range(start, end):
        through, mask = ball[t, 5], ball[t, 4]
        i = 0
        while through:
            if through & 1:
                masks[i] |= ~mask
            through >>= 1
            i += 1
    for i in range(masks.shape[0]):
        for j in range(i):
            if (masks[i] >> j) & 1 and (masks[j] >> i) & 1:
                return True
    return False


@njit(cache=True)
def _fill_ball(root, radius, graph, bits, table, ball, masks):  # noqa: ANN001, ANN202, C901
    """Breadth-first search around (root, image 0); returns (nodes, status).

    ball[t] = atom, image, distance, slot, first steps of all geodesics, first steps of geodesics
    through allowed nodes (those above the root). table[slot] = t, to be reset by the caller.
    """
    pointer, neighbour, image = graph
    s = slot(root, 0, bits)
    ball[0, 0], ball[0, 1], ball[0, 2], ball[0, 3], ball[0, 4], ball[0, 5] = root, 0, 0, s, 0, 0
    table[s] = 0
    count, start = 1, 0
    degree = pointer[root + 1] - pointer[root]
    for depth in range(radius):
        end = count
        for head in range(start, end):
            a = ball[head, 0]
            for e in range(pointer[a], pointer[a + 1]):
                b = neighbour[e]
                o = ball[head, 1] + image[e]
                s = slot(b, o, bits)
                t = table[s]
                if t < 0:
                    if count == ball.shape[0]:
                        return count, BUFFER_FULL
                    t = count
                    count += 1
                    table[s] = t
                    ball[t, 0], ball[t, 1], ball[t, 2], ball[t, 3] = b, o, depth + 1, s
                    ball[t, 4], ball[t, 5] = 0, 0
                elif ball[t, 1] != o:
                    return count, IMAGES_CLASH
                if ball[t, 2] == depth + 1:
                    allowed = b > root or (b == root and o > 0)
                    if depth == 0:
                        step = np.int64(1) << (e - pointer[root])
                        ball[t, 4] |= step
                        if allowed:
                            ball[t, 5] |= step
                    else:
                        ball[t, 4] |= ball[head, 4]
                        if allowed:
                            ball[t, 5] |= ball[head, 5]
        start = end
        if start == count or not _can_grow(ball, start, count, masks[:degree]):
            break
    return count, FOUND_ALL


@njit(cache=True)
def _list_parents(count, graph, bits, table, ball, parents):  # noqa: ANN001, ANN202
    """List, for each node, the allowed nodes one bond nearer to the root; False if full."""
    pointer, neighbour, image = graph
    parent_pointer, parent = parents
    filled = 0
    for t in range(count):
        parent_pointer[t] = filled
        if ball[t, 5] == 0 or ball[t, 2] < 2:
            continue
        a = ball[t, 0]
        for e in range(pointer[a], pointer[a + 1]):
            s = slot(neighbour[e], ball[t, 1] + image[e], bits)
            y = table[s]
            if y >= 0 and ball[y, 2] == ball[t, 2] - 1 and ball[y, 5] != 0:
                if filled == parent.shape[0]:
                    return False
                parent[filled] = y
                filled += 1
    parent_pointer[count] = filled
    return True


@njit(cache=True)
def _disjoint(path_a, path_b, length):  # noqa: ANN001, ANN202
    for i in range(length):  # noqa: SIM110 - compiled
        if path_a[i] == path_b[i]:
            return False
    return True


@njit(cache=True)
def write_ring(ring, length, ball, members, images, filled):  # noqa: ANN001, ANN201
    """Write a ring that starts at its lowest node, towards the lower of its two neighbours."""
    b, c = ring[1], ring[length - 1]
    forward = ball[b, 0] < ball[c, 0] or (ball[b, 0] == ball[c, 0] and ball[b, 1] < ball[c, 1])
    for i in range(length):
        node = ring[i] if forward or i == 0 else ring[length - i]
        members[filled + i] = ball[node, 0]
        images[filled + i] = ball[node, 1] - ball[ring[0], 1]


@njit(cache=True)
def _rings_of_root(root, radius, graph, bits, work, paths, out, cursor):  # noqa: ANN001, ANN202, C901, PLR0912
    """Find the rings whose lowest node is the root; returns a status."""
    table, ball, parents, masks, stamp, stamped, queues, ring, current, position = work
    members, images, sizes = out
    paths_a, paths_b = paths
    count, status = _fill_ball(root, radius, graph, bits, table, ball, masks)
    if status == FOUND_ALL and not _list_parents(count, graph, bits, table, ball, parents):
        status = BUFFER_FULL
    for t in range(count):
        table[ball[t, 3]] = -1
    if status != FOUND_ALL:
        return status
    parent_pointer, parent = parents
    for t in range(1, count):
        if parent_pointer[t + 1] - parent_pointer[t] < 2:
            continue
        k = ball[t, 2]
        for p in range(parent_pointer[t], parent_pointer[t + 1]):
            for q in range(p + 1, parent_pointer[t + 1]):
                a, b = parent[p], parent[q]
                only_a = ball[a, 4] & ~ball[b, 4]
                only_b = ball[b, 4] & ~ball[a, 4]
                if only_a == 0 or only_b == 0:
                    continue
                n_a = _geodesics(a, k - 1, only_a, ball, parents, paths_a, current, position)
                if n_a == 0:
                    continue
                n_b = _geodesics(b, k - 1, only_b, ball, parents, paths_b, current, position)
                if n_a < 0 or n_b < 0:
                    return BUFFER_FULL
                for i in range(n_a):
                    for j in range(n_b):
                        if not _disjoint(paths_a[i], paths_b[j], k - 1):
                            continue
                        ring[0], ring[k] = 0, t
                        for x in range(1, k):
                            ring[x] = paths_a[i, k - 1 - x]
                            ring[k + x] = paths_b[j, x - 1]
                        primitive = True
                        for x in range(2, k - 1):
                            u, v = ring[x], ring[x + k]
                            cursor[2] += 2
                            near = _closer(
                                ball[u, 0],
                                ball[u, 1],
                                ball[v, 0],
                                ball[v, 1],
                                k,
                                graph,
                                bits,
                                stamp,
                                stamped,
                                cursor[2],
                                queues,
                            )
                            if near == 2:
                                return IMAGES_CLASH
                            if near == 1:
                                primitive = False
                                break
                        if not primitive:
                            continue
                        if cursor[0] == len(sizes) or cursor[1] + 2 * k > len(members):
                            return BUFFER_FULL
                        write_ring(ring, 2 * k, ball, members, images, cursor[1])
                        sizes[cursor[0]] = k
                        cursor[0] += 1
                        cursor[1] += 2 * k
    return FOUND_ALL


@njit(parallel=True, cache=True)
def primitive_rings(  # noqa: ANN201
    roots,  # noqa: ANN001
    radius,  # noqa: ANN001
    pointer,  # noqa: ANN001
    neighbour,  # noqa: ANN001
    image,  # noqa: ANN001
    bits,  # noqa: ANN001
    room,  # noqa: ANN001
    tables,  # noqa: ANN001
    stamps,  # noqa: ANN001
    stamped,  # noqa: ANN001
    ticks,  # noqa: ANN001
    members,  # noqa: ANN001
    images,  # noqa: ANN001
    sizes,  # noqa: ANN001
    found,  # noqa: ANN001
    status,  # noqa: ANN001
):
    """Search from `roots`, one row of the tables and of the output per thread.

    status[i] tells for each root whether its rings were all found; if not, none was written.
    """
    graph = (pointer, neighbour, image)
    threads = tables.shape[0]
    for thread in prange(threads):
        ball = np.empty((room, 6), np.int64)
        parents = (np.empty(room + 1, np.int64), np.empty(8 * room, np.int32))
        queues = (np.empty((room, 2), np.int32), np.empty((room, 2), np.int32))
        paths = (np.empty((room, radius + 1), np.int32), np.empty((room, radius + 1), np.int32))
        work = (
            tables[thread],
            ball,
            parents,
            np.empty(64, np.int64),
            stamps[thread],
            stamped[thread],
            queues,
            np.empty(2 * radius, np.int64),
            np.empty(radius + 1, np.int64),
            np.empty(radius + 1, np.int64),
        )
        out = (members[thread], images[thread], sizes[thread])
        cursor = np.zeros(3, np.int64)
        cursor[2] = ticks[thread]
        for i in range(thread, len(roots), threads):
            rings, filled = cursor[0], cursor[1]
            status[i] = _rings_of_root(roots[i], radius, graph, bits, work, paths, out, cursor)
            if status[i] != FOUND_ALL:
                cursor[0], cursor[1] = rings, filled
        found[thread, 0], found[thread, 1] = cursor[0], cursor[1]
        ticks[thread] = cursor[2] + 2
