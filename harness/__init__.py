"""The embedded test harness: it knows the server only by its public HTTP API."""
