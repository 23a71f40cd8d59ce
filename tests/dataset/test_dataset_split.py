"""Split by parent: disjoint, stratified, not moved by growth."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassml.campaign.errors import StructureError
from glassml.dataset.split import SETS, check_disjoint, place, split_parents


def parents(family, number):
    return {f"{family}/{i:05d}": 2 for i in range(number)}


@settings(max_examples=50)
@given(
    few=st.integers(40, 80),
    more=st.integers(0, 400),
    seed=st.integers(0, 10**6),
    fraction=st.floats(0.05, 0.3),
)
def test_growth_moves_nobody(few, more, seed, fraction):
    before, moved = split_parents(parents("glass", few), seed, fraction, fraction)
    grown = parents("glass", few + more) | parents("liquid", more)
    after, _ = split_parents(grown, seed, fraction, fraction)
    for parent, name in before.items():
        assert after[parent] == name or parent in moved
    assert len(moved) <= 1  # 40 golden-ratio steps leave no gap of 5 %


@settings(max_examples=50)
@given(number=st.integers(20, 500), start=st.integers(0, 1000), seed=st.integers(0, 1000))
def test_each_family_gets_its_share(number, start, seed):
    """Golden-ratio steps: of n numbers in a row, an interval gets its share within two."""
    places = [place(f"cold/{i:05d}", seed) for i in range(start, start + number)]
    for fraction in (0.1, 0.3):
        assert abs(sum(p < fraction for p in places) - fraction * number) < 3.0


def test_families_start_at_different_places():
    starts = {round(place(f"{family}/00000", 1), 6) for family in "abcdefgh"}
    assert len(starts) == 8


def test_names_without_number_are_spread_too():
    places = [place(f"x/{chr(97 + i)}{chr(97 + j)}", 3) for i in range(26) for j in range(26)]
    counts = Counter(int(10 * p) for p in places)
    assert min(counts.values()) > 40  # 67.6 expected, standard deviation 7.8


@pytest.mark.parametrize("number", [3, 4, 5, 10])
@pytest.mark.parametrize("seed", range(20))
def test_few_parents_still_fill_all_sets(number, seed):
    assignment, moved = split_parents(parents("glass", number), seed, 0.1, 0.1)
    assert set(assignment.values()) == set(SETS)
    assert list(assignment.values()).count("train") >= number - 2 - len(moved) or number > 4
    assert set(moved) <= set(assignment)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_too_few_parents_are_refused_with_what_to_do(number):
    with pytest.raises(StructureError, match="raise their counts"):
        split_parents(parents("glass", number), 1, 0.1, 0.1)


def test_shared_parent_is_found():
    with pytest.raises(StructureError, match="glass/1 is in test and train"):
        check_disjoint({"train": ["glass/1", "glass/2"], "validation": [], "test": ["glass/1"]})
