"""Traces of events, from the request across the stream to the fact. Nothing here is loaded without an endpoint."""
