"""The partitions of the participants: workers that process at the same time have different ones."""

from zlib import crc32

from bq_server.events import Scope

PARTITIONS = 16
"""Of all installations: processes of different releases must agree on it."""


def partition_of(scope: Scope, participant_id: str) -> int:
    """The partition of a participant, from 0."""
    return crc32("/".join((*scope, participant_id)).encode(errors="surrogatepass")) % PARTITIONS
