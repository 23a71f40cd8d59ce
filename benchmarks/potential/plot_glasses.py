"""Glasses at rest by a committee against those by labels: mean Si-O-Si angle and volume.

    python benchmarks/potential/plot_glasses.py gates/glasses.csv --output glasses.png

The table is that of the gate `glasses`, results/{campaign}/potential/g0/gates/glasses.csv.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("angle_deg", "mean Si-O-Si angle, °", 1.0, False),
    ("volume_A3", "volume of SiO₂, Å³", 0.5, True),
)


def draw(table, output):
    """Draw both quantities by the potential against those by labels, and what the gate allows."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.0), layout="constrained")
    for axis, (name, label, allowed, percent) in zip(axes, PANELS, strict=True):
        known = table[f"label_{name}"]
        ends = pd.Series([known.min(), known.max()])
        width = ends * allowed / 100 if percent else allowed
        axis.fill_between(ends, ends - width, ends + width, color="0.9", label="allowed")
        axis.plot(ends, ends, color="0.6", lw=0.8)
        for member, rows in table.groupby("member"):
            axis.plot(rows[f"label_{name}"], rows[name], "o", ms=4, mfc="none", label=member)
        axis.set(xlabel=f"{label}, by r2SCAN", ylabel="by the potential")
    axes[0].legend(fontsize=8)
    figure.savefig(output, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    draw(pd.read_csv(args.table), args.output)


if __name__ == "__main__":
    main()
