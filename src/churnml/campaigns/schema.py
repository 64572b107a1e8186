"""What an assignment is: the columns of a campaign's list of everyone (contract, section 7), and their codes."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from churnml.columns import CHURN_PROBABILITY, CUSTOMER_ID

CAMPAIGN_ID = "campaign_id"
ASSIGNMENT_ID = "assignment_id"
ARM = "arm"
OFFER_ID = "offer_id"
CHANNEL = "channel"
EXPECTED_PROFIT = "expected_profit"
UPLIFT = "uplift"
UPLIFT_SOURCE = "uplift_source"
PROPENSITY = "propensity"
REASON = "reason"

SCHEMA = pa.schema(
    [
        (CAMPAIGN_ID, pa.string()),
        (ASSIGNMENT_ID, pa.string()),
        (CUSTOMER_ID, pa.string()),
        (ARM, pa.string()),
        (OFFER_ID, pa.string()),
        (CHANNEL, pa.string()),
        (EXPECTED_PROFIT, pa.float64()),
        (CHURN_PROBABILITY, pa.float64()),
        (UPLIFT, pa.float64()),
        (UPLIFT_SOURCE, pa.string()),
        (PROPENSITY, pa.float64()),
        (REASON, pa.string()),
    ]
)

TREATED, CONTROL, NOT_SELECTED, EXCLUDED = ARMS = ("treated", "control", "not_selected", "excluded")
DRAWN = (TREATED, CONTROL)  # who is part of the experiment

ASSUMED = "assumed"  # uplift_source

# Why a customer is in an arm. Treated: SELECTED, EXPLORE; control: HELD_BACK, EXPLORE; not selected: the next two;
# excluded: the last four, the first that holds.
SELECTED, HELD_BACK, EXPLORE = "selected", "control", "explore"
NO_PROFITABLE_OFFER, BEYOND_LIMITS = "no_profitable_offer", "beyond_limits"
NOT_SCORED, NO_VALUE, COOL_DOWN, IN_CAMPAIGN = EXCLUSIONS = ("not_scored", "no_value", "cool_down", "in_campaign")


def typed(assignments: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of an assignment with the types that they have when read from Parquet."""
    frame: pd.DataFrame = pa.Table.from_pandas(assignments[SCHEMA.names], SCHEMA, preserve_index=False).to_pandas()
    return frame
