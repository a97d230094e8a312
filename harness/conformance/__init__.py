"""Conformance: the Events API contract, statement by statement, against any server that claims to speak it."""
