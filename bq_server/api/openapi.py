"""The OpenAPI 3.1 document, made from the operations and the models that their handlers use."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from bq_server.api.operations import Operation
from bq_server.api.problems import MEDIA_TYPE, PROBLEM_TYPES
from bq_server.api.schemas.problems import Problem
from bq_server.delivery.bodies import WebhookBody
from bq_server.ingest.models import BatchIn
from bq_server.ingest.validation import Limits
from bq_server.processing.announcements import EventType

_REF = "#/components/schemas/{model}"

Json = dict[str, Any]


def document(operations: Sequence[Operation], version: str, limits: Limits) -> Json:
    """The whole document as JSON-serialisable data, with the limits that this server was set up with."""
    used: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        if operation.body is not None:
            used[(operation.body, "validation")] = None
        for answer in operation.answers.values():
            used[(answer.model, "serialization")] = None
    used[(WebhookBody, "serialization")] = None
    references, definitions = models_json_schema(list(used), ref_template=_REF)
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references, limits)
    schemas: Json = definitions.get("$defs", {})
    _limit_batches(schemas, references, limits)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bq-server",
            "version": version,
            "description": "A self-hosted gamification event engine. Every refusal is a problem document (RFC 9457).",
        },
        "paths": paths,
        "webhooks": {name: {"post": _webhook(name, references)} for name in get_args(EventType)},
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "`bq_live_` or `bq_test_` and 32 hex characters; it acts on that environment.",
                },
                "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key, for Prometheus."},
            },
        },
    }


def _operation(operation: Operation, references: Mapping[Any, Json], limits: Limits) -> Json:
    described: Json = {
        "tags": [operation.tag],
        "summary": operation.summary.format_map(asdict(limits)),
        "operationId": operation.handle.__name__,
        "parameters": [*_path_parameters(operation), *_header_parameters(operation), *_query_parameters(operation)],
        "responses": {},
    }
    if operation.scope is not None:
        described["security"] = [{"ApiKey": []}, *([{"Bearer": []}] if operation.scope == "metrics" else [])]
        described["description"] = f"Needs a key with the scope `{operation.scope}`."
    if operation.body is not None:
        content: Json = {"schema": references[(operation.body, "validation")]}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        described["requestBody"] = {"required": True, "content": {operation.body_media_type: content}}
    for status, answer in operation.answers.items():
        content = {"schema": references[(answer.model, "serialization")]}
        if answer.example is not None:
            content["example"] = answer.example
        described["responses"][str(status)] = {
            "description": answer.description,
            "content": {answer.media_type: content},
        }
    refusals: dict[int, list[str]] = {}
    for code in operation.every_code:
        refusals.setdefault(PROBLEM_TYPES[code].status, []).append(f"`{code}`")
    for status, codes in refusals.items():
        described["responses"][str(status)] = {
            "description": ", ".join(codes),
            "content": {MEDIA_TYPE: {"schema": references[(Problem, "serialization")]}},
        }
    return described


def _webhook(event_type: str, references: Mapping[Any, Json]) -> Json:
    """What an endpoint that chose this event is sent."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "tags": ["Webhooks"],
        "summary": f"Sent to endpoints that chose {event_type}",
        "operationId": "webhook_" + event_type.replace(".", "_"),
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": references[(WebhookBody, "serialization")]}},
        },
        "responses": {
            "2XX": {"description": "It is taken."},
            "410": {"description": "The endpoint is gone: it is switched off."},
        },
    }


def _limit_batches(schemas: Json, references: Mapping[Any, Json], limits: Limits) -> None:
    """Say how many events a batch may have: its model can't know, the settings do."""
    reference = references.get((BatchIn, "validation"))
    if reference is not None:
        batch = schemas[reference["$ref"].rpartition("/")[2]]
        batch["description"] = batch["description"].replace("`max_batch_events`", str(limits.max_batch_events))
        batch["properties"]["events"]["maxItems"] = limits.max_batch_events


def _path_parameters(operation: Operation) -> list[Json]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _header_parameters(operation: Operation) -> list[Json]:
    if not operation.takes_idempotency_key:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 255}
    description = "The same as `idempotency_key` in the body."
    return [{"name": "Idempotency-Key", "in": "header", "description": description, "schema": schema}]


def _query_parameters(operation: Operation) -> list[Json]:
    schema = operation.query.model_json_schema(mode="validation")
    parameters = []
    for name, field in schema.get("properties", {}).items():
        # A parameter that is left out is not null: the schema of its value is the other branch.
        branches = [branch for branch in field.get("anyOf", []) if branch != {"type": "null"}]
        value = {**branches[0]} if branches else {key: field[key] for key in field if key != "title"}
        if field.get("default") is not None:
            value["default"] = field["default"]
        parameter = {"name": name, "in": "query", "required": False, "schema": value}
        description = field.get("description") or value.pop("description", None)
        if description:
            parameter["description"] = description
        parameters.append(parameter)
    return parameters
