"""Traces: an event, from its request across the stream to its fact. Nothing of this is loaded without an endpoint."""
