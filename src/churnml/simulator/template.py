"""The ``churnml.yaml`` that goes with the simulated tables."""

from __future__ import annotations

from churnml.simulator import settings as c
from churnml.simulator.clock import month_name, month_start


def configuration(customers: int, months: int) -> str:
    """Write the configuration for a simulation of so many customers and months.

    The as-of dates of ``training`` are those whose features see half a year and whose outcome lies within the months,
    as far as there are such.
    """
    needed = max(c.LABEL_LEAD + c.LABEL_HORIZON + c.LABEL_SETTLE, c.VALUE_HORIZON)
    known = [m for m in range(1, months) if month_start(m) + needed <= month_start(months)]
    last = known[-1] if known else 1
    first = min(6, max(last - 2, 1))
    calls = max(customers // 50, 10)
    return _TEMPLATE.format(
        c=c,
        first=f"{month_name(first)}-01",
        last=f"{month_name(last)}-01",
        phone=calls,
        sms=max(customers // 10, 20),
        budget=calls * 12,
    )


_TEMPLATE = """\
# A simulated operator. Every period is a folder of tables/; `churnml simulate --continue` adds the next one.
# What nobody could know in reality is under truth/: never a source of features, only to check against.
project: simulated
timezone: {c.TIMEZONE}        # naive times are in it
currency: {c.CURRENCY}
tables:
  customers: {{path: "tables/*/customers.parquet"}}
  subscriptions: {{path: "tables/*/subscriptions.parquet"}}
  usage: {{path: "tables/*/usage.parquet"}}
  bills: {{path: "tables/*/bills.parquet"}}
  complaints: {{path: "tables/*/complaints.parquet"}}
  surveys: {{path: "tables/*/surveys.parquet"}}
  costs: {{path: "tables/*/costs.parquet"}}
  contacts: {{path: "tables/*/contacts.parquet"}}
personal: [name, phone]        # never features; shown to those who may see them only
quarantine: {{max_share: 0.05}}
label:
  mode: terminated
  types: [voluntary, port_out]   # who was cut off for not paying is nobody to win back
  lead_days: {c.LABEL_LEAD}                  # the retention team's time to act
  horizon_days: {c.LABEL_HORIZON}
  settle_days: {c.LABEL_SETTLE}                # departures are told up to two weeks late
value: {{horizon_days: {c.VALUE_HORIZON}, margin_rate: {c.MARGIN_RATE}}}
features: {{windows: [7, 30, 90, 180]}}
training: {{first: {first}, last: {last}, every: 2mo}}   # as-of dates
tiers:
  primary: spend
  schemes:
    spend:                       # by monthly spend, in {c.CURRENCY}
      by: monthly_spend
      levels: {{crystal: 0, gold: 40, gem: 100, platinum: 250, jade: 700, diamond: 2000}}
      key: [jade, diamond]
risk_bands: {{low: 0, medium: 0.05, high: 0.15}}
campaign:
  offers:                        # one at most for a customer
    - {{id: call, channel: phone, cost: 15, assumed_save_rate: 0.15}}
    - {{id: call_10off, channel: phone, cost: 15, discount: 0.10, discount_days: 90, assumed_save_rate: 0.25}}
    - {{id: sms_10off, channel: sms, cost: 0.5, discount: 0.10, discount_days: 90, assumed_save_rate: 0.12}}
  capacity: {{phone: {phone}, sms: {sms}}}   # contacts in one campaign
  budget: {budget}
  control_share: 0.10
  explore_share: 0               # share who get an offer or none at random, to learn from; it costs money
  cool_down_days: 60
"""
