"""Causes of awards: what they are, and how they are kept in few bytes.

A cause names what was reached, such as `challenge:spring/0.5`; where each fact is paid by itself, the fact's id ends
it: `points:spend:fact_01jr...`. It is unique per participant.
"""

OF_THE_FACT = "/"
"""Stands for the fact's id at the end of a cause that is kept. No other cause ends so: a step is never empty."""


def pack_cause(cause: str, fact_id: str) -> str:
    """The cause of an award that a fact brought, without the fact's id."""
    return cause.removesuffix(fact_id) + OF_THE_FACT if cause.endswith(fact_id) else cause


def unpack_cause(packed: str, fact_id: str) -> str:
    """The cause that `pack_cause` was given with that id."""
    return packed[:-1] + fact_id if packed.endswith(OF_THE_FACT) else packed
