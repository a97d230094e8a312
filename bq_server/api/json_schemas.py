"""JSON schemas of models, as generators of clients understand them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import to_json

Json = dict[str, Any]
Used = tuple[type[BaseModel], JsonSchemaMode]

_REF = "#/components/schemas/"


def schemas_of(used: Iterable[Used]) -> tuple[Mapping[Any, Json], Json]:
    """A reference for each model in its mode, and the schemas that the references name.

    A schema is named by its title, the name a generated class gets, and no two have the same.
    """
    references, definitions = models_json_schema(
        list(dict.fromkeys(used)), ref_template=_REF + "{model}", schema_generator=_Generator
    )
    schemas: Json = definitions.get("$defs", {})
    names = _names(schemas)
    renamed = {names[name]: {**_renamed(schema, names), "title": names[name]} for name, schema in schemas.items()}
    return {key: _renamed(reference, names) for key, reference in references.items()}, renamed


class _Generator(GenerateJsonSchema):
    """Declares the fields of an answer as required, except those that are None by default and may be left out."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Whether the field is always present."""
        inner = field["schema"]
        if self.mode != "serialization" or inner["type"] != "default" or "serialization_exclude_if" in field:
            return super().field_is_required(field, total)
        return "default_factory" in inner or inner.get("default") is not None

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is given
        """No: a generator would make a class of that name."""
        return False


def _names(schemas: Json) -> dict[str, str]:
    """The name of each schema: its title, or its own name if two share a title."""
    titles = [schema.get("title", name) for name, schema in schemas.items()]
    names = {}
    for name, schema in schemas.items():
        title = schema.get("title", name)
        plain = name.replace("-Input", "Input").replace("-Output", "")
        names[name] = title if titles.count(title) == 1 and title.isidentifier() else plain
    return names


def _renamed(found: Any, names: Mapping[str, str]) -> Any:
    """The same with the new names in references, and defaults as words: to generators, a field with one is required."""
    if isinstance(found, str) and found.startswith(_REF):  # in a `$ref`, or in the mapping of a discriminator
        return _REF + names[found.removeprefix(_REF)]
    if isinstance(found, list):
        return [_renamed(each, names) for each in found]
    if not isinstance(found, dict):
        return found
    told: Json = {}
    for key, value in found.items():
        if key == "properties":
            required = found.get("required", [])
            told[key] = {
                name: _without_default(_renamed(field, names), told=name not in required)
                for name, field in value.items()
            }
        else:
            told[key] = _renamed(value, names)
    return told


def _without_default(field: Json, *, told: bool) -> Json:
    """The schema of a field without its default, which its description names if it is `told`."""
    default = field.pop("default", None)
    if told and default not in (None, [], {}):
        said = field.get("description", "")
        field["description"] = f"{said} Default: `{to_json(default).decode()}`.".lstrip()
    return field
