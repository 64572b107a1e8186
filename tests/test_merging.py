"""One table from several systems: joined as a plain oracle joins it; nothing is lost, no disagreement is silent."""

import datetime as dt
from collections import Counter

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from comparing import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

import churnml
from churnml.api.histories import refuse_to_overwrite
from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.tables.disagreements import disagreements
from churnml.tables.histories import open_histories
from churnml.tables.merging import merged
from churnml.tables.schema import SCHEMAS

D1, D2, D3 = dt.datetime(2020, 1, 1), dt.datetime(2021, 6, 1, 12, 30), dt.datetime(2023, 2, 3)
IDS = [("1", "a"), ("2", "b"), ("3", "c"), ("4", "b"), ("5", "a"), ("5", "c"), ("1", "a"), ("6", None), (None, "b")]
START = dt.datetime(1, 1, 1)

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
    """Return joined rows, (row, reason) of those that cannot be, and disagreements: (customer, column, values, won)."""
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


@settings(EXAMPLES, max_examples=EXAMPLES.max_examples * 4)
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


# --- what users see ---------------------------------------------------------------------------------------------------

CRM = pa.table(
    {
        "customer_id": ["a", "b", "c", "d"],
        "signed_up_at": pa.array([D1, D1, D2, D2]),
        "segment": ["mass", None, "key", "mass"],
        "name": ["Ann", "Bob", "Cem", "Dan"],
        "age": [30, 40, 50, 60],
    }
)
BILLING = pa.table(
    {
        "acct": ["1", "2", "3", "8", "9"],
        "segment": ["business", "mass", "key", "mass", "mass"],
        "name": ["Anna", "Bob", "Cem", "Xi", "Yu"],
        "years": ["30.0", "41", "50", "1", "2"],
        "region": ["南", "north", None, "west", "west"],
    }
)
NUMBERS = pd.DataFrame({"acct_no": [1, 2, 3, 9, 9], "crm_no": ["a", "b", "c", "a", "b"]})


@pytest.fixture
def two(tmp_path):
    """The settings of customers in two systems; `table` is what tests change."""
    NUMBERS.to_csv(tmp_path / "ids.csv", index=False)
    columns = {"acct_no": "acct", "age": "years"}
    table = {
        "sources": [{"name": "crm", "data": CRM}, {"name": "billing", "data": BILLING, "columns": columns}],
        "wins": {"age": "billing"},
        "identities": {"path": str(tmp_path / "ids.csv"), "from": "acct_no", "to": "crm_no"},
    }
    return configured(tmp_path, customers=table)


def configured(tmp_path, **tables):
    more = {"personal": ["name"], "quarantine": {"max_share": 1}, "state": {"folder": str(tmp_path / "state")}}
    return {"tables": tables, "label": {"observed_until": "2020-04-01"}, **more}


def rows_of(histories, table, *columns):
    rows = histories.newest(table).to_pyarrow().to_pylist()
    return sorted((tuple(row[name] for name in columns) for row in rows), key=str)


def test_the_first_source_that_has_a_value_counts_unless_another_wins(two):
    with open_histories(load_config(two)) as histories:
        assert rows_of(histories, "customers", "customer_id", "segment", "age", "region", "name") == [
            ("a", "mass", 30.0, "南", "Ann"),
            ("b", "mass", 41.0, "north", "Bob"),
            ("c", "key", 50.0, None, "Cem"),
            ("d", "mass", 60.0, None, "Dan"),
        ]
        report = histories.reports["customers"]
        assert histories.extras["customers"] == {"segment": "text", "age": "number", "region": "text"}
    assert (report.rows, report.accepted, report.quarantined) == (6, 4, 2)
    assert report.reasons == {"ambiguous identity": 1, "unknown identity": 1}


def test_rows_of_unknown_customers_are_kept_as_they_came(two, tmp_path):
    with open_histories(load_config(two)):
        pass
    bad = pd.read_parquet(tmp_path / "state/quarantine/customers.parquet").set_index("reason")
    assert bad.loc["unknown identity", "customer_id"] == "8"
    assert bad.loc["ambiguous identity", ["customer_id", "name", "region"]].tolist() == ["9", "Yu", "west"]
    assert "__reason__" not in bad


def test_disagreements_are_counted_and_listed_without_showing_persons(two, tmp_path):
    report = churnml.check(two)
    told = {w["column"]: w["message"] for w in report.warnings() if w["table"] == "customers"}
    assert list(told) == ["age", "name", "segment"]
    assert "crm, billing: 1 (crm: 40, billing: 41)" in told["age"]
    assert "(crm: mass, billing: business)" in told["segment"]
    assert "Ann" not in str(report.to_dict())
    assert "客户" in next(w["message"] for w in report.warnings("zh") if w["column"] == "age")
    listed = pd.read_parquet(tmp_path / "state/conflicts/customers.parquet")
    assert listed.to_dict("records") == [
        {"customer_id": "a", "column": "name", "crm": "Ann", "billing": "Anna", "won": "crm"},
        {"customer_id": "a", "column": "segment", "crm": "mass", "billing": "business", "won": "crm"},
        {"customer_id": "b", "column": "age", "crm": "40", "billing": "41", "won": "billing"},
    ]
    two["tables"]["customers"]["sources"] = two["tables"]["customers"]["sources"][1:]
    two["tables"]["customers"]["wins"] = {}
    with pytest.raises(ChurnmlError, match="table customers has no column signed_up_at"):
        churnml.check(two)


def test_a_column_of_many_values_is_shown_by_number_only(tmp_path):
    who = [f"c{at}" for at in range(60)]
    crm = pa.table({"customer_id": who, "signed_up_at": pa.array([D1] * 60), "email": [f"{one}@x" for one in who]})
    web = pa.table({"customer_id": who, "email": [f"{one}@y" for one in who]})
    sources = {"sources": [{"name": "crm", "data": crm}, {"name": "web", "data": web}]}
    with open_histories(load_config(configured(tmp_path, customers=sources))) as histories:
        messages = [found.message() for found in disagreements(histories)]
    assert any("crm, web: 60;" in message for message in messages)
    assert "@" not in str(messages)


def test_sources_that_agree_again_leave_no_old_disagreements(two, tmp_path):
    with open_histories(load_config(two)) as histories:
        assert len(disagreements(histories)) == 3
    sources = two["tables"]["customers"]["sources"]
    sources[1] = {**sources[1], "data": BILLING.select(["acct", "region", "years"]), "columns": {"acct_no": "acct"}}
    two["tables"]["customers"]["wins"] = {}
    with open_histories(load_config(two)) as histories:
        assert disagreements(histories) == []
    assert pd.read_parquet(tmp_path / "state/conflicts/customers.parquet").empty


def test_files_of_several_kinds_are_joined_as_frames_are(two, tmp_path):
    with open_histories(load_config(two)) as histories:
        expected = rows_of(histories, "customers", "customer_id", "signed_up_at", "segment", "age", "region")
    pq.write_table(CRM, tmp_path / "crm.parquet")
    BILLING.to_pandas().to_csv(tmp_path / "billing.csv", index=False)
    sources = two["tables"]["customers"]["sources"]
    sources[0] = {"name": "crm", "path": str(tmp_path / "crm.parquet")}
    sources[1] = {**sources[1], "path": str(tmp_path / "billing.csv")}
    del sources[1]["data"]
    with open_histories(load_config(two)) as histories:
        assert rows_of(histories, "customers", "customer_id", "signed_up_at", "segment", "age", "region") == expected
    with pytest.raises(ChurnmlError, match=r"crm\.parquet is the source of table customers"):
        refuse_to_overwrite(load_config(two), tmp_path / "crm.parquet")


def test_a_source_with_account_numbers_under_our_name_is_mapped(two):
    two["tables"]["customers"]["sources"][1]["columns"] = {"customer_id": "acct_no"}
    renamed = BILLING.rename_columns(["acct_no", "segment", "name", "age", "region"])
    two["tables"]["customers"]["sources"][1]["data"] = renamed
    with open_histories(load_config(two)) as histories:
        assert rows_of(histories, "customers", "customer_id", "region")[0] == ("a", "南")
        assert "acct_no" not in histories.columns["customers"]


def test_numbers_are_the_same_as_text_and_as_floats(two):
    floats = BILLING.set_column(0, "acct", pa.array([1.0, 2.0, 3.0, None, 9.0]))
    two["tables"]["customers"]["sources"][1]["data"] = floats
    with open_histories(load_config(two)) as histories:
        assert histories.reports["customers"].reasons == {"ambiguous identity": 1, "null customer_id": 1}
        assert histories.reports["customers"].accepted == 4


def test_an_aware_time_beside_a_naive_one_is_the_same_wall_clock_time(tmp_path):
    aware = pa.array([dt.datetime(2021, 6, 1, 4, 30, tzinfo=dt.UTC)]).cast(pa.timestamp("us", "UTC"))
    crm = pa.table({"customer_id": ["a"], "signed_up_at": aware, "x": [1]})
    web = pa.table({"customer_id": ["a"], "signed_up_at": ["2021-06-01 12:30"], "y": [2]})
    config = configured(tmp_path, customers={"sources": [{"name": "crm", "data": crm}, {"name": "web", "data": web}]})
    with open_histories(load_config({**config, "timezone": "Asia/Shanghai"})) as histories:
        assert rows_of(histories, "customers", "signed_up_at", "x", "y") == [(D2, 1.0, 2.0)]
        assert not histories.con.con.sql("SELECT * FROM disagreements").fetchall()


def test_corrections_of_one_source_are_versions_of_the_joined_row(tmp_path):
    crm = pa.table(
        {
            "customer_id": ["a"] * 2,
            "signed_up_at": pa.array([D1] * 2),
            "known_at": pa.array([None, D3]),
            "segment": ["mass", "key"],
        }
    )
    web = pa.table({"customer_id": ["a"], "region": ["north"]})
    config = configured(tmp_path, customers={"sources": [{"name": "crm", "data": crm}, {"name": "web", "data": web}]})
    with open_histories(load_config(config)) as histories:
        assert histories.reports["customers"].accepted == 2
        assert rows_of(histories, "customers", "segment", "region") == [("key", "north")]
        before = histories.known("customers", D3).to_pyarrow().to_pylist()
        assert [(row["segment"], row["region"]) for row in before] == [("mass", "north")]


def test_rows_of_other_tables_are_put_together(tmp_path):
    NUMBERS.to_csv(tmp_path / "ids.csv", index=False)
    old = pa.table({"customer_id": ["a", "b"], "used_at": pa.array([D1, D2]), "data_mb": [1.5, 2.0], "sms": [1, 2]})
    (tmp_path / "new.csv").write_text("acct_no,used_at,data_mb\n1,2023-02-03,7\n8,2023-02-03,8\n2,soon,9\n")
    usage = {
        "sources": [{"name": "old", "data": old}, {"name": "new", "path": str(tmp_path / "new.csv")}],
        "identities": {"path": str(tmp_path / "ids.csv"), "from": "acct_no", "to": "crm_no"},
    }
    with open_histories(load_config(configured(tmp_path, customers=CRM, usage=usage))) as histories:
        assert rows_of(histories, "usage", "customer_id", "used_at", "data_mb", "sms") == [
            ("a", D1, 1.5, 1.0),
            ("a", D3, 7.0, None),
            ("b", D2, 2.0, 2.0),
        ]
        assert histories.reports["usage"].reasons == {"unknown identity": 1, "unreadable used_at": 1}
        assert histories.reports["usage"].rows == 5
    assert "__reason__" not in pd.read_parquet(tmp_path / "state/quarantine/usage.parquet")


def test_a_key_in_two_sources_is_a_duplicate_or_a_conflict_as_ever(tmp_path):
    bills = pa.table(
        {"bill_id": ["1", "2"], "customer_id": ["a", "a"], "billed_at": pa.array([D2, D2]), "amount": [1.0, 2.0]}
    )
    other = bills.set_column(3, "amount", pa.array([1.0, 3.0]))
    sources = {"sources": [{"name": "old", "data": bills}, {"name": "new", "data": other}]}
    with open_histories(load_config(configured(tmp_path, customers=CRM, bills=sources))) as histories:
        assert histories.reports["bills"].reasons == {"conflicting versions": 2, "duplicate row": 1}


def test_one_source_may_have_identities_too(tmp_path):
    NUMBERS.to_csv(tmp_path / "ids.csv", index=False)
    costs = pa.table({"nr": [1, 7], "incurred_at": pa.array([D2, D2]), "amount": [1.0, 2.0]})
    ids = {"path": str(tmp_path / "ids.csv"), "from": "acct_no", "to": "crm_no"}
    table = {"data": costs, "columns": {"acct_no": "nr"}, "identities": ids}
    with open_histories(load_config(configured(tmp_path, customers=CRM, costs=table))) as histories:
        assert rows_of(histories, "costs", "customer_id", "amount") == [("a", 1.0)]
        assert histories.reports["costs"].reasons == {"unknown identity": 1}


def test_usage_of_several_files_is_not_counted_again_until_one_of_them_changes(tmp_path):
    pq.write_table(CRM, tmp_path / "crm.parquet")
    usage = pa.table({"customer_id": ["a"], "used_at": pa.array([D2])})
    for name in ("one", "two"):
        pq.write_table(usage, tmp_path / f"{name}.parquet")
    parts = [{"name": name, "path": str(tmp_path / f"{name}.parquet")} for name in ("one", "two")]
    config = configured(tmp_path, customers={"path": str(tmp_path / "crm.parquet")}, usage={"sources": parts})
    for _ in range(2):
        with open_histories(load_config(config)) as histories:
            assert histories.reports["usage"].accepted == 2
    assert "usage" in (tmp_path / "state/unchanged.json").read_text()
    pq.write_table(usage.set_column(0, "customer_id", [["z"]]), tmp_path / "two.parquet")
    with open_histories(load_config(config)) as histories:
        assert histories.reports["usage"].reasons == {"unknown customer": 1}


# --- what is refused --------------------------------------------------------------------------------------------------

PLAIN = {"path": "x.csv"}
WRONG = {
    "a source without a name": ({"sources": [PLAIN]}, r"every source needs a name of its own.*\(none\)"),
    "a name that stands twice": (
        {"sources": [{"name": "crm", **PLAIN}, {"name": "CRM", **PLAIN}]},
        r"name of its own.*given: crm, CRM",
    ),
    "a name that is taken": ({"sources": [{"name": "won", **PLAIN}]}, r"none of column, customer_id, won"),
    "a source of two kinds": (
        {"sources": [{"name": "a", "sql": "SELECT 1", **PLAIN}]},
        r"sources\.0 give one of path, url, sql",
    ),
    "an unknown winner": (
        {"sources": [{"name": "crm", **PLAIN}, {"name": "web", **PLAIN}], "wins": {"segment": "bill"}},
        r"wins\.segment: bill is none of the sources \(crm, web\)",
    ),
    "wins without sources": ({**PLAIN, "wins": {"segment": "crm"}}, "wins needs sources"),
    "columns of all": (
        {"sources": [{"name": "a", **PLAIN}], "columns": {"a": "b"}},
        "columns belongs to each of the sources",
    ),
    "an unknown key of a source": (
        {"sources": [{"name": "a", "file": "x"}]},
        r"sources\.0\.file is unknown.*allowed here: name, path, url",
    ),
    "identities without to": ({**PLAIN, "identities": {"path": "x", "from": "y"}}, r"identities\.to is missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_of_several_sources_is_refused_with_what_is_allowed(case):
    table, message = WRONG[case]
    with pytest.raises(ChurnmlError, match=message):
        load_config({"tables": {"customers": table}, "label": {}})


def test_wins_of_a_table_that_is_not_joined_is_refused():
    bills = {"sources": [{"name": "a", **PLAIN}], "wins": {"amount": "a"}}
    with pytest.raises(ChurnmlError, match=r"bills\.wins: rows of bills are put together"):
        load_config({"tables": {"customers": PLAIN, "bills": bills}, "label": {}})


def refused(settings, match):
    with pytest.raises(ChurnmlError, match=match) as caught:
        churnml.catalog(settings)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_together_is_told(two, tmp_path):
    table = two["tables"]["customers"]
    refused(with_table(two, wins={"region": "crm"}), r"wins: crm has no column region .*it has signed_up_at, segment")
    refused(with_table(two, wins={"customer_id": "crm"}), "crm has no column customer_id that could win")
    refused(with_table(two, identities=None), r"table customers\.sources\.billing has no column customer_id: it has")
    for change, message in (
        ({"from": "nr"}, r"has no column customer_id"),
        ({"to": "nr"}, r"tables\.customers\.identities: .*ids\.csv has no column nr: it has acct_no, crm_no"),
        ({"path": "nothing.csv"}, r"table customers\.identities: there is no file .*nothing\.csv"),
    ):
        refused(with_table(two, identities={**table["identities"], **change}), message)
    crm, billing = table["sources"]
    refused(
        with_table(two, sources=[crm], wins={}), "identities: no source has the number acct_no in place of customer_id"
    )
    odd = {**billing, "data": BILLING.rename_columns(["acct", "segment", "name", "years", "AGE"])}
    refused(with_table(two, sources=[crm, odd]), "the columns age and AGE of its sources differ only in case")
    missing = {**billing, "columns": {"acct_no": "account"}}
    refused(with_table(two, sources=[crm, missing]), r"customers\.sources\.billing has no column account.*mend tables")
    wrong = {**crm, "data": CRM.set_column(1, "signed_up_at", pa.array([[1]] * 4))}
    refused(with_table(two, sources=[wrong, billing]), r"customers\.sources\.crm: the column signed_up_at holds")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is none")
    corrupt = {"name": "crm", "path": str(tmp_path / "bad.parquet")}
    refused(
        with_table(two, sources=[corrupt, billing]), r"table customers\.sources\.crm: .*bad\.parquet cannot be read"
    )


def with_table(settings, **changes):
    return {**settings, "tables": {"customers": {**settings["tables"]["customers"], **changes}}}
