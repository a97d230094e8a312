"""What a worker does that doesn't lead: the part of a batch that the leading one hands it."""

import asyncio
from collections.abc import Callable

import structlog

from bq_server.concurrency.interruption import answer_unless
from bq_server.events import Event
from bq_server.processing.message_batch import verdict_on
from bq_server.processing.processor import NotBeside, Processor
from bq_server.store.beside import Permit
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.shares import Part, PartAnswer, Shares
from bq_server.stream.store_note import StoreNote

log = structlog.get_logger("bq_server.processing.share_worker")

RETRY_SECONDS = 1.0

WHILE_LEADING_SECONDS = 0.25
"""How often to look whether this process still leads: then it is handed nothing."""


class ShareWorker:
    """Processes parts of batches, one after the other."""

    def __init__(self, processor: Processor, shares: Shares, note: StoreNote, leads: Callable[[], bool]) -> None:
        """`note`: the processor's. `leads`: whether this process does, now."""
        self._processor = processor
        self._note = note
        self._shares = shares
        self._leads = leads
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Wait for parts and process them, until `stop`."""
        trouble: str | None = None
        while not self._stopped.done():
            if self._leads():
                await self._pause(WHILE_LEADING_SECONDS)
                continue
            try:
                part = await answer_unless(self._stopped, self._shares.next_part())
                if part is not None:
                    await self._shares.answer(part, await self._processed(part))
                trouble = None
            except Exception as error:
                if trouble is None:
                    expected = isinstance(error, StreamUnavailable)
                    log.warning("share.not_heard", reason=str(error), exc_info=None if expected else error)
                trouble = str(error)
                await self._pause(RETRY_SECONDS)

    def stop(self) -> None:
        """Finish and answer the part under way, then let `run` return."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def _processed(self, part: Part) -> PartAnswer:
        """Process a part in one transaction; whatever goes wrong, the leader processes its messages itself."""
        holder, name, term = part.permit
        permit = Permit(name=name, holder=holder, term=term)
        try:
            events = [Event.from_payload(payload, known_as) for known_as, payload in part.messages]
            outcomes = await self._processor.process_beside(events, permit)
        except NotBeside as error:
            return PartAnswer(part.number, failure=str(error), alone=list(error.scopes))
        except Exception as error:  # noqa: BLE001 - the leader finds out what is at fault
            log.warning("share.not_processed", reason=str(error), error=type(error).__name__, events=len(part.messages))
            return PartAnswer(part.number, failure=str(error) or repr(error))
        return PartAnswer(part.number, [verdict_on(outcome) for outcome in outcomes], self._note.height)

    async def _pause(self, seconds: float) -> None:
        await asyncio.wait({self._stopped}, timeout=seconds)
