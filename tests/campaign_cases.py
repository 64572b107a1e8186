"""What the tests of campaigns are made of: small populations with scores, offers, settings."""

import datetime as dt

import pandas as pd
from hypothesis import strategies as st

from churnml.campaigns.assignments import draw_up
from churnml.config import Campaign

T = dt.date(2024, 3, 1)
CALL = {"id": "call", "channel": "phone", "cost": 15, "assumed_save_rate": 0.2}
SMS = {
    "id": "sms",
    "channel": "sms",
    "cost": 0.5,
    "discount": 0.1,
    "discount_days": 90,
    "assumed_save_rate": 0.1,
}
SETTINGS = {
    "offers": [CALL, SMS],
    "capacity": {},
    "budget": None,
    "control_share": 0.1,
    "explore_share": 0.0,
    "cool_down_days": 60,
}


def customer(number, probability=0.3, value=1_000.0, spend=20.0, tier="gold", band="high", status="scored"):
    return {
        "customer_id": f"C{number:05d}",
        "status": status,
        "churn_probability": probability,
        "value_if_stays": value,
        "monthly_spend": spend,
        "value_tier": tier,
        "risk_band": band,
    }


def scores_of(customers, as_of=T):
    """The frame of section 5."""
    rows = []
    for row in customers:
        probability, value = row["churn_probability"], row["value_if_stays"]
        scored = probability is not None and value is not None
        text = {"text_en": f"reason of {row['customer_id']}", "text_zh": f"{row['customer_id']} 的原因"}
        reason = {"code": "usage", "feature": "usage_active_days_30d", "value": 3.0, "effect": 0.5, **text}
        rows.append(
            {
                "customer_id": row["customer_id"],
                "as_of": pd.Timestamp(as_of),
                "status": row["status"],
                "status_reason": None,
                "churn_probability": probability,
                "churn_percentile": 50.0,
                "expected_value": value,
                "value_if_stays": value,
                "value_at_risk": probability * value if scored else None,
                "value_tier": row["value_tier"],
                "risk_band": row["risk_band"],
                "reasons": [reason, reason] if scored else [],
                "cause_probabilities": None,
                "churn_model_version": "3",
                "value_model_version": "4",
            }
        )
    numbers = ["churn_probability", "expected_value", "value_if_stays", "value_at_risk"]
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, "float64"))


def spend_of(customers):
    return pd.Series({row["customer_id"]: row["monthly_spend"] for row in customers}, dtype="float64")


def drawn_up(customers, settings=None, excluded=None, name="spring", seed=0, scores=None, as_of=T):
    """The assignments, by customer."""
    scores = scores_of(customers) if scores is None else scores
    excluded = pd.Series(excluded or {}, dtype="str")
    campaign = Campaign.model_validate(SETTINGS | (settings or {}))
    return draw_up(scores, spend_of(customers), excluded, campaign, name=name, as_of=as_of, seed=seed)


shares = st.sampled_from([0, 0.1, 0.15, 0.3, 0.5, 0.9])


@st.composite
def offers(draw):
    return [
        {
            "id": f"offer {number}",
            "channel": draw(st.sampled_from(["phone", "sms", "app"])),
            "cost": draw(st.sampled_from([0, 0.1, 0.5, 1, 12.35, 15])),
            "discount": draw(st.sampled_from([0, 0.1, 0.5])),
            "discount_days": draw(st.sampled_from([0, 30, 90])),
            "assumed_save_rate": draw(st.sampled_from([0, 0.05, 0.1, 0.3, 1])),
        }
        for number in range(draw(st.integers(1, 3)))
    ]


@st.composite
def settings_of_campaigns(draw, most):
    """Limits that bind about every other time, in a population of at most so many."""
    capacity = st.integers(0, most)
    return {
        "offers": draw(offers()),
        "capacity": draw(st.dictionaries(st.sampled_from(["phone", "sms", "app", "post"]), capacity)),
        "budget": draw(st.none() | st.sampled_from([0.1, 0.3, 1, 15, 30.5]) | st.floats(0.01, 10.0 * most)),
        "control_share": draw(shares),
        "explore_share": draw(st.sampled_from([0, 0, 0.02, 0.2, 1])),
        "cool_down_days": 60,
    }


@st.composite
def populations(draw, most):
    """Customers and the reasons that some are excluded for."""
    value = st.sampled_from([-50.0, 0.0, 100.0, 100.0, 1_000.0]) | st.floats(0, 5_000)
    people = [
        customer(
            number,
            probability=draw(st.sampled_from([0.0, 0.05, 0.3, 0.3, 1.0]) | st.floats(0, 1)),
            value=draw(value),
            spend=draw(st.sampled_from([-5.0, 0.0, 20.0]) | st.floats(0, 300)),
            tier=draw(st.sampled_from([None, "gold", "gem"])),
            band=draw(st.sampled_from([None, "low", "high"])),
        )
        for number in draw(st.lists(st.integers(0, 99_999), min_size=1, max_size=most, unique=True))
    ]
    excluded = {row["customer_id"]: "cool_down" for row in people if draw(st.integers(0, 5)) == 0}
    return people, excluded
