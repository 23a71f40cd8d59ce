"""Joining bins keeps the mean over Q vectors and the noise of their number."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassml.structure.binning import coarser


def bins(counts, values, errors):
    q = 0.01 + 0.02 * np.arange(len(counts))
    columns = {"state": "a", "q_per_A": q, "counts": counts, "S": values, "S_error": errors}
    return pd.DataFrame(columns)


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(-5, 5)), min_size=3, max_size=30))
def test_the_mean_over_all_vectors_is_kept(points):
    counts, values = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    rows = bins(counts, values, 1.0 / np.sqrt(counts))
    joined = coarser(rows, "S", 1e3)
    assert len(joined) == 1
    assert joined.S[0] == pytest.approx(np.average(values, weights=counts), abs=1e-9)
    # Unit noise per vector: the error of the mean of all of them.
    assert joined.S_error[0] == pytest.approx(1 / np.sqrt(counts.sum()))


def test_bins_that_are_wide_enough_stay():
    rows = bins([3, 4, 5], [1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
    joined = coarser(rows, "S", 0.02)
    assert joined.S.tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert joined.S_error.tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_an_unknown_error_stays_unknown():
    rows = bins([3, 4], [1.0, 2.0], [0.1, np.nan])
    assert np.isnan(coarser(rows, "S", 1.0).S_error[0])


def test_states_are_not_mixed():
    rows = bins([1, 1], [1.0, 3.0], [0.1, 0.1]).assign(state=["a", "b"])
    assert coarser(rows, "S", 1.0).S.tolist() == [1.0, 3.0]
