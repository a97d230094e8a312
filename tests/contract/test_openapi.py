"""The OpenAPI document as those who generate clients need it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from bq_server.processing.event_types import EVENT_TYPES
from tests.support.client import Project, event
from tests.support.shared_servers import SharedServers
from tests.support.store import SQLITE

Json = dict[str, Any]
SCHEMAS = "#/components/schemas/"


@pytest.fixture(scope="module")
def document(shared_servers: SharedServers) -> Json:
    found: Json = httpx.get(f"{shared_servers(SQLITE).process.url}/openapi.json", verify=False).json()
    return found


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def webhooks(document: Json) -> Iterator[tuple[str, Json]]:
    yield from document["webhooks"].items()


def contents(document: Json) -> Iterator[tuple[str, Json]]:
    """Every body of a request or an answer, with where it is."""
    for where, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            for media_type, content in body.get("content", {}).items():
                yield f"{where} {name} {media_type}", content


def faults(document: Json, schema: Json, value: Any) -> list[str]:
    """What a value has wrong by a schema of the document."""
    found = Draft202012Validator({**schema, "components": document["components"]}).iter_errors(value)
    return [error.message for error in found]


def test_every_operation_has_a_name_of_its_own(document: Json) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name) for name in names), names


def test_the_names_that_were_published_are_kept(document: Json) -> None:
    """Whoever generated a client has functions called so. A new route needs no line there before it is released."""
    published = (Path(__file__).parent / "published_operations.txt").read_text("utf-8").splitlines()
    assert len(published) >= 70
    now = {f"{operation['operationId']} {where}" for where, operation in operations(document)}
    assert set(published) - now == set()


def test_every_operation_has_a_tag_that_is_described(document: Json) -> None:
    used = {tag for _, operation in operations(document) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}
    assert all(tag["description"] for tag in document["tags"])


def test_a_host_can_be_given(document: Json) -> None:
    assert document["servers"][0]["url"] == "/"
    assert document["servers"][1]["variables"]["origin"]["default"].startswith("http://")


def test_no_two_schemas_share_a_title(document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert {name: schema["title"] for name, schema in schemas.items()} == {name: name for name in schemas}


def test_no_field_has_a_default_which_generators_take_for_required(document: Json) -> None:
    def fields(schema: Any) -> Iterator[Json]:
        if isinstance(schema, dict):
            yield from (field for field in schema.get("properties", {}).values() if isinstance(field, dict))
            for inner in schema.values():
                yield from fields(inner)
        if isinstance(schema, list):
            for inner in schema:
                yield from fields(inner)

    assert [field for field in fields(document["components"]["schemas"]) if "default" in field] == []
    assert document["components"]["schemas"]["Event"]["required"] == ["event_name", "participant_id"]
    assert "Default: `30000`." in json.dumps(document["components"]["schemas"]["DrainIn"])


def test_every_example_is_of_its_schema(document: Json) -> None:
    examples = [(where, content) for where, content in contents(document) if "example" in content]
    assert len(examples) >= 30
    wrong = {where: found for where, each in examples if (found := faults(document, each["schema"], each["example"]))}
    assert wrong == {}


def test_every_webhook_has_a_schema_of_its_own_and_an_example_of_it(document: Json) -> None:
    bodies = {name: each["post"]["requestBody"]["content"]["application/json"] for name, each in webhooks(document)}
    assert {*bodies} == {*EVENT_TYPES, "endpoint.test"}
    for name, body in bodies.items():
        fitting = {other for other, each in bodies.items() if not faults(document, each["schema"], body["example"])}
        assert fitting == {name}, "its example is of its schema, and of no other"


def test_a_parameter_with_choices_lists_them(document: Json) -> None:
    for _, operation in operations(document):
        for parameter in operation["parameters"]:
            assert "const" not in parameter["schema"], parameter
            assert parameter["schema"].get("default", 0) is not None
    (wait,) = (
        each for each in document["paths"]["/api/v1/ingest/events"]["post"]["parameters"] if each["name"] == "wait"
    )
    assert wait["schema"] == {"type": "string", "enum": ["fact"]}


def test_answers_are_of_the_variant_that_was_asked_for(document: Json, bq: Project) -> None:
    """Not only of one of them: a client that tries them in order gets the right one."""
    sync = document["paths"]["/api/v1/ingest/events/sync"]["post"]["responses"]["200"]["content"]["application/json"]
    variants = sync["schema"]["anyOf"]
    answers = [bq.told(event(), dry_run="true"), bq.told(event()), bq.send_sync(event()).json()]
    first = [next(each for each in variants if not faults(document, each, answer)) for answer in answers]
    assert [each["$ref"] for each in first] == [
        f"{SCHEMAS}RehearsalAnswer",
        f"{SCHEMAS}SyncEffectsAnswer",
        f"{SCHEMAS}SyncAnswer",
    ]


@pytest.mark.parametrize("path", ["/ingest/events/batch", "/gamify/events/batch"])
def test_a_batch_of_which_nothing_is_accepted_is_documented(document: Json, bq: Project, path: str) -> None:
    answer = bq.post(path, {"events": [event("")]})
    assert answer.status_code == 422
    documented = document["paths"][f"/api/v1{path}"]["post"]["responses"]["422"]["content"]
    variant = documented[answer.headers["Content-Type"]]["schema"]["anyOf"][0]
    assert faults(document, variant, answer.json()) == []
    assert bq.post(path, {"events": []}).headers["Content-Type"] in documented
