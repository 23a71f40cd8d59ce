"""How exact S(Q) is, and every observable of one glass beside what other programs gave for it.

    python benchmarks/structure/exactness.py GLASS.xyz

GLASS.xyz is the glass of 3,000 atoms that the reference values belong to
(`amorphouspy_SiO2_glass_3000_atoms.xyz`); for another file only the first table means something.
"""

import sys

import numpy as np
from matscipy.rings import ring_statistics

from glassml.campaign.names import CRITERIA
from glassml.structure import (
    NoPeakError,
    bond_angles,
    density_g_cm3,
    find_bonds,
    find_rings,
    fit_peak,
    q_species,
    read_frames,
    ring_shapes,
    shape_by_size,
    structure_factor,
    transform_of_gr,
)

CUTOFF = 2.2  # Å, that of the reference values
WINDOWS = ((0.3, 4.0), (7.8, 8.0), (12.0, 12.04), (18.0, 18.02), (24.96, 24.98))
# SOVA 0.8.3: rings per Si; l1, l2, l3 in Å; l2/l3 and its standard deviation; roughness.
SOVA = {
    "guttman": {
        3: (0.013, 0.18, 1.11, 1.16, 0.956, 0.019, 0.157),
        4: (0.141, 0.29, 1.33, 1.48, 0.902, 0.050, 0.209),
        5: (0.423, 0.44, 1.50, 1.78, 0.848, 0.066, 0.270),
        6: (0.444, 0.57, 1.65, 2.08, 0.794, 0.085, 0.311),
        7: (0.047, 0.65, 1.82, 2.41, 0.760, 0.085, 0.314),
    },
    "king": {
        3: (0.013, 0.18, 1.11, 1.16, 0.956, 0.019, 0.157),
        4: (0.141, 0.29, 1.33, 1.48, 0.902, 0.050, 0.209),
        5: (0.427, 0.44, 1.50, 1.78, 0.847, 0.066, 0.271),
        6: (0.626, 0.59, 1.63, 2.07, 0.792, 0.085, 0.326),
        7: (0.864, 0.70, 1.74, 2.36, 0.739, 0.098, 0.354),
        8: (0.552, 0.74, 1.88, 2.67, 0.706, 0.102, 0.336),
        9: (0.080, 0.83, 1.99, 2.91, 0.687, 0.114, 0.353),
    },
}
# Own scripts on ASE, with the same cutoff.
OTHER = {
    "density": "2.202",
    "Si with 4 O": "1000 of 1000",
    "O with 1, 2, 3 Si": "5, 1990, 5",
    "Si-O": "1.617, sd 0.043",
    "O-Si-O": "109.4, sd 5.9",
    "Si-O-Si": "151.8, sd 12.5",
}
# Neutron FSDP by three routes: fit of the lattice sum, lattice sum broadened, g(r) without window.
FSDP = "1.640, 1.39 (fit); 1.620, 1.39 (broadened); 1.590, 1.44 (from g(r))"


def explicit_sum(atoms, low, high, q_bin):
    """Binned Faber-Ziman partials by the explicit sum over all Q vectors in a window of Q."""
    cell, is_si = atoms.cell.array, atoms.numbers == 14
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    half = np.floor(high * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int) + 1
    k, l = np.meshgrid(*(np.arange(-h, h + 1) for h in half[1:]), indexing="ij")  # noqa: E741
    bins = round(high / q_bin) + 1
    sums = np.zeros((4, bins))
    for h in range(half[0] + 1):
        hkl = np.column_stack([np.full(k.size, h), k.ravel(), l.ravel()])
        if h == 0:
            hkl = hkl[len(hkl) // 2 + 1 :]
        vectors = hkl @ reciprocal
        q = np.linalg.norm(vectors, axis=1)
        vectors, q = vectors[(q > low) & (q <= high)], q[(q > low) & (q <= high)]
        for start in range(0, len(q), 4000):
            part = slice(start, start + 4000)
            phases = np.exp(1j * vectors[part] @ atoms.positions.T)
            a, b = phases[:, is_si].sum(axis=1), phases[:, ~is_si].sum(axis=1)
            index = (q[part] / q_bin).astype(int)
            products = (np.ones(len(a)), abs(a) ** 2, abs(b) ** 2, (a * b.conj()).real)
            for i, values in enumerate(products):
                sums[i] += np.bincount(index, values, minlength=bins)
    n, n_si = len(atoms), int(is_si.sum())
    filled = np.flatnonzero(sums[0])
    counts, aa, bb, ab = sums[:, filled]
    c_si = n_si / n
    return filled, {
        "Si-Si": 1 + (aa / counts / n_si - 1) / c_si,
        "O-O": 1 + (bb / counts / (n - n_si) - 1) / (1 - c_si),
        "Si-O": 1 + ab / counts / (n * c_si * (1 - c_si)),
    }


def compare_sums(atoms, q_bin=0.02):
    print("S(Q) minus the explicit sum over all Q vectors: largest of the three partials")
    factor = structure_factor(atoms, 25.0, q_bin, q_lattice=25.0, complete=True)
    place = {int(q / q_bin): i for i, q in enumerate(factor.q)}
    for low, high in WINDOWS:
        bins, partials = explicit_sum(atoms, low, high, q_bin)
        # Bins that the window cuts are left out.
        inside = [(row, place[b]) for row, b in enumerate(bins) if low <= b * q_bin + 1e-9]
        inside = [(row, i) for row, i in inside if (bins[row] + 1) * q_bin <= high + 1e-9]
        worst = max(
            abs(partials[pair][row] - factor.partials[pair][i])
            for pair in partials
            for row, i in inside
        )
        print(f"  {low:5.2f}-{high:5.2f} 1/Å, {len(inside):3d} bins: {worst:.1e}")
    print("S(Q) from g(r) minus the lattice sum, averaged over bins of 1 1/Å (noise of the sum)")
    beyond = factor.q > 8
    transform = transform_of_gr(atoms, factor.q[beyond])
    for low in range(8, 25, 4):
        chosen = (factor.q[beyond] > low) & (factor.q[beyond] <= low + 1)
        weight = factor.counts[beyond][chosen]
        cells = []
        for pair, values in transform.items():
            difference = values[chosen] - factor.partials[pair][beyond][chosen]
            cells.append(f"{pair} {np.average(difference, weights=weight):+.4f}")
        print(f"  {low:2d}-{low + 1} 1/Å: {', '.join(cells)} (± {2 / np.sqrt(weight.sum()):.4f})")


def with_error(values):
    """Mean ± standard error, and standard deviation."""
    error = values.std() / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {error:.3f}, sd {values.std():.3f}"


def line(name, ours, others):
    print(f"  {name:28s} {ours:42s} {others}")


def show_network(atoms, bonds):
    coordination, si = bonds.coordination, atoms.numbers == 14
    line("density (g/cm³)", f"{density_g_cm3(atoms):.3f}", OTHER["density"])
    four = int((coordination[si] == 4).sum())
    line("Si with 4 O", f"{four} of {si.sum()}", OTHER["Si with 4 O"])
    oxygen = [int((coordination[~si] == n).sum()) for n in (1, 2, 3)]
    line("O with 1, 2, 3 Si", ", ".join(map(str, oxygen)), OTHER["O with 1, 2, 3 Si"])
    line("Qn, mean n", with_error(q_species(bonds)), "")
    line("Si-O (Å)", with_error(bonds.length), OTHER["Si-O"])
    line("O-Si-O (°)", with_error(bond_angles(atoms, bonds, 14)), OTHER["O-Si-O"])
    line("Si-O-Si (°)", with_error(bond_angles(atoms, bonds, 8)), OTHER["Si-O-Si"])


def show_peaks(atoms):
    factor = structure_factor(atoms, 8.0)
    for weighting in ("neutron", "xray"):
        try:
            peak = fit_peak(factor.q, factor.total(weighting), factor.standard_error(weighting))
            ours = (
                f"{peak.position:.3f} ± {peak.position_error:.3f}, "
                f"{peak.height:.2f} ± {peak.height_error:.2f}"
            )
        except NoPeakError as reason:
            ours = str(reason)
        line(f"FSDP {weighting}: Q1 (1/Å), S", ours, FSDP if weighting == "neutron" else "")


def show_rings(atoms, bonds):
    n_si = int((atoms.numbers == 14).sum())
    by_matscipy = ring_statistics(atoms, {(14, 8): CUTOFF}, maxlength=25)[::2]
    for criterion in CRITERIA:
        rings = find_rings(atoms, criterion, 12, bonds)
        shapes = shape_by_size(ring_shapes(rings))
        for size, count in rings.counts().items():
            row = shapes[size]
            values = [row[name]["mean"] for name in ("l1", "l2", "l3", "aspect_ratio", "roughness")]
            l1, l2, l3, aspect, roughness = values
            ours = (
                f"{count / n_si:.3f} ± {np.sqrt(count) / n_si:.3f}; {l1:.2f} {l2:.2f} {l3:.2f}; "
                f"{aspect:.3f}±{row['aspect_ratio']['sd']:.3f}; {roughness:.3f}"
            )
            others = ""
            if size in SOVA.get(criterion, {}):
                per_si, l1, l2, l3, aspect, sd, roughness = SOVA[criterion][size]
                others = f"{per_si:.3f}; {l1:.2f} {l2:.2f} {l3:.2f}; {aspect:.3f}±{sd:.3f}; "
                others += f"{roughness:.3f} (SOVA)"
            elif criterion == "primitive" and size < len(by_matscipy):
                others = f"{by_matscipy[size] / n_si:.3f} (matscipy)"
            line(f"{criterion} {size}", ours, others)


def main():
    (atoms,) = read_frames(sys.argv[1], last=1)
    compare_sums(atoms)
    print("Observables; errors are standard errors over bonds, angles, rings or Q vectors")
    line("", "glassml", "others")
    bonds = find_bonds(atoms, CUTOFF)
    show_network(atoms, bonds)
    show_peaks(atoms)
    print("  rings per Si; l1, l2, l3 (Å); l2/l3 ± standard deviation over rings; roughness")
    show_rings(atoms, bonds)


if __name__ == "__main__":
    main()
