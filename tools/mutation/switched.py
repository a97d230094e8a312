"""The code of a module with all of its mutants in it, each behind a switch."""

import ast
from collections.abc import Iterator, Mapping
from copy import deepcopy

from tools.mutation.operators import Change, changes

_SWITCH = "__mutants__"


def switched(module: str, source: str, numbers: Mapping[str, int]) -> ast.Module:
    """The module's tree, in which `tools.mutation.switch` decides which mutant is on; `numbers` are those of sites."""
    tree = ast.parse(source)
    by_node: dict[int, list[tuple[int, Change]]] = {}
    for site, change in list(changes(module, tree)):
        by_node.setdefault(id(change.node), []).append((numbers[site.name], change))
    _Switching(by_node).visit(tree)
    names = [ast.alias("tools.mutation.switch", _SWITCH)]
    tree.body.insert(_first_statement(tree), ast.Import(names))
    return ast.fix_missing_locations(tree)


def _first_statement(tree: ast.Module) -> int:
    """After the docstring and what must come first."""
    for place, statement in enumerate(tree.body):
        match statement:
            case ast.Expr(value=ast.Constant(value=str())) | ast.ImportFrom(module="__future__"):
                continue
            case _:
                return place
    return len(tree.body)


class _Switching(ast.NodeTransformer):
    """Writes a node anew, the nodes in it first."""

    def __init__(self, by_node: Mapping[int, list[tuple[int, Change]]]) -> None:
        self._by_node = by_node

    def visit(self, node: ast.AST) -> ast.AST:
        here = self._by_node.get(id(node), [])
        before = deepcopy(node) if here else node
        turned = list(_turned(node, here))
        node = self.generic_visit(node)
        match node:
            case ast.Compare(left=left, ops=[_], comparators=[right]) | ast.BinOp(left=left, right=right) if here:
                return _call("chosen", here[0][0], left, right)
            case ast.AugAssign() if here:
                return ast.If(_call("on", here[0][0]), [_with(before, here[0][1])], [node])  # type: ignore[list-item]
            case ast.Compare() | ast.BoolOp():
                found: ast.expr = node
                for number, change in here:
                    found = ast.IfExp(_call("on", number), _with(before, change), found)  # type: ignore[arg-type]
                return found
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                for number, _ in turned:
                    node.test = _call("turned", number, test)
            case ast.comprehension(ifs=tests):
                for number, place in turned:
                    tests[place] = _call("turned", number, tests[place])
            case _:
                pass
        return node


def _turned(node: ast.AST, here: list[tuple[int, Change]]) -> Iterator[tuple[int, int]]:
    """The mutants that turn a condition of a node round, and which of its conditions, from 0."""
    for number, change in here:
        if change.field == "test":
            yield number, 0
        elif isinstance(node, ast.comprehension) and isinstance(change.value, list):
            places = [place for place, test in enumerate(node.ifs) if change.value[place] is not test]
            yield number, places[0]


def _with(before: ast.AST, change: Change) -> ast.AST:
    """A copy of a node as it was, with one mutant."""
    copied = deepcopy(before)
    setattr(copied, change.field, deepcopy(change.value))
    return copied


def _call(name: str, number: int, *arguments: ast.expr) -> ast.Call:
    function = ast.Attribute(ast.Name(_SWITCH, ast.Load()), name, ast.Load())
    return ast.Call(function, [ast.Constant(number), *arguments], [])
