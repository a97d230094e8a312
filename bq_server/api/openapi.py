"""The OpenAPI 3.1 document, made from the operations and the models that their handlers use."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict
from pydantic import BaseModel

from bq_server.api.contract import SERVERS, TAGS
from bq_server.api.json_schemas import Used, schemas_of
from bq_server.api.middleware.gate import ALWAYS
from bq_server.api.operations import Operation
from bq_server.api.participant_tokens import TokenUse
from bq_server.api.problems import MEDIA_TYPE, PROBLEM_TYPES
from bq_server.api.schemas.feed import POSITION
from bq_server.api.schemas.problems import Problem
from bq_server.api.schemas.webhook_examples import WEBHOOK_EXAMPLES
from bq_server.delivery.schemas import DATA, TEST, body_model
from bq_server.ingest.models import BatchIn
from bq_server.ingest.validation import Limits
from bq_server.refusals import Code

Json = dict[str, Any]

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"


_TOKEN_WORDS: Mapping[TokenUse | None, str] = {
    None: "",
    "own": ", or a token of this participant",
    "shared": ", or a participant token",
}


def document(operations: Sequence[Operation], version: str, limits: Limits) -> Json:
    """The whole document as JSON-serializable data, with the limits of this server."""
    references, schemas = schemas_of(_used(operations))
    _limit_batches(schemas, references, limits)
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references, limits)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bq-server",
            "version": version,
            "description": "A self-hosted gamification event engine. Every refusal is a problem document (RFC 9457).",
        },
        "servers": list(SERVERS),
        "tags": [
            {"name": name, "description": TAGS[name]} for name in TAGS if name in {each.tag for each in operations}
        ],
        "paths": paths,
        "webhooks": {name: {"post": _webhook(name, references)} for name in DATA},
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "`bq_live_` or `bq_test_` and 32 hex characters; it acts on that environment.",
                },
                "ParticipantToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "bqp_",
                    "description": "Of one participant, for a browser: `createParticipantToken` makes it.",
                },
                "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key, for Prometheus."},
            },
        },
    }


def _used(operations: Sequence[Operation]) -> Iterator[Used]:
    """Every model that a request or an answer has."""
    yield Problem, "serialization"
    for operation in operations:
        if operation.body is not None:
            yield operation.body, "validation"
        for answer in operation.answers.values():
            for model in (answer.model, *answer.variants):
                yield model, "serialization"
    for event_type in DATA:
        yield body_model(event_type), "serialization"


def _operation(operation: Operation, references: Mapping[Any, Json], limits: Limits) -> Json:
    described: Json = {
        "tags": [operation.tag],
        "summary": operation.summary.format_map(asdict(limits)),
        "operationId": operation.operation_id,
        "parameters": [*_path_parameters(operation), *_header_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation, references),
    }
    if operation.scope is not None:
        others = ["Bearer"] if operation.scope == "metrics" else ["ParticipantToken"] if operation.reads else []
        described["security"] = [{name: []} for name in ("ApiKey", *others)]
        described["description"] = f"Needs a key with the scope `{operation.scope}`{_TOKEN_WORDS[operation.reads]}."
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                operation.body_media_type: _content(
                    operation.body_media_type, references[operation.body, "validation"], operation.body_example
                )
            },
        }
    return described


def _responses(operation: Operation, references: Mapping[Any, Json]) -> Json:
    """Answers and refusals by status; a status may have both."""
    responses: Json = {}
    for status, answer in operation.answers.items():
        schema = _one_of([*answer.variants, answer.model], references)
        content = {answer.media_type: _content(answer.media_type, schema, answer.example)}
        responses[str(status)] = {"description": answer.description, "content": content}
    refusals: dict[int, list[str]] = {}
    for code in _codes(operation):
        refusals.setdefault(PROBLEM_TYPES[code].status, []).append(f"`{code}`")
    for status, codes in refusals.items():
        description = ", ".join(codes)
        models: list[type[BaseModel]] = [Problem]
        media_types = [MEDIA_TYPE]
        if status in operation.answers:
            answer = operation.answers[status]
            description = f"{answer.description} Or a refusal: {description}"
            models.insert(0, answer.model)
            media_types.append(answer.media_type)
        # Generators read one of the media types only, so each has every model.
        content = {each: {"schema": _one_of(models, references)} for each in media_types}
        responses[str(status)] = {"description": description, "content": content}
    return responses


def _one_of(models: Sequence[type[BaseModel]], references: Mapping[Any, Json]) -> Json:
    schemas = [references[model, "serialization"] for model in models]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _content(media_type: str, schema: Json, example: Mapping[str, Any] | None) -> Json:
    """A body; NDJSON is described as lines of the schema."""
    if media_type == EVENT_STREAM:
        data = schema["$ref"].rpartition("/")[2]
        told = f"Server-Sent Events; the `data` of each is a `{data}`."
        return {"schema": {"type": "string", "description": told}}
    if media_type == NDJSON:
        line = schema["$ref"].rpartition("/")[2]
        return {"schema": {"type": "string", "format": "binary", "description": f"Lines, each a `{line}`."}}
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _codes(operation: Operation) -> list[Code]:
    """All refusals of an operation: its own, those of every route (an unknown parameter), and those of the gate."""
    codes = {*operation.every_code, Code.VALIDATION_FAILED}
    if operation.path not in ALWAYS:
        codes |= {Code.OVERLOADED, Code.STOPPING}
    return [code for code in Code if code in codes]


def _webhook(event_type: str, references: Mapping[Any, Json]) -> Json:
    """What an endpoint that chose this event is sent."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "tags": ["Webhooks"],
        "summary": "Sent by a test" if event_type == TEST else f"Sent to endpoints that chose {event_type}",
        "operationId": "webhook_" + event_type.replace(".", "_"),
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: _content(JSON, references[body_model(event_type), "serialization"], WEBHOOK_EXAMPLES[event_type])
            },
        },
        "responses": {
            "2XX": {"description": "It is taken."},
            "410": {"description": "The endpoint is gone and will be disabled."},
        },
    }


def _limit_batches(schemas: Json, references: Mapping[Any, Json], limits: Limits) -> None:
    """State the limit of events in a batch, which only the settings know."""
    reference = references.get((BatchIn, "validation"))
    if reference is not None:
        batch = schemas[reference["$ref"].rpartition("/")[2]]
        batch["description"] = batch["description"].replace("`max_batch_events`", str(limits.max_batch_events))
        batch["properties"]["events"]["maxItems"] = limits.max_batch_events


def _path_parameters(operation: Operation) -> list[Json]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _header_parameters(operation: Operation) -> list[Json]:
    found: list[Json] = []
    if operation.takes_idempotency_key:
        schema: Json = {"type": "string", "minLength": 1, "maxLength": 255}
        description = "The same as `idempotency_key` in the body."
        found.append({"name": "Idempotency-Key", "in": "header", "description": description, "schema": schema})
    if operation.resumes:
        schema = {"type": "string", "pattern": f"^({POSITION})$"}
        description = "The id of the last event received: the feed continues after it. `0` is the beginning."
        found.append({"name": "Last-Event-ID", "in": "header", "description": description, "schema": schema})
    return found


def _query_parameters(operation: Operation) -> list[Json]:
    schema = operation.query.model_json_schema(mode="validation")
    parameters = []
    for name, field in schema.get("properties", {}).items():
        # A parameter that is left out is not null: the schema of its value is the other branch.
        branches = [branch for branch in field.get("anyOf", []) if branch != {"type": "null"}]
        value = {**branches[0]} if branches else {key: field[key] for key in field if key != "title"}
        if "const" in value:  # one choice is a choice: pages show a list, and generators make an enumeration
            value["enum"] = [value.pop("const")]
        if field.get("default") is not None:
            value["default"] = field["default"]
        parameter = {"name": name, "in": "query", "required": False, "schema": value}
        if value.get("type") == "array":
            parameter |= {"style": "form", "explode": False}  # with commas
        description = value.pop("description", None) or field.get("description")
        if description:
            parameter["description"] = description
        parameters.append(parameter)
    return parameters
