"""`make test`: what is slow, PostgreSQL, and most examples of each property are left to `make test-all`.

A plugin for pytest, which the Makefile loads.
"""

import pytest
from hypothesis import settings

from tests.support.store import SQLITE

MOST_EXAMPLES = 10
"""Of each property. A broken rule fails most of the games that are drawn; what is rare is for the whole run."""

_SETTINGS = "_hypothesis_internal_use_settings"
"""Where Hypothesis keeps a test's settings; its own plugin for pytest reads and replaces them there."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is slow or needs PostgreSQL, and draw fewer examples."""
    left_out = [item for item in items if item.get_closest_marker("slow") or _needs_postgresql(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in {*left_out}]
    for item in items:
        function = getattr(item, "obj", None)
        own = getattr(function, _SETTINGS, None)
        if own is not None and own.max_examples > MOST_EXAMPLES:
            setattr(function, _SETTINGS, settings(own, max_examples=MOST_EXAMPLES))


def _needs_postgresql(item: pytest.Item) -> bool:
    chosen = item.callspec.params.get("store", SQLITE) if hasattr(item, "callspec") else SQLITE
    return chosen != SQLITE or not {"postgres", "store_url", "start_postgres"}.isdisjoint(
        getattr(item, "fixturenames", ())
    )
