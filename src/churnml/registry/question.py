"""What a model was asked, against what the configuration asks now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from churnml.config import Config

_ANSWERS_ALIKE = ("observed_until", "settle_days")  # when outcomes are known, not what they are


def differences(config: Config, model: str, facts: Mapping[str, Any]) -> str:
    """Return what a bundle's model was asked otherwise than the configuration asks now; empty where nothing."""
    section: Literal["label", "value"] = "label" if model == "churn" else "value"
    asked, answered = getattr(config, section).model_dump(mode="json"), facts[section]
    differs = [key for key in asked if asked[key] != answered.get(key) and key not in _ANSWERS_ALIKE]
    return ", ".join(f"{section}.{key} was {answered.get(key)}, is {asked[key]}" for key in differs)
