"""From a request's body to an accepted event: validation, idempotency, both paths."""
