"""docs/game.md teaches by example: each game that it shows is played by the story that follows it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bq_server.game import check
from bq_server.game.document.definitions import Game
from bq_server.game.document.parser import read_document
from harness.client import Client
from harness.stories.documents import load
from harness.stories.outcomes import Mode
from harness.stories.story_run import play

DOCUMENT = (Path(__file__).parents[2] / "docs" / "game.md").read_text("utf-8")
WITHOUT_A_STORY: set[str] = set()
"""Headings of games that nothing is told of."""
SEED = 7


@dataclass(frozen=True, slots=True)
class Example:
    """A game, and what happens in it."""

    heading: str
    game: str
    story: str | None


def examples() -> Iterator[Example]:
    """In the order of the page."""
    heading, game = "", None
    for title, text in re.findall(r"^#+ ([^\n]*)$|^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL):
        if title:
            heading = title
        elif "steps" in read_document(text).data:
            assert game is not None, f"in {heading}, a story without a game"
            yield Example(heading, game, text)
            game = None
        else:
            if game is not None:
                yield Example(heading, game, None)
            game = text
    if game is not None:
        yield Example(heading, game, None)


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.heading)
def test_each_game_has_no_mistake_and_a_story(example: Example) -> None:
    assert check(example.game).mistakes == []
    assert (example.story is None) is (example.heading in WITHOUT_A_STORY)


@pytest.mark.parametrize("mode", ["both", "shuffled"])
@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.story], ids=lambda each: each.heading)
def test_each_story_is_true(client: Client, tmp_path: Path, example: Example, mode: Mode) -> None:
    (tmp_path / "game.yaml").write_text(example.game, "utf-8")
    (tmp_path / "story.yaml").write_text(f"name: {example.heading}\ngame: game.yaml\n{example.story}", "utf-8")
    failures = [each.text for each in play(load(tmp_path / "story.yaml"), client, mode, SEED).failures]
    assert not failures, "\n\n".join(failures)


def test_the_page_shows_every_mechanic() -> None:
    games = [check(each.game).game for each in EXAMPLES]
    shown = {name for game in games if game is not None for name in game.model_fields_set}
    assert len(EXAMPLES) >= 14
    assert shown >= {"points", "badges", "challenges", "streaks", "tiers", "leaderboards", "rewards", "overdraft"}


def test_the_page_names_every_word_that_a_definition_may_choose() -> None:
    code = " ".join(re.findall(r"^```.*?^```$|`[^`\n]+`", DOCUMENT, re.MULTILINE | re.DOTALL))
    assert choices(Game.model_json_schema()) - set(re.findall(r"\w+", code)) == set()


def choices(schema: Any) -> set[str]:
    """The words of every field that takes one of a few."""
    if isinstance(schema, list):
        return {each for part in schema for each in choices(part)}
    if not isinstance(schema, dict):
        return set()
    own = [*schema.get("enum", []), schema.get("const")]
    return {each for each in own if isinstance(each, str)} | choices(list(schema.values()))
