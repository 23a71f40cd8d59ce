"""Measure what `glassml dft label` costs on top of bare GPAW, in processor time.

A shard of eight cells of 24 atoms is labelled with cheap settings by the command (start-up,
imports, store, bookkeeping and all), and the same calculations are done by bare GPAW in one
process. What the command takes more does not depend on the settings, so that it is then held
against one label with the production settings.

Usage: python benchmarks/dft/overhead.py
"""

import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.io import write
from gpaw import GPAW

from glassml.campaign.config.dft import Dft
from glassml.configurations.crystals import polymorph
from glassml.configurations.rattle import gaussian_rattle
from glassml.dft.calculation import gpaw_parameters

CELLS = 8
CHEAP = {"cutoff_eV": 300.0, "density_tolerance": 0.01, "eigenstates_tolerance_eV2": 0.001}
CONFIG = """
name: overhead
store: store
configurations:
  families: {{crystals: {{generator: crystal, count: 1, polymorphs: [coesite]}}}}
dft: {dft}
md: {{}}
"""


def bare(atoms, dft) -> float:
    """Calculate energy, forces and stress; give the seconds of processor time."""
    atoms = atoms.copy()
    start = time.process_time()
    atoms.calc = GPAW(txt=os.devnull, **gpaw_parameters(atoms, dft))
    atoms.get_potential_energy(force_consistent=True)
    atoms.get_forces()
    atoms.get_stress()
    return time.process_time() - start


def command(folder: Path, cells) -> float:
    """Label the cells by the command; give the seconds of processor time of all its processes."""
    write(folder / "cells.extxyz", cells)
    (folder / "config.yaml").write_text(CONFIG.format(dft=CHEAP), encoding="utf-8")
    names = {"--config": "config.yaml", "--input": "cells.extxyz", "--output": "out.extxyz"}
    arguments = [item for pair in names.items() for item in pair]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        ["glassml", "dft", "label", *arguments, "--table", "out.csv"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main() -> None:
    """Print the overhead in seconds per label and in percent of a production label."""
    os.environ["OMP_NUM_THREADS"] = "1"
    rng = np.random.default_rng(1)
    cells = [gaussian_rattle(polymorph("coesite"), 0.05, rng) for _ in range(CELLS)]
    cheap = Dft(**CHEAP)
    bare(cells[0], cheap)  # reads setups and warms up
    alone = [bare(atoms, cheap) for atoms in cells]
    with tempfile.TemporaryDirectory() as folder:
        whole = command(Path(folder), cells)
    overhead = (whole - sum(alone)) / CELLS
    print(f"{CELLS} labels: command {whole:.1f} s, bare GPAW {sum(alone):.1f} s")
    production = bare(cells[0], Dft())
    print(
        f"overhead {overhead:.2f} s a label; a label of 24 atoms takes {production:.1f} s: "
        f"{overhead / production:.1%}"
    )


if __name__ == "__main__":
    main()
