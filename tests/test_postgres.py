"""PostgreSQL is a source like any other: same rows, same values, same quarantine; and no password is ever shown."""

import datetime as dt
import socket
import uuid
from decimal import Decimal

import duckdb
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from postgres_server import PASSWORD

import churnml
from churnml import addresses
from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.snapshots.panel import Panel
from churnml.tables import postgres as reader
from churnml.tables.histories import open_histories

KINDS = {
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "DOUBLE": "float8",
    "BOOLEAN": "boolean",
    "VARCHAR": "text",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
ZONE = dt.timezone(dt.timedelta(hours=8))
CUSTOMERS = {"customer_id": "text", "signed_up_at": "timestamp"}


def configured(tmp_path, **tables):
    settings = {"quarantine": {"max_share": 1}, "state": {"folder": str(tmp_path / "state")}}
    return load_config({"tables": tables, "label": {}, "timezone": "Asia/Shanghai", **settings})


def rows_of(histories, table):
    return histories.newest(table).to_pyarrow().to_pandas()


def refused(tmp_path, match, *, url, table="bill"):
    """Assert that a table is refused in one line that shows no password; return the line."""
    customers = pd.DataFrame({"customer_id": ["a"], "signed_up_at": [pd.Timestamp("2020-01-01")]})
    config = configured(tmp_path, customers=customers, bills={"url": url, "table": table})
    with pytest.raises(ChurnmlError, match=match) as caught, open_histories(config):
        pass
    line = str(caught.value)
    assert "\n" not in line
    assert PASSWORD not in line + str(caught.value.details)
    assert caught.value.__cause__ is None
    assert "bills" in line
    return line


def test_the_panel_of_a_simulated_operator_is_that_of_its_files(simulated, postgres, tmp_path):
    tables = {}
    for name, source in simulated.tables.given().items():
        path = str(simulated.path(source.path))
        found = duckdb.sql(f"SELECT * FROM '{path}'")
        columns = {column: KINDS[str(kind)] for column, kind in zip(found.columns, found.types, strict=True)}
        postgres.load(name, columns, [])
        found.write_csv(str(tmp_path / "rows.csv"), header=False)
        with (
            postgres.connect() as connection,
            connection.cursor() as cursor,
            cursor.copy(f"COPY {name} FROM STDIN CSV") as copy,
        ):
            copy.write((tmp_path / "rows.csv").read_bytes())
        tables[name] = {"url": postgres.url(), "table": f"public.{name}", "columns": dict(source.columns)}
    settings = simulated.model_dump(include={"timezone", "personal", "label", "value", "features"})
    settings["state"] = {"folder": str(tmp_path / "state")}
    from_server = load_config({**settings, "tables": tables})
    as_of = dt.date(2024, 6, 1)
    with open_histories(simulated) as histories, open_histories(from_server) as served:
        assert served.reports == histories.reports
        assert served.extras == histories.extras
        expected = Panel(histories, [as_of], labels=True).to_pandas()
        got = Panel(served, [as_of], labels=True).to_pandas()
    pd.testing.assert_frame_equal(got, expected, rtol=1e-9, atol=1e-9)
    assert not (tmp_path / "state/unchanged.json").exists(), "a database may change at any time"


def test_awkward_rows_are_read_and_refused_as_from_parquet(postgres, tmp_path):
    moment = dt.datetime(2024, 3, 10, 23, 59, 59, 999999)
    bills = {
        "bill_id": ("varchar(8)", pa.string(), ["1", "2", "3", "4", "5", None, "7"]),
        "customer_id": ("char(7)", pa.string(), ["a", "a", "ü, \"'\n", "a", "nobody", "a", "a"]),
        "billed_at": ("timestamptz", pa.timestamp("us", "UTC"), [moment.replace(tzinfo=ZONE)] * 6 + [None]),
        "due_at": ("date", pa.date32(), [moment.date(), None] * 3 + [None]),
        "paid_at": (
            "timestamp",
            pa.timestamp("us"),
            [moment + dt.timedelta(days=1), None, None, dt.datetime(2020, 1, 1)] + [None] * 3,
        ),
        "amount": (
            "numeric(12,4)",
            pa.decimal128(12, 4),
            [Decimal("-0.1000"), Decimal("12345678.9012"), None, *[Decimal(7)] * 4],
        ),
        "note": ("text", pa.string(), ["", "\\N", "NULL", '"', "流量\t,", "\r\n", None]),
    }
    rows = list(zip(*(values for _, _, values in bills.values()), strict=True))
    postgres.load("customer", CUSTOMERS, [("a", "2020-01-01"), ("ü, \"'\n", "2020-01-01")])
    postgres.load("bill", {name: kind for name, (kind, _, _) in bills.items()}, rows)
    pq.write_table(
        pa.table({name: pa.array(values, kind) for name, (_, kind, values) in bills.items()}), tmp_path / "b.parquet"
    )
    customers = {"url": postgres.url(), "table": "customer"}
    seen = []
    for name, source in (
        ("one", {"url": postgres.url(), "table": "bill"}),
        ("two", {"path": str(tmp_path / "b.parquet")}),
    ):
        with open_histories(configured(tmp_path / name, customers=customers, bills=source)) as histories:
            assert histories.reports["bills"].rows == 7
            accepted = rows_of(histories, "bills").sort_values("bill_id", ignore_index=True)
            bad = pd.read_parquet(tmp_path / name / "state/quarantine/bills.parquet")
            seen.append((histories.reports["bills"], accepted, bad.sort_values(list(bad), ignore_index=True)))
    (report, accepted, bad), (expected_report, expected, expected_bad) = seen
    assert report == expected_report
    assert len(report.reasons) == 5
    pd.testing.assert_frame_equal(accepted, expected)
    pd.testing.assert_frame_equal(bad.drop(columns="amount"), expected_bad.drop(columns="amount"), check_dtype=False)


def test_types_survive(postgres, tmp_path):
    columns = {
        **CUSTOMERS,
        "big": "numeric(30,0)",
        "share": "numeric",
        "fee": "money",
        "vip": "boolean",
        "ref": "uuid",
        "born": "date",
        "kind": "colour",
        "label": "citizen",
        "raw": "json",
        "several": "int[]",
        "Data MB %": "real",
        "empty": "text",
    }
    one = ("a", "2024-01-01", 12345678901234567890123, "1.5", "12.50", True, str(uuid.UUID(int=7)), "1990-02-03")
    postgres.run(
        "DROP TYPE IF EXISTS colour CASCADE",
        "CREATE TYPE colour AS ENUM ('red', 'green')",
        "DROP DOMAIN IF EXISTS citizen CASCADE",
        "CREATE DOMAIN citizen AS varchar(9)",
    )
    postgres.load("customer", columns, [(*one, "red", "x", "{}", "{1}", 0.1, ""), ("b", "2024-01-01", *[None] * 12)])
    with open_histories(configured(tmp_path, customers={"url": postgres.url(), "table": "customer"})) as histories:
        assert (
            histories.extras["customers"]
            == {
                "segment": "text",
                "big": "number",
                "share": "number",
                "fee": "number",
                "vip": "boolean",
                "ref": "text",
                "born": "time",
                "kind": "text",
                "label": "text",
                "Data MB %": "number",
                "empty": "text",
            }
            | {}
        )
        row = rows_of(histories, "customers").set_index("customer_id").loc["a"]
    assert (row["share"], row["fee"], row["vip"], row["kind"], row["empty"]) == (1.5, 12.5, True, "red", "")
    assert (row["ref"], row["born"]) == (str(uuid.UUID(int=7)), pd.Timestamp("1990-02-03"))


def test_long_numbers_stay_identifiers(postgres, tmp_path):
    """Two of these are one as floating point."""
    ids = ["8986001234567890123", "8986001234567890124"]
    postgres.load(
        "customer", {"customer_id": "numeric", "signed_up_at": "date"}, [(number, "2024-01-01") for number in ids]
    )
    with open_histories(configured(tmp_path, customers={"url": postgres.url(), "table": "customer"})) as histories:
        assert sorted(rows_of(histories, "customers")["customer_id"]) == ids


def test_times_and_numbers_that_are_none_go_to_quarantine(postgres, tmp_path):
    postgres.load("customer", CUSTOMERS, [("a", "2020-01-01")])
    columns = {
        "bill_id": "int",
        "customer_id": "text",
        "billed_at": "timestamptz",
        "due_at": "date",
        "amount": "numeric",
    }
    times = ["infinity", "-infinity", "0044-03-15 BC", "12000-01-01", "2024-01-01"]
    rows = [(at, "a", when, None, 1) for at, when in enumerate(times)]
    rows += [
        (10, "a", "2024-01-01", "infinity", 1),
        (11, "a", "2024-01-01", "0044-03-15 BC", 1),
        (12, "a", "2024-01-01", None, "NaN"),
    ]
    postgres.load("bill", columns, rows)
    tables = {name: {"url": postgres.url(), "table": name[:-1]} for name in ("customers", "bills")}
    with open_histories(configured(tmp_path, **tables)) as histories:
        assert histories.reports["bills"].reasons == {
            "not finite amount": 1,
            "unreadable billed_at": 4,
            "unreadable due_at": 2,
        }
        assert histories.reports["bills"].accepted == 1


@pytest.mark.parametrize("rows", [[], [(None,)], [(None,), ("x",)]])
def test_a_table_of_one_column_has_as_many_rows_as_on_the_server(rows, postgres):
    postgres.load("single", {"only": "text"}, rows)
    con = duckdb.connect()
    relation = reader.read_postgres(
        con,
        "x",
        load_config(
            {"tables": {"customers": {"url": postgres.url(), "table": "single"}}, "label": {}}
        ).tables.customers,
    )
    assert sorted(con.sql(f"SELECT * FROM {relation}").fetchall(), key=str) == sorted(rows, key=str)


def test_batches_of_any_size_give_the_same_rows(postgres, monkeypatch):
    monkeypatch.setattr(reader, "_BATCH", 50)
    postgres.load("many", {"at": "int", "text": "text"}, [(at, 'a\n"b",' * (at % 5)) for at in range(500)])
    con = duckdb.connect()
    source = load_config(
        {"tables": {"customers": {"url": postgres.url(), "table": "many"}}, "label": {}}
    ).tables.customers
    relation = reader.read_postgres(con, "x", source)
    assert sorted(con.sql(f"SELECT * FROM {relation}").fetchall()) == [(at, 'a\n"b",' * (at % 5)) for at in range(500)]


def test_names_with_a_schema_and_upper_case_are_found(postgres, tmp_path):
    postgres.run('DROP SCHEMA IF EXISTS "CRM" CASCADE', 'CREATE SCHEMA "CRM"', 'GRANT USAGE ON SCHEMA "CRM" TO churnml')
    postgres.load('"CRM"."Kunde"', {"Nr %": "int", "signed_up_at": "date"}, [(1, "2024-01-01")])
    source = {"url": postgres.url(), "table": "CRM.Kunde", "columns": {"customer_id": "Nr %"}}
    with open_histories(configured(tmp_path, customers=source)) as histories:
        assert rows_of(histories, "customers")["customer_id"].tolist() == ["1"]


def test_the_catalogue_asks_for_no_rows(postgres, tmp_path, monkeypatch):
    postgres.load("customer", {**CUSTOMERS, "age": "int"}, [("a", "2024-01-01", 1)])
    monkeypatch.setattr(reader, "_insert", None)
    listed = churnml.catalog(configured(tmp_path, customers={"url": postgres.url(), "table": "customer"}))
    assert "account_age" in listed["name"].tolist()


def test_nothing_can_be_written(postgres):
    """A view that writes is refused by the read-only transaction."""
    postgres.run(
        "DROP TABLE IF EXISTS log CASCADE",
        "CREATE TABLE log (x int)",
        "GRANT ALL ON log TO churnml",
        "CREATE OR REPLACE FUNCTION note() RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING x'",
        "CREATE OR REPLACE VIEW noting AS SELECT note() AS bill_id",
        "GRANT SELECT ON noting TO churnml",
    )
    source = load_config(
        {"tables": {"customers": {"url": postgres.url(), "table": "noting"}}, "label": {}}
    ).tables.customers
    with pytest.raises(ChurnmlError, match="read-only transaction"):
        reader.read_postgres(duckdb.connect(), "bills", source)


def test_what_the_server_refuses_is_told_in_one_line_without_passwords(postgres, tmp_path):
    postgres.run("DROP TABLE IF EXISTS secret", "CREATE TABLE secret (x int)")
    refused(tmp_path, 'password authentication failed for user "churnml"', url=postgres.url(password=PASSWORD + "x"))
    refused(tmp_path, 'database "nothing" does not exist', url=postgres.url(database="nothing"))
    refused(
        tmp_path,
        r"nothing\.bill cannot be read .*does not exist.*upper and lower",
        url=postgres.url(),
        table="nothing.bill",
    )
    refused(tmp_path, 'relation "Bill" does not exist.*upper and lower', url=postgres.url(), table="Bill")
    refused(tmp_path, "permission denied for table secret.*SELECT", url=postgres.url(), table="secret")
    refused(tmp_path, "No such file or directory", url=f"postgresql://u:{PASSWORD}@/d?host={tmp_path}")
    refused(tmp_path, "Connection refused", url=f"postgresql://u:{PASSWORD}@127.0.0.1:1/d")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:{0}@h/d",
        "postgresql:u:{0}",
        "postgresql://u:{0}",
        "postgresql://h/d?{0}=1",
        "postgresql://u:{0}@h:x{0}/d",
    ],
)
def test_what_is_no_address_is_told_without_showing_it(url, tmp_path):
    refused(tmp_path, "its url is no address of a PostgreSQL database", url=url.format(PASSWORD))


def test_a_table_without_its_name_is_refused(tmp_path):
    refused(tmp_path, r"tables\.bills: url is a database: name its table", url="postgresql://u@h/d", table=None)


def test_a_value_that_the_server_cannot_convert_is_not_shown(postgres, tmp_path):
    postgres.load("person", {"name": "text"}, [("Jane Doe",)])
    postgres.run(
        "DROP VIEW IF EXISTS bad",
        "CREATE VIEW bad AS SELECT name::int AS bill_id FROM person",
        "GRANT SELECT ON bad TO churnml",
    )
    assert "Jane" not in refused(
        tmp_path, "invalid input syntax for type integer: a value", url=postgres.url(), table="bad"
    )


def test_a_connection_that_is_lost_in_the_middle_is_told(postgres, tmp_path, monkeypatch):
    postgres.run(
        "CREATE OR REPLACE VIEW long AS SELECT i AS bill_id, repeat('x', 1000) AS t FROM generate_series(1, 200000) i",
        "GRANT SELECT ON long TO churnml",
    )
    batches = reader._batches

    def losing(stream):
        with postgres.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'churnml'")
        yield from batches(stream)

    monkeypatch.setattr(reader, "_batches", losing)
    refused(tmp_path, "table bills: long cannot be read from the PostgreSQL database", url=postgres.url(), table="long")


def test_a_server_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setitem(addresses._DEFAULTS, "connect_timeout", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused(tmp_path, "timeout", url=f"postgresql://u:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/d")


def test_passwords_are_in_no_text_of_a_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    monkeypatch.setenv("KEY", "S3cret")
    path = tmp_path / "churnml.yaml"
    text = 'label: {}\ntables: {customers: {url: "postgresql://u:${DB_PASSWORD}@h/d?sslpassword=${KEY}", table: t}}\n'
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    assert PASSWORD in config.tables.customers.url
    shown = config.model_dump_json() + repr(config)
    assert PASSWORD not in shown
    assert "S3cret" not in shown
    monkeypatch.setenv("DB_PASSWORD", "another")
    assert load_config(path).hash == config.hash, "a new password is no other configuration"
    path.write_text(text.replace("/d?", "/e?"), encoding="utf-8")
    assert load_config(path).hash != config.hash


@pytest.mark.parametrize("extra", ["path: x", "tabel: t", "columns: 5"])
def test_a_wrong_configuration_does_not_show_the_password_beside_it(extra, tmp_path):
    path = tmp_path / "churnml.yaml"
    path.write_text(
        f'label: {{}}\ntables: {{customers: {{url: "postgresql://u:{PASSWORD}@h/d", {extra}}}}}\n', encoding="utf-8"
    )
    with pytest.raises(ChurnmlError, match=r"tables\.customers") as caught:
        load_config(path)
    assert PASSWORD not in str(caught.value) + str(caught.value.details)


def test_an_address_as_path_is_refused_without_showing_it(tmp_path):
    config = configured(tmp_path, customers={"path": f"postgresql://u:{PASSWORD}@h/d"})
    with pytest.raises(
        ChurnmlError, match="table customers: its path is an address: a database is given as url:"
    ) as caught:
        churnml.catalog(config)
    assert PASSWORD not in str(caught.value)


def test_what_connects_is_psycopg_that_has_its_library(postgres):
    assert psycopg.pq.__impl__ == "binary"
