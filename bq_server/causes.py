"""Causes of awards: how they are built, and how they are stored in few bytes.

A cause names what was reached, such as `challenge:spring/0.5`; if each fact is paid separately, it ends with the fact's
id: `points:spend:fact_01jr...`. It is unique per participant.
"""

_POINTS = "points:"
_BY_HAND = "manual:"


def of_points(code: str, fact_id: str) -> str:
    """A points rule that paid a fact."""
    return f"{_POINTS}{code}:{fact_id}"


def of_criteria(definition: str) -> str:
    """The criteria of a definition, `badge/<code>`, met."""
    return f"criteria:{definition}"


def of_challenge(code: str, milestone: str | None = None) -> str:
    """A challenge completed or, with its name, a milestone of it reached."""
    return f"challenge:{code}" if milestone is None else f"challenge:{code}/{milestone}"


def of_streak(code: str, at: int) -> str:
    """A milestone of a streak, by its length in periods."""
    return f"streak:{code}/{at}"


def by_hand(fact_id: str) -> str:
    """Points or a badge given by hand."""
    return _BY_HAND + fact_id


def is_by_hand(cause: str) -> bool:
    """Whether `by_hand` made the cause."""
    return cause.startswith(_BY_HAND)


def of_any_fact(cause: str) -> str:
    """The cause, without the fact's id if each fact is paid separately."""
    return cause.rpartition(":")[0] if cause.startswith((_POINTS, _BY_HAND)) else cause


OF_THE_FACT = "/"
"""Stands for the fact's id at the end of a stored cause. No other cause ends this way: a step is never empty."""


def pack_cause(cause: str, fact_id: str) -> str:
    """The cause of an award caused by a fact, without the fact's id."""
    return cause.removesuffix(fact_id) + OF_THE_FACT if cause.endswith(fact_id) else cause


def unpack_cause(packed: str, fact_id: str) -> str:
    """The cause that `pack_cause` was given with that id."""
    return packed[:-1] + fact_id if packed.endswith(OF_THE_FACT) else packed
