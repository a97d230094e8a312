"""The OpenAPI document as a Markdown page, for the documentation site."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

METHODS = ("get", "put", "post", "patch", "delete")


def reference(document: Json) -> str:
    """The page: every operation under its tag, then every webhook, then every schema."""
    info = document["info"]
    parts = [
        f"# API reference\n\n{info['description']} This page is made from the OpenAPI document "
        f"of version {info['version']}: [openapi.json](openapi.json).\n\n"
        "A key goes into the header `X-API-Key`; it determines the environment."
    ]
    operations = [
        (path, method, route[method])
        for path, route in document["paths"].items()
        for method in METHODS
        if method in route
    ]
    for tag in document["tags"]:
        parts.append(f"## {tag['name']}\n\n{tag['description']}")
        parts += [
            _operation(f"{method.upper()} {path}", each)
            for path, method, each in operations
            if tag["name"] in each["tags"]
        ]
    parts.append("## Webhook requests\n\nWhat the server sends to webhook endpoints.")
    parts += [_operation(name, webhook["post"]) for name, webhook in document["webhooks"].items()]
    parts.append("## Schemas")
    parts += [_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return "\n\n".join(parts) + "\n"


def _operation(title: str, operation: Json) -> str:
    parts = [
        f"### `{title}` {{ #{operation['operationId']} }}",
        f"{operation['summary']}. {operation.get('description', '')}".rstrip(),
    ]
    if parameters := operation.get("parameters"):
        parts.append(
            _table(("parameter", "in", "type", "required", "meaning"), [_parameter(each) for each in parameters])
        )
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"**Body**, `{media_type}`: {_type(content['schema'])}")
        parts += _example(content)
    rows: list[tuple[str, ...]] = []
    examples: list[str] = []
    for status, answer in operation["responses"].items():
        schemas = {
            _type(content["schema"]): None for content in answer.get("content", {}).values() if "schema" in content
        }
        rows.append((status, ", ".join(schemas), answer["description"]))
        examples += [example for content in answer.get("content", {}).values() for example in _example(content)]
    parts.append(_table(("answer", "body", "meaning"), rows))
    return "\n\n".join([*parts, *examples])


def _parameter(parameter: Json) -> tuple[str, ...]:
    required, meaning = _yes(parameter.get("required")), parameter.get("description", "")
    return f"`{parameter['name']}`", parameter["in"], _type(parameter["schema"]), required, meaning


def _schema(name: str, schema: Json) -> str:
    parts = [f"### {name} {{ #schema-{name.lower()} }}"]
    if description := schema.get("description"):
        parts.append(description)
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        rows = [
            (f"`{field}`", _type(each), _yes(field in required), each.get("description", ""))
            for field, each in properties.items()
        ]
        parts.append(_table(("field", "type", "required", "meaning"), rows))
    else:
        parts.append(_type(schema))
    return "\n\n".join(parts)


def _type(schema: Json) -> str:
    """A schema in a few words, with links to the schemas it names."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#schema-{name.lower()})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[key])))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}{_bounds(schema, 'Items')}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    kinds = kind if isinstance(kind, str) else " or ".join(kind)
    format_ = f" ({schema['format']})" if "format" in schema else ""
    return f"{kinds}{format_}{_bounds(schema, 'Length')}{_range(schema)}"


def _bounds(schema: Json, of: str) -> str:
    low, high = schema.get(f"min{of}"), schema.get(f"max{of}")
    if low is None and high is None:
        return ""
    unit = "characters" if of == "Length" else "items"
    if high is None:
        return f", at least {low} {unit}"
    return f", {low or 0} to {high} {unit}"


def _range(schema: Json) -> str:
    names = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f", {sign} {schema[name]}" for name, sign in names.items() if name in schema)


def _example(content: Json) -> Iterator[str]:
    if (example := content.get("example")) is not None:
        yield f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |" for line in lines
    )


def _yes(value: object) -> str:
    return "yes" if value else ""
