// A shop that sends its purchases to bq-server and shows customers their points.
//
//     npm ci --prefix clients/typescript && npm install express ./clients/typescript
//     BQ_API_KEY=bq_test_... node express_app.mjs
import { Client, Refused } from "bq-client";
import express from "express";

const bq = new Client(process.env.BQ_URL ?? "http://127.0.0.1:8080", process.env.BQ_API_KEY);
const views = bq.batch();
const app = express();

// Many and small: gathered, and sent together.
app.get("/products/:id", async (request, response) => {
  await views.add({ event_name: "product_viewed", participant_id: request.query.user, properties: { product_id: request.params.id } });
  response.json({ product_id: request.params.id });
});

// Few and dear: durable before the customer is answered. However often an order comes, it counts once.
app.post("/orders/:id", async (request, response) => {
  const accepted = await bq.send({
    event_name: "purchase_completed",
    participant_id: request.query.user,
    properties: { amount: Number(request.query.amount) },
    idempotency_key: `order-${request.params.id}`,
  });
  response.status(201).json({ message_id: accepted.message_id });
});

// What the customer's events came to so far.
app.get("/me", async (request, response) => {
  const state = await bq.state(request.query.user);
  response.json({ points: state.points.balance, badges: state.badges });
});

// What bq-server refuses is the fault of who asked us, or of us; what it can't do now may be asked again.
app.use((error, _request, response, _next) => {
  const status = error instanceof Refused && error.status < 500 ? error.status : 503;
  response.status(status).json({ detail: error.message });
});

const server = app.listen(process.env.PORT ?? 8000, () => console.log(`http://127.0.0.1:${server.address().port}`));

// The batch sends what it still holds before the program ends.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => views.close().then(() => process.exit(0), () => process.exit(1)));
    server.closeAllConnections();
  });
}
