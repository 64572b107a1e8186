"""What the commands do, as functions of the same names."""

from churnml.api.histories import CheckReport, catalog, check, features, init, simulate
from churnml.api.loop import demo
from churnml.config import load_config
from churnml.errors import ChurnmlError

__all__ = ["CheckReport", "ChurnmlError", "catalog", "check", "demo", "features", "init", "load_config", "simulate"]
