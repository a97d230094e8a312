"""The end of a story: its facts, everyone's state and all rankings, so that two ends can be compared."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from bq_server.game import Game
from bq_server.game.facts import REFERRAL_CODE_MADE
from bq_server.moments import parse_timestamp
from harness.client import Client, segment
from harness.stories.differences import ExpectationDifference, compare
from harness.stories.exported import Exported, read_export

Json = dict[str, Any]

AWARDED_AT = frozenset({"earned_at", "completed_at", "reached_at", "achieved_at"})
"""Times of awards, which keep the time first given: it differs if facts arrive in another order."""

OF_ONE_PLAY = frozenset({"clock", "participant_id", "claim_id"})
"""What is another in each play, or a key already."""

OF_AWARDS = frozenset({"system.shared_challenge_reached"})
"""Facts that the server makes of awards, step by step or of several at once, as the events arrive."""

_TOLD = ("fact_type", "participant_id", "properties", "occurred_at")
_NAMES = ("code", "leaderboard_code", "at")
_MOST_ENTRIES = 100


class Snapshot(Struct):
    """Everyone's state."""

    exported: Exported
    states: dict[str, Json] = field(default_factory=dict)
    """By participant."""
    rankings: dict[str, list[Json]] = field(default_factory=dict)
    """By leaderboard and window, or by challenge."""

    @property
    def was_in_order(self) -> bool:
        """Whether the facts of each participant were made in order of their event times."""
        newest: dict[str, int] = {}
        for fact in self.exported.facts:
            at, participant_id = parse_timestamp(fact["occurred_at"]), fact["participant_id"]
            if at < newest.setdefault(participant_id, at):
                return False
            newest[participant_id] = at
        return True


def take_snapshot(client: Client) -> Snapshot:
    """The state of the environment. Raises `Refused` and `Unreachable`."""
    snapshot = Snapshot(read_export(client))
    game = Game.model_validate(snapshot.exported.game or {})
    for participant_id in snapshot.exported.participant_ids:
        snapshot.states[participant_id] = client.state(participant_id)
    for board in game.leaderboards:
        path = f"/gamify/leaderboards/{segment(board.code)}"
        for window in board.window_names:
            answer = client.call("GET", path, period=window, limit=_MOST_ENTRIES)
            snapshot.rankings[f"leaderboard {board.code}, {window}"] = answer["entries"]
    for challenge in game.challenges:
        path = f"/gamify/challenges/{segment(challenge.code)}/leaderboard"
        snapshot.rankings[f"challenge {challenge.code}"] = client.call("GET", path, limit=_MOST_ENTRIES)["entries"]
    return snapshot


def compare_snapshots(one: Snapshot, other: Snapshot, *, any_order: bool) -> Iterator[ExpectationDifference]:
    """Where two ends differ, apart from ids and times of processing: `expected` is the first, `actual` the other.

    With `any_order`, the times of awards may differ, and so may the order of ties that awards decide.
    """
    facts, others = (Counter(_facts(each.exported, any_order=any_order)) for each in (one, other))
    for fact, count in sorted((facts - others).items()):
        yield ExpectationDifference("facts", f"{count} x {fact}", "missing")
    for fact, count in sorted((others - facts).items()):
        yield ExpectationDifference("facts", "missing", f"{count} x {fact}")
    yield from compare("", _states(one, any_order=any_order), _states(other, any_order=any_order))
    yield from compare("", _rankings(one, any_order=any_order), _rankings(other, any_order=any_order))


def _facts(exported: Exported, *, any_order: bool) -> Iterator[str]:
    known = {fact["fact_id"]: [fact["fact_type"], fact["occurred_at"]] for fact in exported.facts}
    for fact in exported.facts:
        if fact["fact_type"] == REFERRAL_CODE_MADE:  # drawn at random, and repeated by those of who came by it
            known[fact["properties"]["code"]] = [fact["fact_type"], fact["participant_id"], fact["occurred_at"]]
    for fact in exported.facts:
        if any_order and fact["fact_type"] in OF_AWARDS:
            continue
        told = {name: fact[name] for name in _TOLD}
        if fact["fact_type"].startswith("system."):
            # Of a fact that names another, ids and codes aside, which one that is.
            told["properties"] = {name: _known(value, known) for name, value in fact["properties"].items()}
        # Whether a timestamp is ahead depends on when it was sent.
        told["warnings"] = [each for each in fact["warnings"] if not any_order or each["code"] != "timestamp_ahead"]
        yield json.dumps(told, sort_keys=True, ensure_ascii=False)


def _known(value: Any, facts: Mapping[str, list[str]]) -> Any:
    return facts.get(value, value) if isinstance(value, str) else value


def _states(snapshot: Snapshot, *, any_order: bool) -> Json:
    without = AWARDED_AT | OF_ONE_PLAY if any_order else OF_ONE_PLAY
    states: Json = _told(snapshot.states, without)
    for state in states.values() if any_order else ():
        for code in _points_boards(snapshot) & set(state["leaderboards"] or ()):
            state["leaderboards"][code].pop("rank")
    return states


def _rankings(snapshot: Snapshot, *, any_order: bool) -> Json:
    loose = _points_boards(snapshot)
    return {
        name: _loosely(entries)
        if any_order
        and (name.startswith("challenge ") or name.partition(", ")[0].removeprefix("leaderboard ") in loose)
        else entries
        for name, entries in snapshot.rankings.items()
    }


def _points_boards(snapshot: Snapshot) -> set[str]:
    """Leaderboards on which ties are decided by when points were awarded."""
    game = Game.model_validate(snapshot.exported.game or {})
    return {board.code for board in game.leaderboards if board.metric == "points"}


def _told(value: Any, without: frozenset[str]) -> Any:
    """The same, with lists of things with codes turned into mappings: their order doesn't matter."""
    if isinstance(value, dict):
        return {key: _told(each, without) for key, each in value.items() if key not in without}
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for name in _NAMES:
            if all(name in each for each in value):
                return {str(each[name]): _told(each, without) for each in value}
    return [_told(each, without) for each in value] if isinstance(value, list) else value


def _loosely(entries: list[Json]) -> list[Json]:
    """A ranking in which the order of ties doesn't matter."""
    told = [{name: value for name, value in entry.items() if name not in ("rank", "change")} for entry in entries]
    return sorted(
        told,
        key=lambda entry: (-float(entry["score"] if "score" in entry else entry["progress"]), entry["participant_id"]),
    )
