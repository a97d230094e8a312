"""Notifiers by name."""

import pytest

from bq_server.concurrency.notifier import NamedNotifiers

pytestmark = pytest.mark.anyio


async def test_a_name_wakes_those_who_wait_under_it_and_nobody_else() -> None:
    notifiers = NamedNotifiers()
    first, second, other = notifiers.next("a"), notifiers.next("a"), notifiers.next("b")
    notifiers.beat({"a", "nobody waits under this one"})
    assert (first.done(), second.done(), other.done()) == (True, True, False)
    later = notifiers.next("a")
    assert not later.done()
    notifiers.beat_all()
    assert (later.done(), other.done()) == (True, True)
