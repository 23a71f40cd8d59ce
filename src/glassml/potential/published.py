"""What published potentials of silica get wrong, for the model card and the page."""

import pandas as pd

SOURCE = (
    "https://github.com/Tingliangstu/Paper_Projects/tree/f8686319e2052dacb1e74ae8e653aa182bcdba20/"
    "LIANG_a-SiO2_2023/Benchmark_NEP/Compare_NEP_GAP"
)
TEST_SET = (
    "261 frames of silica, of which its own training set may have some; rms labelled force 1.93 "
    "eV/Å"
)
#: Root mean squares of labels less predictions, as published: docs/results/potential.md says how.
PUBLISHED = (
    ("GAP, Erhard 2022", "SCAN", TEST_SET, 2.54, 0.236, f"{SOURCE}: *_comparison.txt"),
    ("NEP, Liang 2023", "SCAN", "the same 261 frames", 2.45, 0.191, f"{SOURCE}: *_test.out"),
)


def published_potentials() -> pd.DataFrame:
    """Give root-mean-square errors of published silica potentials on held-out labels.

    Returns
    -------
    DataFrame
        potential, functional, test_set, energy_meV_per_atom, force_eV_per_A and source: where
        labels and predictions are published, of which these are the root mean squares.
    """
    columns = ["potential", "functional", "test_set"]
    columns += ["energy_meV_per_atom", "force_eV_per_A", "source"]
    return pd.DataFrame(PUBLISHED, columns=columns)
