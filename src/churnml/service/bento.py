"""The service as BentoML starts it: its supervisor, workers and builds, with nothing in front of ours."""

from __future__ import annotations

import os
import sys
from typing import Any

import bentoml
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from starlette.types import ASGIApp, Receive, Scope, Send

from churnml.config import Config, Service, load_config
from churnml.errors import ChurnmlError

CONFIG = "CHURNML_CONFIG"
NAME = "churnml"
_LATER_THAN_OURS = 5.0  # seconds

os.environ["FORWARDED_ALLOW_IPS"] = ""  # the HTTP server believes no header; service.trust_proxy is ours
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")  # nothing is told to anybody outside
do_not_track.cache_clear()  # the command that imports this has looked already


def _config() -> Config:
    path = os.environ.get(CONFIG)
    if path is None:
        raise ChurnmlError(f"the environment variable {CONFIG} is not set", "let it name the configuration")
    return load_config(path)


def _settings() -> Service:
    """Return what is configured; defaults where nothing is served, as in a build."""
    return _config().service if CONFIG in os.environ else Service()


class Door:
    """Answers every request by itself, so that none reaches what BentoML would answer without a key.

    A middleware is what BentoML puts in front of its own routes (``/``, ``/docs.json``, ``/schema.json``, ``/metrics``
    and others), which an application that is mounted beside them could not close.

    Parameters
    ----------
    app : ASGI application
        BentoML's own, for starting and stopping.
    """

    answering: ASGIApp | None = None  # of this process

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HTTP; start and stop by BentoML; close anything else."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and Door.answering is not None:
            await Door.answering(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})


_SETTINGS = _settings()


@bentoml.service(
    name=NAME,
    workers=_SETTINGS.workers,
    traffic={"timeout": _SETTINGS.timeout_seconds + _LATER_THAN_OURS},
    tracing={"excluded_urls": [".*"]},  # spans cost more than a score, exported or not
    logging={"access": {"enabled": False}},  # the front door has its own, without addresses and ids
    metrics={"enabled": False},  # BentoML's have paths in them, and so ids of customers
)
class Churnml:
    """The service."""

    def __init__(self) -> None:
        from churnml.service.app import application
        from churnml.service.running import Running

        self._running = Running(_config())
        Door.answering = application(self._running)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def require_configuration() -> None:
        """Leave with 2 before any worker starts where there is no configuration."""
        try:
            _config()
        except ChurnmlError as error:
            sys.stderr.write(f"error: {error}\n")
            raise SystemExit(2) from None

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Take what is there."""
        await self._running.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Let go of it."""
        await self._running.stop()


_service: Any = Churnml
_service.add_asgi_middleware(Door)
