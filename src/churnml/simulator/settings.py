"""Every constant of the simulated operator, in one place. The calibration tests hold what they lead to.

Money is CNY; hazards are natural logarithms of a rate a month; shares and probabilities are 0-1.
"""

from __future__ import annotations

LAYOUT = 1
START = "2023-01-01"
TIMEZONE = "Asia/Shanghai"
CURRENCY = "CNY"

# --- who the customers are ---------------------------------------------------------------------------------
JOINING = 0.021  # new customers a month, as a share of those at the start
SEGMENTS = ("mass", "business", "key")
SEGMENT_SHARES = (0.885, 0.10, 0.015)
SPEND_MEDIAN = (52.0, 240.0, 1_900.0)  # a month, by segment
SPEND_SPREAD = (1.30, 1.35, 1.1)  # standard deviation of its logarithm
REGIONS = ("north", "east", "south", "central", "southwest", "northwest", "northeast")
REGION_SHARES = (0.18, 0.24, 0.20, 0.14, 0.12, 0.06, 0.06)
REGION_TROUBLE = (0.0, -0.25, -0.1, 0.1, 0.25, 0.45, 0.2)  # added to the network's trouble
AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
AGE_SHARES = (0.12, 0.25, 0.23, 0.18, 0.13, 0.09)
ACQUISITION = ("store", "online", "telesales", "partner")
ACQUISITION_SHARES = (0.45, 0.30, 0.10, 0.15)
ACQUISITION_HAZARD = (-0.15, 0.0, 0.45, 0.25)
AGE_HAZARD = (0.35, 0.2, 0.0, -0.1, -0.25, -0.35)
PAYMENT_METHODS = ("autopay", "app", "cash")
PAYMENT_SHARES = (0.45, 0.40, 0.15)
CITY_TIERS = ("tier_1", "tier_2", "tier_3", "county")
CITY_SHARES = (0.22, 0.33, 0.27, 0.18)
MANAGERS = 12
FEES = (9, 19, 29, 39, 59, 79, 99, 129, 169, 199, 299, 399, 599, 999, 1_999, 3_999, 7_999)
FEE_SHARE = 0.75  # the plan is the dearest one within this share of the monthly spend
CYCLE_DAYS = (5, 10, 15, 20, 25, 31)  # day of the bill; 31 is the last day of the month

# --- how satisfaction moves, month by month ----------------------------------------------------------------
PERSISTENCE = 0.90
SEASON = 0.04  # on the price's trouble: moves churn by some 4 % up and down over the year
SHOCK_CHANCE, SHOCK_MEAN, SHOCK_DECAY = 0.05, 1.5, 0.72
AWAY_PERSISTENCE, AWAY_GAIN, AWAY_NOISE = 0.72, 0.62, 0.34  # drifting away follows dissatisfaction with a delay

# --- leaving -----------------------------------------------------------------------------------------------
CAUSES = ("voluntary", "port_out", "involuntary")
BASE_HAZARD = (-4.86, -5.28, -5.75)
SEGMENT_HAZARD = (0.0, -0.25, -0.55)
IN_CONTRACT, ENDING_CONTRACT, NO_CONTRACT = -1.0, 1.5, 0.2
NEW_CUSTOMER, LONG_TENURE = 0.45, -0.9  # in months 2-8; after six years, in between in proportion
DOG_HAZARD = -0.45  # sleeping dogs are quiet until somebody wakes them
RETURN_CHANCE = 0.09
RETURN_AFTER_DAYS = (95.0, 300.0)  # longer than a contact has an effect

# --- what a contact does -----------------------------------------------------------------------------------
EFFECT_MONTHS = (1.0, 0.8, 0.5)  # strength in the month of the contact and in those after it
DOG_SHARE = 0.075
DOG_IRRITATION = 1.05
CHANNELS = {  # how hard it pulls, how much it annoys a sleeping dog, whom it reaches
    "phone": (1.0, 1.1, 0.72),
    "account_manager": (1.2, 0.8, 0.9),
    "sms": (0.35, 0.85, 0.97),
    "email": (0.30, 0.6, 0.85),
    "app": (0.35, 0.6, 0.7),
}
OTHER_CHANNEL = (0.4, 0.8, 0.85)
ATTENTIVE_SHARE, ATTENTIVE_PULL = 0.28, 1.4  # those whom attention keeps
BARGAIN_SHARE, BARGAIN_PULL = 0.30, 0.8  # those whom a discount of 10 % keeps
DISCOUNT_POWER = 0.7  # a discount d pulls (d / 10 %) to this power

# --- money -------------------------------------------------------------------------------------------------
MARGIN_RATE = 0.6
SERVICE_COST_SHARE = 0.12
LINE_COST = (4.0, 10.0, 40.0)  # by segment
EQUIPMENT_COST = 180.0
CORRECTED_BILLS = 0.01
LATE_USAGE = 0.02

LOOK_BACK_MONTHS = 4  # no row becomes known, or is completed, later than this after its event
LABEL_LEAD, LABEL_HORIZON, LABEL_SETTLE = 14, 60, 14  # days
VALUE_HORIZON = 90  # days
