"""Churn and value decisions for telecom retention teams.

Every command of the command line is a function of the same name here; nothing is loaded before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from churnml.api import ChurnmlError, catalog, check, demo, features, init, load_config, simulate

__all__ = ["ChurnmlError", "catalog", "check", "demo", "features", "init", "load_config", "simulate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from churnml import api

        return getattr(api, name)
    raise AttributeError(f"module 'churnml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
