"""Reading a YAML or JSON document while keeping every value's line and column.

Scalars follow the core schema of YAML 1.2: `on` is a string, and so is a date.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar, cast

import yaml
from msgspec import Struct, field
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 1_000_000
"""Largest document read."""
MAX_NODES = 100_000
MAX_DEPTH = 30
_MAX_PARSED_DEPTH = 1000
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

Path = tuple[int | str, ...]

# The C parser is twenty times as fast, and nearly every platform has it.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class SourcePosition(Struct, frozen=True, order=True):
    """A position in a document, both from 1."""

    line: int = 1
    column: int = 1


class DocumentError(ValueError):
    """Text that can't be read as a document at all."""

    def __init__(self, place: SourcePosition, message: str) -> None:
        super().__init__(message)
        self.place = place


class Document(Struct):
    """What a text contains, and where."""

    data: Any = None
    values: dict[Path, SourcePosition] = field(default_factory=dict)
    """Where each value starts."""
    keys: dict[Path, SourcePosition] = field(default_factory=dict)
    """Where the key of each value starts."""
    styles: dict[Path, str | None] = field(default_factory=dict)
    """How each string is quoted."""
    problems: list[tuple[SourcePosition, str]] = field(default_factory=list)
    """What can be read but isn't allowed."""
    text: str = ""

    def place_in(self, path: Path, line: int, column: int) -> SourcePosition:
        """The place of a position within the string at a path."""
        start = self.values.get(path, SourcePosition())
        style = self.styles.get(path)
        if style in ("|", ">"):
            lines = self.text.splitlines()[start.line :]
            indent = next((len(each) - len(each.lstrip()) for each in lines if each.strip()), 0)
            return SourcePosition(start.line + line, indent + column)
        quoted = style in ("'", '"')
        return SourcePosition(start.line, start.column + quoted + column - 1) if line == 1 else start


class _Loader(_Parser):  # type: ignore[misc]
    """Composes nodes, without making Python objects of them."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def read_document(text: str | bytes, *, nul_allowed: bool = False) -> Document:
    """Read YAML, or JSON. Raises `DocumentError` for text that is neither.

    `nul_allowed`: texts with U+0000, which no store of games takes, are no problem of the document.
    """
    text = _decoded(text)
    data = _json(text)
    if data is not None:
        # Tabs and surrogate pairs are valid in JSON and not in YAML; positions stay the same.
        text = re.sub(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", "?" * 12, text.replace("\t", " "))
    try:
        node = _compose(text)
    except DocumentError:
        if data is None:
            raise
        return Document(data)
    document = Document(text=text)
    _Reader(document, nul_allowed=nul_allowed).read(node)
    if data is not None:
        document.data = data
    return document


def _decoded(text: str | bytes) -> str:
    if len(text) > MAX_BYTES:
        raise DocumentError(SourcePosition(), f"is larger than {MAX_BYTES:,} bytes")
    try:
        content = text.decode() if isinstance(text, bytes) else text
        content.encode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        place = SourcePosition(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise DocumentError(place, "is not UTF-8") from None
    except UnicodeEncodeError as error:
        raise DocumentError(_place_of(str(error.object), error.start), "contains half of a surrogate pair") from None
    return content.removeprefix("\ufeff")


def _json(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _compose(text: str) -> Node | None:
    # The C parser recurses, and no exception is raised when its stack overflows.
    if _depth(text) > _MAX_PARSED_DEPTH:
        raise DocumentError(SourcePosition(), "is nested too deeply")
    loader = None
    try:
        loader = _Loader(text)
        node: Node | None = loader.get_single_node()
        return node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = SourcePosition(mark.line + 1, mark.column + 1) if mark is not None else SourcePosition()
        raise DocumentError(place, f"is not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        raise DocumentError(_place_of(text, error.position), "contains a control character") from None
    except (yaml.YAMLError, RecursionError):
        raise DocumentError(SourcePosition(), "is not YAML") from None
    finally:
        if loader is not None:
            loader.dispose()


def _depth(text: str) -> int:
    """An upper bound on how deeply brackets, dashes and question marks nest values."""
    brackets = sum(text.count(mark) for mark in "[{")
    dashes = max((line.count("- ") + line.count("? ") + line.count(": ") for line in text.splitlines()), default=0)
    return max(dashes, _open(text) if brackets > MAX_DEPTH else 0)


def _open(text: str) -> int:
    depth = deepest = 0
    for mark in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if mark[0] in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _place_of(text: str, offset: int) -> SourcePosition:
    return SourcePosition(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


class _Reader:
    """Builds data from nodes, and notes where they are."""

    def __init__(self, document: Document, *, nul_allowed: bool) -> None:
        self._document = document
        self._nul_allowed = nul_allowed
        self._budget = MAX_NODES

    def read(self, node: Node | None) -> None:
        if node is not None:
            self._document.data = self._value(node, ())

    def _value(self, node: Node, path: Path) -> Any:
        document, place = self._document, _start(node)
        document.values[path] = place
        self._budget -= 1
        if self._budget < 0 or len(path) > MAX_DEPTH:
            raise DocumentError(place, "has too many values, or is nested too deeply")
        if not isinstance(node, ScalarNode) and node.tag not in _COLLECTIONS:
            document.problems.append((place, f"the tag {node.tag} has no meaning here"))
        if isinstance(node, MappingNode):
            return dict(self._items(node, path))
        if isinstance(node, SequenceNode):
            return [self._value(each, (*path, index)) for index, each in enumerate(node.value)]
        return self._scalar(cast("ScalarNode", node), path)

    def _items(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._document.problems.append((_start(key), "a key must be a name"))
                continue
            name = str(key.value)
            if name in seen:
                self._document.problems.append((_start(key), f"the key {name} is given twice"))
                continue
            seen.add(name)
            self._document.keys[*path, name] = _start(key)
            yield name, self._value(value, (*path, name))

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text = str(node.value)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                # No field accepts a longer number, and Python refuses to read much longer ones.
                return int(text, 16 if text.startswith("0x") else 10) if len(text) <= 100 else text
            case "float":
                return float(text)
            case "str":
                self._document.styles[path] = node.style
                if "\0" in text and not self._nul_allowed:  # PostgreSQL can't keep it
                    self._document.problems.append((_start(node), "a text must not contain the character U+0000"))
                return text
            case tag:
                self._document.problems.append((_start(node), f"the tag {tag} has no meaning here"))
                return None


def _start(node: Node) -> SourcePosition:
    return SourcePosition(node.start_mark.line + 1, node.start_mark.column + 1)
