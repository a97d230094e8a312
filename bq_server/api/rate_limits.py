"""How many requests may come with one key, and from one address, in a period."""

from typing import Literal, Protocol, get_args

from msgspec import Struct

from bq_server.api.addresses import is_this_machine, network_of
from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.moments import SECOND
from bq_server.refusals import Code, Refusal
from bq_server.settings import RateLimit
from bq_server.store.keys import ApiKey

MOST_COUNTED = 50_000
"""Of each kind that are counted at once; past it the one that asked longest ago is forgotten."""

Counted = Literal["key", "address", "wrong_keys", "participant"]
"""What is counted of: each kind by itself, so that many addresses make no key forgotten."""


class RateCounts(Protocol):
    """Where requests are counted. Several processes could share one that is kept elsewhere."""

    def count(self, kind: Counted, name: str, span: int) -> int:
        """Count one more in the period of this number; returns how many there have been in it."""


class LocalCounts:
    """Counts of this process."""

    def __init__(self) -> None:
        self._counted: dict[str, dict[str, tuple[int, int]]] = {kind: {} for kind in get_args(Counted)}
        """Of each kind the spans and the counts, those that were counted last at the end."""

    def count(self, kind: Counted, name: str, span: int) -> int:
        """Count one more in the period of this number; returns how many there have been in it."""
        known = self._counted[kind]
        before, counted = known.pop(name, (span, 0))
        counted = counted + 1 if before == span else 1
        known[name] = span, counted
        if len(known) > MOST_COUNTED:
            del known[next(iter(known))]
        return counted


class Allowance(Struct, frozen=True):
    """The state of a limit for a client, this request included."""

    limit: RateLimit
    counted: int
    ends: int
    """When the period ends, in seconds since the epoch."""
    whose: str
    """Whose limit it is, for a sentence."""

    @property
    def over(self) -> bool:
        """Whether this request is one too many."""
        return self.counted > self.limit.requests

    @property
    def remaining(self) -> int:
        """How many more may come."""
        return max(0, self.limit.requests - self.counted)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every answer under it (vendor notes, 2.3)."""
        return {
            "X-RateLimit-Limit": str(self.limit.requests),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.ends),
        }

    def refusal(self, now: int) -> Refusal:
        """The refusal of a request over the limit, at a time in microseconds since the epoch."""
        seconds = max(1, self.ends - now // SECOND)
        detail = (
            f"{self.whose} may send {self.limit.requests} requests in {self.limit.seconds} s: "
            f"retry in {seconds} s. This one had no effect."
        )
        return Refusal(Code.RATE_LIMITED, detail, retry_after=seconds)


class RateLimits:
    """Checks requests against the limits of their keys and addresses. Without a limit nothing is counted."""

    def __init__(
        self,
        clock: Clock,
        per_key: RateLimit | None = None,
        per_address: RateLimit | None = None,
        wrong_keys: RateLimit | None = None,
        counts: RateCounts | None = None,
        per_participant: RateLimit | None = None,
    ) -> None:
        """`per_key` is the limit of keys without their own. This machine's own addresses have none."""
        self._clock = clock
        self._per_key = per_key
        self.per_address = per_address
        self._wrong_keys = wrong_keys
        self._per_participant = per_participant
        self._counts = LocalCounts() if counts is None else counts

    def of_address(self, address: str) -> Allowance | None:
        """The state of the address's limit after one more request; None without a limit."""
        if self.per_address is None or is_this_machine(address):
            return None
        return self._allowance("address", network_of(address), self.per_address, "This address")

    def of_key(self, key: ApiKey) -> Allowance | None:
        """The state of the key's limit after one more request; None without a limit."""
        limit = key.rate_limit or self._per_key
        if limit is None or not limit.requests:
            return None
        return self._allowance("key", key.key_id, limit, "This key")

    def of_participant(self, scope: Scope, participant_id: str) -> Allowance | None:
        """The state of the limit of a participant's tokens, all together, after one more request; None without one.

        Not of their key: one participant must not use up what the others, and the backend, may send.
        """
        if self._per_participant is None:
            return None
        name = "/".join((*scope, participant_id))
        return self._allowance("participant", name, self._per_participant, "This participant")

    def must_count(self, key: ApiKey) -> bool:
        """Whether requests with this key have to be counted at all."""
        return self._per_key is not None or key.rate_limit is not None or self.per_address is not None

    def of_both(self, address: str, key: ApiKey) -> Allowance | None:
        """As both: the one with less left. A request over its address's limit isn't counted against its key."""
        by_address = self.of_address(address)
        return by_address if by_address is not None and by_address.over else tighter(by_address, self.of_key(key))

    def count_wrong_key(self, address: str) -> None:
        """Count an invalid key. Raises `Refusal` if there were too many.

        A valid key from the same address is still accepted: otherwise anybody sharing it with somebody who guesses
        would be locked out, and 128 random bits can't be guessed.
        """
        if self._wrong_keys is None or is_this_machine(address):
            return
        allowance = self._allowance("wrong_keys", network_of(address), self._wrong_keys, "This address")
        if allowance.over:
            seconds = max(1, allowance.ends - self._clock() // SECOND)
            detail = f"Too many invalid keys came from this address. Send a valid one, or retry in {seconds} s."
            raise Refusal(Code.RATE_LIMITED, detail, retry_after=seconds)

    def require(self, allowance: Allowance | None) -> None:
        """Raises `Refusal` for a request over the limit."""
        if allowance is not None and allowance.over:
            raise allowance.refusal(self._clock())

    def _allowance(self, kind: Counted, name: str, limit: RateLimit, whose: str) -> Allowance:
        span = self._clock() // (limit.seconds * SECOND)
        return Allowance(limit, self._counts.count(kind, name, span), (span + 1) * limit.seconds, whose)


def tighter(one: Allowance | None, other: Allowance | None) -> Allowance | None:
    """The one with less left."""
    if one is None or other is None:
        return one or other
    return one if one.remaining < other.remaining else other
