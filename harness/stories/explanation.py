"""Why a participant's state is as it is: what each of their facts meant to the rules of the game."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bq_server.game import CompiledGame, Explanation, Fact, InMemoryGame
from bq_server.game.facts import can_be_named
from bq_server.moments import format_timestamp
from harness.stories.exported import Exported

MOST_FACTS = 20
_WIDEST_PROPERTIES = 100

_WHY = {
    "condition_false": "its condition is false",
    "not_enrolled": "not enrolled by then",
    "outside_window": "outside its time",
    "prerequisite_open": "a prerequisite was open",
    "already_complete": "it was complete already",
    "limit_reached": "its limit was reached",
    "cooling_down": "its cooldown wasn't over",
    "rest_day": "it is a day of rest",
    "expression_error": "its expression failed",
    "voided": "the fact is void",
    "no_recipient": "it awards nobody",
    "no_team": "of no team at that time",
}


def explain(exported: Exported, participant_id: str) -> list[str]:
    """Lines that show, fact by fact in order of event time, which rules applied, and which didn't and why.

    It is what the game itself says when it folds the facts by the definitions in force. Of many facts, only the newest.
    """
    facts = exported.facts_of(participant_id)
    game = exported.compiled()
    if game.receiving:  # others' facts may mean something to this participant, too
        facts = sorted(
            (fact for each in exported.participant_ids for fact in exported.facts_of(each)),
            key=lambda fact: fact.moment,
        )
    if not facts:
        return [f"there is no fact of {participant_id}"]
    if not game.rules:
        return [f"no game is in force that could mean something to the {len(facts)} facts of {participant_id}"]
    told = list(_told(InMemoryGame(game), facts, participant_id))
    if not told:
        return [f"there is no fact of {participant_id}"]
    lines = [f"what the facts of {participant_id} meant to the rules:"]
    if len(told) > MOST_FACTS:
        lines.append(f"  ({len(told) - MOST_FACTS} older facts are left out)")
    for fact, explanations in told[-MOST_FACTS:]:
        lines.append(f"  {_headline(fact)}")
        verdicts = list(_verdicts(game, explanations))
        if not verdicts and can_be_named(fact.fact_type):
            verdicts = ["no rule listens to it"]
        lines += [f"      {line}" for line in verdicts]
    return lines


def _told(memory: InMemoryGame, facts: Iterable[Fact], participant_id: str) -> Iterator[tuple[Fact, list[Explanation]]]:
    """Facts that mean something to a participant, with what."""
    for fact in facts:
        explanations = memory.process([fact]).explanations
        own = [each for each in explanations if (each.participant_id or fact.participant_id) == participant_id]
        if own or fact.participant_id == participant_id:
            yield fact, own


def _headline(fact: Fact) -> str:
    properties = json.dumps(dict(fact.properties), ensure_ascii=False) if fact.properties else ""
    if len(properties) > _WIDEST_PROPERTIES:
        properties = properties[: _WIDEST_PROPERTIES - 1] + "…"
    name = fact.fact_type.removeprefix("custom.")
    return f"{format_timestamp(fact.occurred_at)}  {name}  {properties}".rstrip()


def _verdicts(game: CompiledGame, explanations: Iterable[Explanation]) -> Iterator[str]:
    applied = [_named(each) for each in explanations if each.verdict == "matched"]
    if applied:
        yield f"applied: {', '.join(applied)}"
    others: dict[str, list[str]] = {}
    for each in explanations:
        if each.verdict != "matched":
            others.setdefault(_why(game, each), []).append(_named(each))
    for why, names in others.items():
        yield f"didn't apply: {', '.join(names)}: {why}"


def _named(explanation: Explanation) -> str:
    name = explanation.definition if explanation.part is None else f"{explanation.definition}:{explanation.part}"
    return name if explanation.target is None else f"{name} ({explanation.value} of {explanation.target})"


def _why(game: CompiledGame, explanation: Explanation) -> str:
    why = _WHY[explanation.verdict]
    if explanation.message:
        return f"{why}: {explanation.message}"
    if explanation.verdict == "condition_false":
        condition = _condition(game, explanation)
        return f"{why}: {condition}" if condition else why
    return why


def _condition(game: CompiledGame, explanation: Explanation) -> str | None:
    """The `when` of the rule that an explanation is about."""
    kind, _, code = explanation.definition.partition("/")
    document = game.game
    found: Any = None
    match kind:
        case "points":
            found = next((each for each in document.points if each.code == code), None)
        case "badge":
            found = next((each.criteria for each in document.badges if each.code == code), None)
        case "streak":
            found = next((each for each in document.streaks if each.code == code), None)
        case "leaderboard":
            found = next((each.metric for each in document.leaderboards if each.code == code), None)
        case "challenge":
            objectives = (each.objectives for each in document.challenges if each.code == code)
            found = next((each for part in objectives for each in part if each.code == explanation.part), None)
    return getattr(found, "when", None)
