"""An admitted request, as handlers see it."""

from typing import Generic

from msgspec import Struct
from starlette.requests import Request
from typing_extensions import TypeVar

from bq_server.api.middleware.envelope import path_parameter
from bq_server.api.schemas.values import Query
from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.refusals import NULL_CHARACTER, Code, FieldError, Refusal
from bq_server.store.audit_log import Act, Action, Actor
from bq_server.store.keys import ApiKey

Q = TypeVar("Q", bound=Query, covariant=True, default=Query)


class Call(Struct, Generic[Q], frozen=True):
    """An admitted request, with its query as the model that its operation names."""

    request: Request
    key: ApiKey | None
    """The key that it was admitted with; None if none is needed."""
    query: Q
    clock: Clock
    """The server's, whatever clock the environment has."""

    @property
    def scope(self) -> Scope:
        """The environment that the key acts on."""
        return self.key.scope if self.key is not None else Scope("", "")

    def act(self, action: Action) -> Act:
        """An administrative action of this call: whatever carries it out records it in the audit log."""
        state = self.request.scope
        actor = Actor(state.get("bq.key_id"), None, state.get("bq.address"), state.get("bq.request_id"))
        return Act(action, self.scope, actor, self.clock)

    def missing(self, what: str, name: str) -> Refusal:
        """The refusal for something that the environment doesn't have."""
        return Refusal(Code.NOT_FOUND, f"The {self.scope.environment} environment has no {what} {name}.")

    def undefined(self, kind: str, code: str) -> Refusal:
        """The refusal for a definition that the environment's game doesn't have."""
        return Refusal(Code.NOT_FOUND, f"The {self.scope.environment} environment's game has no {kind} {code}.")

    def in_sandbox(self) -> None:
        """Raises `Refusal` for a key of the live environment."""
        if self.scope.environment != "test":
            detail = "The sandbox is for test environments, and this is a live key: use a bq_test_ key."
            raise Refusal(Code.FORBIDDEN, detail)

    def parameter(self, name: str) -> str:
        """A parameter of the path, unescaped: an escaped slash is part of it. Raises `Refusal`."""
        value: str = self.request.path_params[name]
        require_stored(name, value)
        return path_parameter(value)


def require_stored(name: str, value: str) -> None:
    """Raises `Refusal` for a parameter that no name or id can be, because not every store can keep it."""
    if "\0" in value:
        raise Refusal.of_fields([FieldError(name, "null_character", NULL_CHARACTER)])
