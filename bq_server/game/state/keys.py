"""The cells that hold a participant's state: what their keys are. A cell's value is JSON.

Codes contain no slash, so keys are unambiguous.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

Cell = Any
Cells = Mapping[str, Cell]
"""One participant's cells, by key."""

POINTS = "points"
"""`{"balance", "earned", "spent"}`."""
PURSES = "purses"
"""`{currency: {"balance", "earned", "spent"}}`, of the currencies other than the default."""
TIERS = "tiers"
"""`[[code, level, at], ...]`, in the order reached."""
BADGES = "badge/"
"""The prefix of all badges held."""
ZONE = "zone"
"""`[[at, seq, zone name], ...]`, in order of event time."""
ATTRIBUTES = "who/attributes/"
"""The prefix of all attributes."""
TEAMS = "team/"
"""The prefix of all scores for teams."""
GROUPS = "group/"
"""The prefix of all that a participant has added to challenges shared by groups."""
AWARDS = "who/awards"
"""What conditions see of tiers and badges: `{"k": newest, "tiers": [[at, seq, tier], ...], "badges", "held"}`."""
HIDDEN = "hidden"
"""`[[at, seq, hidden], ...]`, in order of event time: the last says whether the participant is off leaderboards."""


def is_hidden(cells: Cells) -> bool:
    """Whether the participant of these cells is kept off leaderboards."""
    timeline: list[Cell] = cells.get(HIDDEN) or []
    return bool(timeline) and timeline[-1][2] is True


VOIDS = "voids"
"""What facts void that has not come yet: `["key/order-1", ...]`, in order. See `bq_server.game.voids`."""


def badge(code: str) -> str:
    """A badge held: `{"at", "fact", "cause"}`. Written once."""
    return BADGES + code


def criteria(code: str) -> str:
    """The progress towards a badge's criteria."""
    return f"criteria/{code}"


def attribute(name: str) -> str:
    """What one attribute was: `[name, [[at, seq, patch], ...]]`, in order of event time."""
    return ATTRIBUTES + digest(name)


def challenge(code: str) -> str:
    """A challenge's progress and, under `given`, what it has awarded."""
    return f"challenge/{code}"


def challenge_round(code: str, every: str, number: int) -> str:
    """A round of a recurring challenge, as the cell of a challenge."""
    return f"{challenge_rounds(code, every)}{number}"


def challenge_rounds(code: str, every: str) -> str:
    """The prefix of all rounds of a recurring challenge: those of another length stay, for what they have awarded."""
    return f"past/challenge/{code}/{every}/"


def number_of_round(key: str) -> int:
    """The number of the round that a cell is of."""
    return int(key.rpartition("/")[2])


def streak(code: str) -> str:
    """A streak's periods and, under `given`, the milestones awarded."""
    return f"streak/{code}"


def limit(code: str) -> str:
    """What a limited points rule has counted; of objects told apart, each has a member of its own."""
    return f"limit/{code}"


def contest(code: str) -> str:
    """The score in a contest of somebody who entered: `{"rev", "score", "at", "e"}`, with the moment of the entry."""
    return f"contest/{code}"


def contest_place(code: str) -> str:
    """The place in the frozen result of a contest: `{"m", "rank", "score", "at"}`, with the moment of its fact."""
    return f"placed/{code}"


def score(code: str, window: str, period: str) -> str:
    """A leaderboard score within one period of a window."""
    return f"score/{code}/{window}/{period}"


def scores(code: str) -> str:
    """The prefix of all score cells of a leaderboard."""
    return f"score/{code}/"


def team_score(code: str, window: str, period: str, team: str) -> str:
    """A member's score for a team on a leaderboard of teams: a score's cell, and the name of the `team`."""
    return f"{team_scores(code)}{window}/{period}/{digest(team)}"


def team_scores(code: str) -> str:
    """The prefix of all scores for teams on a leaderboard."""
    return f"{TEAMS}{code}/"


def every_score(code: str) -> tuple[str, str]:
    """The prefixes of the scores of a leaderboard, be it of participants or of teams."""
    return scores(code), team_scores(code)


def group_share(code: str, group: str) -> str:
    """What a member has added to a challenge that a group shares: `{"rev", "score", "at", "team"}`."""
    return f"{group_shares(code)}{digest(group)}"


def group_shares(code: str) -> str:
    """The prefix of the same for all groups of which the participant was."""
    return f"{GROUPS}{code}/"


def members(definition: str) -> str:
    """The prefix of the members of all sets of a definition."""
    return f"seen/{definition}/"


def member(definition: str, part: str, value: str | int) -> str:
    """One member of a set."""
    return f"seen/{definition}/{part}/{value}"


def digest(value: Any) -> str:
    """A short name for any JSON value: equal for equal values, and 96 bits, so that others don't collide."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return blake2b(text.encode(), digest_size=12).hexdigest()
