"""The tails of courses as text: read and written with a state, and added to, without being parsed."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bq_server.exact_json import dumps, loads_own
from bq_server.game.mechanics import ordered_quest
from bq_server.game.on_time import dump_state, load_state
from bq_server.game.on_time.tails import Tail

whole = st.integers(-(2**62), 2**62)
kept = st.lists(st.tuples(st.integers(0, 9), whole | st.text("0123456789abcdef", min_size=24, max_size=24)), min_size=1)
entries = st.lists(st.tuples(whole, whole, kept.map(lambda each: [list(part) for part in each])).map(list))
texts = st.text() | st.sampled_from(['"t":[[', '\\"t":[[1]]]]', "]]]]", '"t":[]'])
others = st.recursive(st.none() | st.integers(-(2**63), 2**64 - 1) | texts, lambda each: st.lists(each), max_leaves=5)
cells = st.dictionaries(st.sampled_from(["e", "k", "t", "p", "given"]) | texts, others)
states = st.dictionaries(texts, others | cells | entries.map(lambda tail: {"e": [1, 2], "t": tail, "k": None}))


@example({"one": {"k": None, "t": [None]}, "other": {"t": [[0, 0, [[0, 0]]]], "k": None}})
@given(states)
def test_a_state_is_written_as_it_was_read(own: dict[str, Any]) -> None:
    text = dumps({"cells": own, "scores": {}, "entries": 1})
    loaded = load_state(text)
    assert loads_own(dump_state(loaded)) == loads_own(text)


@given(entries, st.tuples(whole, whole), kept)
def test_an_entry_goes_to_the_end(tail: list[Any], moment: tuple[int, int], parts: list[tuple[int, Any]]) -> None:
    state = load_state(dumps({"cells": {"challenge/c": {"t": tail}}}))
    found = state["cells"]["challenge/c"]["t"]
    assert isinstance(found, Tail)
    assert found.newest() == (tail[-1][:2] if tail else None)
    found.append(*moment, [list(part) for part in parts])
    assert found.entries() == [*tail, [*moment, [list(part) for part in parts]]]
    assert found.newest() == [*moment]
    assert dump_state(state) == dumps({"cells": {"challenge/c": {"t": found.entries()}}})


def test_what_only_the_slow_reader_reads_stays_as_it_is() -> None:
    state = {"cells": {"challenge/c": {"t": [[1, 2, [[0, 1]]]], "x": 2**70}}, "scores": {}}
    loaded = load_state(dumps(state))
    assert loaded == state
    tail = load_state(dumps({"cells": {"challenge/c": {"t": [[1, 2, [[0, 1]]]]}}}))
    tail["cells"]["challenge/c"]["x"] = 2**70
    assert loads_own(dump_state(tail)) == {"cells": state["cells"]}


@pytest.mark.parametrize("text", ['{"cells":{"challenge/c":{"t":[[1,2', '{"t":[[1]', '"t":[['])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        load_state(text)


@pytest.mark.parametrize(("count", "age", "long"), [(3, 9, False), (4, 9, True), (4, 0, False), (6, 0, True)])
def test_a_tail_is_long_when_half_of_it_is_old_or_it_holds_the_most(
    monkeypatch: pytest.MonkeyPatch, count: int, age: int, long: bool
) -> None:
    monkeypatch.setattr(ordered_quest, "TAIL", 2)
    monkeypatch.setattr(ordered_quest, "LATENESS", 5)
    monkeypatch.setattr(ordered_quest, "MAX_TAIL", 6)
    tail = Tail(json.dumps([[number, number, [[0, 1]]] for number in range(count)], separators=(",", ":")))
    assert tail.is_long(1 + age) is long
