"""Several currencies, for the games and facts that `strategies` draws."""

from typing import Any

from tests.game import kept_strategies as st


def by_hand(given: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Properties of points by hand: of the default currency, of another, or of one that no game has."""
    return st.fixed_dictionaries(given, optional={"currency": st.sampled_from(["gems", "gems", "dust"])})


@st.composite
def in_currencies(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The same game, or as often one of three currencies, in which anything may name any of them."""
    if draw(st.booleans()):
        return document

    def named() -> dict[str, str]:
        return draw(st.sampled_from([{}, {"currency": "coins"}, {"currency": "gems"}, {"currency": "stars"}]))

    milestones = [
        each for kind in ("challenges", "streaks") for every in document[kind] for each in every["milestones"]
    ]
    rewards = [every["rewards"] for every in (*milestones, *document["challenges"])]
    for each in rewards:
        each[0] |= named()
        if draw(st.booleans()):
            each.append({"points": 2, **named()})
    for rule in document["points"]:
        rule |= named()
    ladder = named()
    for tier in document["tiers"]:
        tier |= ladder
    for board in document["leaderboards"]:
        if board["metric"] == "points":
            board |= named()
    return {"currencies": [{"code": "coins"}, {"code": "gems", "overdraft": "allowed"}, {"code": "stars"}], **document}
