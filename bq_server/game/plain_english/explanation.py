"""A whole game in plain English."""

from collections.abc import Iterator, Sequence

from bq_server.game.document.currencies import others
from bq_server.game.document.definitions import Game
from bq_server.game.document.points import PointsExpiry
from bq_server.game.plain_english.definitions import AnyDefinition, heading, sentences
from bq_server.game.plain_english.phrases import day_of_year, length, titled


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
        ("Contests", game.contests),
    ]
    parts = ["\n".join([title, *_paragraphs(found)]) for title, found in sections if found]
    return "\n\n".join([*parts, "\n".join(["The whole game", *(f"  {each}" for each in _general(game))])])


def _paragraphs(definitions: Sequence[AnyDefinition]) -> Iterator[str]:
    for each in definitions:
        yield f"  {heading(each)}"
        for sentence in sentences(each):
            yield f"    {sentence}"


def _general(game: Game) -> Iterator[str]:
    if game.currencies:
        default = game.currencies[0]
        yield f"Points are {titled(default.code, default.name)} where nothing else is said."
    yield _expiry("Points", game.points_expire)
    for each in others(game):
        yield _expiry(f"{titled(each.code, each.name)}", each.points_expire)
    if game.transfers:
        yield "Participants may give each other points."
    if game.overdraft == "allowed":
        yield "When a fact is made void, what it gave is taken back even from a balance that then is negative."
    else:
        yield "When a fact is made void, what it gave is taken back; what the balance lacks is owed."
    for each in others(game):
        if each.overdraft != game.overdraft:
            then = "a balance may become negative" if each.overdraft == "allowed" else "what the balance lacks is owed"
            yield f"Of {titled(each.code, each.name)}, {then}."


def _expiry(what: str, expiry: PointsExpiry | None) -> str:
    if expiry is None:
        return f"{what} never expire."
    if expiry.after is not None:
        return f"{what} expire {length(expiry.after)} after they were given."
    return f"{what} expire as each {day_of_year(*expiry.day)} begins, in UTC."
