"""What schemathesis doesn't know: how NDJSON is sent, and that a feed has no end unless it is asked for one."""

from typing import Any

import schemathesis

FEED = "/api/v1/feed"


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: Any, value: Any) -> bytes:
    """The bytes that were made up, or the text of something else."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_load_schema(_: Any, raw_schema: Any) -> None:
    """Say what the events of the feed are in its own way: a schema for each event, and one for its data."""
    content = raw_schema["paths"][FEED]["get"]["responses"]["200"]["content"]["text/event-stream"]
    message = {"$ref": "#/components/schemas/FeedMessage"}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": message}
    content["schema"] = {"type": "object", "properties": {"data": data}, "required": ["data", "event"]}


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    """Let the feed end with what is there."""
    if case.operation.path == FEED and case.query.get("follow") in (None, True, "true"):
        case.query["follow"] = "false"
