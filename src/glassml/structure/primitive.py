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
antipode), and ends most searches early. The same sets for the second shell, and which of its atoms
are no farther from a node than the root is, settle the next two pairs without a search: all pairs
of rings of up to 5 Si. What remains is tested by a search from both sides.
"""

import numpy as np
from numba import njit, prange

from glassml.structure.graph import slot

FOUND_ALL, IMAGES_CLASH, BUFFER_FULL = 0, 1, 2
# Columns of a ball's table: atom, image, distance from the root, slot; sets, as bits: the root's
# neighbours on geodesics; atoms of the second shell on geodesics, on geodesics through allowed
# nodes (above the root) only, and those that are no farther away than the root.
ATOM, IMAGE, DEPTH, SLOT, FIRST, SECOND, ALLOWED, NEAR_SECOND = range(8)


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
def _geodesics(node, k, first, second, ball, parents, paths, current, position):  # noqa: ANN001, ANN202
    """List paths of allowed nodes from a node at distance k down to the first step.

    They pass one of the given atoms of the first and of the second shell. Returns their number, or
    -1 if `paths` is full. paths[i] = node, …, first step.
    """
    parent_pointer, parent = parents
    if k == 1:
        paths[0, 0] = node
        return 1 if ball[node, FIRST] & first else 0
    count, depth = 0, 0
    current[0] = node
    position[0] = parent_pointer[node]
    while depth >= 0:
        if position[depth] >= parent_pointer[current[depth] + 1]:
            depth -= 1
            continue
        z = parent[position[depth]]
        position[depth] += 1
        if not ball[z, FIRST] & first:
            continue
        if ball[z, DEPTH] >= 2 and not ball[z, SECOND] & second:
            continue
        depth += 1
        current[depth] = z
        if ball[z, DEPTH] == 1:
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
    """Tell whether a shell may belong to a ring whose antipode is two or more bonds beyond it.

    Such a ring has two nodes s, t in the shell, reached through allowed nodes by way of x and y in
    the second shell, x no nearer to t than the ring allows, and y to s.
    """
    masks[:] = 0
    for t in range(start, end):
        through, far = ball[t, ALLOWED], ~ball[t, NEAR_SECOND]
        i = 0
        while through and i < masks.shape[0]:
            if through & 1:
                masks[i] |= far
            through >>= 1
            i += 1
    for i in range(masks.shape[0]):
        for j in range(i):
            if (masks[i] >> j) & 1 and (masks[j] >> i) & 1:
                return True
    return False


@njit(cache=True)
def _find_near(start, end, graph, bits, table, ball):  # noqa: ANN001, ANN202
    """Find which atoms of the second shell are no farther from a node than the root is.

    Those on its geodesics, those that its parents have, and those on geodesics of its children.
    """
    pointer, neighbour, image = graph
    for t in range(start, end):
        near = ball[t, SECOND]
        for e in range(pointer[ball[t, ATOM]], pointer[ball[t, ATOM] + 1]):
            y = table[slot(neighbour[e], ball[t, IMAGE] + image[e], bits)]
            near |= ball[y, SECOND] if ball[y, DEPTH] > ball[t, DEPTH] else ball[y, NEAR_SECOND]
        ball[t, NEAR_SECOND] = near


@njit(cache=True)
def _add_node(ball, t, atom, image, depth, s):  # noqa: ANN001, ANN202
    ball[t] = 0
    ball[t, ATOM], ball[t, IMAGE], ball[t, DEPTH], ball[t, SLOT] = atom, image, depth, s


@njit(cache=True)
def _fill_ball(root, radius, graph, bits, table, ball, masks):  # noqa: ANN001, ANN202, C901
    """Breadth-first search around (root, image 0); returns (nodes, size of second shell, status).

    table[slot] = row of the ball, to be reset by the caller.
    """
    pointer, neighbour, image = graph
    s = slot(root, 0, bits)
    _add_node(ball, 0, root, 0, 0, s)
    table[s] = 0
    count, start, second = 1, 0, 0
    for depth in range(radius):
        end = count
        for head in range(start, end):
            a = ball[head, ATOM]
            for e in range(pointer[a], pointer[a + 1]):
                b = neighbour[e]
                o = ball[head, IMAGE] + image[e]
                s = slot(b, o, bits)
                t = table[s]
                if t < 0:
                    if count == ball.shape[0]:
                        return count, second, BUFFER_FULL
                    t = count
                    count += 1
                    table[s] = t
                    _add_node(ball, t, b, o, depth + 1, s)
                elif ball[t, IMAGE] != o:
                    return count, second, IMAGES_CLASH
                if ball[t, DEPTH] == depth + 1:
                    _inherit(
                        ball, t, head, e - pointer[root], t - end, b > root or (b == root and o > 0)
                    )
        if depth == 1:
            second = count - end
        if start < end and depth > 0:
            _find_near(start, end, graph, bits, table, ball)
            settled = second <= 62 and depth >= 2
            if settled and not _can_grow(ball, start, end, masks[:second]):
                break
        start = end
        if start == count:
            break
    return count, second, FOUND_ALL


@njit(cache=True)
def _inherit(ball, t, head, step, place, allowed):  # noqa: ANN001, ANN202
    """Hand the sets of a node on to a neighbour one bond farther from the root."""
    depth = ball[t, DEPTH]
    if depth == 1:
        ball[t, FIRST] = np.int64(1) << step
        ball[t, ALLOWED] = 1 if allowed else 0
        return
    ball[t, FIRST] |= ball[head, FIRST]
    if depth == 2:
        own = np.int64(1) << min(place, 62)
        ball[t, SECOND] = own
        if allowed and ball[head, ALLOWED]:
            ball[t, ALLOWED] = own
        return
    ball[t, SECOND] |= ball[head, SECOND]
    if allowed:
        ball[t, ALLOWED] |= ball[head, ALLOWED]


@njit(cache=True)
def _list_parents(count, graph, bits, table, ball, parents):  # noqa: ANN001, ANN202
    """List, for each node, the allowed nodes one bond nearer to the root; False if full."""
    pointer, neighbour, image = graph
    parent_pointer, parent = parents
    filled = 0
    for t in range(count):
        parent_pointer[t] = filled
        if ball[t, ALLOWED] == 0 or ball[t, DEPTH] < 2:
            continue
        a = ball[t, ATOM]
        for e in range(pointer[a], pointer[a + 1]):
            y = table[slot(neighbour[e], ball[t, IMAGE] + image[e], bits)]
            if y >= 0 and ball[y, DEPTH] < ball[t, DEPTH] and ball[y, ALLOWED] != 0:
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
    forward = ball[b, ATOM] < ball[c, ATOM]
    if ball[b, ATOM] == ball[c, ATOM]:
        forward = ball[b, IMAGE] < ball[c, IMAGE]
    for i in range(length):
        node = ring[i] if forward or i == 0 else ring[length - i]
        members[filled + i] = ball[node, ATOM]
        images[filled + i] = ball[node, IMAGE] - ball[ring[0], IMAGE]


@njit(cache=True)
def _has_no_shortcut(ring, k, tested, ball, graph, bits, stamps, cursor):  # noqa: ANN001, ANN202
    """Tell whether opposite atoms of a ring are k bonds apart: 1, 0, or 2 if images clash."""
    stamp, stamped, queues = stamps
    for x in range(tested, k + 1 - tested):
        u, v = ring[x], ring[x + k]
        cursor[2] += 2
        near = _closer(
            ball[u, ATOM],
            ball[u, IMAGE],
            ball[v, ATOM],
            ball[v, IMAGE],
            k,
            graph,
            bits,
            stamp,
            stamped,
            cursor[2],
            queues,
        )
        if near:
            return 2 if near == 2 else 0
    return 1


@njit(cache=True)
def _try_sides(ends, sets, k, settled, ball, parents, graph, bits, work, paths, out, cursor):  # noqa: ANN001, ANN202
    """Join the geodesics of two sides to rings of 2k atoms, and write those that are primitive.

    ends = antipode, the atoms beside it, and the atoms after those; sets = the first steps and
    second-shell atoms that each side may pass.
    """
    t, a, b, after_a, after_b = ends
    first_a, first_b, second_a, second_b = sets
    stamps, ring, current, position = work
    members, images, sizes = out
    paths_a, paths_b = paths
    n_a = _geodesics(after_a, k - 2, first_a, second_a, ball, parents, paths_a, current, position)
    if n_a == 0:
        return FOUND_ALL
    n_b = _geodesics(after_b, k - 2, first_b, second_b, ball, parents, paths_b, current, position)
    if n_a < 0 or n_b < 0:
        return BUFFER_FULL
    ring[0], ring[k - 1], ring[k], ring[k + 1] = 0, a, t, b
    for i in range(n_a):
        for j in range(n_b):
            if not _disjoint(paths_a[i], paths_b[j], k - 2):
                continue
            for x in range(1, k - 1):
                ring[x] = paths_a[i, k - 2 - x]
                ring[k + 1 + x] = paths_b[j, x - 1]
            tested = 3 if settled else 2
            primitive = _has_no_shortcut(ring, k, tested, ball, graph, bits, stamps, cursor)
            if primitive == 2:
                return IMAGES_CLASH
            if primitive and not _keep(ring, k, ball, members, images, sizes, cursor):
                return BUFFER_FULL
    return FOUND_ALL


@njit(cache=True)
def _keep(ring, k, ball, members, images, sizes, cursor):  # noqa: ANN001, ANN202
    """Write a ring of 2k atoms; False if there is no room."""
    if cursor[0] == len(sizes) or cursor[1] + 2 * k > len(members):
        return False
    write_ring(ring, 2 * k, ball, members, images, cursor[1])
    sizes[cursor[0]] = k
    cursor[0] += 1
    cursor[1] += 2 * k
    return True


@njit(cache=True)
def _rings_of_antipode(t, settled, ball, parents, graph, bits, work, paths, out, cursor):  # noqa: ANN001, ANN202, C901, PLR0912
    """Find the rings with a given antipode; returns a status."""
    parent_pointer, parent = parents
    k = ball[t, DEPTH]
    for p in range(parent_pointer[t], parent_pointer[t + 1]):
        for q in range(p + 1, parent_pointer[t + 1]):
            a, b = parent[p], parent[q]
            first_a = ball[a, FIRST] & ~ball[b, FIRST]
            first_b = ball[b, FIRST] & ~ball[a, FIRST]
            if first_a == 0 or first_b == 0:
                continue
            if k == 2:
                ring = work[1]
                ring[0], ring[1], ring[2], ring[3] = 0, a, t, b
                if not _keep(ring, 2, ball, out[0], out[1], out[2], cursor):
                    return BUFFER_FULL
                continue
            second_a = second_b = np.int64(-1)
            if settled:
                second_a = ball[a, SECOND] & ~ball[b, SECOND]
                second_b = ball[b, SECOND] & ~ball[a, SECOND]
            for x in range(parent_pointer[a], parent_pointer[a + 1]):
                after_a = parent[x]
                if not ball[after_a, FIRST] & first_a:
                    continue
                for y in range(parent_pointer[b], parent_pointer[b + 1]):
                    after_b = parent[y]
                    if not ball[after_b, FIRST] & first_b:
                        continue
                    pass_a, pass_b = second_a, second_b
                    if settled:
                        pass_a &= ~ball[after_b, NEAR_SECOND]
                        pass_b &= ~ball[after_a, NEAR_SECOND]
                        if k > 3:
                            pass_a &= ball[after_a, SECOND]
                            pass_b &= ball[after_b, SECOND]
                        if pass_a == 0 or pass_b == 0:
                            continue
                    ends = (t, a, b, after_a, after_b)
                    sets = (first_a, first_b, pass_a, pass_b)
                    status = _try_sides(
                        ends,
                        sets,
                        k,
                        settled,
                        ball,
                        parents,
                        graph,
                        bits,
                        work,
                        paths,
                        out,
                        cursor,
                    )
                    if status != FOUND_ALL:
                        return status
    return FOUND_ALL


@njit(cache=True)
def _rings_of_root(root, radius, graph, bits, table, room, work, paths, out, cursor):  # noqa: ANN001, ANN202
    """Find the rings whose lowest node is the root; returns a status."""
    ball, parents, masks = room
    count, second, status = _fill_ball(root, radius, graph, bits, table, ball, masks)
    if status == FOUND_ALL and not _list_parents(count, graph, bits, table, ball, parents):
        status = BUFFER_FULL
    for t in range(count):
        table[ball[t, SLOT]] = -1
    # More than 62 atoms in the second shell have no bit each: then their pairs are searched.
    settled = second <= 62
    for t in range(1, count):
        if status != FOUND_ALL:
            break
        if parents[0][t + 1] - parents[0][t] >= 2:
            status = _rings_of_antipode(
                t, settled, ball, parents, graph, bits, work, paths, out, cursor
            )
    return status


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
        ball = np.empty((room, 8), np.int64)
        parents = (np.empty(room + 1, np.int64), np.empty(8 * room, np.int32))
        queues = (np.empty((room, 2), np.int32), np.empty((room, 2), np.int32))
        paths = (np.empty((room, radius + 1), np.int32), np.empty((room, radius + 1), np.int32))
        work = (
            (stamps[thread], stamped[thread], queues),
            np.empty(2 * radius, np.int64),
            np.empty(radius + 1, np.int64),
            np.empty(radius + 1, np.int64),
        )
        space = (ball, parents, np.empty(64, np.int64))
        out = (members[thread], images[thread], sizes[thread])
        cursor = np.zeros(3, np.int64)
        cursor[2] = ticks[thread]
        for i in range(thread, len(roots), threads):
            rings, filled = cursor[0], cursor[1]
            status[i] = _rings_of_root(
                roots[i], radius, graph, bits, tables[thread], space, work, paths, out, cursor
            )
            if status[i] != FOUND_ALL:
                cursor[0], cursor[1] = rings, filled
        found[thread, 0], found[thread, 1] = cursor[0], cursor[1]
        ticks[thread] = cursor[2] + 2
