"""Reading scenario files: every mistake, each with its file, line and column."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bq_server.game import Mistake as GameMistake
from bq_server.game import check
from bq_server.game.document.parser import Document, DocumentError, SourcePosition, read_document
from bq_server.game.document.parser import Path as Location
from harness.stories import expectations, scenario, steps
from harness.stories.references import dangling
from harness.stories.scenario import LoadedGame, PlayedStory, Scenario
from harness.stories.shipped import files_within, is_packed, read, shipped
from harness.stories.steps import STEPS, PutGame

SUFFIXES = (".yaml", ".yml")

_SCALARS = ("int_type", "float_type", "string_type", "bool_type")
_FIELDS = sorted(
    {
        name
        for model in (*vars(scenario).values(), *vars(steps).values(), *vars(expectations).values())
        if isinstance(model, type) and issubclass(model, BaseModel)
        for name in model.model_fields
    }
)


class ScenarioMistake(Struct, frozen=True, order=True):
    """Something wrong in a file. Lines and columns count from 1."""

    file: Path
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ScenarioMistakes(ValueError):
    """What is wrong in a scenario file, and in the games that it names."""

    def __init__(self, mistakes: Iterable[ScenarioMistake]) -> None:
        self.mistakes: Sequence[ScenarioMistake] = sorted(set(mistakes))
        super().__init__("\n".join(map(str, self.mistakes)))


class NoScenario(ScenarioMistakes):
    """A valid document, but without steps: perhaps a game."""


def load(path: str | Path) -> Scenario:
    """Read a scenario and the games that it names.

    Raises `ScenarioMistakes`, and `NoScenario` for a document of another kind.
    """
    path = Path(path)
    text = _text(path)
    try:
        document = read_document(text, nul_allowed=True)  # a story may send what is refused
    except DocumentError as error:
        raise ScenarioMistakes([ScenarioMistake(path, *_at(error.place), f"the document {error}")]) from None
    if not isinstance(document.data, dict) or "steps" not in document.data:
        raise NoScenario([ScenarioMistake(path, 1, 1, "this isn't a scenario: it has no steps")])
    mistakes = [ScenarioMistake(path, *_at(place), message) for place, message in document.problems]
    story: PlayedStory | None = None
    try:
        story = PlayedStory.model_validate(document.data)
    except ValidationError as error:
        mistakes += _mistakes(path, document, error.errors())
    games: dict[Location, LoadedGame] = {}
    for place in _game_places(document.data):
        try:
            games[place] = _game(path, text, document, place)
        except ScenarioMistakes as found:
            mistakes += found.mistakes
    if story is not None and not mistakes:
        known = [game.game for game in games.values()]
        mistakes += [
            ScenarioMistake(path, *_at(_named(document, where)), message) for where, message in dangling(story, known)
        ]
    if story is None or mistakes:
        raise ScenarioMistakes(mistakes)
    return Scenario(
        path,
        story,
        [document.values["steps", index].line for index in range(len(story.steps))],
        games.get(("game",)),
        {index: games["steps", index, "game"] for index, step in enumerate(story.steps) if isinstance(step, PutGame)},
    )


def find(paths: Iterable[str | Path]) -> tuple[list[Scenario], list[ScenarioMistake]]:
    """The scenarios in files and, recursively, in directories; and all mistakes.

    A document without steps is skipped in a directory, and is a mistake if it is named.
    """
    scenarios: list[Scenario] = []
    mistakes: list[ScenarioMistake] = []
    for path in map(Path, paths):
        for file in _files(path):
            try:
                scenarios.append(load(file))
            except NoScenario as error:
                if file == path:
                    mistakes += error.mistakes
            except ScenarioMistakes as error:
                mistakes += error.mistakes
    return scenarios, sorted(set(mistakes))


def by_place_in_source(scenario: Scenario) -> Scenario:
    """A built-in scenario, named by its path in the source, wherever this program has unpacked it."""
    return replace(scenario, path=Path("harness", "scenarios") / scenario.path.relative_to(shipped()))


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir() and not is_packed(path):
        yield path
        return
    yield from sorted(each for each in files_within(path) if each.suffix in SUFFIXES)


def _text(path: Path) -> str:
    try:
        return read(path).decode("utf-8-sig")
    except OSError as error:
        raise ScenarioMistakes([ScenarioMistake(path, 1, 1, f"can't be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ScenarioMistakes([ScenarioMistake(path, line, column, "the document is not UTF-8")]) from None


def _game_places(data: Mapping[str, Any]) -> Iterator[Location]:
    if isinstance(data.get("game"), str | dict):
        yield ("game",)
    steps = data["steps"]
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        if isinstance(step, dict) and isinstance(step.get("game"), str | dict):
            yield ("steps", index, "game")


def _game(path: Path, text: str, document: Document, place: Location) -> LoadedGame:
    """The game at a path of a document, inline or in another file. Raises `ScenarioMistakes`."""
    source = document.data
    for part in place:
        source = source[part]
    start = _at(document.values[place])
    if isinstance(source, dict):
        return _inline(path, text, place, source, start)
    file = path.parent / source
    try:
        content = read(file)
    except OSError as error:
        message = f"the game {source} can't be read: {error.strerror}"
        raise ScenarioMistakes([ScenarioMistake(path, *start, message)]) from None
    checked = check(content)
    if checked.game is None:
        raise ScenarioMistakes(ScenarioMistake(file, each.line, each.column, _told(each)) for each in checked.errors)
    return LoadedGame(read_document(content).data, checked.game)


def _inline(path: Path, text: str, place: Location, source: dict[str, Any], start: tuple[int, int]) -> LoadedGame:
    checked = check(json.dumps(source))
    if checked.game is not None:
        return LoadedGame(source, checked.game)
    mistakes = [ScenarioMistake(path, *start, _told(each)) for each in checked.errors]
    with suppress(yaml.YAMLError):
        placed = check(_alone(text, place)).errors
        # A game with an alias of something outside can't stand alone.
        if {each.message for each in placed} == {each.message for each in checked.errors}:
            mistakes = [ScenarioMistake(path, each.line, each.column, _told(each)) for each in placed]
    raise ScenarioMistakes(mistakes)


def _told(mistake: GameMistake) -> str:
    return f"{mistake.path}: {mistake.message}" if mistake.path else mistake.message


def _alone(text: str, place: Location) -> str:
    """A value of a document as a separate document, in which everything keeps its position."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    node: Any = yaml.compose(text, Loader=loader)
    for part in place:
        node = (
            node.value[part] if isinstance(part, int) else next(value for key, value in node.value if key.value == part)
        )
    return re.sub(r"[^\n]", " ", text[: node.start_mark.index]) + text[node.start_mark.index : node.end_mark.index]


def _mistakes(path: Path, document: Document, errors: Sequence[ErrorDetails]) -> Iterator[ScenarioMistake]:
    told: set[Location] = set()
    located = [(error, _resolved(document, error["loc"])) for error in errors]
    for error, where in located:
        value = _value(document, where)
        inside = isinstance(value, dict) and any(
            other[: len(where)] == where for each, other in located if each is not error
        )
        if (inside and error["type"] in _SCALARS) or (
            where in told and error["type"] not in ("missing", "extra_forbidden")
        ):
            continue  # of a union's branches, only the one that the author chose matters
        told.add(where)
        place = document.values.get(where, SourcePosition())
        name = str(error["loc"][-1]) if error["loc"] else ""
        match error["type"]:
            case "missing":
                message = f"needs {name}"
            case "extra_forbidden":
                place = document.keys.get(where, place)
                message = _unknown(name, where)
            case "union_tag_not_found":
                message = _no_step(value)
            case "model_type" | "dict_type" | "model_attributes_type":
                message = "must be a mapping"
            case _:
                message = re.sub(r"^(Value error, |Input )", "", error["msg"])
        yield ScenarioMistake(path, *_at(place), message)


def _resolved(document: Document, location: Sequence[int | str]) -> Location:
    """The nearest value in the document: locations also name branches of unions, and keys that are missing."""
    where: Location = ()
    for part in location:
        if (*where, part) in document.values:
            where = (*where, part)
    return where


def _unknown(name: str, where: Location) -> str:
    if len(where) == 3 and where[0] == "steps" and name in STEPS:
        return f"a step does one thing: make {name} a step of its own"
    close = get_close_matches(name, _FIELDS, 1)
    return f"unknown key {name}" + (f"; did you mean {close[0]}?" if close and close[0] != name else "")


def _no_step(value: Any) -> str:
    if not isinstance(value, dict):
        return "a step must be a mapping"
    close = [match for key in value for match in get_close_matches(key, STEPS, 1)]
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"a step needs one of {', '.join(STEPS)}{hint}"


def _value(document: Document, where: Location) -> Any:
    value = document.data
    for part in where:
        value = value[part]
    return value


def _named(document: Document, where: Location) -> SourcePosition:
    """Where a code is: as a key, or as a value."""
    as_key = where[-2] in ("challenges", "streaks", "leaderboards", "objectives")
    return (document.keys if as_key else document.values).get(where, SourcePosition())


def _at(place: SourcePosition) -> tuple[int, int]:
    return place.line, place.column
