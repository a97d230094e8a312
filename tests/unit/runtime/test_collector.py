"""The garbage collector is put off for a start, and only for that. Each test has a process of its own."""

import subprocess
import sys


def _told(script: str) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return ended.stdout.split()


def test_it_is_off_while_a_command_is_imported_and_on_while_it_runs() -> None:
    script = """
import gc, sys, types
import bq_server
seen = []
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "bq_server.cli.game":
            seen.append(gc.isenabled())
sys.meta_path.insert(0, Finder())
from bq_server.__main__ import main
from bq_server import cli
cli.app = lambda prog_name: print(*seen, gc.isenabled())
main()
"""
    assert _told(script) == ["False", "True"]


def test_it_is_on_again_after_a_start_that_came_to_nothing() -> None:
    script = """
import gc
from bq_server.runtime import collector
try:
    with collector.paused():
        print(gc.isenabled())
        raise LookupError
except LookupError:
    print(gc.isenabled())
"""
    assert _told(script) == ["False", "True"]


def test_a_server_that_is_ready_collects_again_what_it_makes_from_then_on() -> None:
    script = """
import gc, weakref
from bq_server.runtime import collector
class Circle:
    def __init__(self): self.itself = self
with collector.paused():
    collector.relax()
    print(gc.isenabled(), gc.get_freeze_count() > 1000)
    after = weakref.ref(Circle())
    made = [[] for _ in range(2 * gc.get_threshold()[0])]
    print(after() is None)
"""
    assert _told(script) == ["True", "True", "True"]
