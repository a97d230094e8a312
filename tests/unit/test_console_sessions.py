"""Links and sessions of the console: how long, how many, whose."""

from itertools import count

import pytest

from bq_server.api.console_sessions import LINK_SECONDS, LINKS, MOST, ConsoleSessions
from bq_server.moments import SECOND
from bq_server.refusals import Refusal


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


def test_so_many_links_are_made_with_a_key_in_five_minutes(sessions: ConsoleSessions, now: Now) -> None:
    links = [sessions.link("key_a", 60) for _ in range(LINKS.requests)]
    with pytest.raises(Refusal, match="20 links"):
        sessions.link("key_a", 60)
    assert all(sessions.open(each) for each in [*links, sessions.link("key_b", 60)])
    now.at += LINKS.seconds * SECOND
    assert sessions.open(sessions.link("key_a", 60)) is not None


def test_no_key_ends_the_sessions_of_another(sessions: ConsoleSessions, now: Now) -> None:
    a_day = 86_400
    sessions.open(sessions.link("key_a", a_day))
    for _ in range(MOST + 5):
        now.at += LINKS.seconds * SECOND
        assert sessions.open(sessions.link("key_b", a_day)) is not None
    held = [each.key_id for each in sessions._open.values()]
    assert (held.count("key_a"), held.count("key_b")) == (1, MOST)


def test_what_has_ended_is_forgotten(sessions: ConsoleSessions, now: Now) -> None:
    for _ in range(10):
        sessions.open(sessions.link("key_a", 60))
    now.at = 61 * SECOND
    sessions.open(sessions.link("key_b", 60))
    assert len(sessions._open) == 1
