"""One table from several systems: joined as a slow, plain oracle joins it; nothing is lost, and no disagreement is silent."""

import datetime as dt
from collections import Counter
from dataclasses import replace

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from comparing import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

import churnml
from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.tables.histories import open_histories
from churnml.tables.merging import merged
from churnml.tables.schema import SCHEMAS

D1, D2, D3 = dt.datetime(2020, 1, 1), dt.datetime(2021, 6, 1, 12, 30), dt.datetime(2023, 2, 3)
IDS = [("1", "a"), ("2", "b"), ("3", "c"), ("4", "b"), ("5", "a"), ("5", "c"), ("1", "a"), ("6", None), (None, "b")]
START = dt.datetime.min

# --- the oracle -------------------------------------------------------------------------------------------------------


def has(value):
    return value is not None and str(value).strip() != ""


def judge(rows, mapped):
    """Return the rows of one source that can be joined, and (row, reason) of the others."""
    good, alone = [], []
    for row in rows:
        customers = {to for number, to in IDS if number is not None and to is not None and number == row["customer_id"]}
        if row["customer_id"] is None:
            alone.append((row, None))
        elif mapped and not customers:
            alone.append((row, "unknown identity"))
        elif mapped and len(customers) > 1:
            alone.append((row, "ambiguous identity"))
        else:
            row = {**row, "customer_id": customers.pop()} if mapped else row
            if "soon" in (row.get("signed_up_at"), row.get("known_at")):
                alone.append((row, None))
            else:
                good.append(row)
    joined, seen = [], []
    for row in good:
        content = {name: value for name, value in row.items() if name != "known_at" and has(value)}
        key = (row["customer_id"], row.get("signed_up_at"), row.get("known_at") or row.get("signed_up_at"))
        if (key, content) in seen:
            alone.append((row, "duplicate row"))
        else:
            seen.append((key, content))
            joined.append((key, row))
    times = Counter(key for key, _ in joined)
    alone += [(row, "conflicting versions") for key, row in joined if times[key] > 1]
    signed = {row["customer_id"] for row in good if row.get("signed_up_at")}
    for key, row in joined:
        if times[key] == 1 and row.get("signed_up_at") is None and row["customer_id"] in signed:
            alone.append((row, None))
            times[key] = 0
    return [row for key, row in joined if times[key] == 1], alone


def order(names, wins, column):
    return sorted(range(len(names)), key=lambda at: names[at] != wins.get(column))


def join(sources, wins):
    """Return joined rows, (row, reason) of those that cannot be, and (customer, column, values, won) of disagreements."""
    names = [name for name, _, _ in sources]
    judged = [judge(rows, mapped) for _, rows, mapped in sources]
    out, clashes = [], set()
    for customer in {row["customer_id"] for rows, _ in judged for row in rows}:
        theirs = [[row for row in rows if row["customer_id"] == customer] for rows, _ in judged]
        starts = [{row["signed_up_at"] for row in rows if row.get("signed_up_at")} for rows in theirs]
        single = all(len(found) <= 1 for found in starts)
        for spell in [None] if single else sorted(set().union(*starts)):
            of_spell = [
                [row for row in rows if single or not row.get("signed_up_at") or row["signed_up_at"] == spell]
                for rows in theirs
            ]
            began = [starts[at] for at in order(names, wins, "signed_up_at") if starts[at]]
            start = spell if not single else next(iter(began[0])) if began else None
            since = lambda row, start=start: row.get("known_at") or start or START  # noqa: E731
            moments = sorted({since(row) for rows in of_spell for row in rows})
            for moment in moments:
                explicit = any(row.get("known_at") == moment for rows in of_spell for row in rows)
                latest = [
                    max(
                        (r for r in rows if since(r) <= moment),
                        key=lambda r: (since(r), bool(r.get("known_at"))),
                        default={},
                    )
                    for rows in of_spell
                ]
                row = {"customer_id": customer, "signed_up_at": start, "known_at": moment if explicit else None}
                for column in ("signed_up_at", "segment", "score"):
                    values = [found.get(column) if has(found.get(column)) else None for found in latest]
                    ranked = [at for at in order(names, wins, column) if values[at] is not None]
                    if column != "signed_up_at":
                        row[column] = values[ranked[0]] if ranked else None
                    if moment == moments[-1] and len({v for v in values if v is not None}) > 1:
                        clashes.add((customer, column, *values, names[ranked[0]]))
                out.append(row)
    return out, [bad for _, alone in judged for bad in alone], clashes


# --- small sources ----------------------------------------------------------------------------------------------------

times = st.sampled_from([None, D1, D2])
VALUES = {
    "signed_up_at": times,
    "known_at": st.sampled_from([None, None, D1, D3, dt.datetime(2019, 5, 5)]),
    "segment": st.sampled_from([None, "", "mass", "key"]),
    "score": st.sampled_from([None, 1, 2]),
}


@st.composite
def source(draw, name):
    mapped = draw(st.booleans())
    columns = {column: values for column, values in VALUES.items() if draw(st.booleans())}
    who = st.sampled_from([None, *"1256789"[:4]] if mapped else [None, "a", "b", "c"])
    text = draw(st.booleans())  # every cell is text, as in CSV
    if text:
        bad = {
            column: st.one_of(values, st.just("soon")) for column, values in columns.items() if column.endswith("_at")
        }
        columns |= bad
    rows = draw(st.lists(st.fixed_dictionaries({"customer_id": who, **columns}), max_size=5))
    return name, rows, mapped, list(columns), text


@st.composite
def operators(draw):
    sources = [draw(source(name)) for name in ("crm", "billing", "web")[: draw(st.integers(1, 3))]]
    wins = {}
    for column in ("signed_up_at", "segment", "score"):
        having = [name for name, _, _, columns, _ in sources if column in columns]
        if having and draw(st.booleans()):
            wins[column] = draw(st.sampled_from(having))
    return sources, wins


def to_arrow(rows, mapped, columns, text):
    kinds = {
        "signed_up_at": pa.timestamp("us"),
        "known_at": pa.timestamp("us"),
        "segment": pa.string(),
        "score": pa.int64(),
    }
    arrays = {"account_no" if mapped else "customer_id": pa.array([row["customer_id"] for row in rows], pa.string())}
    for column in columns:
        values = [row[column] for row in rows]
        if text:
            values = [None if value is None else str(value) for value in values]
        arrays[column] = pa.array(values, pa.string() if text else kinds[column])
    return pa.table(arrays)


def plain(value):
    """One form for values of any type: times may come as text, numbers as floats or text."""
    if not has(value) or value is pd.NaT or value != value:
        return None
    return str(value).removesuffix(".0")


def shape(rows):
    columns = ("customer_id", "signed_up_at", "known_at", "segment", "score", "__reason__")
    return Counter(tuple(plain(row.get(column)) for column in columns) for row in rows)


@settings(EXAMPLES, max_examples=EXAMPLES.max_examples * 10)
@given(operators())
def test_sources_are_joined_as_the_oracle_joins_them(tmp_path_factory, operator):
    sources, wins = operator
    ids = tmp_path_factory.getbasetemp() / "ids.parquet"
    if not ids.exists():
        pq.write_table(pa.table({"account_no": [one for one, _ in IDS], "customer_id": [two for _, two in IDS]}), ids)
    table = {"sources": [{"name": s[0], "data": to_arrow(*s[1:])} for s in sources], "wins": wins}
    if any(mapped for _, _, mapped, _, _ in sources):
        table["identities"] = {"path": str(ids), "from": "account_no", "to": "customer_id"}
    config = load_config({"tables": {"customers": table}, "label": {}})
    con = duckdb.connect()
    relation, _ = merged(con, SCHEMAS["customers"], config.tables.customers, config.folder, timezone="UTC")
    got = con.sql(f"SELECT * FROM {relation}").to_arrow_table().to_pylist()
    joined, alone, clashes = join([s[:3] for s in sources], wins)
    assert shape(got) == shape([*joined, *({**row, "__reason__": reason} for row, reason in alone)])
    found = con.sql("SELECT * FROM disagreements").fetchall()
    assert Counter(found) == Counter(tuple(map(plain, clash)) for clash in clashes)
