"""What monthly spend is made of, and that of everyone at a date."""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis
import pandas as pd

from churnml.asof import start_of
from churnml.columns import CUSTOMER_ID
from churnml.feature_extraction.bills import billed
from churnml.feature_extraction.engine import extract
from churnml.population import at_risk
from churnml.tables.histories import Histories
from churnml.tiering.grades import monthly_spend

QUARTER, YEAR = billed(90), billed(365)  # what monthly spend, and last year's, is made of, whatever the windows
SPEND = (QUARTER, YEAR)


def monthly_spend_at(histories: Histories, as_of: dt.date) -> pd.Series[Any]:
    """Return the monthly spend of everyone at risk at a date, in money, by ``customer_id``."""
    instant = ibis.literal(start_of(as_of))
    found = extract(histories, at_risk(histories, as_of), [QUARTER], {}, instant)
    return monthly_spend(found.to_pyarrow().to_pandas().set_index(CUSTOMER_ID))
