"""Rings straight from their definitions, on nodes (atom, image): slow and obviously right."""

from collections import deque
from itertools import combinations, product

import numpy as np


class Network:
    """Neighbours of (atom, image) nodes, from directed bonds."""

    def __init__(self, bonds):
        self.bonds = [[] for _ in range(bonds.n)]
        self.known = {}
        for first, second, shift in zip(bonds.first, bonds.second, bonds.shift, strict=True):
            self.bonds[first].append((int(second), tuple(int(x) for x in shift)))

    def neighbours(self, node):
        atom, image = node
        return [
            (b, tuple(x + y for x, y in zip(image, shift, strict=True)))
            for b, shift in self.bonds[atom]
        ]

    def distances(self, start, limit, removed=(), without_bond=None):
        """Distance of each node up to `limit` from start, by breadth-first search."""
        distance, queue = {start: 0}, deque([start])
        while queue:
            node = queue.popleft()
            if distance[node] == limit:
                continue
            for other in self.neighbours(node):
                if other in distance or other in removed or {node, other} == without_bond:
                    continue
                distance[other] = distance[node] + 1
                queue.append(other)
        return distance

    def shortest_paths(self, start, end, limit, removed=(), without_bond=None):
        """All shortest paths from start to end, as lists of nodes."""
        distance = self.distances(start, limit, removed, without_bond)
        if end not in distance:
            return []
        paths = [[end]]
        for step in range(distance[end] - 1, -1, -1):
            paths = [
                [node, *path]
                for path in paths
                for node in self.neighbours(path[0])
                if distance.get(node) == step and {node, path[0]} != without_bond
            ]
        return paths

    def apart(self, one, other, limit):
        """Distance of two nodes, or something larger than `limit`."""
        shift = tuple(y - x for x, y in zip(one[1], other[1], strict=True))
        key = (one[0], limit)
        if key not in self.known:
            self.known[key] = self.distances((one[0], (0, 0, 0)), limit)
        return self.known[key].get((other[0], shift), limit + 1)

    def cycles(self, start, length):
        """All cycles of a length through start, in both directions, that may be primitive.

        A path is given up where a node is nearer to one before it than along the cycle: then no
        continuation is primitive; or where no way back to the start is short enough.
        """
        stack = [[start]]
        while stack:
            path = stack.pop()
            left = length - len(path)
            for node in self.neighbours(path[-1]):
                if left == 0:
                    if node == start:
                        yield path
                elif self.apart(start, node, length // 2) > left or node in path:
                    continue
                elif all(
                    self.apart(other, node, length // 2) >= min(steps, length - steps)
                    for steps, other in enumerate(reversed(path), start=1)
                ):
                    stack.append([*path, node])


def canonical(ring):
    """The same frozen set of bonds for all rotations, directions and translations of a ring."""
    variants = []
    for index in range(len(ring)):
        shift = ring[index][1]
        moved = [(a, tuple(x - y for x, y in zip(o, shift, strict=True))) for a, o in ring]
        edges = frozenset(frozenset({moved[i], moved[i - 1]}) for i in range(len(moved)))
        variants.append((ring[index][0], sorted(sorted(e) for e in edges), edges))
    return min(variants, key=lambda v: v[:2])[2]


def rings(bonds, silicons, criterion, max_size):  # noqa: C901
    """Number of distinct rings by size."""
    network = Network(bonds)
    found = set()
    origin = (0, 0, 0)
    for si in silicons:
        centre = (int(si), origin)
        if criterion == "primitive":
            for size in range(2, max_size + 1):
                for cycle in network.cycles(centre, 2 * size):
                    if is_primitive(network, cycle):
                        found.add(canonical(cycle))
            continue
        around = network.neighbours(centre)
        if criterion == "guttman":
            for end in around:
                paths = network.shortest_paths(
                    centre, end, 2 * max_size - 1, without_bond={centre, end}
                )
                found.update(canonical(path) for path in paths)
            continue
        for a, b in combinations(around, 2):
            removed = {centre}
            if criterion == "king-shell":
                removed |= set(around) - {a, b}
            for path in network.shortest_paths(a, b, 2 * max_size - 2, removed):
                found.add(canonical([*path, centre]))
    sizes = [len(ring) // 2 for ring in found]
    return {size: sizes.count(size) for size in sorted(set(sizes))}


def is_primitive(network, cycle):
    """Whether each pair of atoms is as far apart in the network as along the ring."""
    length = len(cycle)
    for i, node in enumerate(cycle):
        for j in range(i):
            along = min(i - j, length - i + j)
            if network.apart(node, cycle[j], length // 2) < along:
                return False
    return True


def lattice_sum(positions, cell, is_si, q_max, q_min=0.0):
    """|Q| and amplitudes of Si and O at all Q vectors in q_min < Q <= q_max, one of each ±Q."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    half = np.floor(q_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int) + 1
    axes = [np.arange(-h, h + 1) for h in half]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    hkl = hkl[len(hkl) // 2 + 1 :]
    vectors = hkl @ reciprocal
    q = np.linalg.norm(vectors, axis=1)
    inside = (q > q_min) & (q <= q_max)
    vectors, q = vectors[inside], q[inside]
    phases = np.exp(1j * vectors @ positions.T)
    return q, phases[:, is_si].sum(axis=1), phases[:, ~is_si].sum(axis=1)


def neutron_total(atoms, lengths, q_max, q_bin):
    """Faber-Ziman total 1 + (I - <b²>)/<b>² by the explicit sum over all Q vectors, binned.

    Returns mean |Q|, S and the number of vectors of each bin that has any.
    """
    b = np.array([lengths[symbol] for symbol in atoms.get_chemical_symbols()])
    reciprocal = 2 * np.pi * np.linalg.inv(atoms.cell.array).T
    highest = np.floor(q_max * atoms.cell.lengths() / (2 * np.pi)).astype(int)
    h = np.array(list(product(*[range(-n, n + 1) for n in highest])))
    h = h[len(h) // 2 + 1 :]
    q = np.linalg.norm(h @ reciprocal, axis=1)
    h, q = h[q <= q_max], q[q <= q_max]
    intensity = np.empty(len(q))
    for start in range(0, len(q), 2000):
        part = slice(start, start + 2000)
        waves = np.exp(1j * (h[part] @ reciprocal) @ atoms.positions.T)
        intensity[part] = np.abs(waves @ b) ** 2 / len(b)
    s = 1 + (intensity - np.mean(b**2)) / np.mean(b) ** 2
    index = (q / q_bin).astype(int)
    counts = np.bincount(index)
    filled = counts > 0
    counts = counts[filled]
    return np.bincount(index, q)[filled] / counts, np.bincount(index, s)[filled] / counts, counts
