"""What precedes the handler: where a request comes from, how many may, and whose key it has."""

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request

from bq_server.api.addresses import Proxies
from bq_server.api.auth import Keyring, presented_key
from bq_server.api.headers import require_single
from bq_server.api.middleware.envelope import path_parameter
from bq_server.api.participant_tokens import ParticipantToken, TokenUse, presented_token
from bq_server.api.problems import HttpRefusal
from bq_server.api.rate_limits import RateLimits, tighter
from bq_server.refusals import Code, Refusal
from bq_server.store.keys import ApiKey, KeyScope


class Admission(Struct, frozen=True):
    """Admits requests."""

    keyring: Keyring
    limits: RateLimits
    proxies: Proxies

    async def admit(self, request: Request, needed: KeyScope, use: TokenUse | None = None) -> ApiKey:
        """The key of an admitted request; of one with a participant token, the key that made it, without any scope.

        `use` is what a token may read by this route. Raises `Refusal`: rate_limited; unauthenticated, without saying
        why; token_expired; or forbidden. What it finds is left in the request's scope: `bq.address`, `bq.key_id`, and
        the state of its limits in `bq.rate`.
        """
        state, limits = request.scope, self.limits
        address = state["bq.address"] = self.proxies.client_of(request)
        by_address = state["bq.rate"] = limits.of_address(address)
        limits.require(by_address)
        require_single(request)
        presented = presented_key(request, needed)
        keyring = self.keyring
        if presented is None and (token := presented_token(request)) is not None:
            return await self._admit_token(request, token, needed, use)
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

    async def _admit_token(self, request: Request, text: str, needed: KeyScope, use: TokenUse | None) -> ApiKey:
        state, tokens = request.scope, self.keyring.tokens
        token = tokens.read(text)
        if token is None:
            self.limits.count_wrong_key(state["bq.address"])
            raise _no_token()
        allowance = state["bq.rate"] = tighter(
            state["bq.rate"], self.limits.of_participant(token.scope, token.participant_id)
        )
        self.limits.require(allowance)
        if tokens.has_expired(token):
            raise Refusal(Code.TOKEN_EXPIRED, "The participant token has expired: have another one made.")
        key = self.keyring.by_id(token.key_id)
        if key is None or key.scope != token.scope or not await tokens.is_in_force(token):
            raise _no_token()
        state["bq.key_id"] = key.key_id
        _require_own(request, token, needed, use)
        return replace(key, scopes=frozenset())


def _no_token() -> Refusal:
    detail = (
        "The participant token is not valid, or was revoked: have another one made. Everything else needs an API key "
        "in the X-API-Key header."
    )
    return HttpRefusal(Code.UNAUTHENTICATED, detail, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _require_own(request: Request, token: ParticipantToken, needed: KeyScope, use: TokenUse | None) -> None:
    """Raises `Refusal` for a request that a token doesn't allow."""
    if use is None:
        detail = (
            "A participant token only reads what is of its participant, leaderboards and rewards: this needs an API "
            f"key with the scope {needed}."
        )
        raise Refusal(Code.FORBIDDEN, detail)
    if use == "own" and _asked_about(request) != token.participant_id:
        raise Refusal(Code.FORBIDDEN, "The token is of another participant than the one that is asked about.")


def _asked_about(request: Request) -> str | None:
    """The participant in the path or, if the path names none, in the query."""
    in_path = request.path_params.get("participant_id")
    return request.query_params.get("participant_id") if in_path is None else path_parameter(in_path)
