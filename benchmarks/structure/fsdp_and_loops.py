"""FSDP against density and against the life of Si loops, for all states of a campaign.

    python benchmarks/structure/fsdp_and_loops.py results/silica_r2scan/structure/summary \
      --output FOLDER

Writes structure_loops.csv and structure_loops.png, and prints how well one line in the density, and
one in the life of loops, fits all states: its χ² by their standard errors, its largest residual.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from glassml.campaign.files import write_csv

mpl.use("Agg")
import matplotlib.pyplot as plt

LIFE, DENSITY = "homology_Si_persistence_A", "density_g_cm3"
COLUMNS = ("state", "density", "density_error", "life", "life_error", "height", "height_error")


def states(summary: Path) -> pd.DataFrame:
    """Give density, life of Si loops and S(Q1) by neutrons of each state that has all."""
    scalars = pd.read_csv(summary / "states.csv")
    table = pd.DataFrame()
    for name, observable in (("density", DENSITY), ("life", LIFE)):
        own = scalars[scalars.observable == observable].set_index("state")
        table[name], table[f"{name}_error"] = own["mean"], own["error"]
    peaks = pd.read_csv(summary / "fsdp.csv")
    peaks = peaks[(peaks.weighting == "neutron") & (peaks.peak == "Q1")].set_index("state")
    table["height"], table["height_error"] = peaks["height"], peaks["height_error"]
    return table.dropna().reset_index()


def line(table: pd.DataFrame, name: str) -> None:
    """Print how well S(Q1) is a line in a quantity."""
    x, y, error = (table[c].to_numpy() for c in (name, "height", "height_error"))
    fit = np.polyfit(x, y, 1, w=1.0 / error)
    off = y - np.polyval(fit, x)
    print(
        f"S(Q1) = {fit[1]:.3f} {fit[0]:+.3f} {name}: χ² {((off / error) ** 2).sum():.0f} of "
        f"{len(x)} states, largest residual {np.abs(off).max():.3f}, "
        f"correlation {np.corrcoef(x, y)[0, 1]:.3f}"
    )


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the three pairs."""
    figure, axes = plt.subplots(1, 3, figsize=(11.0, 3.4), layout="constrained")
    pairs = (("density", "height"), ("density", "life"), ("life", "height"))
    labels = {
        "density": "density, g/cm³", "height": "$S(Q_1)$, neutrons", "life": "life of loops, Å/Si",
    }  # fmt: skip
    kinds = table.state.str.split("_").str[0].replace({"ambient": "cold"})
    recovered = table.state.str.endswith("recovered")
    for axis, (x, y) in zip(axes, pairs, strict=True):
        for colour, kind in zip(("C0", "C3", "C1"), ("cold", "hot", "melt"), strict=True):
            for own, fill in ((recovered, "none"), (~recovered, colour)):
                rows = table[(kinds == kind) & own]
                if rows.empty:
                    continue
                errors = {"xerr": rows[f"{x}_error"], "yerr": rows[f"{y}_error"]}
                where = "recovered" if fill == "none" else "in situ"
                axis.errorbar(rows[x], rows[y], **errors, fmt="o", ms=5, color=colour,
                              mfc=fill, lw=0.8, label=f"{kind}, {where}")  # fmt: skip
        axis.set(xlabel=labels[x], ylabel=labels[y])
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("summary", type=Path, help="results/…/structure/summary")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    args = parser.parse_args()
    table = states(args.summary)
    args.output.mkdir(parents=True, exist_ok=True)
    rows = table.round(5).to_dict("records")
    write_csv(args.output / "structure_loops.csv", rows, COLUMNS)
    for name in ("density", "life"):
        line(table, name)
    draw(table, args.output / "structure_loops.png")


if __name__ == "__main__":
    main()
