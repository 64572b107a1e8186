"""Whether it lives, whether it is ready, what it has done: without a key, and without anything personal."""

from __future__ import annotations

import json

from starlette.responses import Response

from churnml.service.answers import Status
from churnml.service.figures import CONTENT_TYPE, gauge
from churnml.service.operations import Call, Operation
from churnml.service.problems import unavailable


async def live(_call: Call) -> Response:
    """Say that the process lives."""
    return _status("alive")


async def ready(call: Call) -> Response:
    """Say that a release is served and keys are known.

    Raises
    ------
    Refused
        503 otherwise.
    """
    lacking = call.running.lacking
    if lacking:
        raise unavailable(f"not ready: no {' and no '.join(lacking)}", code="not_ready", after=2)
    return _status("ready")


async def metrics(call: Call) -> Response:
    """Tell Prometheus."""
    running = call.running
    release = running.published

    families = [
        gauge("churnml_ready", "1 if a release is served and keys are known.", float(not running.lacking)),
        gauge("churnml_release_refused", "1 if the newest was refused.", float(running.refused is not None)),
    ]
    if release is not None:
        models = {"churn_model_version": release.churn_version, "value_model_version": release.value_version or ""}
        families += [
            gauge("churnml_release_age_days", "Days since the as-of date.", float(running.age_days(release))),
            gauge("churnml_release_info", "What is served.", 1.0, release=release.name, **models),
        ]
    return Response(running.figures.text(families), 200, None, CONTENT_TYPE)


def _status(word: str) -> Response:
    return Response(json.dumps({"status": word}).encode(), 200, None, "application/json")


OPERATIONS = (
    Operation("GET", "/livez", None, live, "livez", "Whether the process lives.", returns=Status),
    Operation("GET", "/readyz", None, ready, "readyz", "Whether it can answer.", refuses=(503,), returns=Status),
    Operation("GET", "/metrics", None, metrics, "metrics", "Figures for Prometheus.", text=("text/plain",)),
)
