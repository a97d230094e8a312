"""Send events to a bq-server, and read what they led to: `Client`, and `AsyncClient` for asyncio."""

from bq_client.answers import Accepted, BatchResult, Fact, Message, Rehearsal, Rejection
from bq_client.async_batch import AsyncBatch
from bq_client.async_client import AsyncClient
from bq_client.batch import Batch
from bq_client.client import Client
from bq_client.errors import BqError, Refused, Unreachable, Unsent
from bq_client.events import Event
from bq_client.feed import FeedEvent
from bq_client.retries import Retries

__all__ = [
    "Accepted",
    "AsyncBatch",
    "AsyncClient",
    "Batch",
    "BatchResult",
    "BqError",
    "Client",
    "Event",
    "Fact",
    "FeedEvent",
    "Message",
    "Refused",
    "Rehearsal",
    "Rejection",
    "Retries",
    "Unreachable",
    "Unsent",
]
