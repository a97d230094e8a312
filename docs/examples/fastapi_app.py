"""A shop that sends its purchases to bq-server and shows customers their points.

pip install fastapi uvicorn ./clients/python
BQ_API_KEY=bq_test_... uvicorn fastapi_app:app --app-dir docs/examples --port 8000
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from bq_client import AsyncClient, Event


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the whole application. When it stops, the batch sends what it still holds."""
    async with AsyncClient(os.environ.get("BQ_URL", "http://127.0.0.1:8080"), os.environ["BQ_API_KEY"]) as bq:
        app.state.bq, app.state.views = bq, bq.batch()
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/products/{product_id}")
async def product(product_id: str, user: str, request: Request) -> dict[str, str]:
    """Many and small: gathered, and sent together."""
    await request.app.state.views.add(Event("product_viewed", user, {"product_id": product_id}))
    return {"product_id": product_id}


@app.post("/orders/{order_id}", status_code=201)
async def order(order_id: str, user: str, amount: float, request: Request) -> dict[str, str]:
    """Few and dear: durable before the customer is answered. However often an order comes, it counts once."""
    event = Event("purchase_completed", user, {"amount": amount}, idempotency_key=f"order-{order_id}")
    accepted = await request.app.state.bq.send(event)
    return {"message_id": accepted.message_id}


@app.get("/me")
async def me(user: str, request: Request) -> dict[str, Any]:
    """What the customer's events came to so far."""
    state: dict[str, Any] = await request.app.state.bq.state(user)
    return {"points": state["points"]["balance"], "badges": state["badges"]}
