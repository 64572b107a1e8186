"""What the tests of the simulator share: reading, newest versions, a few dozen features made by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

KEYS = {
    "customers": ["customer_id", "signed_up_at"],
    "subscriptions": ["row_id"],
    "bills": ["bill_id"],
    "complaints": ["complaint_id"],
}
TIMES = {
    "customers": "signed_up_at",
    "subscriptions": "started_at",
    "usage": "used_at",
    "bills": "billed_at",
    "complaints": "opened_at",
    "surveys": "answered_at",
    "costs": "incurred_at",
    "contacts": "assigned_at",
}


def read(folder: Path, table: str, period: str = "*", kind: str = "tables") -> pd.DataFrame:
    files = sorted((folder / kind).glob(f"{period}/{table}.parquet"))
    return pd.concat([pq.read_table(file).to_pandas() for file in files], ignore_index=True)


def newest(rows: pd.DataFrame, table: str) -> pd.DataFrame:
    """Keep the latest version of each key."""
    if table in KEYS:
        ordered = rows.sort_values("known_at", na_position="first", kind="stable")
        rows = ordered.drop_duplicates(KEYS[table], keep="last")
    rows = rows.drop(columns="known_at", errors="ignore")
    return rows.sort_values(list(rows.columns), ignore_index=True)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def assign(file: Path, customers: list[str], arms: list[str], offers: list[str | None]) -> Path:
    """Write a campaign's assignments."""
    n = len(customers)
    text = pa.string()
    chances = [0.9 if arm in ("treated", "control") else None for arm in arms]
    columns = {
        "campaign_id": pa.array(["spring"] * n, type=text),
        "assignment_id": pa.array([f"spring-{k}" for k in range(n)], type=text),
        "customer_id": pa.array(customers, type=text),
        "arm": pa.array(arms, type=text),
        "offer_id": pa.array(offers, type=text),
        "channel": pa.array(["phone"] * n, type=text),
        "propensity": pa.array(chances, type=pa.float64()),
        "reason": pa.array([None] * n, type=text),
    }
    pq.write_table(pa.table(columns), file)
    return file


_SUMS = ("voice_minutes", "sms_count", "data_mb", "roaming_minutes", "dropped_calls")
_WINDOWS = (7, 30, 90, 180)
_LATEST = """(SELECT * FROM {table} WHERE {time} < {at} AND coalesce(known_at, {time}) < {at}
              QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_at DESC NULLS LAST) = 1)"""
_LATE = "(paid_at IS NULL OR paid_at >= due_at + INTERVAL 1 DAY)"


def panel(folder: Path, day: str) -> pd.DataFrame:
    """Make one row for each customer at risk on a day: features by hand, the label of days 14 to 74."""
    at = f"TIMESTAMP '{day}'"
    with duckdb.connect() as db:
        for table in TIMES:
            files = f"read_parquet('{folder}/tables/*/{table}.parquet')"
            db.execute(f"CREATE VIEW {table} AS SELECT * FROM {files}")
        known = {t: _LATEST.format(table=t, time=TIMES[t], at=at, key=", ".join(KEYS[t])) for t in KEYS}
        return db.execute(_panel_query(at, known)).df()


def _panel_query(at: str, known: dict[str, str]) -> str:
    def last(days: int, time: str = "used_at") -> str:
        return f"FILTER ({time} >= {at} - INTERVAL {days} DAY)"

    sums = [f"sum({measure}) {last(days)} AS {measure}_{days}" for measure in _SUMS for days in _WINDOWS]
    sums += [f"count(*) {last(days)} AS active_{days}" for days in _WINDOWS]
    return f"""
        WITH final AS (
          SELECT customer_id, signed_up_at, max(churned_at) AS gone, max(churn_type) AS how
          FROM customers GROUP BY ALL),
        u AS (
          SELECT customer_id, date_diff('day', max(used_at), {at}) AS since, {", ".join(sums)}
          FROM usage WHERE used_at < {at} AND coalesce(known_at, used_at) < {at} GROUP BY 1),
        bl AS (
          SELECT customer_id, billed_at, amount, due_at, if(paid_at < {at}, paid_at, NULL) AS paid_at,
                 if(paid_at < {at}, paid_amount, 0) AS paid FROM {known["bills"]}),
        b AS (
          SELECT customer_id, sum(amount) {last(90, "billed_at")} AS spent_90,
                 sum(amount) {last(30, "billed_at")} AS spent_30, sum(amount - paid) AS unpaid,
                 count(*) FILTER (due_at < {at} AND {_LATE}) AS late,
                 avg(date_diff('day', billed_at, paid_at)) AS delay FROM bl GROUP BY 1),
        k AS (
          SELECT customer_id, count(*) {last(90, "opened_at")} AS complaints_90, count(*) AS complaints,
                 avg(satisfaction) FILTER (rated_at < {at}) AS satisfaction,
                 count(*) FILTER (category = 'network') AS about_network
          FROM {known["complaints"]} GROUP BY 1),
        s AS (
          SELECT customer_id, avg(score) AS score, arg_max(score, answered_at) AS last_score
          FROM surveys WHERE answered_at < {at} GROUP BY 1),
        p AS (
          SELECT customer_id, max(monthly_fee) AS fee,
                 date_diff('day', {at}, max(contract_ends_at)) AS to_end
          FROM {known["subscriptions"]} WHERE ended_at IS NULL OR ended_at >= {at} GROUP BY 1),
        c AS (
          SELECT customer_id, count(*) AS contacts FROM contacts
          WHERE contacted_at < {at} AND contacted_at >= {at} - INTERVAL 90 DAY GROUP BY 1)
        SELECT now.customer_id,
          CASE WHEN gone < {at} + INTERVAL 14 DAY THEN NULL
               WHEN gone < {at} + INTERVAL 74 DAY THEN if(how IN ('voluntary', 'port_out'), 1, NULL)
               ELSE 0 END AS churned,
          date_diff('day', signed_up_at, {at}) AS tenure, segment, region, city_tier, age_band,
          acquisition_channel, payment_method, u.* EXCLUDE (customer_id), b.* EXCLUDE (customer_id),
          k.* EXCLUDE (customer_id), s.* EXCLUDE (customer_id), p.* EXCLUDE (customer_id), contacts,
          active_30 / active_90 AS active_trend, voice_minutes_30 / voice_minutes_90 AS voice_trend,
          data_mb_30 / data_mb_90 AS data_trend, dropped_calls_90 / voice_minutes_90 AS dropped_rate,
          voice_minutes_90 / spent_90 AS minutes_per_yuan
        FROM {known["customers"]} AS now JOIN final USING (customer_id, signed_up_at)
        LEFT JOIN u USING (customer_id) LEFT JOIN b USING (customer_id) LEFT JOIN k USING (customer_id)
        LEFT JOIN s USING (customer_id) LEFT JOIN p USING (customer_id) LEFT JOIN c USING (customer_id)
        WHERE now.churned_at IS NULL OR now.churned_at >= {at} ORDER BY now.customer_id"""
