"""The syntax tree of a CEL expression, for what is derived from an expression without evaluating it.

The engine compiles an expression but exposes nothing of it. This reads the same grammar, so that simple expressions can
be evaluated here and the cost of all others can be bounded. It doesn't decide what is valid: the engine does.
"""

import re
from collections.abc import Iterator
from typing import NoReturn

from bq_server.game.expressions.nodes import (
    BinaryNode,
    CallNode,
    ChoiceNode,
    IndexNode,
    ListNode,
    LiteralNode,
    LogicNode,
    MacroNode,
    MapNode,
    MemberNode,
    MessageNode,
    NameNode,
    Node,
    UnaryNode,
    walk,
)

MAX_DEPTH = 150
"""Deepest nesting of an expression that is read. The engine itself allows fewer than 100 parentheses."""
MACROS = {"all": (2,), "exists": (2,), "exists_one": (2,), "existsOne": (2,), "map": (2, 3), "filter": (2,)}
"""The methods that iterate over a list or a map, with the numbers of arguments that make them macros."""


class UnreadableError(ValueError):
    """An expression that doesn't match the grammar, or is nested beyond `MAX_DEPTH`."""


_TOKEN = re.compile(
    r"""(?P<space>[\t \r\n\f]+|//[^\n]*)
    |(?P<text>[bB]?(?:[rR](?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n\r]*"|'[^'\n\r]*')
        |\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^\\"\n\r])*"|'(?:\\.|[^\\'\n\r])*'))
    |(?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<uint>(?:0x[0-9a-fA-F]+|\d+)[uU])
    |(?P<int>0x[0-9a-fA-F]+|\d+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>==|!=|<=|>=|&&|\|\||[<>\[\]{}().,\-!?:+*/%])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_RELATIONS = ("<", "<=", ">=", ">", "==", "!=", "in")
_LEVELS = (_RELATIONS, ("+", "-"), ("*", "/", "%"))
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL
)
_CHARACTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WORDS = {"true": LiteralNode("bool", True), "false": LiteralNode("bool", False), "null": LiteralNode("null", None)}
_END = ("end", "", 0)


def read(source: str) -> Node:
    """The tree of an expression that the engine compiles. Raises `UnreadableError`."""
    try:
        return _Reader(source).whole()
    except RecursionError:
        raise UnreadableError("is nested too deeply") from None


class _Reader:
    """A recursive descent over the tokens."""

    def __init__(self, source: str) -> None:
        self._tokens = list(_tokens(source))
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        tree = self._expression()
        if self._next < len(self._tokens):
            self._fail()
        return tree

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self, *wanted: str) -> str | None:
        """The next token, if it is one of these signs or words."""
        kind, text, _ = self._peek()
        if kind in ("sign", "name") and text in wanted:
            self._next += 1
            return text
        return None

    def _need(self, wanted: str) -> None:
        if self._take(wanted) is None:
            self._fail()

    def _fail(self) -> NoReturn:
        raise UnreadableError(f"is not CEL at {self._peek()[1] or 'its end'}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableError("is nested too deeply")

    def _expression(self) -> Node:
        self._deeper()
        condition = self._logic("||")
        if self._take("?"):
            positive = self._logic("||")
            self._need(":")
            condition = ChoiceNode(condition, positive, self._expression())
        self._depth -= 1
        return condition

    def _logic(self, operator: str) -> Node:
        parts = [self._logic("&&") if operator == "||" else self._binary(0)]
        while self._take(operator):
            parts.append(self._logic("&&") if operator == "||" else self._binary(0))
        return parts[0] if len(parts) == 1 else LogicNode(operator, tuple(parts))

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        before = self._depth
        while operator := self._take(*_LEVELS[level]):
            self._deeper()
            left = BinaryNode(operator, left, self._binary(level + 1))
        self._depth = before
        return left

    def _unary(self) -> Node:
        operator = self._take("!", "-")
        if operator is None:
            return self._member(self._primary())
        times = 1
        while self._take(operator):
            times += 1
        if operator == "-" and times == 1 and self._peek()[0] in ("int", "double"):
            return self._member(self._number("-"))
        operand = self._member(self._primary())
        # The engine drops pairs of them.
        return UnaryNode(operator, operand) if times % 2 else operand

    def _member(self, operand: Node) -> Node:
        before = self._depth
        while True:
            if self._take("."):
                self._deeper()
                kind, name, at = self._peek()
                if kind != "name":
                    self._fail()
                self._next += 1
                operand = self._method(operand, name, at) if self._take("(") else MemberNode(operand, name)
            elif self._take("["):
                self._deeper()
                operand = IndexNode(operand, self._expression())
                self._need("]")
            else:
                break
        self._depth = before
        return self._message(operand) if self._peek()[1] == "{" else operand

    def _method(self, target: Node, name: str, at: int) -> Node:
        args = self._several(")")
        if len(args) in MACROS.get(name, ()) and isinstance(args[0], NameNode):
            condition = args[1] if len(args) == 3 else None
            return MacroNode(name, target, args[0].name, args[-1], condition)
        return CallNode(name, target, args, at)

    def _message(self, operand: Node) -> Node:
        names = [
            part.field if isinstance(part, MemberNode) else part.name
            for part in walk(operand)
            if isinstance(part, NameNode | MemberNode)
        ]
        self._need("{")
        while self._peek()[1] != "}":
            self._next += 1
            if not self._take(":"):
                self._fail()
            self._expression()
            if not self._take(","):
                break
        self._need("}")
        return MessageNode(".".join(reversed(names)))

    def _several(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while self._take(end) is None:
            if found:
                self._need(",")
                if self._take(end):
                    break
            elif self._take(","):
                self._need(end)
                break
            found.append(self._expression())
        return tuple(found)

    def _primary(self) -> Node:
        kind, text, at = self._peek()
        self._next += 1
        if kind in ("int", "uint", "double"):
            self._next -= 1
            return self._number("")
        if kind == "text":
            return _text(text)
        if kind == "name":
            return self._named(text, at)
        match text:
            case "(":
                inner = self._expression()
                self._need(")")
                return inner
            case "[":
                return ListNode(self._several("]"))
            case "{":
                return self._map()
            case "-" if self._peek()[0] in ("int", "double"):
                return self._number("-")
            case ".":
                kind, text, at = self._peek()
                if kind == "name":
                    self._next += 1
                    return self._named("." + text, at)
        self._next -= 1
        return self._fail()

    def _number(self, sign: str) -> Node:
        kind, text, _ = self._peek()
        self._next += 1
        return _number(kind, sign + text)

    def _named(self, name: str, at: int) -> Node:
        if name in _WORDS:
            return _WORDS[name]
        if name == "in":
            self._next -= 1
            self._fail()
        if not self._take("("):
            return NameNode(name)
        args = self._several(")")
        if name == "has" and len(args) == 1:
            if not isinstance(args[0], MemberNode):
                self._fail()
            return MemberNode(args[0].operand, args[0].field, test=True)
        return CallNode(name, None, args, at)

    def _map(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        while self._take("}") is None:
            if entries:
                self._need(",")
                if self._take("}"):
                    break
            elif self._take(","):
                self._need("}")
                break
            key = self._expression()
            self._need(":")
            entries.append((key, self._expression()))
        return MapNode(tuple(entries))


def _tokens(source: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise UnreadableError(f"is not CEL at {source[at]}")
        at = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found[0], found.start()


def _number(kind: str, text: str) -> LiteralNode:
    if kind == "double":
        return LiteralNode(kind, float(text))
    return LiteralNode(kind, int(text.rstrip("uU"), 16 if "0x" in text else 10))


def _text(token: str) -> LiteralNode:
    prefix = token[: min(token.index(quote) for quote in "\"'" if quote in token)]
    body = token[len(prefix) :]
    quotes = 3 if body[:3] in ('"""', "'''") and len(body) >= 6 else 1
    body = body[quotes:-quotes]
    if "r" not in prefix.lower():
        body = _ESCAPE.sub(_unescaped, body)
    # What the bytes are doesn't matter here, only how many.
    return (
        LiteralNode("bytes", body.encode("utf-8", "replace")) if "b" in prefix.lower() else LiteralNode("string", body)
    )


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3] or match[4]
    if digits:
        return chr(int(digits, 16)) if int(digits, 16) < 0x110000 else "\ufffd"
    return chr(int(match[5], 8)) if match[5] else _CHARACTERS.get(match[6], match[6])
