"""What happens after T, or becomes known after T, changes nothing."""

import datetime as dt
import random
import tempfile

import comparing
import histories
import oracle
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

import churnml

# What tells what happened later than its row, and the time that tells when that became known.
LATER = {
    "customers": {"churn_type": "churned_at", "churn_reason": "churned_at"},
    "bills": {"paid_amount": "paid_at"},
    "complaints": {"first_contact_resolved": "resolved_at"},
    "contacts": {"cost": "contacted_at"},
}
OTHER = {
    "churn_type": "other",
    "churn_reason": "other",
    "paid_amount": 0.07,
    "first_contact_resolved": None,
    "cost": 9.0,
}
LATER_TIMES = {"bills": ("paid_at",), "subscriptions": ("ended_at",), "contacts": ("contacted_at", "accepted_at")}


def moved_future(tables, as_of, rng):
    """Return the tables with every row that was not known at T altered or taken out, and later columns altered."""
    start = dt.datetime.combine(as_of, dt.time())
    moved = {table: [] for table in tables}
    for table, rows in tables.items():
        event = oracle.TABLES[table].event
        for row in rows:
            known_at = row["known_at"] or row[event]
            if table == "customers" or (row[event] < start and known_at < start):
                moved[table].append(_later_columns_altered(table, row, start))
            elif rng.random() < 0.5:
                moved[table].append(_altered(row))
    return moved


def _altered(row):
    return {
        name: value + 1.25 if isinstance(value, float) and name not in ("score", "satisfaction") else value
        for name, value in row.items()
    }


def _later_columns_altered(table, row, start):
    changed = dict(row)
    for name, time in LATER.get(table, {}).items():
        if row[time] is not None and row[time] >= start:
            changed[name] = OTHER[name]
    for name in LATER_TIMES.get(table, ()):
        if row[name] is not None and row[name] >= start:
            changed[name] = row[name] + dt.timedelta(days=40)
    return changed


@comparing.EXAMPLES
@given(histories.operators(), st.integers(0, 1000))
def test_moving_the_future_changes_no_feature(operator, seed):
    tables, configured, dates = operator
    as_of = dates[0]
    tables, _ = oracle.read(tables, configured)
    if not oracle.population(tables, as_of, configured):
        return
    panels = []
    for version in (tables, moved_future(tables, as_of, random.Random(seed))):
        with tempfile.TemporaryDirectory() as folder, comparing.opened(version, configured, folder) as found:
            panels.append(comparing.panel(found, as_of, labels=False))
    before, after = panels
    # a column that holds nothing before T may not be there without the rows after T
    columns = [name for name in before.columns if name in after.columns]
    pd.testing.assert_frame_equal(before[columns], after[columns], check_dtype=False, rtol=1e-12, atol=1e-12)


def test_the_simulated_future_changes_no_feature(simulated):
    """Cutting a simulated operator's tables off at T leaves the panel as it was."""
    config, as_of = simulated, dt.date(2023, 10, 1)
    start = pd.Timestamp(as_of)
    tables = {
        name: pd.concat(pd.read_parquet(path) for path in sorted(config.folder.glob(table.path)))
        for name, table in config.tables.given().items()
    }
    events = {name: oracle.TABLES[name].event for name in tables}
    cut = {
        name: frame[(frame[events[name]] < start) & ~(frame.get("known_at", pd.Series(pd.NaT, frame.index)) >= start)]
        for name, frame in tables.items()
    }
    settings = config.model_dump(exclude={"tables"}, by_alias=True) | {"folder": None}
    settings.pop("folder")
    with tempfile.TemporaryDirectory() as folder:
        settings |= {"state": {"folder": folder}, "training": None}
        panels = [churnml.features({**settings, "tables": frames}, as_of) for frames in (tables, cut)]
    assert len(panels[0]) > 500
    pd.testing.assert_frame_equal(*panels, rtol=1e-12, atol=1e-12)
