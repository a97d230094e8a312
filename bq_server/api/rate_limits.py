"""How many requests may come with one key, and from one address, in a span of time."""

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from bq_server.api.addresses import is_this_machine, network_of
from bq_server.clock import Clock
from bq_server.moments import SECOND
from bq_server.refusals import Code, Refusal
from bq_server.settings import RateLimit
from bq_server.store.keys import ApiKey

MOST_COUNTED = 50_000
"""Of each kind that are counted at once; past it the one that asked longest ago is forgotten."""

Counted = Literal["key", "address", "wrong_keys"]
"""What is counted of: each kind by itself, so that many addresses make no key forgotten."""


class RateCounts(Protocol):
    """Where requests are counted. Several processes can share one that is kept elsewhere."""

    def count(self, kind: Counted, name: str, span: int) -> int:
        """Count one more in this span of time, the spans being numbered; answers how many there were in it by now."""


class LocalCounts:
    """Counts of this process."""

    def __init__(self) -> None:
        self._counted: dict[str, dict[str, tuple[int, int]]] = {kind: {} for kind in get_args(Counted)}
        """Of each kind the spans and the counts, those that were counted last at the end."""

    def count(self, kind: Counted, name: str, span: int) -> int:
        """Count one more in this span of time; answers how many there were in it by now."""
        known = self._counted[kind]
        before, counted = known.pop(name, (span, 0))
        counted = counted + 1 if before == span else 1
        known[name] = span, counted
        if len(known) > MOST_COUNTED:
            del known[next(iter(known))]
        return counted


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where whoever asks stands with a limit, this request included."""

    limit: RateLimit
    counted: int
    ends: int
    """When the span ends, in seconds since the epoch."""
    whose: str
    """What the limit is of, for a sentence."""

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
        """What every answer says of it (vendor notes, 2.3)."""
        return {
            "X-RateLimit-Limit": str(self.limit.requests),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.ends),
        }

    def refusal(self, now: int) -> Refusal:
        """What a request over the limit is refused with, at a time in microseconds since the epoch."""
        seconds = max(1, self.ends - now // SECOND)
        detail = (
            f"{self.whose} may send {self.limit.requests} requests in {self.limit.seconds} s: "
            f"send the next in {seconds} s. Nothing of this one was done."
        )
        return Refusal(Code.RATE_LIMITED, detail, retry_after=seconds)


class RateLimits:
    """Holds requests against the limits of their keys and addresses. Without a limit nothing is counted."""

    def __init__(
        self,
        clock: Clock,
        per_key: RateLimit | None = None,
        per_address: RateLimit | None = None,
        wrong_keys: RateLimit | None = None,
        counts: RateCounts | None = None,
    ) -> None:
        """`per_key` is of keys that have no limit of their own. This machine's own addresses have none."""
        self._clock = clock
        self._per_key = per_key
        self.per_address = per_address
        self._wrong_keys = wrong_keys
        self._counts = LocalCounts() if counts is None else counts

    def of_address(self, address: str) -> Allowance | None:
        """Where the address stands after one more request; None without a limit."""
        if self.per_address is None or is_this_machine(address):
            return None
        return self._allowance("address", network_of(address), self.per_address, "This address")

    def of_key(self, key: ApiKey) -> Allowance | None:
        """Where the key stands after one more request; None without a limit."""
        limit = key.rate_limit or self._per_key
        if limit is None or not limit.requests:
            return None
        return self._allowance("key", key.key_id, limit, "This key")

    def limits(self, key: ApiKey) -> bool:
        """Whether requests with this key have to be counted at all."""
        return self._per_key is not None or key.rate_limit is not None or self.per_address is not None

    def of_both(self, address: str, key: ApiKey) -> Allowance | None:
        """As both: where less is left. An address that is over its limit costs its key nothing."""
        by_address = self.of_address(address)
        return by_address if by_address is not None and by_address.over else tighter(by_address, self.of_key(key))

    def count_wrong_key(self, address: str) -> None:
        """Count a key that is none. Raises `Refusal` when there were too many.

        A valid key from there is let in all the same: else whoever shares an address with one who guesses were shut
        out, and 128 random bits need no help.
        """
        if self._wrong_keys is None or is_this_machine(address):
            return
        allowance = self._allowance("wrong_keys", network_of(address), self._wrong_keys, "This address")
        if allowance.over:
            seconds = max(1, allowance.ends - self._clock() // SECOND)
            detail = f"Too many wrong keys came from this address. Send a valid one, or the next in {seconds} s."
            raise Refusal(Code.RATE_LIMITED, detail, retry_after=seconds)

    def require(self, allowance: Allowance | None) -> None:
        """Raises `Refusal` for a request over the limit."""
        if allowance is not None and allowance.over:
            raise allowance.refusal(self._clock())

    def _allowance(self, kind: Counted, name: str, limit: RateLimit, whose: str) -> Allowance:
        span = self._clock() // (limit.seconds * SECOND)
        return Allowance(limit, self._counts.count(kind, name, span), (span + 1) * limit.seconds, whose)


def tighter(one: Allowance | None, other: Allowance | None) -> Allowance | None:
    """The one that leaves less."""
    if one is None or other is None:
        return one or other
    return one if one.remaining < other.remaining else other
