"""What Prometheus is told: of all workers together, and never a customer, a key or an address."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PROBABILITIES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9)
_PROBABILITY = re.compile(rb'"churn_probability": ?([0-9.eE+-]+)')


class Figures:
    """Counters of one worker, and what they come to with those of the others."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "churnml_requests", "Requests by route and status.", ("route", "method", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "churnml_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self._scores = Histogram(
            "churnml_churn_probability",
            "Churn probabilities that were answered.",
            buckets=_PROBABILITIES,
            registry=self._registry,
        )
        self._audited = Counter("churnml_audit_rows", "Audit rows that were kept.", registry=self._registry)
        self._refused = Counter("churnml_releases_refused", "Releases that were refused.", registry=self._registry)
        self._status = cache(self._requests.labels)
        self._route = cache(self._seconds.labels)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._status(route, method, str(status)).inc()
        self._route(route).observe(seconds)

    def scores(self, rows: Iterable[bytes | None]) -> None:
        """Count the churn probabilities of rows in JSON."""
        for row in rows:
            found = _PROBABILITY.search(row) if row is not None else None
            if found:
                self._scores.observe(float(found[1]))

    def audited(self, rows: int) -> None:
        """Count audit rows."""
        self._audited.inc(rows)

    def release_refused(self) -> None:
        """Count a release that was refused."""
        self._refused.inc()

    def text(self, now: Sequence[Metric]) -> bytes:
        """Return everything in Prometheus's format.

        Parameters
        ----------
        now : sequence of Metric
            What is so at this moment, the same in every worker.

        Returns
        -------
        bytes
            Text.
        """
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(_now(now))


def gauge(name: str, meaning: str, value: float | None, **labels: str) -> GaugeMetricFamily:
    """Return one number, NaN where there is none."""
    family = GaugeMetricFamily(name, meaning, labels=list(labels))
    family.add_metric(list(labels.values()), math.nan if value is None else value)
    return family


class _Collected:
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _now(families: Sequence[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Collected(families))
    return registry
