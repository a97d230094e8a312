"""Scenarios: read, played in four ways, compared, and told."""
