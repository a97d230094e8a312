"""The last quarter of an hour: quantiles of what fell into buckets."""

import pytest

from bq_server.metrics.history import quantile

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0, 0], 0.5, None),
        ([10, 0, 0, 0], 0.5, 0.5),
        ([10, 0, 0, 0], 1.0, 1.0),
        ([5, 5, 0, 0], 0.5, 1.0),
        ([0, 0, 10, 0], 0.5, 3.0),
        ([0, 0, 0, 10], 0.5, 4.0),
        ([99, 0, 0, 1], 0.99, 1.0),
    ],
)
def test_a_quantile_lies_in_the_bucket_it_falls_into(counts: list[int], share: float, expected: float | None) -> None:
    assert quantile(BOUNDS, counts, share) == expected
