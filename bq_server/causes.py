"""Causes of awards: how they are built, and how they are stored in few bytes.

A cause names what was reached, such as `challenge:spring/0.5`; if each fact is paid separately, it ends with the fact's
id: `points:spend:fact_01jr...`. What is paid in a currency other than the default begins with its code:
`gems/points:spend:fact_01jr...`. A cause is unique per participant.
"""

_POINTS = "points:"
_BY_HAND = "manual:"
_CRITERIA = "criteria:"
_EXPIRED = "expired:"
_CLAIM = "reward:"
_TRANSFER = "transfer:"
_OF_A_FACT = (_POINTS, _BY_HAND, _EXPIRED, _CLAIM, _TRANSFER)
_TAKEN_BACK = "void:"
_GIVEN_AGAIN = "again:"


def of_points(code: str, fact_id: str) -> str:
    """A points rule that paid a fact."""
    return f"{_POINTS}{code}:{fact_id}"


def of_criteria(definition: str, time: int = 1) -> str:
    """The criteria of a definition, `badge/<code>`, met: for the nth time, where that can be more than once."""
    return _CRITERIA + definition + (f"/{time}" if time > 1 else "")


def is_of_criteria(cause: str) -> bool:
    """Whether `of_criteria` made the cause."""
    return cause.startswith(_CRITERIA)


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
    return in_any_currency(cause).startswith(_BY_HAND)


def of_expiry(fact_id: str) -> str:
    """Points that expired."""
    return _EXPIRED + fact_id


def is_of_expiry(cause: str) -> bool:
    """Whether `of_expiry` made the cause, or it takes such points back."""
    return in_any_currency(origin(cause)).startswith(_EXPIRED)


def of_claim(fact_id: str) -> str:
    """What a claimed reward cost."""
    return _CLAIM + fact_id


def of_transfer(fact_id: str) -> str:
    """What one participant gave another, in the ledgers of both."""
    return _TRANSFER + fact_id


def is_of_transfer(cause: str) -> bool:
    """Whether `of_transfer` made the cause, or it takes such points back."""
    return in_any_currency(origin(cause)).startswith(_TRANSFER)


def taken_back(cause: str, fact_id: str) -> str:
    """What was given for a cause, taken back by a fact that voids another."""
    return f"{_TAKEN_BACK}{cause}:{fact_id}"


def given_again(cause: str, fact_id: str) -> str:
    """What had been taken back, given again by a fact."""
    return f"{_GIVEN_AGAIN}{cause}:{fact_id}"


def is_taken_back(cause: str) -> bool:
    """Whether `taken_back` made the cause."""
    return cause.startswith(_TAKEN_BACK)


def origin(cause: str) -> str:
    """The cause for which something was given in the first place, of which this is a part of the account."""
    if cause.startswith((_TAKEN_BACK, _GIVEN_AGAIN)):
        return cause.partition(":")[2].rpartition(":")[0]
    return cause


def fact_paid(cause: str) -> str | None:
    """The id of the fact that was paid by itself; none for the cause of something reached."""
    return cause.rpartition(":")[2] if in_any_currency(cause).startswith(_OF_A_FACT) else None


def of_any_fact(cause: str) -> str:
    """The cause, without the fact's id where each fact is paid by itself, or the time where criteria are met again."""
    if cause.startswith(_CRITERIA):
        return "/".join(cause.split("/")[:2])
    return cause.rpartition(":")[0] if in_any_currency(cause).startswith(_OF_A_FACT) else cause


def in_currency(cause: str, currency: str | None) -> str:
    """The cause of what is paid in a currency; None is the default, which causes don't name."""
    return cause if currency is None else f"{currency}/{cause}"


def currency_of(cause: str) -> str | None:
    """The currency of what was paid for a cause, or taken back of it; None is the default."""
    currency, slash, _ = origin(cause).partition(":")[0].partition("/")
    return currency if slash else None


def in_any_currency(cause: str) -> str:
    """The cause without its currency: what was reached, whatever it paid."""
    # A cause's own slash comes after its first colon, and a currency's code has neither.
    head, slash, rest = cause.partition("/")
    return rest if slash and ":" not in head else cause


OF_THE_FACT = "/"
"""Stands for the fact's id at the end of a stored cause. No other cause ends this way: a step is never empty."""


def pack_cause(cause: str, fact_id: str) -> str:
    """The cause of an award caused by a fact, without the fact's id."""
    return cause.removesuffix(fact_id) + OF_THE_FACT if cause.endswith(fact_id) else cause


def unpack_cause(packed: str, fact_id: str) -> str:
    """The cause that `pack_cause` was given with that id."""
    return packed[:-1] + fact_id if packed.endswith(OF_THE_FACT) else packed
