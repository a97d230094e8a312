"""When points expire, and which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bq_server.game import check
from bq_server.game.document.definitions import Game
from bq_server.game.document.points import PointsExpiry
from bq_server.game.mechanics.expiry import NEVER, expired, expires_at, left
from bq_server.game.mechanics.rule import LedgerEntry
from tests.game.support import at

YEAR = PointsExpiry.model_validate({"after": "P365D"})
DAY = 24 * 3_600_000_000


def entry(number: int, amount: int, day: int, cause: str = "manual") -> LedgerEntry:
    return LedgerEntry(f"{cause}:f{number}", amount, day * DAY, number)


@pytest.mark.parametrize(
    ("expiry", "given_at", "expires"),
    [
        ({"after": "P365D"}, "2026-04-02T09:00:00", "2027-04-02T09:00:00"),
        ({"after": "PT1S"}, "2026-04-02T09:00:00", "2026-04-02T09:00:01"),
        ({"each_year": "01-01"}, "2026-04-02T09:00:00", "2027-01-01T00:00:00"),
        ({"each_year": "04-02"}, "2026-04-02T00:00:00", "2027-04-02T00:00:00"),
        ({"each_year": "04-02"}, "2026-04-01T23:59:59", "2026-04-02T00:00:00"),
    ],
)
def test_the_moment(expiry: dict[str, str], given_at: str, expires: str) -> None:
    assert expires_at(PointsExpiry.model_validate(expiry), at(given_at)) == at(expires)


def test_beyond_the_calendar_nothing_expires() -> None:
    assert expires_at(YEAR, at("9999-06-01T00:00:00")) == NEVER
    assert expires_at(PointsExpiry(each_year="01-01"), at("9999-06-01T00:00:00")) == NEVER


def test_what_is_spent_is_taken_from_what_expires_first() -> None:
    ledger = [entry(1, 100, 10), entry(2, 50, 0), entry(3, -60, 11)]
    assert [(each.amount, each.expires_at // DAY) for each in left(YEAR, ledger)] == [(90, 375)]
    assert expired(YEAR, ledger, 400 * DAY) == left(YEAR, ledger)
    assert expired(YEAR, ledger, 375 * DAY - 1) == []


def test_what_has_expired_is_taken_once() -> None:
    ledger = [entry(1, 100, 0), entry(2, -30, 1), entry(3, 10, 200)]
    (first,) = expired(YEAR, ledger, 365 * DAY)
    assert first.amount == 70
    ledger.append(entry(4, -70, 365, "expired"))
    assert expired(YEAR, ledger, 500 * DAY) == []
    assert [each.amount for each in left(YEAR, ledger)] == [10]


def test_what_a_void_took_back_doesn_t_expire() -> None:
    ledger = [entry(1, 100, 0), LedgerEntry("void:manual:f1:f2", -100, 5 * DAY, 2), entry(3, 10, 10)]
    assert [(each.amount, each.expires_at // DAY) for each in left(YEAR, ledger)] == [(10, 375)]


entries = st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(0, 400)), max_size=12)


@given(rows=entries, now=st.integers(0, 900))
def test_whatever_expires_nobody_loses_what_they_do_not_have(rows: list[tuple[int, int]], now: int) -> None:
    ledger = [entry(number, amount, day) for number, (amount, day) in enumerate(rows)]
    balance = sum(amount for amount, _ in rows)
    points = left(YEAR, ledger)
    assert sum(each.amount for each in points) == max(balance, 0)
    gone = expired(YEAR, ledger, now * DAY)
    ledger += [entry(100 + number, -each.amount, now, "expired") for number, each in enumerate(gone)]
    assert expired(YEAR, ledger, now * DAY) == []
    assert left(YEAR, ledger) == points[len(gone) :]


@pytest.mark.parametrize(
    ("written", "column", "message"),
    [
        ("{after: P1Y}", 24, "must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, such as P365D"),
        ("{after: PT0S}", 24, "must be longer than nothing"),
        ("{each_year: 02-30}", 28, "must be a month and a day that every year has, such as 01-01"),
        ("{}", 16, "give either after or each_year"),
    ],
)
def test_mistakes_have_their_place(written: str, column: int, message: str) -> None:
    (mistake,) = check(f"points_expire: {written}").mistakes
    assert (mistake.line, mistake.column, mistake.message) == (1, column, message)


@pytest.mark.parametrize("after", ["P30D", "P364D", "P365D", "P366DT2H", "P800D", "PT90S", "P52W"])
def test_a_game_is_stored_so_that_it_can_be_read_again(after: str) -> None:
    """A year of 365 days was written as `P1Y`, which is no length of time, and the stored game unreadable."""
    game = Game.model_validate({"points_expire": {"after": after}})
    assert Game.model_validate_json(game.model_dump_json(exclude_unset=True)) == game
