"""Webhooks that stories expect: told or not, and codes that no game has."""

from pathlib import Path
from typing import get_args

import pytest

from bq_server.processing.event_types import EventType
from harness.client import Client
from harness.stories.documents import ScenarioMistakes, load
from harness.stories.expectations import WEBHOOK_TYPES
from harness.stories.modes import play_by

STORY = """\
name: Told
game: {{badges: [{{code: first, name: First, criteria: {{on: buy, target: 1}}}}]}}
steps:
  - expect: {{webhooks: []}}
  - send: {{event_name: buy, participant_id: ada}}
  - expect: {{webhooks: {expected}}}
"""


def failures(client: Client, where: Path, expected: str) -> list[str]:
    path = where / "story.yaml"
    path.write_text(STORY.format(expected=expected))
    return [each.text for each in play_by("stream", load(path), client, 1)]


def test_the_types_are_those_of_the_server() -> None:
    assert get_args(EventType) == WEBHOOK_TYPES


def test_what_is_told_is_found_among_what_else_is(client: Client, tmp_path: Path) -> None:
    expected = "[{type: badge.awarded, code: first}, {type: fact.created, participant: ada, event_name: buy}]"
    assert failures(client, tmp_path, expected) == []
    assert client.call("GET", "/webhooks/endpoints")["endpoints"] == []


def test_what_is_not_told_fails_with_what_was(client: Client, tmp_path: Path) -> None:
    [failure] = failures(client, tmp_path, "[{type: badge.awarded, participant: bea}]")
    assert "step 3, expect: not the webhooks expected were told" in failure
    assert "missing  {type: badge.awarded, participant: bea}" in failure.replace('"', "")
    assert "told     " in failure
    [failure] = failures(client, tmp_path, "[]")
    assert "told     " in failure


def test_a_code_that_no_game_has_is_a_mistake_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    path.write_text(STORY.format(expected="[{type: badge.awarded, code: frist}]"))
    with pytest.raises(ScenarioMistakes) as raised:
        load(path)
    [mistake] = raised.value.mistakes
    assert (mistake.line, mistake.column) == (6, 53)
    assert mistake.message == "the game has no badge frist; did you mean first?"
