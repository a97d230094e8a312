"""The metrics as Prometheus reads them. Only this imports prometheus-client, which takes a tenth of a second."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from bq_server.metrics.counts import Histogram
from bq_server.metrics.families import Family, Sample

Read = Sequence[tuple[Family, Sequence[Sample]]]
"""Every family with its readings."""


class _Once(Collector):
    """Yields the readings, once."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for family, samples in self._read:
            yield _metric(family, samples)


def text(read: Read) -> bytes:
    """All of it, and the process's own, in Prometheus's text format. Touches nothing that another thread changes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(read))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _metric(family: Family, samples: Iterable[Sample]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in samples:
            assert isinstance(value, Histogram)  # noqa: S101
            histogram.add_metric(labels, _buckets(value), value.total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for labels, value in samples:
        assert not isinstance(value, Histogram)  # noqa: S101
        metric.add_metric(labels, value)
    return metric


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """How often something was at most each bound."""
    found, count = [], 0
    for bound, here in zip((*(f"{bound:g}" for bound in histogram.bounds), "+Inf"), histogram.counts, strict=True):
        count += here
        found.append((bound, float(count)))
    return found
