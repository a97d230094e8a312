"""What tells values apart: short names for what an expression gives of a fact."""

from functools import lru_cache
from typing import Any

from bq_server.game.expressions.conditions import ExpressionFailure, Formula, Variables
from bq_server.game.state.keys import digest


@lru_cache(maxsize=4096)
def _digest_of_text(value: str) -> str:
    return digest(value)


def digest_of(of: Formula, variables: Variables) -> str | ExpressionFailure:
    """The digest of the value that an expression has for a fact; 1 and 1.0 are the same."""
    value: Any = of.value(variables)
    if isinstance(value, ExpressionFailure):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    try:
        return _digest_of_text(value) if isinstance(value, str) else digest(value)
    except (TypeError, ValueError):
        return ExpressionFailure("the expression gave a value that is not JSON")
