"""The names of columns that more than one room uses, each written once."""

CUSTOMER_ID = "customer_id"
AS_OF = "as_of"
KNOWN_AT = "known_at"

SIGNED_UP_AT = "signed_up_at"
CHURNED_AT = "churned_at"
CHURN_TYPE = "churn_type"
CHURN_REASON = "churn_reason"

CHURNED = "churned"
VALUE = "value"
WEIGHT = "weight"  # of a row whose label is learned from, or judged by
DURATION_DAYS = "duration_days"
DEPARTED = "departed"
CAUSE = "cause"

PANEL_KEYS = (CUSTOMER_ID, AS_OF)

CHURN_PROBABILITY = "churn_probability"
EXPECTED_VALUE = "expected_value"
VALUE_IF_STAYS = "value_if_stays"
VALUE_AT_RISK = "value_at_risk"
VALUE_TIER = "value_tier"
RISK_BAND = "risk_band"
BILLED_IN_QUARTER = "bills_amount_sum_90d"  # the feature that monthly spend is made of
CAUSE_PROBABILITIES = "cause_probabilities"
