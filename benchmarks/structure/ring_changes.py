"""How many King rings change their size, and how many their shape, between two states.

    python benchmarks/structure/ring_changes.py \
        results/silica_network/structure/summary ambient \
        results/silica_study/structure/summary hot_7.7GPa_3500K

As row 25 of the acceptance table: half the summed absolute difference of two distributions, of
sizes, and of l2/l3 of the rings of a size; here of states of different campaigns as well.
"""

import argparse
from pathlib import Path

import pandas as pd

from glassml.campaign.names import KING
from glassml.report.measures_pressure import SIZES
from glassml.report.measures_recovered import apart


def distributions(summary, state):
    """Give the shares of sizes, and for each size those of intervals of l2/l3."""
    tables = [pd.read_csv(summary / f"{name}.csv") for name in ("rings", "ring_aspect")]
    rings, aspects = (each[(each.state == state) & (each.criterion == KING)] for each in tables)
    if rings.empty:
        raise SystemExit(f"{summary}: no King rings of {state}")
    shapes = [aspects[aspects["size"] == size].set_index("aspect_ratio").density for size in SIZES]
    return rings.set_index("size").fraction, [each / each.sum() for each in shapes]


def main():
    """Print a line for sizes, and one for shapes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for which in ("first", "second"):
        parser.add_argument(f"{which}_summary", type=Path, help="results/…/structure/summary")
        parser.add_argument(f"{which}_state")
    args = parser.parse_args()
    (sizes, shapes), (other_sizes, other_shapes) = (
        distributions(args.first_summary, args.first_state),
        distributions(args.second_summary, args.second_state),
    )
    each = [100.0 * apart(*pair) for pair in zip(shapes, other_shapes, strict=True)]
    print(f"sizes: {100.0 * apart(sizes, other_sizes):.1f} %")
    by_size = ", ".join(f"{percent:.1f}" for percent in each)
    print(f"shapes: {sum(each) / len(each):.1f} % ({by_size} % of rings of 5 to 8)")


if __name__ == "__main__":
    main()
