"""Links and sessions of the console: how long, how many, whose."""

from itertools import count

import pytest

from bq_server.api.console_sessions import LINK_SECONDS, MOST, ConsoleSessions
from bq_server.moments import SECOND


class Now:
    """A clock that is moved by hand, in microseconds."""

    def __init__(self) -> None:
        self.at = 0

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def sessions(now: Now) -> ConsoleSessions:
    numbers = count()
    return ConsoleSessions(now, lambda size: next(numbers).to_bytes(size))


def test_a_link_waits_for_so_long_and_no_longer(sessions: ConsoleSessions, now: Now) -> None:
    early, late = sessions.link("key_a", 60), sessions.link("key_a", 60)
    now.at = LINK_SECONDS * SECOND - 1
    assert sessions.open(early) is not None
    now.at += 1
    assert sessions.open(late) is None


def test_of_too_many_links_of_a_key_its_oldest_end(sessions: ConsoleSessions) -> None:
    links = [sessions.link("key_a", 60) for _ in range(MOST + 1)]
    assert sessions.open(links[0]) is None
    assert all(sessions.open(each) for each in links[1:])


def test_no_key_ends_the_sessions_of_another(sessions: ConsoleSessions) -> None:
    link = sessions.link("key_a", 60)
    for _ in range(MOST * 3):
        assert sessions.open(sessions.link("key_b", 60)) is not None
    assert sessions.open(link) is not None


def test_what_has_ended_is_forgotten(sessions: ConsoleSessions, now: Now) -> None:
    for _ in range(10):
        sessions.open(sessions.link("key_a", 60))
    now.at = 61 * SECOND
    sessions.open(sessions.link("key_b", 60))
    assert len(sessions._open) == 1
