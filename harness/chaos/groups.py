"""Challenges that groups share: what the members add up to, and what each of them must have been told of it.

Which steps a group was seen at depends on the order of arrival. But whoever took part is told the highest one in the
end, and no step twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from bq_server.game import InMemoryGame
from bq_server.game.challenge_states import GroupState
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import SHARED_CHALLENGE_REACHED, Moment
from bq_server.game.mechanics.shared_challenges import SharedChallengeRule
from bq_server.game.state import keys
from bq_server.game.state.keys import Cells
from harness.chaos.ledger import ChaosLedger, Kind

Json = Mapping[str, Any]

AFTER_ALL = 2**62
"""A `seq` after that of any fact."""


class Groups:
    """The groups that share challenges, by what a fold has added up."""

    def __init__(self, game: CompiledGame, memory: InMemoryGame) -> None:
        self._rules = [rule for rule in game.rules.values() if isinstance(rule, SharedChallengeRule)]
        self._added: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        """By challenge and group: what each who took part has added, in the measure's own unit."""
        for participant_id in memory.participants:
            for key, cell in memory.cells(participant_id).items():
                for rule in self._rules:
                    if key.startswith(keys.group_shares(rule.code)):
                        self._added[rule.code, cell["team"]][participant_id] = cell["score"]

    def now(self, participant_id: str, cells: Cells, now: int) -> dict[str, GroupState]:
        """The groups of a participant at a moment, in microseconds, by the codes of the challenges that they share."""
        found: dict[str, GroupState] = {}
        for rule in self._rules:
            name = rule.groups.team_at(Moment(now, AFTER_ALL), cells)
            if name is not None:
                added, shown = self._added.get((rule.code, name), {}), rule.share.shown
                own = added.get(participant_id, 0)
                target = rule.quest.targets[0]
                found[rule.code] = GroupState(name, shown(sum(added.values())), shown(target), len(added), shown(own))
        return found

    def steps(self) -> dict[tuple[str, str, str], Fraction]:
        """By challenge, group and member: the highest step that each who took part must have been told."""
        by_code = {rule.code: rule for rule in self._rules}
        return {
            (code, group, participant_id): at
            for (code, group), added in self._added.items()
            if (at := by_code[code].reached(sum(added.values()))) is not None
            for participant_id in added
        }


def judge(facts: Sequence[Json], expected: Groups, ledger: ChaosLedger) -> None:
    """Enter what members were not told of their groups, or twice, or wrongly. Everything has arrived."""
    told: dict[tuple[str, str, str], Counter[float]] = defaultdict(Counter)
    for fact in facts:
        if fact["fact_type"] == SHARED_CHALLENGE_REACHED:
            said = fact["properties"]
            told[said["challenge_code"], said["group"], fact["participant_id"]][said["at"]] += 1
    wanted = expected.steps()
    for one in sorted(wanted.keys() | told.keys()):
        for kind, what in _wrongs(wanted.get(one), told[one]):
            code, group, participant_id = one
            ledger.find(kind, f"challenge {code} of {group}: {participant_id}", [what])


def _wrongs(wanted: Fraction | None, told: Counter[float]) -> Iterator[tuple[Kind, str]]:
    most, highest = None if wanted is None else float(wanted), max(told, default=None)
    if most is not None and (highest is None or highest < most):
        yield Kind.LOST, f"must have been told {most}, and was told {sorted(told) or 'nothing'}"
    if highest is not None and (most is None or highest > most):
        yield Kind.DIFFERENCE, f"was told {highest}, and it is {most or 'no step'}"
    for at, times in sorted(told.items()):
        if times > 1:
            yield Kind.DOUBLED, f"was told {at} {times} times"
