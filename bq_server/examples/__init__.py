"""Games shipped with the server, each with the events that play it."""
