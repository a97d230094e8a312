"""Whether the shipped stories see a mutant: a server that has it plays them until one fails."""

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from harness.client import Client
from harness.private_server import PrivateServer, ServerFailed
from harness.stories.documents import find, shipped
from harness.stories.outcomes import MODES, Mode
from harness.stories.scenario import Scenario
from harness.stories.story_run import play

SEED = 7
LIMIT_SECONDS = 120.0
"""A mutant that plays longer is taken for one that never ends, which is seen, too."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """The shipped stories, those first that saw a mutant last."""

    stories: list[Scenario]
    lock: threading.Lock

    @classmethod
    def all(cls) -> "Shipped":
        """Every one."""
        stories, mistakes = find([shipped()])
        if mistakes:
            raise ValueError(str(mistakes[0]))
        return cls(stories, threading.Lock())

    def in_order(self) -> list[Scenario]:
        """As they should be tried."""
        with self.lock:
            return list(self.stories)

    def note(self, story: Scenario) -> None:
        """It saw a mutant."""
        with self.lock:
            self.stories.remove(story)
            self.stories.insert(0, story)


def seen_by(site: str | None, stories: Shipped, modes: Sequence[Mode] = MODES) -> str | None:
    """What saw the mutant of a site: `<mode> <story>`, or that the server failed; None when nothing did.

    None for a site plays the sound server.
    """
    command = [sys.executable, "-m", *(["bq_server"] if site is None else ["tools.mutation.mutated", site])]
    try:
        with PrivateServer(command=command) as server, Client(server.url, server.key) as client:
            clock = threading.Timer(LIMIT_SECONDS, server.kill)
            clock.start()
            try:
                for mode in modes:
                    for story in stories.in_order():
                        if not play(story, client, mode, SEED).passed:
                            stories.note(story)
                            return f"{mode} {story.name}" if server.running else f"{mode} {story.name} (ended)"
            finally:
                clock.cancel()
    except ServerFailed:
        return "the server doesn't start"
    return None
