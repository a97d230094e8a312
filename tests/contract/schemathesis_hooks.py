"""How schemathesis sends NDJSON, which it doesn't know."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: Any, value: Any) -> bytes:
    """The bytes that were made up, or the text of something else."""
    return value if isinstance(value, bytes) else str(value).encode()
