"""Schemas of `/metrics`: the server's metrics, for Prometheus."""

from pydantic import RootModel


class MetricsAnswer(RootModel[str]):
    """Lines of Prometheus's text format, version 0.0.4."""
