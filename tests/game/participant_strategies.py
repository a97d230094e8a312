"""Games whose conditions read who the participant is, and facts that change it."""

import dataclasses

from msgspec.structs import replace

from bq_server.game.facts import Fact
from tests.game import kept_strategies as st
from tests.game.definition_strategies import ABOUT_THE_PARTICIPANT
from tests.game.fact_strategies import attributes, histories, histories_with_voids, positive
from tests.game.strategies import Rules, games
from tests.game.team_strategies import by_team, with_shared_challenges

ABOUT_AWARDS = [
    'participant.tier == "high"',
    '"given" in participant.badges',
    'participant.tier != "high" && properties.x >= 1.0',
]


@st.composite
def games_about_participants(draw: st.DrawFn, awards: bool = False) -> Rules:
    """Where conditions read attributes in every mechanic, or awards."""
    return draw(asking(games(), awards))


@st.composite
def asking(draw: st.DrawFn, made: st.SearchStrategy[Rules], awards: bool = False) -> Rules:
    """Other games, with such conditions."""
    rules = draw(made)
    document = rules.document
    criteria = [each["criteria"] for each in document["badges"] if "criteria" in each]
    objectives = [each for challenge in document["challenges"] for each in challenge["objectives"]]
    metrics = [each["metric"] for each in document["leaderboards"] if each["metric"] != "points"]
    for each in (*document["points"], *criteria, *objectives, *metrics, *document["streaks"]):
        each["when"] = draw(st.sampled_from([None, *(ABOUT_AWARDS if awards else ABOUT_THE_PARTICIPANT)]))
    for rule in document["points"]:
        asked = ABOUT_AWARDS[:2] if awards else ["has(participant.attributes.team)"]
        multipliers = [*rule.get("multiplier", []), {"when": draw(st.sampled_from(asked)), "by": 1.5}]
        rule["multiplier"] = multipliers if draw(st.booleans()) else []
    return dataclasses.replace(rules, document=draw(with_shared_challenges(draw(by_team(document)))))


@st.composite
def histories_with_attributes(draw: st.DrawFn, size: int = 16, *, voids: bool = False) -> list[Fact]:
    """Facts of which every third changes attributes."""
    facts = draw(histories_with_voids(1, size, positive) if voids else histories(1, size, positive))
    patches = draw(st.lists(st.one_of(st.none(), st.none(), attributes), min_size=len(facts), max_size=len(facts)))
    kind = "system.attributes_changed"
    return [
        replace(fact, fact_type=kind, event_name="attributes_changed", properties={"attributes": patch}, voids=None)
        if patch is not None
        else fact
        for fact, patch in zip(facts, patches, strict=True)
    ]
