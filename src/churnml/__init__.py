"""Churn and value decisions for telecom retention teams.

Every command of the command line is a function of the same name here; nothing is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from churnml.api.access import keys_audit, keys_create, keys_list, keys_revoke
    from churnml.api.campaigns import campaign_assignments, campaign_export, campaign_open
    from churnml.api.histories import audit, catalog, check, features, init, simulate
    from churnml.api.loop import demo
    from churnml.api.models import explain, promote, rollback, score, train
    from churnml.api.release import forget, publish
    from churnml.api.serve import serve
    from churnml.config import load_config
    from churnml.errors import ChurnmlError, ChurnmlWarning
    from churnml.models.churn import ChurnClassifier
    from churnml.models.hazard import HazardModel
    from churnml.models.lifetime import lifetime_value
    from churnml.models.purchases import BetaGeometric
    from churnml.models.value import ValueRegressor

_ROOMS = {
    "api.access": (
        "keys_audit",
        "keys_create",
        "keys_list",
        "keys_revoke",
    ),
    "api.campaigns": (
        "campaign_assignments",
        "campaign_export",
        "campaign_open",
    ),
    "api.histories": (
        "audit",
        "catalog",
        "check",
        "features",
        "init",
        "simulate",
    ),
    "api.loop": ("demo",),
    "api.models": (
        "explain",
        "promote",
        "rollback",
        "score",
        "train",
    ),
    "api.serve": ("serve",),
    "api.release": ("forget", "publish"),
    "config": ("load_config",),
    "errors": ("ChurnmlError", "ChurnmlWarning"),
    "models.churn": ("ChurnClassifier",),
    "models.hazard": ("HazardModel",),
    "models.lifetime": ("lifetime_value",),
    "models.purchases": ("BetaGeometric",),
    "models.value": ("ValueRegressor",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "BetaGeometric",
    "ChurnClassifier",
    "ChurnmlError",
    "ChurnmlWarning",
    "HazardModel",
    "ValueRegressor",
    "audit",
    "campaign_assignments",
    "campaign_export",
    "campaign_open",
    "catalog",
    "check",
    "demo",
    "explain",
    "features",
    "forget",
    "init",
    "keys_audit",
    "keys_create",
    "keys_list",
    "keys_revoke",
    "lifetime_value",
    "load_config",
    "promote",
    "publish",
    "rollback",
    "score",
    "serve",
    "simulate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"churnml.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'churnml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
