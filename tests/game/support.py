"""A participant's story, told fact by fact."""

from datetime import UTC, datetime
from typing import Any

from bq_server.game import (
    Fact,
    InMemoryGame,
    StepResult,
    check,
    compile_game,
    read_badges,
    read_challenge,
    read_points,
    read_streaks,
    verify,
)
from bq_server.game.challenge_states import ChallengeState
from bq_server.game.streak_states import StreakState


def at(text: str) -> int:
    """A moment in microseconds; without an offset in UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


class Story:
    """Plays a game; `seq` follows the order of the calls."""

    def __init__(self, document: str, applied: dict[str, int] | None = None) -> None:
        checked = check(document)
        assert checked.game is not None, [str(mistake) for mistake in checked.mistakes]
        self.memory = InMemoryGame(compile_game(checked.game, applied))
        self.seq = 0

    def fact(self, name: str, when: str, properties: dict[str, Any] | None = None, who: str = "ada") -> Fact:
        self.seq += 1
        fact_type = name if name.startswith("system.") else f"custom.{name}"
        moment = at(when)
        return Fact(f"f{self.seq}", self.seq, fact_type, name, who, properties or {}, moment, moment)

    def send(self, name: str, when: str, properties: dict[str, Any] | None = None, who: str = "ada") -> StepResult:
        return self.memory.process([self.fact(name, when, properties, who)])

    def change(self, document: str, applied: dict[str, int] | None = None) -> None:
        checked = check(document)
        assert checked.game is not None
        self.memory.game = compile_game(checked.game, applied)

    def points(self, who: str = "ada") -> int:
        return read_points(self.memory.game, self.memory.cells(who)).balance

    def badges(self, who: str = "ada") -> list[str]:
        return [badge.code for badge in read_badges(self.memory.game, self.memory.cells(who)) if badge.earned]

    def challenge(self, code: str, now: str = "2026-04-15", who: str = "ada") -> ChallengeState:
        return read_challenge(self.memory.game, code, self.memory.cells(who), at(now))

    def objectives(self, code: str) -> dict[str, Any]:
        return {each.code: each.value for each in self.challenge(code).objectives}

    def streak(self, now: str, who: str = "ada") -> StreakState:
        (state,) = read_streaks(self.memory.game, self.memory.cells(who), at(now))
        return state

    def score(self, key: str, who: str = "ada") -> Any:
        return self.memory.cells(who)[f"score/{key}"]["score"]

    def differences(self, who: str = "ada") -> list[Any]:
        memory = self.memory
        return verify(memory.game, memory.facts(who), memory.cells(who), memory.ledger(who)).differences

    def kept(self, who: str = "ada") -> list[str]:
        memory = self.memory
        found = verify(memory.game, memory.facts(who), memory.cells(who), memory.ledger(who))
        return [award.key for award in found.kept]
