"""What an offer does to a person: the same for any offer of the same channel and discount."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from churnml.errors import ChurnmlError
from churnml.simulator import settings as c
from churnml.simulator.clock import Array
from churnml.simulator.traits import People


@dataclass(frozen=True)
class Offer:
    """Describe an offer: ``discount`` is 0-1 off the bills of ``discount_days``, ``cost`` is in CNY."""

    id: str
    channel: str
    cost: float = 0.0
    discount: float = 0.0
    discount_days: float = 0.0


def read_offers(configuration: Path) -> dict[str, Offer]:
    """Read the offers of a configuration, by id.

    Raises
    ------
    ChurnmlError
        If the file is not there, is not YAML, or an offer has no id.
    """
    try:
        content = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = " ".join(str(error).split())
        raise ChurnmlError(f"{configuration} cannot be read ({first})", "mend it", file=str(configuration)) from error
    campaign = content.get("campaign") if isinstance(content, dict) else None
    listed = campaign.get("offers") if isinstance(campaign, dict) else None
    offers = [_offer(item, configuration) for item in (listed if isinstance(listed, list) else [])]
    return {offer.id: offer for offer in offers}


def _offer(item: Any, configuration: Path) -> Offer:
    try:
        numbers = {key: float(item.get(key) or 0.0) for key in ("cost", "discount", "discount_days")}
        return Offer(id=str(item["id"]), channel=str(item.get("channel") or "other"), **numbers)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ChurnmlError(
            f"an offer of {configuration} has no id or a number that cannot be read",
            "give each of campaign.offers an id, a channel and plain numbers",
            file=str(configuration),
        ) from error


def log_effect(people: People, channel: str, discount: float) -> Array:
    """Give what a contact that reaches them adds to the logarithm of each person's hazard, at first."""
    pull = c.CHANNEL_PULL.get(channel, c.OTHER_CHANNEL[0])
    nuisance = c.CHANNEL_NUISANCE.get(channel, c.OTHER_CHANNEL[1])
    bargain = (max(discount, 0.0) / 0.10) ** c.DISCOUNT_POWER
    kept = people.attentive * pull + people.bargain * bargain * pull**0.25
    return np.where(people.dog, c.DOG_IRRITATION * nuisance, -np.minimum(kept, 3.0))


def reach(channel: str) -> float:
    """Give the chance that a contact by this channel reaches the customer."""
    return c.CHANNEL_REACH.get(channel, c.OTHER_CHANNEL[2])


def acceptance(people: People, effect: Array, discount: float) -> Array:
    """Give each person's chance to accept, once reached; many who would stay anyway take a discount too."""
    chance = 0.08 + 0.35 * np.clip(-effect, 0, 1.2) + (0.22 + 0.08 * np.clip(people.price, -1, 2)) * (discount > 0)
    return np.where(people.dog, 0.03, chance)
