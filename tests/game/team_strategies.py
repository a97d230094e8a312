"""Leaderboards of teams for the property tests."""

from typing import Any

from tests.game import kept_strategies as st


@st.composite
def by_team(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document, with some of its leaderboards for teams, as often as not."""
    for board in document["leaderboards"]:
        if draw(st.booleans()):
            board["group_by"] = "attributes.team"
            board |= draw(st.sampled_from([{}, {"combine": "sum"}, {"combine": "mean"}, {"combine": "best"}]))
    return document
