"""What goes wrong ends with one line that says what and where, exit status 2, and nothing half-written."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_commands import Operator, Result, operator, run, settings_of, small_tables, start

import churnml
from churnml.config import load_config
from churnml.errors import ChurnmlError

__all__ = ["operator"]  # a fixture

AS_OF = ("--as-of", "2024-03-01")
ROOT = os.geteuid() == 0


def refused(shown: Result, *words: str, status: int = 2, out: str | None = "") -> str:
    """Assert that a command failed as it should, with one line that has these words; return the line."""
    assert shown.status == status, shown
    assert shown.error.startswith("error: "), shown
    assert shown.noise == [], shown
    assert "Traceback" not in shown.err
    assert "unforeseen" not in shown.error
    assert out is None or shown.out == out
    missing = [word for word in words if word not in shown.error]
    assert not missing, shown.error
    return shown.error


def hidden(folder: Path) -> list[str]:
    """Part files and folders that were left behind, anywhere below."""
    return [str(item.relative_to(folder)) for item in folder.rglob("*") if ".part" in item.name]


def features(operator: Operator, *arguments: object, **settings: Any) -> Result:
    target = operator.folder / "panel.parquet"
    return run("features", operator.write(), *AS_OF, "--out", target, *arguments, **settings)


# --- usage ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("churnml --help",)),
        (("chekc",), ("'chekc'", "check", "churnml --help")),
        (("features",), ("CONFIG", "churnml features --help")),
        (("features", "c.yaml", "--out", "p.parquet"), ("--as-of", "churnml features --help")),
        (("simulate", "--out", "made", "--customers", "many"), ("--customers", "'many'")),
        (("check", "c.yaml", "--lang", "de"), ("--lang", "'de'", "'en'", "'zh'")),
        (("simulate", "--customers", "100"), ("--out", "--continue")),
        (("simulate", "--out", "made", "--months", "9999"), ("9999", "at most")),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path) -> None:
    line = refused(run(*arguments, folder=tmp_path), *words)
    assert len(line) < 300, "a page of help is no error line"
    assert list(tmp_path.iterdir()) == []


# --- the configuration ------------------------------------------------------------------------------------------------
GOOD = "label: {}\ntables:\n  customers: {path: customers.parquet}\n"

BAD_CONFIGURATIONS = {
    "an unknown key": (GOOD + "colour: red\n", r"colour is unknown: allowed here: project, timezone, .*sensitive$"),
    "an unknown nested key": (
        GOOD.replace("{}", "{horizont_days: 3}"),
        r"label\.horizont_days is unknown: allowed here: mode, types, lead_days, horizon_days",
    ),
    "an unknown table": (GOOD + "  bill: {path: b.csv}\n", r"tables\.bill is unknown.*usage, bills, complaints"),
    "an unknown key of a table": (GOOD + "  usage: {file: b.csv}\n", r"tables\.usage\.file is unknown.*path, url, sql"),
    "an unknown key in a list": (
        GOOD + "campaign: {offers: [{id: a, channel: b, cost: 1, colour: c}]}\n",
        r"campaign\.offers\.0\.colour is unknown.*id, channel, cost",
    ),
    "a variable that is not set": (
        GOOD + "project: ${CHURNML_NOT_SET}\n",
        r"environment variable CHURNML_NOT_SET is not set",
    ),
    "broken YAML": (GOOD + "project: [a\n", r"churnml\.yaml is no YAML.*line [45]"),
    "a tabulator": (GOOD + "\tproject: a\n", r"churnml\.yaml is no YAML.*line 4"),
    "a duplicate key": (GOOD + "label: {}\n", r"churnml\.yaml .*the key label stands twice.*line 4"),
    "a duplicate nested key": (
        GOOD.replace("{}", "{lead_days: 1, lead_days: 2}"),
        r"churnml\.yaml .*the key lead_days stands twice.*line 1",
    ),
    "YAML that runs code": (
        GOOD + "project: !!python/object/apply:os.getcwd []\n",
        r"churnml\.yaml is no YAML.*line 4",
    ),
    "nothing": ("", r"churnml\.yaml holds no keys.*churnml init"),
    "a list": ("- label\n", r"churnml\.yaml holds no keys.*churnml init"),
    "no customers": ("label: {}\ntables: {usage: {path: u.csv}}\n", r"tables\.customers is missing"),
    "no label": (GOOD.replace("label: {}\n", ""), r"label is missing"),
    "no such zone": (GOOD + "timezone: Mars/Olympus\n", r"timezone.*'Mars/Olympus'.*such as Asia/Shanghai"),
    "a zone outside": (GOOD + "timezone: ../../etc/passwd\n", r"timezone.*IANA name"),
    "a word for a number": (GOOD.replace("{}", "{lead_days: soon}"), r"label\.lead_days.*'soon'"),
    "a number below zero": (GOOD.replace("{}", "{lead_days: -1}"), r"label\.lead_days.*-1"),
    "a window of no days": (GOOD + "features: {windows: [30, 0]}\n", r"features\.windows.*0"),
    "a window of a million years": (GOOD + "features: {windows: [365000000]}\n", r"features\.windows.*365000000"),
    "no such step": (
        GOOD + "training: {first: 2024-01-01, last: 2024-02-01, every: month}\n",
        r"training.*'month' is no step.*1mo",
    ),
    "training that ends before it begins": (
        GOOD + "training: {first: 2024-03-01, last: 2024-02-01}\n",
        r"2024-03-01 lies after last 2024-02-01",
    ),
    "two sources": (GOOD + "  usage: {path: u.csv, sql: SELECT 1}\n", r"tables\.usage.*give one of.*path, sql"),
    "no source": (GOOD + "  usage: {columns: {a: b}}\n", r"tables\.usage.*give one of path"),
    "a share over one": (GOOD + "quarantine: {max_share: 5}\n", r"quarantine\.max_share.*5"),
    "a budget without an end": (GOOD + "campaign: {budget: .inf}\n", r"campaign\.budget.*finite"),
    "a cost without an end": (
        GOOD + "campaign: {offers: [{id: a, channel: b, cost: .inf}]}\n",
        r"campaign\.offers\.0\.cost.*finite",
    ),
}


@pytest.mark.parametrize("case", BAD_CONFIGURATIONS)
def test_a_configuration_that_is_wrong_is_refused_with_the_place(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHURNML_NOT_SET", raising=False)
    text, message = BAD_CONFIGURATIONS[case]
    (tmp_path / "churnml.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ChurnmlError, match=message) as caught:
        load_config(tmp_path / "churnml.yaml")
    assert "\n" not in str(caught.value)


def test_the_place_in_a_broken_configuration_is_told_in_the_users_words(tmp_path: Path) -> None:
    (tmp_path / "churnml.yaml").write_text(GOOD + "label: {}\n", encoding="utf-8")
    with pytest.raises(ChurnmlError, match="line 4") as caught:
        load_config(tmp_path / "churnml.yaml")
    assert "unicode string" not in str(caught.value)
    assert "^" not in str(caught.value)


@pytest.mark.parametrize("command", ["check", "catalog", "features"])
def test_a_configuration_that_is_missing_is_told(command: str, tmp_path: Path) -> None:
    more = (*AS_OF, "--out", "panel.parquet") if command == "features" else ()
    refused(run(command, "nope.yaml", *more, folder=tmp_path), "nope.yaml does not exist", "churnml init")
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_cannot_be_decoded_is_told(tmp_path: Path) -> None:
    for content in (b"project: caf\xe9\n" + GOOD.encode(), ("project: 中国\n" + GOOD).encode("utf-16")):
        (tmp_path / "churnml.yaml").write_bytes(content)
        with pytest.raises(ChurnmlError, match=r"churnml\.yaml cannot be read.*utf-8"):
            load_config(tmp_path / "churnml.yaml")
    with pytest.raises(ChurnmlError, match=r"cannot be read.*name a YAML file"):
        load_config(tmp_path)


def test_a_command_tells_what_the_configuration_lacks_and_debug_shows_where(operator: Operator) -> None:
    operator.settings["colour"] = "red"
    config = operator.write()
    line = refused(run("catalog", config, "--json"), "churnml.yaml", "colour", "allowed here", "timezone")
    shown = run("catalog", config, "--debug")
    assert (shown.status, shown.error) == (2, line)
    assert "Traceback (most recent call last)" in shown.err


# --- tables that cannot be read ---------------------------------------------------------------------------------------
def damaged(source: Path, target: Path, how: str) -> str:
    """Write a broken copy of a file."""
    content = bytearray(source.read_bytes())
    if how == "cut off":
        content = content[:-20]
    elif how == "a page overwritten":
        start = pq.read_metadata(source).row_group(0).column(1).data_page_offset
        content[start : start + 60] = bytes(byte ^ 0x55 for byte in content[start : start + 60])
    elif how == "empty":
        content = bytearray()
    else:
        content = bytearray(b"customer_id,used_at\n" * 50)
    target.write_bytes(content)
    return target.name


@pytest.mark.parametrize("how", ["cut off", "a page overwritten", "empty", "no Parquet at all"])
def test_a_parquet_file_that_is_damaged_is_named(how: str, operator: Operator) -> None:
    operator.tables["usage"].to_parquet(operator.folder / "whole.parquet")
    operator.sources["usage"] = {
        "path": damaged(operator.folder / "whole.parquet", operator.folder / "bad.parquet", how)
    }
    config = operator.write()
    with pytest.raises(ChurnmlError, match=r"table usage: .*bad\.parquet cannot be read.*(mend|replace)"):
        churnml.features(config, "2024-03-01", out=operator.folder / "panel.parquet")
    assert not (operator.folder / "panel.parquet").exists()
    assert hidden(operator.folder) == []


@pytest.mark.parametrize("command", ["check", "features", "catalog"])
def test_every_command_names_the_file_that_is_damaged_or_missing(command: str, operator: Operator) -> None:
    more = (*AS_OF, "--out", operator.folder / "panel.parquet") if command == "features" else ()
    (operator.folder / "bad.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    operator.sources["usage"] = {"path": "bad.parquet"}
    refused(run(command, operator.write(), *more, "--json"), "table usage", "bad.parquet")
    operator.sources["usage"] = {"path": "usage_of_*.parquet"}
    refused(run(command, operator.write(), *more, "--json"), "table usage", "usage_of_*.parquet", "tables.usage")
    assert not (operator.folder / "panel.parquet").exists()


def _database(path: Path, rows: pd.DataFrame) -> None:
    if path.suffix == ".sqlite":
        con = sqlite3.connect(path)
        rows.to_sql("usage", con, index=False)
        con.close()
    else:
        with duckdb.connect(str(path)) as con:
            con.register("rows", rows)
            con.execute("CREATE TABLE usage AS SELECT * FROM rows")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_database_without_the_table_or_its_name_is_told(kind: str, tmp_path: Path) -> None:
    tables: dict[str, Any] = small_tables()
    path = tmp_path / f"operator.{kind}"
    _database(path, tables["usage"])
    tables["usage"] = {"path": str(path)}
    with pytest.raises(ChurnmlError, match=rf"tables\.usage: .*operator\.{kind} is a database: .*table:"):
        churnml.catalog(settings_of(tmp_path, tables))
    tables["usage"] = {"path": str(path), "table": "uasge"}
    with pytest.raises(ChurnmlError, match=rf"table usage: .*operator\.{kind} .*uasge"):
        churnml.catalog(settings_of(tmp_path, tables))


def test_a_file_that_is_not_what_its_name_says_is_told(tmp_path: Path) -> None:
    tables: dict[str, Any] = small_tables()
    head = {".sqlite": b"SQLite format 3\0", ".duckdb": b"12345678DUCK"}
    for suffix in (".xlsx", ".sqlite", ".duckdb", ".csv.gz"):
        path = tmp_path / f"usage{suffix}"
        path.write_bytes(head.get(suffix, b"") + b"nothing of the kind" * 20)
        tables["usage"] = {"path": str(path), "table": "usage"}
        with pytest.raises(ChurnmlError, match=rf"table usage: .*usage{re.escape(suffix)} cannot be read") as caught:
            churnml.catalog(settings_of(tmp_path, tables))
        assert "Traceback" not in str(caught.value)


LINES = [f"000{1 + number % 6},2024-01-{1 + number % 28:02d},{number}" for number in range(100)]


@pytest.mark.parametrize("bad", ["0001,2024-01-05", "0001,2024-01-05,7,8", '0001,2024-01-05,"7'])
def test_one_bad_line_of_a_csv_costs_no_other_line(bad: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join(["customer_id,used_at,data_mb", *LINES[:50], bad, *LINES[50:]]) + "\n")
    settings = settings_of(tmp_path, {"customers": small_tables()["customers"], "usage": {"path": str(path)}})
    try:
        report = churnml.check(settings | {"label": {"observed_until": "2024-06-01"}}).tables["usage"]
    except ChurnmlError as error:
        # the whole table may be refused, never a part of it in silence, and the line is told
        assert re.search(r"usage\.csv.*\b(line|Line)\D*52\b", str(error)), str(error)  # noqa: PT017
    else:
        assert report.rows == 101
        assert report.accepted >= 100


def test_a_csv_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes("customer_id,used_at,plan\n0001,2024-01-05,café\n".encode("latin-1"))
    tables = {"customers": small_tables()["customers"], "usage": {"path": str(path)}}
    with pytest.raises(ChurnmlError, match=r"table usage: .*usage\.csv .*(?i:utf-?8|unicode|encod)"):
        churnml.check(settings_of(tmp_path, tables))


# --- columns ----------------------------------------------------------------------------------------------------------
def test_a_mapped_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    tables: dict[str, Any] = small_tables()
    tables["usage"] = {"data": tables["usage"], "columns": {"used_at": "used_on"}}
    message = (
        r"table usage has no column used_on: did you mean used_at\? it has customer_id, used_at, data_mb; .*used_at"
    )
    with pytest.raises(ChurnmlError, match=message):
        churnml.catalog(settings_of(tmp_path, tables))


def test_a_required_column_that_is_not_there_is_told_with_where_to_name_it(tmp_path: Path) -> None:
    tables: dict[str, Any] = small_tables()
    tables["usage"] = tables["usage"].rename(columns={"used_at": "usedat"})
    message = r"table usage has no column used_at: did you mean usedat\? .*tables\.usage\.columns\.used_at"
    with pytest.raises(ChurnmlError, match=message):
        churnml.catalog(settings_of(tmp_path, tables))


def test_a_mistyped_name_of_ours_in_columns_is_what_is_told(tmp_path: Path) -> None:
    tables: dict[str, Any] = small_tables()
    tables["usage"] = {"data": tables["usage"], "columns": {"use_at": "used_at"}}
    with pytest.raises(ChurnmlError, match=r"\buse_at\b") as caught:
        churnml.catalog(settings_of(tmp_path, tables))
    assert "did you mean used_at? it has" not in str(caught.value), "the table has used_at"


@pytest.mark.parametrize(
    ("table", "column", "value", "needed"),
    [
        ("usage", "used_at", {"a": 1}, "a time"),
        ("usage", "used_at", [1, 2], "a time"),
        ("usage", "used_at", 20240101, "a time"),
        ("usage", "used_at", True, "a time"),
        ("usage", "customer_id", [1], "text"),
        ("bills", "amount", {"a": 1}, "a number"),
        ("bills", "amount", pd.Timestamp("2024-01-01"), "a number"),
        ("customers", "churned_at", 5.5, "a time"),
    ],
)
def test_a_column_of_a_wrong_type_is_told_with_what_is_needed(
    table: str, column: str, value: Any, needed: str, tmp_path: Path
) -> None:
    tables = small_tables()
    tables[table][column] = pd.Series([value] * len(tables[table]))
    with pytest.raises(
        ChurnmlError, match=rf"table {table}: the column {column} holds .*, {needed} is needed: .*{column}"
    ):
        churnml.catalog(settings_of(tmp_path, tables))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_column_of_nulls_only_is_of_any_type(in_memory: bool, operator: Operator) -> None:
    nothing = {"churned_at": None, "churn_type": None, "segment": None}
    operator.tables["customers"] = operator.tables["customers"].assign(**nothing)
    operator.tables["bills"] = operator.tables["bills"].assign(paid_at=None, paid_amount=None)
    config: Any = settings_of(operator.folder, operator.tables) if in_memory else operator.write()
    panel = churnml.features(config, "2024-03-01")
    assert len(panel) == 6
    assert (panel["bills_unpaid_amount"] > 0).all()


def test_a_table_that_is_no_table_is_told(tmp_path: Path) -> None:
    for data in (5, "usage.csv", ["usage.csv"]):
        with pytest.raises(ChurnmlError, match=r"tables\.usage.*no table.*path"):
            churnml.catalog(settings_of(tmp_path, small_tables() | {"usage": data}))


# --- rows -------------------------------------------------------------------------------------------------------------
def test_customers_without_a_row_to_use_are_an_error(tmp_path: Path) -> None:
    people = small_tables()["customers"]
    later = people.assign(signed_up_at=pd.Timestamp("2999-01-01"), churned_at=pd.NaT)
    other_spell = people.assign(signed_up_at=pd.Timestamp("2024-01-01"), churned_at=pd.NaT)
    for rows, reason in (
        (people.iloc[:0], r"0 rows can be used \(it is empty\)"),
        (later, r"6 rows can be used \(6 signed_up_at later than now\)"),
        (pd.concat([people, people.assign(segment="key")]), r"12 rows can be used \(12 conflicting versions\)"),
        (pd.concat([people, other_spell]), r"12 rows can be used \(12 overlapping spells\)"),
        (people.assign(customer_id=None), r"6 rows can be used \(6 null customer_id\)"),
    ):
        with pytest.raises(ChurnmlError, match=rf"table customers: none of its {reason}"):
            churnml.check(settings_of(tmp_path, {"customers": rows}, label={"observed_until": "2024-06-01"}))


def test_customers_that_stand_twice_are_in_quarantine_but_once_accepted(tmp_path: Path) -> None:
    people = small_tables()["customers"]
    settings = settings_of(tmp_path, {"customers": pd.concat([people, people])}, quarantine={"max_share": 0.5})
    panel = churnml.features(settings, "2024-03-01")
    assert len(panel) == 6
    bad = pd.read_parquet(tmp_path / "state" / "quarantine" / "customers.parquet")
    assert list(bad["reason"]) == ["duplicate row"] * 6
    settings["quarantine"] = {"max_share": 0.49}
    with pytest.raises(ChurnmlError, match=r"customers: 6 of 12 rows are in quarantine \(6 duplicate row\).*0\.49"):
        churnml.features(settings, "2024-03-01")


def test_the_other_tables_may_be_empty(tmp_path: Path) -> None:
    tables = small_tables()
    empty = {name: rows if name == "customers" else rows.iloc[:0] for name, rows in tables.items()}
    panel = churnml.features(settings_of(tmp_path, empty), "2024-03-01")
    assert (panel["usage_data_mb_sum_30d"] == 0).all()
    assert (panel["bills_amount_sum_30d"] == 0).all()
    report = churnml.check(settings_of(tmp_path, empty, label={"observed_until": "2024-06-01"}))
    assert report.tables["bills"].rows == 0


def test_check_reports_the_tables_even_where_nothing_tells_how_far_outcomes_are_known(operator: Operator) -> None:
    operator.tables = {"customers": operator.tables["customers"]}
    shown = run("check", operator.write(), "--json")
    if shown.status:
        refused(shown, "label.observed_until", out=None)
    assert json.loads(shown.out)["tables"]["customers"]["accepted"] == 6


def test_too_much_in_quarantine_is_an_error_that_names_counts_and_file(operator: Operator) -> None:
    usage = operator.tables["usage"]
    strange = usage["customer_id"].where(usage.index % 2 == 0, "9999")
    operator.tables["usage"] = usage.assign(customer_id=strange)
    config, kept = operator.write(), operator.folder / "state" / "quarantine" / "usage.parquet"
    words = ("table usage", "222 of 444", "222 unknown customer", "0.05", str(kept), "quarantine.max_share")
    refused(features(operator), *words)
    assert not (operator.folder / "panel.parquet").exists()
    assert (pd.read_parquet(kept)["reason"] == "unknown customer").sum() == 222
    kept.unlink()
    report = run("check", config, "--json")
    refused(report, *words, out=None)
    assert json.loads(report.out)["tables"]["usage"]["reasons"] == {"unknown customer": 222}
    bad = pd.read_parquet(kept)
    assert set(bad["customer_id"]) == {"9999"}
    assert list(bad.columns) == ["reason", "customer_id", "used_at", "data_mb"]


def test_rows_of_the_future_are_in_quarantine_and_check_prints_its_report(operator: Operator) -> None:
    operator.tables["usage"]["used_at"] = pd.Timestamp("2999-01-01")
    shown = run("check", operator.write())
    refused(shown, "table usage", "444 of 444", "444 used_at later than now", out=None)
    assert re.search(r"usage +444 +0 +444 .*used_at later than now", shown.out)


# --- as-of dates ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("date", "message"),
    [
        ("2024-13-01", r"'2024-13-01' is no date.*2024-03-01"),
        ("yesterday", r"'yesterday' is no date"),
        ("", r"no date"),
        ("2024-03-01T10:00", r"2024-03-01T10:00 has a time of day"),
        ("2024-03-01T00:00:00+08:00", r"2024-03-01T00:00:00\+08:00 has a (time|zone)"),
        ("2020-01-01", r"nobody is at risk at 2020-01-01 \(customers from 2023-01-05 .*another date"),
        ("0001-01-01", r"0001-01-01"),
        ("9999-12-31", r"9999-12-31"),
    ],
)
def test_a_date_that_is_none_or_has_nobody_is_told(date: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ChurnmlError, match=message):
        churnml.features(settings_of(tmp_path, small_tables()), date, labels=True)


def test_one_date_with_nobody_at_risk_refuses_the_whole_panel(operator: Operator) -> None:
    refused(features(operator, "--as-of", "2020-01-01"), "nobody is at risk at 2020-01-01")
    assert not (operator.folder / "panel.parquet").exists()
    assert hidden(operator.folder) == []


def test_an_activity_that_no_table_tells_is_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, small_tables(), label={"mode": "inactive", "activity": "costs"})
    with pytest.raises(ChurnmlError, match=r"costs.*label\.activity|label\.activity.*costs"):
        churnml.features(settings, "2024-03-01")


# --- queries ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DROP TABLE usage", r"tables\.usage: sql must be a single SELECT"),
        ("COPY (SELECT 1) TO 'made.csv'", r"tables\.usage: sql must be a single SELECT"),
        ("SELECT 1; SELECT 2", r"tables\.usage: sql must be a single SELECT"),
        ("ATTACH 'made.duckdb'", r"tables\.usage: sql must be a single SELECT"),
        ("-- nothing", r"tables\.usage: sql must be a single SELECT"),
        ("SELECT customer_id, FROM WHERE", r"table usage: its sql cannot be read .*syntax error"),
        ("SELECT * FROM 'nope.parquet'", r"table usage: its sql cannot be read .*nope\.parquet"),
        ("SELECT * FROM read_csv('nope.csv')", r"table usage: its sql cannot be read .*nope\.csv"),
        ("SELECT nope FROM 'usage.parquet'", r"table usage: its sql cannot be read .*nope"),
        ("SELECT error('boom') FROM 'usage.parquet'", r"table usage: its sql cannot be read .*boom"),
        ("SELECT 1 AS one", r"table usage has no column customer_id: it has one"),
    ],
)
def test_a_query_that_is_none_or_fails_is_told(sql: str, message: str, operator: Operator) -> None:
    operator.sources["usage"] = {"sql": sql}
    with pytest.raises(ChurnmlError, match=message):
        churnml.catalog(operator.write())
    assert not list(operator.folder.glob("made*"))


def test_a_database_that_cannot_be_reached_is_told_without_its_password(operator: Operator) -> None:
    operator.sources["usage"] = {"url": "postgresql://churn:${CHURNML_PASSWORD}@127.0.0.1:1/x", "table": "usage"}
    for command in ("check", "catalog"):
        shown = run(command, operator.write(), environment={"CHURNML_PASSWORD": "sesame"})
        refused(shown, "table usage", "127.0.0.1", "refused", "mend its url")
        assert "sesame" not in shown.err


# --- what is not there ------------------------------------------------------------------------------------------------
def test_features_of_ones_own_are_refused_where_they_are_needed_only(operator: Operator) -> None:
    operator.settings["features"] = {"python": "mine.py", "windows": [30]}
    refused(features(operator), "features.python")
    assert not (operator.folder / "panel.parquet").exists()
    assert run("check", operator.write(), "--json").status == 0


# --- where to write ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("nope/panel.parquet", ("nope", "does not exist")),
        ("state", ("state is a folder",)),
        ("customers.parquet/panel.parquet", ("customers.parquet",)),
        ("x" * 300 + ".parquet", ("name", "long")),
    ],
)
def test_a_place_that_cannot_be_written_to_is_told(out: str, words: tuple[str, ...], operator: Operator) -> None:
    (operator.folder / "state").mkdir()
    arguments = ("features", operator.write(), *AS_OF, "--out", out)
    line = refused(run(*arguments, folder=operator.folder), *words)
    assert "free disk or memory" not in line
    assert hidden(operator.folder) == []


def test_what_is_no_plain_file_is_not_replaced(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, `--out /dev/null` must not put a file in the place of the machine's null device."""
    monkeypatch.chdir(operator.folder)
    places = {operator.folder / "socket": stat.S_ISSOCK}
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    with contextlib.suppress(PermissionError):
        os.mknod(operator.folder / "full", stat.S_IFCHR | 0o666, os.makedev(1, 7))  # as /dev/full
        places[operator.folder / "full"] = stat.S_ISCHR
    for place, is_still in places.items():
        shown = run("features", operator.write(), *AS_OF, "--out", place)
        assert is_still(place.stat().st_mode), f"{place.name} was replaced"
        refused(shown, place.name)


def test_a_source_is_not_overwritten_by_the_panel(operator: Operator) -> None:
    config = operator.write()
    before = (operator.folder / "usage.parquet").read_bytes()
    run("features", config, *AS_OF, "--out", operator.folder / "usage.parquet")
    assert (operator.folder / "usage.parquet").read_bytes() == before


def test_a_state_folder_that_cannot_be_made_is_told(operator: Operator) -> None:
    operator.settings["state"] = {"folder": "customers.parquet/state"}
    refused(features(operator), "customers.parquet/state", "state.folder")
    assert run("catalog", operator.folder / "churnml.yaml").status == 0


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_told(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> None:
    locked = tmp_path_factory.mktemp("locked")
    locked.chmod(0o500)
    shown = run("features", operator.write(), *AS_OF, "--out", locked / "panel.parquet")
    refused(shown, "panel.parquet", "denied")
    refused(run("init", locked / "mine"), "mine")


def test_a_full_disk_leaves_the_old_panel_and_nothing_else(operator: Operator) -> None:
    target = operator.folder / "panel.parquet"
    target.write_bytes(b"PAR1 the old one")
    shown = features(operator, largest_file=3_000)
    refused(shown, "panel.parquet", "cannot be written", "free space")
    assert target.read_bytes() == b"PAR1 the old one"
    assert hidden(operator.folder) == []
    assert run("features", operator.folder / "churnml.yaml", *AS_OF, "--out", target).status == 0


def test_a_full_disk_under_the_quarantine_is_not_blamed_on_the_table(operator: Operator) -> None:
    usage = pd.concat([operator.tables["usage"]] * 20, ignore_index=True)
    names = [os.urandom(12).hex() for _ in range(len(usage))]
    operator.tables["usage"] = usage.assign(customer_id=names)
    line = refused(features(operator, largest_file=20_000), "state", "free space")
    assert "usage.parquet cannot be read" not in line
    assert hidden(operator.folder) == []


def test_a_full_disk_leaves_no_simulation_and_no_configuration(tmp_path: Path) -> None:
    made = run("simulate", "--out", tmp_path / "made", "--customers", 100, "--months", 1, largest_file=20_000)
    refused(made, "made", "cannot be written", "free space")
    refused(run("init", tmp_path / "mine", largest_file=2_000), "churnml.yaml", "cannot be written")
    assert hidden(tmp_path) == []
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "mine" / "churnml.yaml").exists()
    assert run("init", tmp_path / "mine").status == 0


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Any:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if not ROOT or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_full_is_told(operator: Operator, tiny_disk: Path) -> None:
    (tiny_disk / "filler").write_bytes(b"\0" * 60 * 1024)
    shown = run("features", operator.write(), *AS_OF, "--out", tiny_disk / "panel.parquet")
    refused(shown, "panel.parquet", "No space left", "free space")
    assert [item.name for item in tiny_disk.iterdir()] == ["filler"]
    made = run("simulate", "--out", tiny_disk / "made", "--customers", 100, "--months", 1)
    refused(made, "made", "No space left", "free space")
    assert [item.name for item in tiny_disk.iterdir()] == ["filler"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_stdout_that_is_full_is_told(operator: Operator) -> None:
    refused(run("catalog", operator.write(), out="/dev/full"), "No space left")


def test_a_stdout_that_nobody_reads_ends_the_command_without_a_word(operator: Operator) -> None:
    shown = run("catalog", operator.write(), out="nobody reads")
    assert shown.status in (0, 1, -signal.SIGPIPE)
    assert shown.err == ""


def test_a_stdout_that_is_closed_does_not_break_a_command_that_writes_a_file(operator: Operator) -> None:
    shown = features(operator, out="closed")
    assert "Traceback" not in shown.err
    assert (operator.folder / "panel.parquet").exists() == (shown.status == 0)


# --- interrupted ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("when", "number"), [("reading 2/3", signal.SIGINT), ("features 2/2", signal.SIGTERM)])
def test_an_interrupted_panel_is_not_there(when: str, number: int, operator: Operator) -> None:
    config, target = operator.write(), operator.folder / "panel.parquet"
    target.write_bytes(b"PAR1 the old one")
    running = start("features", config, *AS_OF, "--as-of", "2024-04-01", "--out", target)
    shown = running.send_when(lambda err: when in err, number)
    refused(shown, "interrupted", status=1)
    assert target.read_bytes() == b"PAR1 the old one"
    assert hidden(operator.folder) == []


def test_an_interrupt_within_a_query_is_an_interrupt(operator: Operator) -> None:
    operator.sources["usage"] = {
        "sql": "SELECT '0001' AS customer_id, TIMESTAMP '2024-01-01' AS used_at, sum(a.range * b.range) AS data_mb "
        "FROM range(10000000) a, range(10000) b WHERE a.range % 7 = b.range % 11"
    }
    config = operator.write()
    running = start("check", config)
    shown = running.send_when(_after(0.5, "reading 2/3"), signal.SIGINT)
    refused(shown, "interrupted", status=1)


def _after(seconds: float, word: str) -> Callable[[str], bool]:
    """Be ready so many seconds after a word has been printed."""
    since: list[float] = []

    def ready(err: str) -> bool:
        if word in err:
            since.append(os.times().elapsed)
        return bool(since) and since[-1] - since[0] >= seconds

    return ready


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_simulation_is_not_there(number: int, tmp_path: Path) -> None:
    running = start("simulate", "--out", tmp_path / "made", "--customers", 2_000, "--months", 12)
    shown = running.send_when(lambda err: "simulated tables 8/8" in err, number)
    refused(shown, "interrupted", status=1)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_panel_is_not_there_and_the_same_run_goes_on_and_cleans_up(operator: Operator) -> None:
    config, target = operator.write(), operator.folder / "panel.parquet"
    asked = ("features", config, *AS_OF, "--as-of", "2024-04-01", "--out", target)
    shown = start(*asked).send_when(lambda err: "features 2/2" in err, signal.SIGKILL)
    assert shown.status == -signal.SIGKILL
    assert not target.exists()
    assert list((operator.folder / "state" / "panels").rglob("*.parquet")), "the test came too late"
    assert run(*asked).status == 0
    assert pq.read_metadata(target).num_rows == 12
    assert hidden(operator.folder) == []
    assert list((operator.folder / "state" / "panels").iterdir()) == []


def test_a_killed_simulation_is_not_there_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    running = start("simulate", "--out", tmp_path / "made", "--customers", 2_000, "--months", 12)
    shown = running.send_when(lambda err: "simulated tables 8/8" in err, signal.SIGKILL)
    assert shown.status == -signal.SIGKILL
    assert not (tmp_path / "made").exists()
    assert run("simulate", "--out", tmp_path / "made", "--customers", 100, "--months", 1).status == 0
    assert [item.name for item in tmp_path.iterdir()] == ["made"]


def test_what_a_killed_run_of_the_same_process_id_left_is_removed_too(operator: Operator) -> None:
    """In a container every run has the same id."""
    config, target = operator.write(), operator.folder / "panel.parquet"
    stray = operator.folder / f".panel.parquet.{os.getpid()}.0badcafe.part"
    stray.write_bytes(b"half")
    churnml.features(config, "2024-03-01", out=target)
    assert not stray.exists()


# --- init and simulate ------------------------------------------------------------------------------------------------
def test_init_overwrites_nothing_and_makes_one_folder_only(tmp_path: Path) -> None:
    (tmp_path / "churnml.yaml").write_text("mine")
    refused(run("init", tmp_path), "churnml.yaml exists")
    assert (tmp_path / "churnml.yaml").read_text() == "mine"
    with pytest.raises(ChurnmlError, match=r"no does not exist"):
        churnml.init(tmp_path / "no" / "such")
    with pytest.raises(ChurnmlError, match=r"churnml\.yaml"):
        churnml.init(tmp_path / "churnml.yaml")
    assert [item.name for item in tmp_path.iterdir()] == ["churnml.yaml"]


def test_simulate_writes_into_no_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").write_text("mine")
    arguments = ("--customers", 100, "--months", 1)
    refused(run("simulate", "--out", tmp_path / "full", *arguments), "full exists and is not empty")
    with pytest.raises(ChurnmlError, match=r"no does not exist"):
        churnml.simulate(tmp_path / "no" / "such", customers=100, months=1)
    with pytest.raises(ChurnmlError, match=r"kept exists"):
        churnml.simulate(tmp_path / "full" / "kept", customers=100, months=1)
    assert [str(item.relative_to(tmp_path)) for item in tmp_path.rglob("*")] == ["full", "full/kept"]


def test_simulate_fills_the_empty_folder_it_stands_in_or_says_at_once_why_not(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    shown = run("simulate", "--out", ".", "--customers", 100, "--months", 1, folder=tmp_path / "here")
    if shown.status:
        assert "free space" not in refused(shown)
        assert "simulated tables" not in shown.err, "all the work was done first"
    else:
        assert (tmp_path / "here" / "churnml.yaml").exists()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "operator"
    churnml.simulate(folder, customers=100, months=2)
    return folder


ASSIGNED = pd.DataFrame(
    {
        "campaign_id": "spring",
        "customer_id": ["C00000001", "C00000002", "C00000003"],
        "arm": ["treated", "control", "excluded"],
        "offer_id": ["call", "call", None],
        "propensity": [0.5, 0.5, None],
    }
)


@pytest.mark.parametrize(
    ("assigned", "message"),
    [
        (ASSIGNED.assign(offer_id="tea"), r"plan\.parquet.*'tea'.*campaign\.offers"),
        (ASSIGNED.assign(customer_id="X"), r"plan\.parquet has customers that the simulation does not have \(2 rows"),
        (pd.concat([ASSIGNED, ASSIGNED]), r"plan\.parquet has customers more than once"),
        (ASSIGNED.drop(columns="arm"), r"plan\.parquet has no column arm"),
        (ASSIGNED.assign(offer_id=None), r"plan\.parquet has treated customers without an offer_id \(1 row"),
        (ASSIGNED.assign(propensity="half"), r"plan\.parquet.*propensity"),
        (b"no Parquet", r"plan\.parquet is not a Parquet file"),
        (None, r"plan\.parquet does not exist"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_assignments_that_do_not_fit_are_told_and_change_nothing(
    assigned: pd.DataFrame | bytes | None, message: str, simulated: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.parquet"
    if isinstance(assigned, pd.DataFrame):
        pq.write_table(pa.Table.from_pandas(assigned), plan)
    elif assigned is not None:
        plan.write_bytes(assigned)
    before = sorted(simulated.rglob("*"))
    with pytest.raises(ChurnmlError, match=message):
        churnml.simulate(continue_folder=simulated, assignments=plan, months=1)
    assert sorted(simulated.rglob("*")) == before


def test_simulate_continue_needs_assignments_and_a_simulation(simulated: Path, tmp_path: Path) -> None:
    refused(run("simulate", "--continue", simulated), "--assignments")
    refused(run("simulate", "--continue", tmp_path, "--assignments", "plan.parquet"), str(tmp_path), "churnml simulate")
    refused(run("simulate", "--continue", simulated, "--out", tmp_path / "made"), "--out", "--continue")
    assert list(tmp_path.iterdir()) == []
