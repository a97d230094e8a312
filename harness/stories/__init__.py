"""Scenarios: reading, playing in four ways, comparing and reporting."""
