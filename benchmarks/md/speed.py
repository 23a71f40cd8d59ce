"""Speed of the torch engine on a GPU, by size and batch, each shortcut alone and together.

    python benchmarks/md/speed.py --output FOLDER [--network m0.nequip.zip --labels test.extxyz]

In one run on one machine: versions; forces of the kernels and of launches of several steps against
the reference, first of all; then speeds, shares of each kernel, energy conservation, networks, and
for comparison NequIP's ASE calculator, torch-sim and LAMMPS (`others.csv`).
Each piece is on its own: what fails or finds no time is said in `pieces.csv`, and the others go
on. Tables are written row by row. `python benchmarks/md/speed.py --plot FOLDER` draws them.
With `--device cpu` and TRITON_INTERPRET=1 all of it is tried at tiny sizes, without a GPU.
"""

# ruff: noqa: PLC0415  (what one piece needs must not end the others)

import argparse
import importlib.metadata
from pathlib import Path

import torch
from pieces import Pieces

from glassml.campaign.files import write_json

PACKAGES = (
    "torch", "triton", "numpy", "ase", "nequip", "e3nn", "openequivariance", "torch-sim-atomistic",
    "lammps",
)  # fmt: skip


def versions(pieces):
    """Write down what this machine is."""
    found = {"cuda": torch.version.cuda}
    if pieces.gpu:
        found["gpu"] = torch.cuda.get_device_name()
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    write_json(pieces.folder / "versions.json", found)
    return found


def plot(folder):
    """Draw SHIK's speed against size, and what a network's step consists of by shortcuts."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    figure, (speed, steps) = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
    for mode, rows in pd.read_csv(folder / "speed.csv").groupby("mode", sort=False):
        speed.plot(rows.atoms, rows.million_atom_steps_per_s, "o", label=mode)
    for row in pd.read_csv(folder / "speed.csv").itertuples():
        each = f" {row.glasses} × {row.atoms // row.glasses:,}"
        speed.annotate(each, (row.atoms, row.million_atom_steps_per_s), fontsize=8)
    speed.axhline(50.0, color="0.6", lw=0.8, ls="--")
    speed.set(xlabel="atoms in the batch", ylabel="million atom·steps/s", title="SHIK")
    speed.set(xscale="log", xlim=(700, 160_000), ylim=(0, None))
    speed.legend(fontsize=8)
    rows = pd.read_csv(folder / "networks.csv", keep_default_na=False)
    rows = rows[(rows.network == rows.network[0]) & (rows.atoms == rows.atoms[0])]
    rows = rows[~rows.duplicated("shortcuts")].sort_values("step_ms", ascending=False)
    rows = rows.reset_index(drop=True)
    steps.barh(rows.shortcuts, rows.model_ms, label="model")
    rest = rows.step_ms - rows.model_ms
    steps.barh(rows.shortcuts, rest, left=rows.model_ms, label="the rest")
    for place, row in enumerate(rows.itertuples()):
        text = f" {row.million_atom_steps_per_s:.2f}"
        steps.text(row.step_ms, place, text, va="center", fontsize=8)
    title = f"network, {rows.atoms[0]:,} atoms (million atom·steps/s)"
    steps.set_title(title, fontsize=10)
    steps.set(xlabel="ms a step", xlim=(0, 1.1 * rows.step_ms.max()))
    steps.invert_yaxis()
    steps.legend(fontsize=8, loc="lower right")
    figure.savefig(folder / "speed.png", dpi=150)


def pairs(pieces):
    """Run what belongs to pair potentials."""
    import speed_pairs

    speed_pairs.run(pieces)


def networks(pieces, args):
    """Run what belongs to networks."""
    import speed_networks

    speed_networks.run(pieces, args.network, args.labels, args.max_labels)


def others(pieces, args):
    """Run what the engine is compared with."""
    import speed_others

    speed_others.run(pieces, args.network)


def main():
    """Run the pieces, the most important first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="folder of the tables")
    parser.add_argument("--plot", type=Path, help="draw the tables of a folder, and do no more")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=85.0, help="for all pieces")
    parser.add_argument(
        "--only",
        choices=["pair", "network", "parts", "others"],
        help="one kind of pieces; parts: of a network's step",
    )
    parser.add_argument("--network", type=Path, action="append", default=[], help="a package")
    parser.add_argument("--labels", type=Path, help="test labels, extxyz")
    parser.add_argument("--max-labels", type=int, default=40)
    args = parser.parse_args()
    if args.plot:
        plot(args.plot)
        return
    if args.output is None:
        parser.error("--output FOLDER: where the tables go")
    pieces = Pieces(args.output, args.seconds, args.device)
    pieces.run("versions", versions)
    if args.only in (None, "pair"):
        pairs(pieces)
    if args.only in (None, "network"):
        networks(pieces, args)
    if args.only == "parts":
        import speed_networks

        speed_networks.run_parts(pieces, args.network)
    if args.only in (None, "others"):
        others(pieces, args)


if __name__ == "__main__":
    main()
