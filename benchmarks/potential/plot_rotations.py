"""Energies of a crystal along a soft rotation: labels, and errors of a committee.

    python benchmarks/potential/plot_rotations.py gates/rotations.csv --output rotations.png

The table is that of the gate `rotations`, results/{campaign}/potential/g0/gates/rotations.csv.
Energies, and errors, are relative to the lowest label's.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

ALLOWED_MEV = 1.0


def draw(table, output):
    """Draw the labels' energies against the Si-O-Si angle, and each member's errors."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    right.axhspan(-ALLOWED_MEV, ALLOWED_MEV, color="0.9", label="allowed")
    for member, rows in table.sort_values("angle_deg").groupby("member"):
        lowest = rows.loc[rows["label_eV"].idxmin()]
        label = 1e3 * (rows["label_eV"] - lowest["label_eV"])
        found = 1e3 * (rows["prediction_eV"] - lowest["prediction_eV"])
        right.plot(rows["angle_deg"], found - label, "o-", ms=3, lw=0.8, label=member)
    left.plot(rows["angle_deg"], label, "ko-", ms=3, lw=0.8)
    left.set(xlabel="Si-O-Si angle, °", ylabel="energy by r2SCAN, meV/atom")
    right.set(xlabel="Si-O-Si angle, °", ylabel="error, meV/atom")
    right.legend(fontsize=8)
    figure.savefig(output, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    draw(pd.read_csv(args.table), args.output)


if __name__ == "__main__":
    main()
