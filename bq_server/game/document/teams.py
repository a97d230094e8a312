"""What the document says of teams: by which attribute of participants, and how their scores are combined."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

_ATTRIBUTES = "attributes."
_NAMED = r"^attributes\.[A-Za-z_]\w*$"


def _of_an_attribute(text: str) -> str:
    if not re.fullmatch(_NAMED, text):
        raise ValueError("must name an attribute of participants, such as attributes.team")
    return text


GroupBy = Annotated[
    str,
    AfterValidator(_of_an_attribute),
    Field(max_length=111, pattern=_NAMED, description="Ranks teams: the values of an attribute"),
]
SharedBy = Annotated[
    str,
    AfterValidator(_of_an_attribute),
    Field(
        max_length=111,
        pattern=_NAMED,
        description="One progress for all participants of the same value of an attribute",
    ),
]
Combine = Literal["sum", "mean", "best"]


def attribute_of(group_by: str) -> str:
    """The attribute that is named."""
    return group_by.removeprefix(_ATTRIBUTES)
