"""Time and results of this tree beside those of an earlier one, in turn on the same machine.

    git worktree add ../before COMMIT
    python benchmarks/structure/before_after.py ../before GLASS.xyz [REPEATS]

GLASS.xyz is repeated REPEATS (default 2) times along each axis and displaced at random. Of each
task the least CPU time of three runs is given; results are ring counts or numbers of bins.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase.io import read

from glassml.campaign.names import CRITERIA

HERE = Path(__file__).resolve().parents[2]
TASKS = ("gr", "sq", *CRITERIA)
RUNS = 3


def write_structure(path, source, repeats):
    atoms = read(source) * ((repeats,) * 3)
    moves = np.random.default_rng(2).normal(0, 0.05 if repeats > 1 else 0, (len(atoms), 3))
    cell = atoms.cell.array
    np.savez(path, numbers=atoms.numbers, positions=atoms.positions + moves, cell=cell)
    return len(atoms)


def run(tree, task, structure):
    """One run of a task in a process of its own, with the code of a tree."""
    environment = os.environ | {"PYTHONPATH": str(tree / "src")}
    command = [tree / "benchmarks/structure/tasks.py", "glassml", task, structure, structure, "2"]
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main():
    before, source = Path(sys.argv[1]).resolve(), sys.argv[2]
    repeats = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    with tempfile.TemporaryDirectory() as folder:
        structure = Path(folder) / "structure.npz"
        atoms = write_structure(structure, source, repeats)
        print(f"{atoms} atoms; CPU time in s, before and after; results")
        for task in TASKS:
            rows = [(run(before, task, structure), run(HERE, task, structure)) for _ in range(RUNS)]
            times = [min(pair[side]["cpu_s"] for pair in rows) for side in (0, 1)]
            same = "equal" if rows[0][0]["result"] == rows[0][1]["result"] else "DIFFERENT"
            print(f"{task:12s} {times[0]:8.3f} {times[1]:8.3f}  {same}", flush=True)


if __name__ == "__main__":
    main()
