"""Errors on validation labels against steps, through trainings that went on from one another.

    python benchmarks/potential/plot_history.py history_first.csv history_second.csv history.csv \
      --steps 85 97 106 --output steps.png

`--steps` is how many an epoch of each has: labels, with their repeats, over the size of a batch.
The labels of trainings may differ, so that a curve may step where one follows another.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("validation_energy_mae_meV_per_atom", "energy, meV/atom"),
    ("validation_force_mae_eV_per_A", "force, eV/Å"),
    ("validation_stress_mae_GPa", "stress, GPa"),
)


def chained(paths, steps):
    """Read histories one after the other, with a column `steps` in thousands that goes on."""
    tables, before = [], 0
    for path, each in zip(paths, steps, strict=True):
        table = pd.read_csv(path)
        tables.append(table.assign(steps=(before + each * (table["epoch"] + 1)) / 1000))
        before += each * len(table)
    return tables


def draw(tables, output):
    """Draw the three mean absolute errors against steps, a colour for each training."""
    figure, axes = plt.subplots(1, 3, figsize=(10.0, 3.4), layout="constrained")
    for axis, (column, label) in zip(axes, PANELS, strict=True):
        for number, table in enumerate(tables, start=1):
            axis.loglog(table["steps"], table[column], lw=1, label=f"training {number}")
        axis.set(xlabel="steps, thousands", ylabel=label)
        axis.grid(visible=True, which="both", lw=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(output, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("histories", type=Path, nargs="+", help="history.csv, in their order")
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="of an epoch of each")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    if len(args.steps) != len(args.histories):
        parser.error(f"{len(args.histories)} histories, {len(args.steps)} numbers of steps")
    draw(chained(args.histories, args.steps), args.output)


if __name__ == "__main__":
    main()
