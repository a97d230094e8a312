"""Leaderboards of teams, and challenges that groups share, for the property tests."""

from typing import Any

from tests.game import kept_strategies as st
from tests.game.definition_strategies import moment, on, when


@st.composite
def by_team(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document, with some of its leaderboards for teams, as often as not."""
    for board in document["leaderboards"]:
        if draw(st.booleans()):
            board["group_by"] = "attributes.team"
            board |= draw(st.sampled_from([{}, {"combine": "sum"}, {"combine": "mean"}, {"combine": "best"}]))
    return document


@st.composite
def with_shared_challenges(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document, with one or two challenges more that groups share, as often as not."""
    for number in range(draw(st.integers(0, 2))):
        aggregate = draw(st.sampled_from([{"aggregate": "count"}, {"aggregate": "sum", "of": "properties.x"}]))
        objective = {"code": "o", "on": draw(on), "when": draw(when), **aggregate, "target": draw(st.integers(1, 6))}
        document["challenges"].append(
            {
                "code": f"g{number}",
                "name": "G",
                "shared_by": "attributes.team",
                "duration": draw(
                    st.sampled_from(
                        [
                            {"type": "perpetual"},
                            {"type": "fixed", "starts_at": moment(20), "ends_at": moment(150)},
                        ]
                    )
                ),
                "objectives": [objective],
                "milestones": [
                    {"at": at, "rewards": [{"points": 5}]} for at in draw(st.sets(st.sampled_from([0.3, 0.5, 0.9])))
                ],
                "rewards": [{"points": 7}, {"badge": "given"}],
            }
        )
    return document
