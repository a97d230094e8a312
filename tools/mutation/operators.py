"""Which operators of a module can be mistaken for another, and its code with one of them mistaken."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
GAME = REPOSITORY / "bq_server" / "game"
MUTATED = ("step.py", "match.py", "mechanics/*.py", "on_time/*.py")

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
LOGIC: dict[type[ast.boolop], type[ast.boolop]] = {ast.And: ast.Or, ast.Or: ast.And}
SIGNS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in",
    ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not", ast.Add: "+", ast.Sub: "-", ast.And: "and", ast.Or: "or",
}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class MutationSite:
    """A place where one operator is taken for another."""

    module: str
    line: int
    column: int
    number: int
    """Of the mutants at that place, from 0."""
    mistake: str
    """`< -> <=`, or `not (...)` for a condition that is turned round."""
    function: str = ""
    """The function that it is in, `Class.method`; empty outside of all."""
    code: str = ""
    """The expression that is mistaken, as Python would write it; with what is added to it, where that is a sum."""

    @property
    def name(self) -> str:
        """How the command line names it."""
        return f"{self.module}:{self.line}:{self.column}:{self.number}"


def every_site() -> list[MutationSite]:
    """Every mutant of the step and the mechanics, in an order that is always the same."""
    files = [path for pattern in MUTATED for path in sorted(GAME.glob(pattern))]
    return [site for path in files for site in sites(_module(path), path.read_text("utf-8"))]


@cache
def source_of(module: str) -> str:
    """The text of a module that is mutated."""
    return (REPOSITORY / (module.replace(".", "/") + ".py")).read_text("utf-8")


def sites(module: str, source: str) -> list[MutationSite]:
    """Every mutant of a module, in the order of its lines."""
    return sorted(site for site, _ in changes(module, ast.parse(source)))


def changes(module: str, tree: ast.Module) -> Iterator[tuple[MutationSite, "Change"]]:
    """Every mutant of a module's tree, and what it changes there."""
    taken: dict[tuple[int, int], int] = {}
    functions = dict(_functions(tree))
    for node, mistake, change in _mutations(tree):
        place = node.lineno, node.col_offset
        number = taken[place] = taken.get(place, -1) + 1
        code = ast.unparse(change.node if isinstance(change.node, ast.AugAssign) else node)
        yield MutationSite(module, *place, number, mistake, functions.get(id(node), ""), code), change


def mutated(source: str, line: int, column: int, number: int) -> ast.Module:
    """A module with the mutant of that place. Raises `LookupError` where there is none."""
    tree = ast.parse(source)
    here = [change for node, _, change in _mutations(tree) if (node.lineno, node.col_offset) == (line, column)]
    if number >= len(here):
        raise LookupError(f"no mutant {number} at {line}:{column}")
    here[number].apply()
    return ast.fix_missing_locations(tree)


@dataclass(frozen=True, slots=True)
class Change:
    """Something else in a field of a node."""

    node: ast.AST
    field: str
    value: object

    def apply(self) -> None:
        """Make the mistake in the tree itself."""
        setattr(self.node, self.field, self.value)


def _mutations(tree: ast.Module) -> Iterator[tuple[ast.expr, str, Change]]:
    """Each with the expression that is mistaken. Types and assertions are left alone: nothing runs by them."""
    for node in _running(tree):
        match node:
            case ast.Compare(ops=operators):
                for place, operator in enumerate(operators):
                    other = COMPARISONS[type(operator)]
                    changed = [*operators[:place], other(), *operators[place + 1 :]]
                    yield node, f"{SIGNS[type(operator)]} -> {SIGNS[other]}", Change(node, "ops", changed)
            case ast.BinOp(op=ast.Add() | ast.Sub() as sign):
                opposite = ARITHMETIC[type(sign)]
                yield node, f"{SIGNS[type(sign)]} -> {SIGNS[opposite]}", Change(node, "op", opposite())
            case ast.AugAssign(target=target, op=ast.Add() | ast.Sub() as sign):
                opposite = ARITHMETIC[type(sign)]
                yield target, f"{SIGNS[type(sign)]}= -> {SIGNS[opposite]}=", Change(node, "op", opposite())
            case ast.BoolOp(op=joined):
                swapped = LOGIC[type(joined)]
                yield node, f"{SIGNS[type(joined)]} -> {SIGNS[swapped]}", Change(node, "op", swapped())
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                if not isinstance(test, ast.Compare) or len(test.ops) > 1:  # that of one is turned round above
                    yield test, "not (...)", Change(node, "test", ast.UnaryOp(ast.Not(), test))
            case ast.comprehension(ifs=tests):
                for place, test in enumerate(tests):
                    if not isinstance(test, ast.Compare) or len(test.ops) > 1:
                        turned = ast.UnaryOp(ast.Not(), test)
                        changed_tests = [*tests[:place], turned, *tests[place + 1 :]]
                        yield test, "not (...)", Change(node, "ifs", changed_tests)
            case _:
                pass


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes under one that do something when the program runs."""
    match node:
        case ast.Assert() | ast.Raise():
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.AnnAssign(value=value):
            if value is not None:
                yield from _running(value)
            return
        case ast.FunctionDef(body=body, args=arguments):
            for default in [*arguments.defaults, *filter(None, arguments.kw_defaults)]:
                yield from _running(default)
            for statement in body:
                yield from _running(statement)
            return
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.BitOr())) if name[:1].isupper():
            return  # the name of a type
        case _:
            yield node
            for child in ast.iter_child_nodes(node):
                yield from _running(child)


def _functions(node: ast.AST, name: str = "") -> Iterator[tuple[int, str]]:
    """The nodes that are in a function, each by its id with the name of that."""
    for child in ast.iter_child_nodes(node):
        inner = name
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            inner = f"{name}.{child.name}" if name else child.name
        yield id(child), name
        yield from _functions(child, inner)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
