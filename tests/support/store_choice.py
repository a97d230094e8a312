"""Which kinds of store a test runs with.

By default every test runs over SQLite, and those of `ALSO_OVER_POSTGRESQL` over PostgreSQL as well: they see most of
what a dialect can get wrong, and twice the rest takes long. `make test-stores` runs whatever can be over PostgreSQL.
"""

from collections.abc import Collection

from tests.support.store import POSTGRESQL, PROCESSES, SQLITE

USUAL, BOTH = "usual", "both"

CHOICES = (USUAL, BOTH, SQLITE, POSTGRESQL, PROCESSES)
"""Of `--stores`: what is said above, whatever can be over each store, or only what can be over the one named."""

DIRECTORIES = {"acceptance", "faults", "harness", "integration"}
"""Whose tests can run with each kind of store, but for the modules of `ON_A_FILE` and tests marked `of_a_file`."""

ALSO_OVER_POSTGRESQL = {
    "acceptance/test_aliases",
    "acceptance/test_awards",
    "acceptance/test_challenges",
    "acceptance/test_contests",
    "acceptance/test_leaderboards",
    "acceptance/test_participant_tokens",
    "acceptance/test_participants",
    "acceptance/test_points_expiry",
    "acceptance/test_recipients",
    "acceptance/test_rewards",
    "acceptance/test_sandbox",
    "acceptance/test_sandbox_export",
    "acceptance/test_sandbox_reset",
    "acceptance/test_shared_challenges",
    "acceptance/test_streaks_and_tiers",
    "acceptance/test_team_leaderboards",
    "acceptance/test_texts",
    "acceptance/test_voids",
    "faults/test_dead_letters",
    "integration/test_aliases",
    "integration/test_contests",
    "integration/test_dead_messages",
    "integration/test_interrupted",
    "integration/test_kept_awards",
    "integration/test_messages",
    "integration/test_outbox",
    "integration/test_participants_page",
    "integration/test_permits",
    "integration/test_points_expiry",
    "integration/test_rankings",
    "integration/test_recipients",
    "integration/test_shared_challenges",
    "integration/test_shared_transactions",
    "integration/test_statement_calls",
    "integration/test_team_rankings",
    "integration/test_voids",
}
"""Modules that run over PostgreSQL by default, too."""

BEFORE_THE_STORE = "it is about what comes before the store"
FILES = "it is about the files of a data directory"
ON_A_FILE = {
    "acceptance/test_backup": "test_postgresql_backup has what is different",
    "acceptance/test_browsers": BEFORE_THE_STORE,
    "acceptance/test_service": BEFORE_THE_STORE,
    "acceptance/test_tls": BEFORE_THE_STORE,
    "acceptance/test_webhook_tls": "it is about the connection to a receiver",
    "acceptance/test_without_pysqlite3": "it is about which SQLite is used",
    "faults/test_connections": BEFORE_THE_STORE,
    "faults/test_damage": FILES,
    "faults/test_data_directory": FILES,
    "faults/test_gzip": BEFORE_THE_STORE,
    "faults/test_headers": BEFORE_THE_STORE,
    "faults/test_memory": BEFORE_THE_STORE,
    "harness/test_conform_cli": "it is about what the command prints",
    "integration/test_old_backup": FILES,
}
"""Modules there that run over SQLite alone, and why."""

WITH_PROCESSES = {
    "acceptance/test_aliases",
    "acceptance/test_awards",
    "acceptance/test_contests",
    "acceptance/test_participant_tokens",
    "acceptance/test_recipients",
    "acceptance/test_rewards",
    "acceptance/test_sandbox",
    "acceptance/test_sandbox_at_once",
    "acceptance/test_sandbox_clock",
    "acceptance/test_sandbox_export",
    "acceptance/test_sandbox_reset",
    "acceptance/test_webhook_sandbox",
    "harness/test_conform",
    "harness/test_shipped",
}
"""Modules whose tests run once more, each request going to any of two processes."""

OF_ONE_PROCESS = {"server", "data_dir", "new_store", "store_address"}
"""Fixtures of tests that know which process they talk to, or start their own."""


def stores_of(module: str, marks: Collection[str], fixtures: Collection[str], chosen: str) -> list[str]:
    """The kinds of store that a test runs with. `module`: its directory and its name, as in the sets above."""
    able = [SQLITE]
    if _can_be_over_postgresql(module, marks) and (chosen != USUAL or module in ALSO_OVER_POSTGRESQL):
        able.append(POSTGRESQL)
    if module in WITH_PROCESSES and not OF_ONE_PROCESS & {*fixtures} and not {"of_a_file", "of_one_process"} & {*marks}:
        able.append(PROCESSES)
    return [each for each in able if chosen in (USUAL, BOTH, each)]


def _can_be_over_postgresql(module: str, marks: Collection[str]) -> bool:
    return module.partition("/")[0] in DIRECTORIES and module not in ON_A_FILE and "of_a_file" not in marks
