"""Conformance: checks any server against the Events API contract, statement by statement."""
