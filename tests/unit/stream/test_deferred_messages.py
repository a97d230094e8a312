"""Messages that wait for another try: when each is due."""

from bq_server.stream.deferred_messages import DeferredMessages
from bq_server.stream.entries import NotNow
from tests.support.stepped_clock import SteppedClock


def test_each_is_due_after_its_own_time() -> None:
    clock = SteppedClock()
    deferred = DeferredMessages(clock)
    for name, seconds in (("a", 60), ("b", 1), ("c", 60)):
        deferred.put_off(name, NotNow("not yet", seconds))
    assert (len(deferred), deferred.due(10)) == (3, [])
    clock.advance(1)
    assert deferred.due(10) == ["b"]
    clock.advance(59)
    assert deferred.due(10) == ["a", "b", "c"]
    assert deferred.due(2) == ["a", "b"]


def test_a_clock_that_was_set_back_makes_nobody_wait_for_it_to_come_round() -> None:
    clock = SteppedClock()
    deferred = DeferredMessages(clock)
    deferred.put_off("a", NotNow("not yet", 60))
    clock.advance(-1)
    assert deferred.due(10) == ["a"]


def test_what_is_discarded_is_not_due_and_what_is_put_off_again_waits_again() -> None:
    clock = SteppedClock()
    deferred = DeferredMessages(clock)
    deferred.put_off("a", NotNow("not yet", 60))
    deferred.put_off("b", NotNow("not yet", 60))
    clock.advance(60)
    deferred.put_off("b", NotNow("still not", 60))
    assert deferred.due(10) == ["a"]
    deferred.discard(["a", "never there"])
    assert ("a" in deferred, "b" in deferred, len(deferred)) == (False, True, 1)
    assert deferred.due(10) == []
