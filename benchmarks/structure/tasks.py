# ruff: noqa: PLC0415 - each program is imported in its own process only
"""One task of one program on one structure, in a process of its own; prints a line of JSON.

    python tasks.py PROGRAM TASK STRUCTURE.npz WARM.npz THREADS

Files are read and converted before the clock starts, and compiled code is warmed up on WARM.
"""

import json
import os
import resource
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

CUTOFF = 2.3  # Å
MAX_SIZE = 12  # Si atoms
RINGS = ("primitive", "king", "king-shell", "guttman")


def load(path):
    from ase import Atoms

    data = np.load(path)
    return Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=True)


def counted(lengths):
    """Rings by number of Si, from their numbers of atoms."""
    sizes, counts = np.unique(np.asarray(lengths) // 2, return_counts=True)
    return {int(n): int(c) for n, c in zip(sizes, counts, strict=True)}


def glassml(task, threads):
    import numba

    from glassml.structure import (
        find_bonds,
        find_rings,
        pair_distribution,
        ring_shapes,
        structure_factor,
    )

    numba.set_num_threads(threads)
    if task == "gr":
        return None, lambda atoms: len(pair_distribution(atoms, r_max(atoms)).r)
    if task == "sq":
        return None, lambda atoms: len(structure_factor(atoms, 25.0, 0.02).q)
    if task == "shape":
        return find_rings, lambda rings: len(ring_shapes(rings).lengths)
    # The bonds are found inside, as by the peers.
    return None, lambda atoms: find_rings(atoms, task, MAX_SIZE, find_bonds(atoms, CUTOFF)).counts()


def matscipy(_task, _threads):
    from matscipy.rings import ring_statistics

    def rings(atoms):
        counts = ring_statistics(atoms, {(14, 8): CUTOFF}, maxlength=2 * MAX_SIZE + 1)
        return {n: int(c) for n, c in enumerate(counts[::2]) if c}

    return None, rings


def r_max(atoms):
    """To where g(r) is counted: 20 Å, or as far as every program can."""
    return min(20.0, 0.49 * atoms.cell.lengths().min())


def vitrum(task, _threads):
    from vitrum.geometry import cell_list_pair_counts
    from vitrum.rings import find_rings
    from vitrum.scattering import Scattering

    if task == "gr":

        def counts(atoms):
            codes = (atoms.numbers != 14).astype(np.int64)
            return cell_list_pair_counts(
                atoms, codes, r_max(atoms), int(r_max(atoms) / 0.02), 2
            ).size

        return None, counts
    if task == "sq":

        def factor(atoms):
            scattering = Scattering(atoms, qmin=0.3, qmax=25.0, nbin=1235, disable_progress=True)
            scattering.get_structure_factor("neutron")
            return len(scattering.get_structure_factor("xray"))

        return None, factor

    def rings(atoms):
        found = find_rings(
            atoms,
            bonds=[("Si", "O")],
            limit=2 * MAX_SIZE,
            criterion=task.removesuffix("-shell"),
            cutoff={("Si", "O"): CUTOFF},
        )
        return counted([len(ring) for ring in found])

    return None, rings


def sovapy(task, _threads):
    from ase.io import write
    from sovapy.computation import structure_factor as sf
    from sovapy.computation.rings import RINGs
    from sovapy.core.file import File

    def read(atoms):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "structure.cif", atoms)
            read = File.open(str(Path(folder) / "structure.cif")).get_atoms(0)
        if task in RINGS:
            read.set_bond_lengths(
                {("Si", "O"): CUTOFF, ("O", "Si"): CUTOFF, ("Si", "Si"): -1, ("O", "O"): -1}
            )
        return read

    if task in ("gr", "sq"):

        def factor(atoms):
            r, histogram = sf.atom_pair_hist(atoms, 0.02)
            partial = sf.pair_dist_func(atoms, r, histogram)
            if task == "gr":
                return len(r)
            q, partial_sq = sf.partial_structure_factor(atoms, r, partial, 0.3, 25.0, 0.02)
            sf.structure_factor_neutron(partial_sq, sf.ncoeff(atoms))
            sf.structure_factor_xray(partial_sq, sf.xcoeff(atoms, q))
            return len(q)

        return read, factor
    kind = {"king": RINGs.RingType.KING, "guttman": RINGs.RingType.GUTTMAN}[task]

    def rings(atoms):
        found = RINGs(atoms).calculate(kind, pair_atom_symbols=[["Si", "O"]])
        lengths = [len(ring.indexes) for ring in found]
        return {n: c for n, c in counted(lengths).items() if n <= MAX_SIZE}

    return read, rings


def fastatomstruct(task, _threads):
    os.environ["FASTATOMSTRUCT_NO_TELEMETRY"] = "1"
    import fastatomstruct as fs

    method = (
        fs.analysis.rings.RingMethod.King
        if task == "king-shell"
        else fs.analysis.rings.RingMethod.Guttman
    )
    pairs = {(fs.Element.Si, fs.Element.O): CUTOFF}
    cutoff = fs.CutoffMode.PairElements(map=pairs, fallback=0.1)

    def rings(atoms):
        sizes, counts = fs.analysis.rings.ring_size_distribution(
            atoms, cutoff, 2 * MAX_SIZE, method
        )
        return {int(n) // 2: float(c) for n, c in zip(sizes, counts, strict=True) if c}

    return None, rings


def freud(_task, threads):
    import freud as library

    library.set_num_threads(threads)

    def partials(atoms):
        box = library.box.Box.from_matrix(atoms.cell.array.T)
        is_si = atoms.numbers == 14
        si, o = atoms.positions[is_si], atoms.positions[~is_si]
        for first, second in ((si, si), (si, o), (o, o)):
            rdf = library.density.RDF(bins=int(r_max(atoms) / 0.02), r_max=r_max(atoms))
            rdf.compute((box, box.wrap(first)), query_points=box.wrap(second))
        return int(r_max(atoms) / 0.02)

    return None, partials


def dynasor(_task, _threads):
    from ase.io import write
    from dynasor import Trajectory, compute_static_structure_factors
    from dynasor.qpoints import get_spherical_qpoints

    def factor(atoms):
        points = get_spherical_qpoints(atoms.cell.array, q_max=25.0, max_points=20_000)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "structure.extxyz")
            write(path, [atoms] * 3)  # its reader wants more than one frame
            indices = {
                symbol: np.flatnonzero(atoms.symbols == symbol).tolist() for symbol in ("Si", "O")
            }
            trajectory = Trajectory(
                path, trajectory_format="extxyz", atomic_indices=indices, frame_stop=1
            )
            compute_static_structure_factors(trajectory, points)
        return len(points)

    return None, factor


def amorphouspy(task, _threads):
    import amorphouspy as library

    if task == "sq":

        def factor(atoms):
            for radiation in ("neutron", "xray"):
                library.compute_structure_factor(
                    atoms, 0.3, 25.0, 1235, r_max(atoms), 2000, radiation, lorch_damping=False
                )
            return 1235

        return None, factor

    def rings(atoms):
        counts, _ = library.compute_guttmann_rings(atoms, {("Si", "O"): CUTOFF}, MAX_SIZE)
        return {int(n): int(c) for n, c in counts.items() if c}

    return None, rings


def matcorr(task, _threads):
    import correlation

    def run(atoms):
        trajectory = correlation.Trajectory()
        trajectory.add_frame(correlation.from_ase(atoms))
        wanted = {"gr": ("RDF",), "primitive": ("RD",)}[task]
        # Plain numbers are squares of cutoffs.
        bonds = [[0.0, CUTOFF**2], [CUTOFF**2, 0.0]]
        reach = r_max(atoms) if task == "gr" else CUTOFF + 0.5
        analyzer = correlation.TrajectoryAnalyzer(trajectory, reach, bonds)
        settings = correlation.AnalysisSettings()
        settings.max_ring_size = 2 * MAX_SIZE
        settings.r_max, settings.r_bin_width = r_max(atoms), 0.02
        names = correlation.list_calculators()
        settings.active_calculators = {name: name in wanted for name in names}
        mean = correlation.DistributionFunctions.compute_mean(trajectory, analyzer, 0, settings)
        if task == "gr":
            return len(mean.get_histogram("g_r").bins)
        found = mean.get_histogram("RD")
        pairs = zip(found.bins, found.partials["RawCounts"], strict=True)
        return {int(n) // 2: round(c) for n, c in pairs if c}

    return None, run


PROGRAMS = {
    program.__name__: program
    for program in (
        glassml,
        matscipy,
        vitrum,
        sovapy,
        fastatomstruct,
        freud,
        dynasor,
        amorphouspy,
        matcorr,
    )
}


def measure(program, task, path, warm, threads):
    prepare, run = PROGRAMS[program](task, threads)
    if program == "glassml" or (program == "vitrum" and task in ("gr", "sq")):
        run(prepare(load(warm)) if prepare else load(warm))
    given = load(path)
    if prepare:
        given = prepare(given)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    result = run(given)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "peak_MB": peak // 1024,
        "before_MB": before // 1024,
        "load": round(os.getloadavg()[0], 1),
        "result": result,
    }


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        row = measure(*sys.argv[1:5], int(sys.argv[5]))
    print(json.dumps(row))
