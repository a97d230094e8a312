"""Percentiles by nearest rank."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.percentiles import Percentiles, percentile, percentile_of_counts

values = st.lists(st.integers(0, 50).map(float), min_size=1)
shares = st.floats(0, 1)


@given(values, shares)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(found: list[float], share: float) -> None:
    answer = percentile(sorted(found), share)
    assert answer in found
    wanted = share * len(found) - 1e-6 * len(found)
    assert sum(each <= answer for each in found) >= wanted
    below = [each for each in found if each < answer]
    assert not below or len(below) < share * len(found) + 1e-6


@given(values, shares)
def test_counted_values_have_the_percentiles_of_the_list(found: list[float], share: float) -> None:
    assert percentile_of_counts(Counter(found), share) == percentile(sorted(found), share)


def test_the_99_9th_of_a_thousand_is_the_999th() -> None:
    found = Percentiles.of(float(number) for number in range(1000, 0, -1))
    assert (found.count, found.p50, found.p95, found.p99, found.p999, found.largest) == (1000, 500, 950, 990, 999, 1000)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_nothing_has_no_percentile(share: float) -> None:
    assert math.isnan(percentile([], share))
    assert math.isnan(percentile_of_counts({}, share))
    assert Percentiles.of([]).count == 0
