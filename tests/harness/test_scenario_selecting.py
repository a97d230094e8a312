"""`-k`: selecting scenarios by words."""

import pytest

from harness.selector import selector

TEXT = "stories/streaks/Tokyo.yaml A daily streak in UTC+9"


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("tokyo", True),
        ("STREAK", True),
        ("utc+9", True),
        ("dst", False),
        ("not dst", True),
        ("not not dst", False),
        ("streak and dst", False),
        ("streak and not dst", True),
        ("dst or tokyo", True),
        ("dst and x or tokyo", True),
        ("dst and (x or tokyo)", False),
        ("not (dst or tokyo)", False),
        ("(not(dst)and(tokyo))", True),
        ("NOT dst AND Tokyo", True),
    ],
)
def test_what_is_selected(expression: str, selected: bool) -> None:
    assert selector(expression)(TEXT) is selected


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "too early"),
        ("a and", "too early"),
        ("not", "too early"),
        ("or a", "expect or"),
        ("a b", "expect b"),
        ("(a", "not closed"),
        ("a)", r"expect \)"),
        ("()", r"expect \)"),
    ],
)
def test_what_is_no_expression(expression: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        selector(expression)
