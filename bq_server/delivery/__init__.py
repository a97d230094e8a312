"""Telling the outside: webhook endpoints, and what is sent to them of the outbox that processing writes."""
