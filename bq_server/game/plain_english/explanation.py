"""A whole game in plain English."""

from collections.abc import Iterator, Sequence

from bq_server.game.document.definitions import Game, PointsExpiry
from bq_server.game.plain_english.definitions import AnyDefinition, heading, sentences
from bq_server.game.plain_english.phrases import day_of_year, length


def explain(game: Game) -> str:
    """What the game says: a section for each kind of definition, a paragraph for each, a line for each sentence."""
    sections: list[tuple[str, Sequence[AnyDefinition]]] = [
        ("Points", game.points),
        ("Badges", game.badges),
        ("Challenges", game.challenges),
        ("Streaks", game.streaks),
        ("Tiers", game.tiers),
        ("Leaderboards", game.leaderboards),
        ("Rewards", game.rewards),
    ]
    parts = ["\n".join([title, *_paragraphs(found)]) for title, found in sections if found]
    return "\n\n".join([*parts, "\n".join(["The whole game", *(f"  {each}" for each in _general(game))])])


def _paragraphs(definitions: Sequence[AnyDefinition]) -> Iterator[str]:
    for each in definitions:
        yield f"  {heading(each)}"
        for sentence in sentences(each):
            yield f"    {sentence}"


def _general(game: Game) -> Iterator[str]:
    yield _expiry(game.points_expire)
    if game.overdraft == "allowed":
        yield "When a fact is made void, what it gave is taken back even from a balance that then is negative."
    else:
        yield "When a fact is made void, what it gave is taken back; what the balance lacks is owed."


def _expiry(expiry: PointsExpiry | None) -> str:
    if expiry is None:
        return "Points never expire."
    if expiry.after is not None:
        return f"Points expire {length(expiry.after)} after they were given."
    return f"Points expire as each {day_of_year(*expiry.day)} begins, in UTC."
