"""What the rules read from a fact, before any state is read."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from msgspec import Struct

from bq_server.game.effects import RuleWarning
from bq_server.game.expressions.conditions import ExpressionFailure, Variables
from bq_server.game.facts import Fact
from bq_server.game.on_time.track import Parts, Question, Track
from bq_server.game.on_time.turn import ParticipantTurn

Advance = Callable[[ParticipantTurn, Fact, Parts], None]
"""`Track.advance`."""

Warnings = dict[tuple[str, str], RuleWarning]
"""By definition and message."""

_UNASKED = object()


class FactReading(Struct):
    """A fact with what the tracks that it concerns read from it."""

    fact: Fact
    parts: list[tuple[Advance, Parts]]
    """The functions that fold it, each with what it folds."""
    apart: list[str]
    """The cells stored apart that the tracks will read."""


class Reader:
    """Reads facts of one type. What several definitions ask of a fact is computed once."""

    __slots__ = ("_questions", "_tracks")

    def __init__(self, tracks: Sequence[Track], fact_type: str) -> None:
        places: dict[Hashable, int] = {}
        self._questions: list[Question] = []
        self._tracks: list[tuple[Track, int, bool, list[tuple[int, int]]]] = []
        for track in tracks:
            asked = []
            for question in track.questions(fact_type):
                place = places.setdefault(question.about, len(self._questions))
                if place == len(self._questions):
                    self._questions.append(question)
                asked.append((question.part, place))
            bounded = track.bounds.starts_at is not None or track.bounds.ends_at is not None
            self._tracks.append((track, track.bounds.applied_seq, bounded, asked))

    def read(self, fact: Fact, warnings: Warnings) -> FactReading:
        """Read a fact; expressions without a usable value are counted as warnings."""
        variables = Variables(fact)
        questions = self._questions
        answers: list[Any] = [_UNASKED] * len(questions)
        seq = fact.seq
        found = FactReading(fact, [], [])
        for track, applied_seq, bounded, asked in self._tracks:
            if seq <= applied_seq or (bounded and not track.bounds.admits(fact.moment)):
                continue
            parts = []
            for part, place in asked:
                answer = answers[place]
                if answer is _UNASKED:
                    answer = answers[place] = questions[place].answer(fact, variables)
                if answer is None:
                    continue
                if type(answer) is ExpressionFailure:
                    _warn(warnings, track.key, answer.message, fact)
                else:
                    parts.append((part, answer))
            if parts:
                found.parts.append((track.advance, parts))
                if track.keeps_apart:
                    found.apart += track.apart(fact, parts)
        return found


def _warn(warnings: Warnings, definition: str, message: str, fact: Fact) -> None:
    known = warnings.get((definition, message))
    sample, count = (known.fact_id, known.count + 1) if known is not None else (fact.fact_id, 1)
    warnings[definition, message] = RuleWarning(definition, message, sample, count)
