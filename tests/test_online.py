"""The online engine: from what is sent for one customer, the numbers that the panel has."""

import datetime as dt
import os
import random
import tempfile
from unittest import mock

import comparing
import histories
import numpy as np
import pandas as pd
import pytest
from declarations import drawn
from hypothesis import given
from hypothesis import strategies as st
from ibis import _

from churnml.asof import start_of
from churnml.errors import ChurnmlError
from churnml.feature_extraction import sent
from churnml.feature_extraction.catalogue import ROW_CONTEXT, columns_of
from churnml.feature_extraction.declare import Feature, Measure
from churnml.feature_extraction.frozen import Frozen
from churnml.feature_extraction.online import Online
from churnml.population import at_risk
from churnml.snapshots.panel import Panel
from churnml.tables.histories import open_histories
from churnml.tables.schema import SCHEMAS

T = dt.date(2024, 3, 1)
KINDS = columns_of({"usage": {"voice_minutes": "number"}})
WORDS = {"unit": "", "meaning": "", "phrase_en": "", "phrase_zh": "", "theme": "usage"}


def sent_of(found, online, people):
    """Return the rows of customers, as somebody would send them who has our tables: all versions, unmasked."""
    accepted = {name: found.con.table(f"accepted_{name}") for name in online.tables}
    tables = {
        name: rows.filter(rows["customer_id"].isin(people)).to_pyarrow().to_pandas() for name, rows in accepted.items()
    }
    rows = {name: table.astype(object).where(table.notna(), None) for name, table in tables.items()}
    return {
        name: {customer: part.to_dict(orient="records") for customer, part in table.groupby("customer_id")}
        for name, table in rows.items()
    }


def with_rows_of_others(found, online):
    """Return who has a row that another version says to be somebody else's: no request can know of it."""
    people = set()
    for name in online.tables:
        [key] = SCHEMAS[name].key
        rows = found.con.table(f"accepted_{name}").to_pyarrow().to_pandas()
        if key in rows:
            owners = rows[rows[key].notna()].groupby(key)["customer_id"].transform("nunique")
            people |= set(rows.loc[owners.index[owners > 1], "customer_id"])
    return people


def online_features(online, found, kinds, as_of, frozen, only=None):
    people = at_risk(found, as_of).to_pyarrow().to_pandas()
    people = people if only is None else people[people["customer_id"].isin(only)]
    rows = sent_of(found, online, people["customer_id"].tolist())
    people = people.astype(object).where(people.notna(), None)
    shared = with_rows_of_others(found, online)
    for person in people.to_dict(orient="records"):
        who = person["customer_id"]
        if who in shared:
            continue
        zone = found.config.timezone
        with mock.patch.object(sent, "_judge"):  # rows were judged before their times became those of a wall clock
            tables = {
                name: sent.read_rows(name, rows[name].get(who, []), kinds[name], as_of, zone, who)
                for name in online.tables
            }
        customer = sent.read_customer(person | {"churned_at": None}, kinds["customers"], as_of, zone)
        yield who, online.at(customer, tables, as_of, frozen)


def moment_as_number(value):
    return pd.Timestamp(value).value / 1000 if isinstance(value, pd.Timestamp) else value


def compare(tables, configured, dates):
    with tempfile.TemporaryDirectory() as folder:
        try:
            opened = comparing.opened(tables, configured, folder)
            with opened as found:
                kinds = columns_of(found.extras)
                for as_of in dates:
                    panel = Panel(found, [as_of])
                    try:
                        expected = panel.to_pandas().set_index("customer_id").drop(columns="as_of")
                    except ChurnmlError:
                        continue
                    online = Online(panel.features, ROW_CONTEXT, kinds)
                    for who, got in online_features(online, found, kinds, as_of, panel.frozen):
                        row = expected.loc[who].to_dict()
                        differs = {
                            name: (value, row[name])
                            for name, value in got.items()
                            if not comparing.agrees(value, moment_as_number(row[name]))
                        }
                        assert not differs
        except ChurnmlError as error:
            assert "none of its" in str(error)  # noqa: PT017 - an operator of whom nothing can be read


@comparing.EXAMPLES
@given(histories.operators())
def test_features_from_what_is_sent_equal_the_panel(operator):
    compare(*operator)


def one(feature, rows, **own):
    """Return the value of one feature over rows of usage."""
    online = Online([feature], {}, KINDS)
    customer = sent.read_customer({"signed_up_at": "2020-01-01", **own}, KINDS["customers"], T, "UTC")
    tables = {"usage": sent.read_rows("usage", rows, KINDS["usage"], T, "UTC")}
    return online.at(customer, tables, T, Frozen({}))[feature.name]


amounts = st.one_of(st.none(), st.sampled_from([0.0, 0.1, -5.0, 1e6]), st.floats(-100, 100))
days = st.integers(0, 200)


@given(st.lists(st.tuples(days, amounts), max_size=30))
def test_a_sum_equals_a_plain_loop_whatever_the_order(drawn):
    rows = [{"used_at": start_of(T) - dt.timedelta(days=ago), "voice_minutes": amount} for ago, amount in drawn]
    feature = Feature("f", "usage", {"value": Measure("sum", _.voice_minutes, window=30)}, empty=0, **WORDS)
    expected = sum(amount for ago, amount in drawn if 0 < ago <= 30 and amount is not None)
    assert one(feature, rows) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_division_by_zero_is_null():
    inputs = {"a": Measure("sum", _.voice_minutes, window=30), "b": Measure("count", window=7)}
    feature = Feature("f", "usage", inputs, formula=_.a / _.b.fill_null(0), **WORDS)
    assert one(feature, [{"used_at": "2024-02-10", "voice_minutes": 3}]) is None


def test_conditions_know_a_third_truth_value():
    unknown = ~(_.voice_minutes > 5)
    feature = Feature("f", "usage", {"value": Measure("count", where=unknown, window=30)}, empty=0, **WORDS)
    rows = [{"used_at": "2024-02-10", "voice_minutes": value} for value in (1, 9, None)]
    assert one(feature, rows) == 1


def test_an_unknown_column_or_word_is_told_when_the_engine_is_made():
    wrong = Feature("f", "usage", {"value": Measure("sum", _.minutes, window=30)}, **WORDS)
    with pytest.raises(ChurnmlError, match=r"usage has no column minutes: it has .*voice_minutes"):
        Online([wrong], {}, KINDS)
    fancy = Feature("f", "usage", {"value": Measure("sum", _.voice_minutes.log10(), window=30)}, **WORDS)
    with pytest.raises(ChurnmlError, match=r"cannot use \.log10"):
        Online([fancy], {}, KINDS)


@pytest.mark.parametrize(
    ("table", "rows", "message"),
    [
        ("usage", [{"used_at": None}], "used_at is missing"),
        ("usage", [{"used_at": "soon"}], "used_at holds something that is no time"),
        (
            "usage",
            [{"used_at": "2024-01-01", "voice_minutes": "many"}],
            "voice_minutes holds something that is no number",
        ),
        ("usage", [{"used_at": "2024-01-01", "voice_minutes": float("inf")}], "voice_minutes holds something"),
        ("usage", [{"used_at": "2024-01-01", "customer_id": "other"}], "another customer's"),
        ("usage", [{"used_at": "2024-01-01"}] * 100_001, "100,001 rows are too many: send 100,000 at most"),
        (
            "bills",
            [{"bill_id": 1, "billed_at": "2024-01-02", "amount": 1, "paid_at": "2024-01-01"}],
            "paid_at lies before billed_at",
        ),
        (
            "bills",
            [{"bill_id": 1, "billed_at": "2024-01-02", "amount": amount} for amount in (1, 2)],
            "rows that share bill_id differ: versions of a row need known_at",
        ),
        ("surveys", [{"answered_at": "2024-01-02", "score": 6}], "score lies outside 1-5"),
        ("complaints", [{"complaint_id": 1, "opened_at": "2024-01-02", "first_contact_resolved": "no"}], "no boolean"),
    ],
)
def test_rows_that_cannot_be_used_are_told(table, rows, message):
    with pytest.raises(ChurnmlError, match=message):
        sent.read_rows(table, rows, KINDS[table], T, "UTC", "me")


def test_rows_that_were_not_known_may_hold_anything():
    rows = [
        {"used_at": "2025-01-01", "voice_minutes": "x"},
        {"used_at": "2024-01-01", "voice_minutes": 3},
        {"used_at": "2024-01-02", "voice_minutes": [1], "known_at": "2025-01-01"},
    ]
    assert sent.read_rows("usage", rows, KINDS["usage"], T, "UTC")["voice_minutes"].tolist() == [3]
    with pytest.raises(ChurnmlError, match="voice_minutes holds something") as told:
        sent.read_rows("usage", [*rows, {"used_at": "2024-01-03", "voice_minutes": "y"}], KINDS["usage"], T, "UTC")
    assert told.value.details["row"] == 3


@pytest.mark.parametrize("text", [["a"], {"a": 1}])
def test_a_list_is_no_text(text):
    rows = [{"complaint_id": 1, "opened_at": "2024-01-02", "category": text}]
    with pytest.raises(ChurnmlError, match="category holds something that is no text"):
        sent.read_rows("complaints", rows, KINDS["complaints"], T, "UTC")


def test_what_is_sent_is_cut_to_what_was_known():
    bill = {"bill_id": "b", "billed_at": "2024-01-02", "amount": 10}
    rows = [
        bill,
        bill,
        bill | {"amount": 12, "known_at": "2024-02-01"},
        bill | {"amount": 99, "known_at": "2024-03-01"},
        {"bill_id": "c", "billed_at": "2024-03-01", "amount": 5},
        {"bill_id": "d", "billed_at": "2024-02-01T00:30:00+08:00", "amount": 7, "paid_at": "2024-03-02"},
    ]
    seen = sent.read_rows("bills", rows, KINDS["bills"], T, "UTC")
    assert seen["amount"].tolist() == [12, 7]
    assert np.isnan(seen["paid_at"]).all()
    assert seen["billed_at"][1] == pd.Timestamp("2024-01-31 16:30").value / 1000


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "signed_up_at is missing"),
        ({"signed_up_at": "2024-03-01"}, "had not signed up at 2024-03-01"),
        ({"signed_up_at": "2023-03-01", "churned_at": "2024-02-01"}, "had left at 2024-03-01"),
    ],
)
def test_customers_who_are_not_at_risk_are_told(more, message):
    with pytest.raises(ChurnmlError, match=message):
        sent.read_customer(more, KINDS["customers"], T, "UTC")


def test_new_declarations_equal_the_panel(simulated):
    rng = random.Random(int(os.environ.get("SEED", "7")))
    declared = [drawn(number, rng) for number in range(40)]
    with open_histories(simulated) as found:
        panel = Panel(found, [T], also=declared)
        expected = panel.to_pandas().set_index("customer_id")[[feature.name for feature in declared]]
        kinds = columns_of(found.extras)
        online = Online(declared, ROW_CONTEXT, kinds)
        some = set(expected.index[::9])
        got = dict(online_features(online, found, kinds, T, panel.frozen, only=some))
    assert set(got) == some
    assert [
        (who, name, value, expected.loc[who, name])
        for who, row in got.items()
        for name, value in row.items()
        if not comparing.agrees(value, expected.loc[who, name])
    ] == []
    assert expected.notna().any().mean() > 0.8


def test_all_tables_are_known():
    assert set(KINDS) == set(SCHEMAS)
