"""A handwritten peer: FastAPI on Uvicorn and redis-py. One key check, one validation and one XADD per event.

python fastapi_peer.py SOCKET KEY        prints "listening PORT"
"""

import hashlib
import hmac
import socket
import sys
from datetime import datetime
from typing import Annotated, Any

import redis.asyncio as redis
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

STREAM = "events"


def _text(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a string")
    return value


class PeerEvent(BaseModel):
    """The Event Schema, as a one-page service would write it."""

    model_config = ConfigDict(extra="allow", strict=True)

    event_name: str = Field(min_length=1, max_length=100)
    participant_id: str = Field(min_length=1, max_length=255)
    properties: dict[str, Any] | None = None
    timestamp: Annotated[datetime | None, Field(strict=False), BeforeValidator(_text)] = None
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class PeerBatch(BaseModel):
    """Each event is validated by itself."""

    events: list[Any] = Field(min_length=1, max_length=100)


def create_app(path: str, key: str) -> FastAPI:
    """The service over the stream server that listens at a path."""
    app = FastAPI(openapi_url=None)
    client = redis.Redis(unix_socket_path=path, decode_responses=True)
    digest = hashlib.sha256(key.encode()).hexdigest()
    keys = {digest[:8]: digest}

    def check_key(request: Request) -> None:
        presented = hashlib.sha256(request.headers.get("x-api-key", "").encode()).hexdigest()
        known = keys.get(presented[:8])
        if known is None or not hmac.compare_digest(known, presented):
            raise HTTPException(401, "Send a valid API key in the X-API-Key header.")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "Send Content-Type: application/json.")

    @app.exception_handler(RequestValidationError)
    async def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
        kinds = {(each["type"], each["loc"]) for each in error.errors()}
        not_json = ("missing", ("body",)) in kinds or any(kind == "json_invalid" for kind, _ in kinds)
        code = "invalid_json" if not_json else "validation_failed"
        return JSONResponse({"code": code, "detail": str(error)}, 400 if not_json else 422)

    @app.post("/api/v1/ingest/events", status_code=202, dependencies=[Depends(check_key)])
    async def accept_event(event: PeerEvent) -> dict[str, Any]:
        message_id = await client.xadd(STREAM, {"e": event.model_dump_json()})
        return {"accepted": True, "message_id": message_id}

    @app.post("/api/v1/ingest/events/batch", status_code=202, dependencies=[Depends(check_key)])
    async def accept_batch(batch: PeerBatch, response: Response) -> dict[str, Any]:
        errors = []
        pipeline = client.pipeline(transaction=False)
        for index, document in enumerate(batch.events):
            try:
                pipeline.xadd(STREAM, {"e": PeerEvent.model_validate(document).model_dump_json()})
            except ValidationError as error:
                errors.append({"index": index, "detail": str(error)})
        ids = await pipeline.execute()
        response.status_code = 202 if ids else 422
        answer = {"accepted": len(ids), "rejected": len(errors), "message_ids": ids}
        return answer | {"errors": errors} if errors else answer

    return app


def main() -> None:
    """Serve on a free port of the loopback address until the process is terminated."""
    path, key = sys.argv[1:]
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(create_app(path, key), log_level="error", access_log=False, http="httptools", loop="uvloop")
    print(f"listening {listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
