"""`/api/v1/feed`: what happens, as Server-Sent Events."""

import re

from starlette.responses import Response

from bq_server.api.auth import Keyring
from bq_server.api.call import Call
from bq_server.api.feed_events import FeedEvent, read_position
from bq_server.api.feed_response import FeedResponse
from bq_server.api.operations import DocumentedAnswer, operation
from bq_server.api.schemas.feed import POSITION, FeedEnd, FeedMessage, FeedQuery
from bq_server.clock import Clocks
from bq_server.delivery.feeds import Feeds, TooManyFeeds
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store.feed import Position

PATH = "/api/v1/feed"
TAG = "Feed"
RESUMES = "Last-Event-ID"


class FeedResource:
    """Opens feeds."""

    def __init__(
        self,
        feeds: Feeds[FeedEvent],
        keyring: Keyring,
        clocks: Clocks,
        *,
        heartbeat_seconds: float,
        write_timeout_seconds: float,
    ) -> None:
        """A slow client gets a third of the write timeout; the rest is for telling it so."""
        self._feeds = feeds
        self._keyring = keyring
        self._clocks = clocks
        self._heartbeat = heartbeat_seconds
        self._taking = write_timeout_seconds / 3

    @operation(
        "streamFeed",
        "GET",
        PATH,
        TAG,
        {200: DocumentedAnswer(FeedMessage, "Lasts until either side ends it.", media_type="text/event-stream")},
        scope="read",
        query=FeedQuery,
        resumes=True,
        codes=(Code.TOO_MANY_FEEDS,),
    )
    async def stream(self, call: Call[FeedQuery]) -> Response:
        """What happens, as it is committed: facts with their effects, dead letters, changes of the game."""
        key, scope = call.key, call.scope
        assert key is not None  # noqa: S101 - the operation needs a scope
        try:
            self._feeds.require_room(key.key_id)
        except TooManyFeeds as error:
            raise Refusal(Code.TOO_MANY_FEEDS, f"{error}: close one, or wait.") from None
        await self._feeds.wish(scope, call.query.wishes)
        after = await self._after(call)

        def over() -> FeedEnd | None:
            if self._feeds.ended:
                return FeedEnd(reason="server_stopping", detail="The server is stopping. Connect again in a moment.")
            if not self._keyring.still_admits(call.request, key):
                return FeedEnd(reason="key_ended", detail="The key was revoked, or it or the session came to its end.")
            return None

        def now() -> int:
            return self._clocks.now(scope)

        return FeedResponse(call, self._feeds, after, over, now, self._heartbeat, self._taking)

    async def _after(self, call: Call) -> Position:
        """Where to begin: after the last event that the client received, or after everything there is."""
        head = await self._feeds.head()
        given = call.request.headers.get(RESUMES)
        if not given:
            return head
        if not re.fullmatch(POSITION, given):
            raise _wrong("unknown_id", "is neither the id of an event of the feed nor 0, which is the beginning")
        position = read_position(given)
        if position.seq > head.seq or position.notice > head.notice:
            detail = "comes after everything here: it is from another database, or from a newer copy. Begin without it"
            raise _wrong("id_ahead", detail)
        return position


def _wrong(code: str, detail: str) -> Refusal:
    return Refusal.of_fields([FieldError(RESUMES, code, detail)])
