"""Importing an environment into an empty one: its facts are processed again, in their order, by the same code."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import asdict
from pydantic_core import to_json

from bq_server.events import Event, Scope
from bq_server.game.document.definitions import Game
from bq_server.game.facts import FACT_VOIDED
from bq_server.ids import IdSource
from bq_server.ingest.unavailable import unavailable
from bq_server.processing.game_changes import GameChanges
from bq_server.processing.processor import Processed, Processor
from bq_server.refusals import Code, Refusal
from bq_server.sandbox.exported_environment import ExportedEnvironment, FactLine, ParticipantLine
from bq_server.sandbox.resetter import Resetter
from bq_server.store import environments, facts, participants
from bq_server.store.audit_log import Act
from bq_server.store.database import Database
from bq_server.store.participants import Participant

BATCH = 100
"""Facts per transaction, as in the consumer."""


class Imported(Struct, frozen=True):
    """What was imported."""

    facts: int
    participants: int
    game: bool


class Importer:
    """Imports exported environments into empty ones. Raises `Refusal`."""

    def __init__(
        self, database: Database, processor: Processor, game_changes: GameChanges, resetter: Resetter, ids: IdSource
    ) -> None:
        self._database = database
        self._processor = processor
        self._game_changes = game_changes
        self._resetter = resetter
        self._ids = ids

    async def run(self, act: Act, scope: Scope, exported: ExportedEnvironment, seconds: float) -> Imported:
        """Process the facts in an environment that has none. A game in the lines replaces the one in force.

        The act is recorded when the import begins, since it takes many transactions. `seconds` is how long to wait for
        what was accepted before. Raises `Refusal` if the environment has facts.
        """
        with unavailable("Nothing can be imported"):
            async with self._database.read() as connection:
                held, _ = await environments.count(connection, scope)
            if held:
                detail = (
                    f"The environment has {held} facts, and an import needs an empty one: POST /sandbox/reset first."
                )
                raise Refusal(Code.NOT_EMPTY, detail)
            imported = Imported(len(exported.facts), len(exported.participants), exported.game is not None)
            await self._resetter.empty(
                act, asdict(imported), scope, game=imported.game, seconds=seconds, keep_clock=True
            )
            await self._put_participants(scope, exported.participants)
            if exported.game is None:
                await self._process(scope, exported.facts, {})
            else:
                await self._process_by_game(scope, exported.game, exported)
            await self._game_changes.watch_contests(scope)
        return imported

    async def _process_by_game(self, scope: Scope, game: Game, exported: ExportedEnvironment) -> None:
        """Process the facts, with each definition starting to count where it did."""
        done, fact_ids = 0, dict[str, str]()
        try:
            for boundary in sorted({0, *exported.counts_after.values()}):
                upto = min(boundary, len(exported.facts))
                await self._process(scope, exported.facts[done:upto], fact_ids)
                done = upto
                later = {key for key, count in exported.counts_after.items() if count > boundary}
                await self._game_changes.begin(scope, game, not_yet=later)
            await self._process(scope, exported.facts[done:], fact_ids)
        except BaseException:
            # No definition may wait for facts that never come.
            await self._game_changes.begin(scope, game, not_yet=())
            raise

    async def _put_participants(self, scope: Scope, lines: Sequence[ParticipantLine]) -> None:
        for start in range(0, len(lines), BATCH):
            async with self._database.transaction() as connection:
                for each in lines[start : start + BATCH]:
                    attributes = to_json(each.attributes).decode()
                    known = Participant(
                        each.participant_id, each.display_name, each.avatar_url, attributes, 0, each.created_at
                    )
                    await participants.put(connection, scope, known)

    async def _process(self, scope: Scope, lines: Sequence[FactLine], fact_ids: dict[str, str]) -> None:
        for start in range(0, len(lines), BATCH):
            some = lines[start : start + BATCH]
            async with self._database.read() as connection:
                taken = await facts.taken(connection, [each.event_id for each in some])
            events = [
                _event(each, scope, self._ids.new("evt") if each.event_id in taken else None, fact_ids) for each in some
            ]
            outcomes = await self._processor.process(events)
            if not all(isinstance(each, Processed) for each in outcomes):
                detail = "Events with idempotency keys of the import arrived meanwhile: reset, and import again."
                raise Refusal(Code.NOT_EMPTY, detail)


def _event(line: FactLine, scope: Scope, other_id: str | None, fact_ids: dict[str, str]) -> Event:
    """The event that becomes the fact again. `fact_ids` maps the ids of facts before it to what they are now."""
    custom = line.fact_type.startswith("custom.")
    event_id = other_id or line.event_id
    fact_ids[line.fact_id] = "fact" + event_id.removeprefix("evt")
    properties, voids = line.properties, line.voids
    if line.fact_type == FACT_VOIDED:
        voids = fact_ids.get(properties["fact_id"], properties["fact_id"])
        properties = {**properties, "fact_id": voids}
    return Event(
        event_id=event_id,
        scope=scope,
        event_name=line.fact_type.removeprefix("custom."),
        participant_id=line.participant_id,
        properties=to_json(properties).decode(),
        occurred_at=line.occurred_at,
        received_at=line.received_at,
        idempotency_key=line.idempotency_key,
        fingerprint=line.fingerprint,
        warnings=to_json(line.warnings).decode(),
        system_type=None if custom else line.fact_type,
        voids=voids,
    )
