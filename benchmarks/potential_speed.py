"""CPU time per atom and step of networks of several sizes, eager and compiled, on one core.

    python benchmarks/potential_speed.py LABELS.extxyz FOLDER auto|never [SIZE ...]

`never` leaves out the compiled models, which take minutes each. A size is
cutoff/layers/l_max/features/radial_width, e.g. 4.5/2/1/16/32. Weights are random: speed
does not depend on them. CPU time is counted, not wall time, so that a busy machine does not matter.
"""

import csv
import sys
import time
from pathlib import Path

import yaml
from ase.io import read, write

from glassml.campaign.config.potential import Network, Training
from glassml.potential import load_calculator, training
from glassml.potential.compilation import compile_package
from glassml.potential.shifts import mean_neighbours
from glassml.potential.training_config import scratch_model, training_config

SIZES = (
    "4.0/2/0/16/16",
    "4.0/2/1/8/16",
    "4.0/2/1/16/32",
    "4.5/2/1/8/16",
    "4.5/2/1/16/32",
    "5.0/2/1/16/32",
    "5.0/3/1/32/64",
    "5.0/3/2/32/64",
)
COLUMNS = (
    "size",
    "atoms",
    "neighbours",
    "eager_ms_per_atom",
    "compiled_ms_per_atom",
    "train_ms_per_configuration",
    "compile_s",
)


def make_package(folder, network, frames):
    settings = Training(max_epochs=4).model_dump(exclude={"shifts", "bagging"})
    species = ["O", "Si"]
    model = scratch_model(
        **network.model_dump(),
        species=species,
        shifts_eV=dict.fromkeys(species, 0.0),
        scale_eV=1.0,
        neighbours=mean_neighbours(frames, network.cutoff_A),
        seed=1,
    )
    config = training_config(
        model=model,
        species=species,
        cutoff_A=network.cutoff_A,
        train_count=len(frames),
        folder=folder,
        seed=1,
        **settings,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "validation"):
        write(folder / f"{name}.extxyz", frames)
    (folder / training.CONFIG).write_text(yaml.safe_dump(config))
    training.train(folder, device="cpu")
    package = folder / "model.nequip.zip"
    training.package(folder, package)
    with (folder / "history.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    # validation is on the same labels, and costs about half a training step each
    return package, 1e3 * (seconds[-1] - seconds[0]) / (3 * 1.5 * len(frames))


def milliseconds_per_atom(calculator, atoms, steps=20):
    atoms = atoms.copy()
    atoms.calc = calculator
    start = 0.0
    for step in range(steps + 5):
        if step == 5:
            start = time.process_time()
        atoms.rattle(0.001, seed=step)
        atoms.get_forces()
    return 1e3 * (time.process_time() - start) / steps / len(atoms)


def main(labels, folder, wanted, *sizes):
    labels, folder = Path(labels), Path(folder)
    frames = read(labels, ":")
    atoms = max(frames, key=len)
    while len(atoms) < 120:
        atoms = atoms.repeat(
            (2, 1, 1)
            if atoms.cell.lengths().argmin() == 0
            else (1, 2, 1)
            if atoms.cell.lengths().argmin() == 1
            else (1, 1, 2)
        )
    writer = csv.DictWriter(sys.stdout, COLUMNS)
    writer.writeheader()
    for size in sizes or SIZES:
        cutoff, layers, l_max, features, width = size.split("/")
        network = Network(
            cutoff_A=float(cutoff),
            layers=int(layers),
            l_max=int(l_max),
            features=int(features),
            radial_width=int(width),
        )
        here = folder / size.replace("/", "_")
        package, train_ms = make_package(here, network, frames)
        start = time.perf_counter()
        compile_package(
            package, here / "compiled", wanted=wanted, species="Si", device="cpu", threads=1
        )
        row = {
            "size": size,
            "atoms": len(atoms),
            "neighbours": round(mean_neighbours([atoms], network.cutoff_A), 1),
            "eager_ms_per_atom": round(
                milliseconds_per_atom(load_calculator(package, device="cpu"), atoms), 4
            ),
            "train_ms_per_configuration": round(train_ms, 2),
            "compile_s": round(time.perf_counter() - start, 1),
        }
        compiled = load_calculator(package, here / "compiled", "cpu")
        if compiled.parameters["backend"] == "aotinductor":
            row["compiled_ms_per_atom"] = round(milliseconds_per_atom(compiled, atoms), 4)
        writer.writerow(row)
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
