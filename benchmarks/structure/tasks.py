# ruff: noqa: PLC0415 - each program is imported in its own process only
"""One task of one program on one structure, in a process of its own; prints a line of JSON.

    python tasks.py PROGRAM TASK STRUCTURE.npz THREADS

Compiled code is warmed up on a small piece first, and files are read before the clock starts.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

CUTOFF = 2.3
MAX_SIZE = 12


def load(path):
    from ase import Atoms

    data = np.load(path)
    return Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=True)


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
        return lambda atoms: pair_distribution(atoms).r.tolist()[-1:]
    if task == "sq":
        return lambda atoms: len(structure_factor(atoms, 25.0, 0.02).q)
    if task == "shape":

        def shape(atoms):
            rings = find_rings(atoms, "primitive", MAX_SIZE, find_bonds(atoms, CUTOFF))
            return len(ring_shapes(rings).lengths)

        return shape

    def rings(atoms):
        return find_rings(atoms, task, MAX_SIZE, find_bonds(atoms, CUTOFF)).counts()

    return rings


def matscipy(task, _threads):
    from matscipy.rings import ring_statistics

    if task != "primitive":
        return None

    def rings(atoms):
        counts = ring_statistics(atoms, {(14, 8): CUTOFF}, maxlength=2 * MAX_SIZE + 1)
        return {n: int(c) for n, c in enumerate(counts[::2]) if c}

    return rings


def vitrum(task, _threads):
    from vitrum.rings import find_rings
    from vitrum.scattering import Scattering

    if task == "sq":

        def factor(atoms):
            scattering = Scattering(atoms, qmin=0.3, qmax=25.0, nbin=1235, disable_progress=True)
            scattering.get_structure_factor("neutron")
            return len(scattering.get_structure_factor("x-ray"))

        return factor
    if task not in ("king-shell", "guttman"):
        return None

    def rings(atoms):
        found = find_rings(
            atoms,
            bonds=[("Si", "O")],
            limit=2 * MAX_SIZE,
            criterion=task.removesuffix("-shell"),
            cutoff={("Si", "O"): CUTOFF},
        )
        sizes, counts = np.unique([len(ring) // 2 for ring in found], return_counts=True)
        return {int(n): int(c) for n, c in zip(sizes, counts, strict=True)}

    return rings


def fastatomstruct(task, _threads):
    os.environ["FASTATOMSTRUCT_NO_TELEMETRY"] = "1"
    import fastatomstruct as fs

    if task not in ("king-shell", "guttman"):
        return None
    method = fs.RingMethod.King if task == "king-shell" else fs.RingMethod.Guttman
    pairs = {(fs.Element.Si, fs.Element.O): CUTOFF}
    cutoff = fs.CutoffMode.PairElements(map=pairs, fallback=0.1)

    def rings(atoms):
        sizes, counts = fs.ring_size_distribution(atoms, cutoff, 2 * MAX_SIZE, method)
        return {int(n) // 2: float(c) for n, c in zip(sizes, counts, strict=True) if c}

    return rings


def freud(task, threads):
    import freud as library

    library.set_num_threads(threads)
    if task != "gr":
        return None

    def partials(atoms):
        box = library.box.Box.from_matrix(atoms.cell.array.T)
        r_max = min(20.0, 0.49 * atoms.cell.lengths().min())
        is_si = atoms.numbers == 14
        si, o = atoms.positions[is_si], atoms.positions[~is_si]
        for first, second in ((si, si), (si, o), (o, o)):
            rdf = library.density.RDF(bins=int(r_max / 0.02), r_max=r_max)
            rdf.compute((box, box.wrap(first)), query_points=box.wrap(second))
        return [r_max]

    return partials


PROGRAMS = {
    "glassml": glassml,
    "matscipy": matscipy,
    "vitrum": vitrum,
    "fastatomstruct": fastatomstruct,
    "freud": freud,
}


def main():
    program, task, path, threads = sys.argv[1:]
    run = PROGRAMS[program](task, int(threads))
    if run is None:
        print(json.dumps({"skipped": "does not do this"}))
        return
    atoms = load(path)
    if program == "glassml":
        run(load(str(Path(path).with_name("warm.npz"))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    result = run(atoms)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "wall_s": round(wall, 3),
                "cpu_s": round(cpu, 3),
                "peak_MB": peak // 1024,
                "before_MB": before // 1024,
                "load": round(os.getloadavg()[0], 2),
                "result": result,
            }
        )
    )


if __name__ == "__main__":
    main()
