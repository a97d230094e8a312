"""What precedes the handler: where a request comes from, how many may, and whose key it has."""

from dataclasses import dataclass

from starlette.requests import Request

from bq_server.api.addresses import Proxies
from bq_server.api.auth import Keyring, presented_key
from bq_server.api.headers import require_single
from bq_server.api.rate_limits import RateLimits, tighter
from bq_server.refusals import Code, Refusal
from bq_server.store.keys import ApiKey, KeyScope


@dataclass(frozen=True, slots=True)
class Admission:
    """Admits requests."""

    keyring: Keyring
    limits: RateLimits
    proxies: Proxies

    async def admit(self, request: Request, needed: KeyScope) -> ApiKey:
        """The key of an admitted request.

        Raises `Refusal`: rate_limited; unauthenticated, without saying why; or forbidden. What it finds is left in the
        request's scope: `bq.address`, `bq.key_id`, and the state of its limits in `bq.rate`.
        """
        state, limits = request.scope, self.limits
        address = state["bq.address"] = self.proxies.client_of(request)
        by_address = state["bq.rate"] = limits.of_address(address)
        limits.require(by_address)
        require_single(request)
        presented = presented_key(request, needed)
        keyring = self.keyring
        key = keyring.of_session(request) if presented is None else await keyring.expect(presented)
        if key is None:
            if presented is not None:
                limits.count_wrong_key(address)
            detail = "Send a valid API key in the X-API-Key header; `bq-server keys create` makes one."
            raise Refusal(Code.UNAUTHENTICATED, detail)
        state["bq.key_id"] = key.key_id
        allowance = state["bq.rate"] = tighter(by_address, limits.of_key(key))
        limits.require(allowance)
        if not key.allows(needed):
            held = ", ".join(sorted(key.scopes))
            detail = f"This needs the scope {needed}, and the key has {held}: make one with --scope {needed}."
            raise Refusal(Code.FORBIDDEN, detail)
        return key
