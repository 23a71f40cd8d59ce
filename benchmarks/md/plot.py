"""Picture of a table of speeds: plot.py docs/results/md_throughput.csv plot.png."""

import sys

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd


def main():
    """Draw atoms moved per second against atoms in the batch, and what of a step is the model."""
    table = pd.read_csv(sys.argv[1])
    figure, (speed, share) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    for names, rows in table.groupby(["potential", "network", "card"], sort=False):
        label = "{} ({}), {}".format(*names)
        speed.plot(rows.atoms, rows.atom_steps_per_s / 1e6, "o-", label=label)
        share.plot(rows.atoms, rows.rest_percent, "o-", label=label)
    speed.axhline(2.0, color="0.6", lw=0.8, ls="--")
    speed.set(xlabel="atoms in the batch", ylabel="million atom·steps/s", ylim=(0, None))
    share.axhline(10.0, color="0.6", lw=0.8, ls="--")
    share.set(xlabel="atoms in the batch", ylabel="step outside the model, %")
    for axis in (speed, share):
        axis.set_xlim(0, 1.08 * table.atoms.max())
    handles, labels = speed.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(sys.argv[2], dpi=150)


if __name__ == "__main__":
    main()
