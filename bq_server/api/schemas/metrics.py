"""Schemas of `/metrics`: what the server counts, for Prometheus."""

from pydantic import RootModel


class MetricsAnswer(RootModel[str]):
    """Lines of Prometheus' text format, version 0.0.4."""
