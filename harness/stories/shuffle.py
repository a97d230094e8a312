"""The shuffled mode: a story's outcome must not depend on how often and in which order its events are sent."""

import random
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from bq_server.moments import SECOND, format_timestamp, parse_timestamp
from harness.client import Client
from harness.stories.manual import Manual, participant_of
from harness.stories.player import Player
from harness.stories.routes import ByStream, Rejected
from harness.stories.steps import BatchOfEvents, Send, Step

Json = dict[str, Any]

MOST_IN_A_BATCH = 20
MOST_COPIES = 3


class Chapter(Struct):
    """Events whose order of sending doesn't matter, and the step that ends them."""

    events: list[Json]
    moment: int
    """What the clock showed at its end, in microseconds."""
    index: int | None = None
    step: Manual | None = None


class ShuffledScript(Struct):
    """A story as it was played, ready to be played differently."""

    chapters: list[Chapter] = field(default_factory=list)


class Recorder(ByStream):
    """Sends events through the stream under their own timestamps and keys, and records what was sent.

    A participant's events at one moment of the clock keep their order by timestamps a microsecond apart; a step that
    isn't an event follows them because the clock is advanced as far. All stay within the second that the clock shows,
    with which a day may end: near its end they start early enough that the whole story fits.
    """

    def __init__(self, client: Client, moment: str, steps: Sequence[Step]) -> None:
        super().__init__(client)
        self.script = ShuffledScript()
        self._events: list[Json] = []
        self._clock = client.clock
        self._shows = parse_timestamp(moment)
        self._room = sum(map(_moments, steps))
        self._next: dict[str | None, int] = {}
        self._stamped: dict[str, str] = {}
        self._count = 0

    def send(self, event: Json) -> Json:
        """Queue an event."""
        told = super().send(self._told(event))
        self._events.append(told)
        return told

    def send_batch(self, events: Sequence[Json], wrong: frozenset[int]) -> Rejected:
        """Queue events in one request."""
        told = [event if index in wrong else self._told(event) for index, event in enumerate(events)]
        rejected = super().send_batch(told, wrong)
        self._events += [event for index, event in enumerate(told) if index not in rejected]
        return rejected

    def before(self, index: int, step: Manual) -> None:
        """End a chapter."""
        participant = participant_of(step)
        earliest = self._free(participant)
        if earliest > self._shows:
            self._shows = earliest
            self._clock.set(format_timestamp(earliest))
        self._next[participant] = self._shows + 1
        self._end(index, step)

    def moved(self) -> None:
        """Read the clock again."""
        shows = parse_timestamp(self._clock.now())
        if shows < self._shows:
            self._next = {}
        self._shows = shows

    def finish(self) -> ShuffledScript:
        """End the last chapter; returns all."""
        self._end()
        return self.script

    def _end(self, index: int | None = None, step: Manual | None = None) -> None:
        self.script.chapters.append(Chapter(self._events, self._shows, index, step))
        self._events = []

    def _free(self, participant: str | None) -> int:
        """The first moment without an event of the participant, or else the last of the second."""
        end = self._shows - self._shows % SECOND + SECOND
        start = min(self._shows, end - self._room)
        return min(max(start, self._next.get(participant, start)), end - 1)

    def _told(self, event: Json) -> Json:
        told = dict(event)
        key, participant = told.get("idempotency_key"), told.get("participant_id")
        if not isinstance(key, str | None) or not isinstance(participant, str):
            return told  # to be refused as it stands
        if key is None:
            self._count += 1
            key = told["idempotency_key"] = f"harness-{self._count}"
        if told.get("timestamp") is None:
            # A repeat under the same key is exactly the same event.
            if key not in self._stamped:
                moment = self._free(participant)
                self._stamped[key] = format_timestamp(moment)
                self._next[participant] = moment + 1
            told["timestamp"] = self._stamped[key]
        return told


def _moments(step: Step) -> int:
    """How many moments a step may need."""
    match step:
        case Send():
            return step.times
        case BatchOfEvents():
            return len(step.batch)
    return 1


def play_shuffled(player: Player, client: Client, script: ShuffledScript, randomness: random.Random) -> None:
    """Play a recorded story again, every event at least once, keeping the order only between chapters.

    If the story says `in_order`, events are only repeated. Raises `Refused`, `Unreachable` and `Stopped`.
    """
    player.set_up()
    ordered = player.scenario.story.in_order is not None
    for chapter in script.chapters:
        # An event may be late, but not ahead of the clock.
        client.clock.set(format_timestamp(chapter.moment))
        _send(client, _repeated(chapter.events, randomness, ordered=ordered), randomness)
        if chapter.step is not None and chapter.index is not None:
            player.act(chapter.index, chapter.step)


def _repeated(events: Sequence[Json], randomness: random.Random, *, ordered: bool) -> list[Json]:
    places = [
        (place if copy == 0 else randomness.uniform(place, len(events)), event)
        for place, event in enumerate(events)
        for copy in range(randomness.randint(1, MOST_COPIES))
    ]
    if ordered:
        return [event for _, event in sorted(places, key=lambda each: each[0])]
    randomness.shuffle(places)
    return [event for _, event in places]


def _send(client: Client, events: Sequence[Json], randomness: random.Random) -> None:
    position = 0
    most = max(2, min(MOST_IN_A_BATCH, len(events) // 2))
    while position < len(events):
        size = randomness.choice((1, randomness.randint(2, most)))
        some = events[position : position + size]
        if size == 1:
            client.send(some[0])
        else:
            client.send_batch(some)
        position += size
        # What comes next is then really late, not only sent later; and the same seed leads to the same result.
        client.drain()
