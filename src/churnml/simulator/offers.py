"""What a contact with an offer does to a person: the same for any offer of the same channel and discount."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_start
from churnml.simulator.draws import Draws
from churnml.simulator.traits import People


def log_effect(people: People, channel: str, discount: float) -> Array:
    """Give what a contact that reaches them adds to the logarithm of each person's hazard, at first."""
    pull, nuisance, _ = c.CHANNELS.get(channel, c.OTHER_CHANNEL)
    bargain = (discount / 0.10) ** c.DISCOUNT_POWER
    kept = people.attentive * pull + people.bargain * bargain * pull**0.25
    return np.where(people.dog, c.DOG_IRRITATION * nuisance, -np.minimum(kept, 3.0))


def reach(channel: str) -> float:
    """Give the chance that a contact by this channel reaches the customer."""
    return c.CHANNELS.get(channel, c.OTHER_CHANNEL)[2]


def respond(plan: pd.DataFrame, month: int, people: People, draws: Draws, there: Array) -> pd.DataFrame:
    """Find out what a month's contacts lead to: ``effect`` (0: not reached), and times in days.

    The answer is each person's own: it depends on the seed, the month, the channel and the discount only. The effect
    counts from the start of the month, and the contact is made on that day.
    """
    plan = plan.reset_index(drop=True)
    person = plan["person"].to_numpy()
    effect, reached, takes = np.zeros(len(plan)), np.zeros(len(plan), bool), np.zeros(len(plan), bool)
    lucky, willing = draws.uniform("reach", month), draws.uniform("accept", month)
    groups: Any = plan[plan["arm"] == "treated"].groupby(["channel", "discount"]).groups
    for (channel, discount), rows in groups.items():
        who = person[rows]
        whole = log_effect(people, channel, discount)
        reached[rows] = there[who] & (lucky[who] < reach(channel))
        effect[rows] = np.where(reached[rows], whole[who], 0.0)
        # many who would stay anyway take a discount too
        taken = 0.08 + 0.35 * np.clip(-whole, 0, 1.2) + (0.22 + 0.08 * np.clip(people.price, -1, 2)) * (discount > 0)
        takes[rows] = reached[rows] & (willing < np.where(people.dog, 0.03, taken))[who]
    contacted = month_start(month) + (9 + 12 * draws.uniform("contact_hour", month)[person]) / 24
    delay = np.minimum(4 * draws.exponential("answer_days", month)[person], 18)
    return plan.assign(
        effect=effect,
        contacted=np.where(reached, contacted, np.inf),
        accepted=np.where(takes, contacted + 0.01 + delay, np.inf),
    )
