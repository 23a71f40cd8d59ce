"""What a committee makes of crystals and glasses that labels took to rest or turned.

    python benchmarks/potential/plot_gates.py glasses gates/glasses.csv --output glasses.png
    python benchmarks/potential/plot_gates.py rotations gates/rotations.csv --output rotations.png

The table is that of the gate, results/{campaign}/potential/g0/gates/{gate}.csv; grey is what it
allows by default.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

from glassml.campaign.config.potential import Glasses, Rotations
from glassml.potential.rotations import rotation_errors

GLASSES, ROTATIONS = Glasses(), Rotations()
PANELS = (
    ("angle_deg", "mean Si-O-Si angle, °", GLASSES.angle_deg, False),
    ("volume_A3", "volume of SiO₂, Å³", GLASSES.volume_percent, True),
)


def draw_glasses(table, output):
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


def draw_rotations(table, output):
    """Draw the labels' energies against the Si-O-Si angle, and each member's errors."""
    allowed = ROTATIONS.energy_meV_per_atom
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    right.axhspan(-allowed, allowed, color="0.9", label="allowed")
    for member, rows in table.sort_values("angle_deg").groupby("member"):
        right.plot(rows["angle_deg"], rotation_errors(rows), "o-", ms=3, lw=0.8, label=member)
    label = 1e3 * (rows["label_eV"] - rows["label_eV"].min())
    left.plot(rows["angle_deg"], label, "ko-", ms=3, lw=0.8)
    left.set(xlabel="Si-O-Si angle, °", ylabel="energy by r2SCAN, meV/atom")
    right.set(xlabel="Si-O-Si angle, °", ylabel="error, meV/atom")
    right.legend(fontsize=8)
    figure.savefig(output, dpi=120)


DRAW = {"glasses": draw_glasses, "rotations": draw_rotations}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("gate", choices=DRAW)
    parser.add_argument("table", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    DRAW[args.gate](pd.read_csv(args.table), args.output)


if __name__ == "__main__":
    main()
