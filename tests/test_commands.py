"""What the commands print, write and return when all is well; and how tests run a command as a process of its own."""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import json
import math
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any
from xml.sax.saxutils import escape

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import churnml
from churnml import wording
from churnml.config import Config, load_config

CHINESE = re.compile("[\u4e00-\u9fff]")
TABLES = ("customers", "subscriptions", "usage", "bills", "complaints", "surveys", "costs", "contacts")

# --- running a command ------------------------------------------------------------------------------------------------
# A process that has loaded what is slow to load (not DuckDB: its threads would not survive a fork) makes one fork for
# every command: a real process with its own streams, limits, signals and exit status, without seconds of imports.
_SERVER = """
import gc, json, os, resource, signal, sys, warnings
import churnml.config, ibis.backends.sql.compilers.duckdb, pandas, pyarrow.parquet, python_calamine, rich.table
import sklearn.model_selection, sklearn.preprocessing, sklearn.tree, sqlite3, tqdm
assert "duckdb" not in sys.modules
sys.pycache_prefix, sys.dont_write_bytecode = sys.argv[1], False
gc.freeze()
for line in sys.stdin:
    asked = json.loads(line)
    with warnings.catch_warnings(action="ignore"):
        child = os.fork()
    if not child:
        break
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
signal.signal(signal.SIGINT, signal.default_int_handler)
os.chdir(asked["folder"])
os.environ.update(asked["environment"])
for number, name in enumerate(asked["streams"]):
    if name == "closed":
        os.close(number)
        continue
    if name == "nobody reads":
        unread, opened = os.pipe()
        os.close(unread)
    else:
        opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    os.dup2(opened, number)
    os.close(opened)
sys.stdin, sys.stdout, sys.stderr = (
    None if name == "closed" else os.fdopen(number, "r" if not number else "w", encoding="utf-8", closefd=False)
    for number, name in enumerate(asked["streams"])
)
if asked["largest_file"]:
    sys.dont_write_bytecode = True  # a cut one would stay
    resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"], asked["largest_file"]))
from churnml.cli import main
main(asked["arguments"])
"""


@cache
def _kept() -> Path:
    """A folder for what the commands of this session print, and for their bytecode."""
    folder = Path(tempfile.mkdtemp(prefix="churnml-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _server() -> subprocess.Popen[str]:
    python = [sys.executable, "-c", _SERVER, str(_kept() / "bytecode")]
    server = subprocess.Popen(python, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    atexit.register(server.communicate)
    return server


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status (negative: the signal that ended it) and what it printed."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The last line on stderr."""
        return (self.err.splitlines() or [""])[-1]

    @property
    def noise(self) -> list[str]:
        """The lines on stderr before the last that are neither blank nor progress."""
        progress = re.compile(r"(reading|features|simulated tables|training|reasons) \d+/\d+: \S+")
        return [line for line in self.err.splitlines()[:-1] if line and not progress.fullmatch(line)]


@dataclass
class Running:
    """A command that runs."""

    pid: int
    out: Path
    err: Path

    def wait(self) -> Result:
        answer = _server().stdout
        assert answer
        status = int(answer.readline())
        return Result(status, _read(self.out), _read(self.err))

    def send_when(self, ready: Callable[[str], bool], *signals: int) -> Result:
        """Send signals once stderr is as wanted, and wait for the end."""
        while not ready(_read(self.err)) and Path(f"/proc/{self.pid}/fd/0").exists():
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            for number in signals:
                os.kill(self.pid, number)
        return self.wait()


def _read(stream: Path) -> str:
    return stream.read_text(encoding="utf-8") if stream.is_file() else ""


def start(
    *arguments: object,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    out: str = "",
    err: str = "",
    largest_file: int = 0,
) -> Running:
    """Start `churnml` with some arguments; the streams are files, or else "closed" or "nobody reads"."""
    kept = Path(tempfile.mkdtemp(dir=_kept()))
    asked = {
        "arguments": [str(argument) for argument in arguments],
        "folder": str(folder or kept),
        "environment": dict(environment or {}),
        "streams": ["/dev/null", out or str(kept / "out"), err or str(kept / "err")],
        "largest_file": largest_file,
    }
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps(asked) + "\n")
    return Running(int(server.stdout.readline()), kept / "out", kept / "err")


def run(*arguments: object, **settings: Any) -> Result:
    """Run `churnml` to its end."""
    return start(*arguments, **settings).wait()


# --- a small operator -------------------------------------------------------------------------------------------------
USUAL = {"label": {}, "features": {"windows": [30]}, "training": {"first": "2024-03-01", "last": "2024-03-01"}}


def small_tables(customers: int = 6) -> dict[str, pd.DataFrame]:
    """Customers 0001, 0002, ...: weekly usage and monthly bills from February 2023 to June 2024; 0001 leaves in May."""
    ids = [f"{number:04d}" for number in range(1, customers + 1)]
    people = pd.DataFrame(
        {
            "customer_id": ids,
            "signed_up_at": pd.Timestamp("2023-01-05 10:00"),
            "churned_at": [pd.Timestamp("2024-05-01"), *[pd.NaT] * (customers - 1)],
            "churn_type": ["voluntary", *[None] * (customers - 1)],
            "segment": "mass",
        }
    )
    weeks, months = (
        pd.date_range("2023-02-01", "2024-06-30", freq="7D"),
        pd.date_range("2023-02-01", "2024-06-30", freq="MS"),
    )
    usage = [(who, day, float(number)) for number, who in enumerate(ids) for day in weeks]
    bills = [(f"{who}-{day:%Y%m}", who, day, 10.5) for who in ids for day in months]
    return {
        "customers": people,
        "usage": pd.DataFrame(usage, columns=["customer_id", "used_at", "data_mb"]),
        "bills": pd.DataFrame(bills, columns=["bill_id", "customer_id", "billed_at", "amount"]),
    }


@dataclass
class Operator:
    """A folder with tables and a churnml.yaml for them."""

    folder: Path
    tables: dict[str, pd.DataFrame] = field(default_factory=small_tables)
    settings: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)

    def write(self) -> Path:
        """Write the tables as Parquet and the configuration; `sources` and `settings` go before what is usual."""
        for name, rows in self.tables.items():
            rows.to_parquet(self.folder / f"{name}.parquet", index=False)
        sources = {name: {"path": f"{name}.parquet"} for name in self.tables} | self.sources
        config = self.folder / "churnml.yaml"
        config.write_text(
            yaml.safe_dump(USUAL | self.settings | {"tables": sources}, allow_unicode=True), encoding="utf-8"
        )
        return config


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def settings_of(tmp_path: Path, tables: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """A configuration for the functions, whose state lies under tmp_path."""
    return USUAL | settings | {"tables": dict(tables), "state": {"folder": str(tmp_path / "state")}}


# --- help and names ---------------------------------------------------------------------------------------------------
GROUPS = {"campaign": ["open", "assignments", "export"], "keys": ["create", "list", "revoke", "audit"]}


def test_every_command_explains_itself_with_an_example() -> None:
    top = run("--help")
    assert (top.status, top.err) == (0, "")
    listed = re.findall(r"^  ([a-z]+)  ", top.out.split("Commands:")[1], re.MULTILINE)
    assert {"catalog", "check", "demo", "features", "init", "simulate"} <= set(listed)
    for command in [[name, *more] for name in listed for more in ([[word] for word in GROUPS.get(name, [])] or [[]])]:
        shown = run(*command, "--help")
        assert (shown.status, shown.err) == (0, "")
        assert f"churnml {' '.join(command)} " in shown.out.split("Example:")[1]
        options = ("--debug", "--help") if command == ["serve"] else ("--json", "--lang", "--debug", "--help")
        assert all(option in shown.out for option in options)
        assert max(map(len, shown.out.splitlines())) <= 120


def test_the_module_and_the_console_script_are_the_same_command(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("churnml")
    for command in ([sys.executable, "-m", "churnml.cli"], [str(script)]):
        shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert re.fullmatch(r"churnml, version \d+\.\d+\.\d+\n", shown.stdout)
        assert shown.stderr == ""


_LOOK = """
import json, logging, os, sys, threading
before = set(sys.modules)
import {module}
heavy = "pandas numpy ibis duckdb pyarrow sklearn scipy pydantic yaml sqlglot rich tqdm mlflow lightgbm".split()
print(json.dumps(dict(heavy=[name for name in heavy if name in sys.modules], files=os.listdir(),
    handlers=len(logging.getLogger().handlers) + len(logging.getLogger("churnml").handlers),
    threads=threading.active_count())))
"""


@pytest.mark.parametrize("module", ["churnml", "churnml.cli"])
def test_import_does_nothing(module: str, tmp_path: Path) -> None:
    code = _LOOK.format(module=module)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(shown.stdout) == {"heavy": [], "files": [], "handlers": 0, "threads": 1}
    assert shown.stderr == ""


def test_every_command_is_a_function_of_the_same_name() -> None:
    names = re.findall(r"^  ([a-z]+)  ", run("--help").out.split("Commands:")[1], re.MULTILINE)
    names = [f"{name}_{word}" if word else name for name in names for word in GROUPS.get(name, [""])]
    assert all(callable(getattr(churnml, name)) for name in names)
    assert set(names) <= set(dir(churnml))
    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        _ = churnml.chekc


# --- --json -----------------------------------------------------------------------------------------------------------
def test_check_prints_the_json_of_the_contract(operator: Operator) -> None:
    strange = pd.DataFrame({"customer_id": ["0001", "9999"], "used_at": pd.Timestamp("2024-01-01"), "data_mb": 1.0})
    operator.tables["usage"] = pd.concat([operator.tables["usage"], strange])
    shown = run("check", operator.write(), "--json")
    assert shown.status == 0
    report = json.loads(shown.out)
    assert set(report) >= {"tables", "warnings", "enough_to_train"}
    rows = len(operator.tables["usage"])
    assert report["tables"]["usage"] == {
        "rows": rows,
        "accepted": rows - 1,
        "quarantined": 1,
        "reasons": {"unknown customer": 1},
    }
    assert report["tables"]["bills"] == {"rows": 102, "accepted": 102, "quarantined": 0, "reasons": {}}
    assert list(report["tables"]) == ["customers", "usage", "bills"]
    assert report["enough_to_train"] is False
    assert report["warnings"]
    assert all(set(warning) == {"table", "column", "message"} for warning in report["warnings"])
    bad = pd.read_parquet(operator.folder / "state" / "quarantine" / "usage.parquet")
    assert bad[["reason", "customer_id"]].to_numpy().tolist() == [["unknown customer", "9999"]]


def test_features_writes_what_its_json_says(operator: Operator) -> None:
    arguments = [operator.write(), "--as-of", "2024-04-01", "--as-of", "2024-03-01", "--as-of", "2024-04-01"]
    target = operator.folder / "panel.parquet"
    shown = run("features", *arguments, "--out", target, "--labels", "--json")
    assert shown.status == 0
    panel = pq.read_table(target)
    expected = {"rows": 12, "columns": panel.num_columns, "dates": ["2024-03-01", "2024-04-01"], "out": str(target)}
    assert json.loads(shown.out) == expected
    assert panel.num_rows == 12
    assert panel.schema.field("as_of").type == pa.date32()
    assert panel.schema.field("customer_id").type == pa.string()
    keys = list(zip(panel["customer_id"].to_pylist(), panel["as_of"].to_pylist(), strict=True))
    assert len(set(keys)) == 12
    assert {day for _, day in keys} == {dt.date(2024, 3, 1), dt.date(2024, 4, 1)}
    assert panel.column_names[-2:] == ["churned", "value"]
    assert not [name for name in panel.column_names if "churn_type" in name or "churn_reason" in name]
    assert {item.name for item in operator.folder.iterdir()} == {
        "bills.parquet",
        "churnml.yaml",
        "customers.parquet",
        "panel.parquet",
        "state",
        "usage.parquet",
    }


def test_catalog_lists_the_columns_of_the_panel_in_its_order(operator: Operator) -> None:
    listed = json.loads(run("catalog", operator.write(), "--json").out)
    words = {"name", "source", "window", "unit", "dtype", "meaning", "phrase_en", "phrase_zh", "theme", "why"}
    assert all(set(feature) == words for feature in listed)
    assert all(feature["meaning"] and feature["phrase_en"] for feature in listed)
    assert all(CHINESE.search(feature["phrase_zh"]) for feature in listed)
    panel = churnml.features(operator.folder / "churnml.yaml", "2024-03-01")
    assert [feature["name"] for feature in listed] == list(panel.columns[2:])


def test_simulate_and_init_print_json(tmp_path: Path) -> None:
    simulated = run("simulate", "--out", tmp_path / "made", "--customers", 100, "--months", 2, "--json")
    result = json.loads(simulated.out)
    assert result["first_day"] == "2023-01-01"
    assert result["last_day"] == "2023-02-28"
    assert set(result["rows"]) == set(TABLES)
    for name in TABLES:
        files = (tmp_path / "made").glob(f"tables/*/{name}.parquet")
        assert sum(pq.read_metadata(file).num_rows for file in files) == result["rows"][name]
    written = json.loads(run("init", tmp_path / "mine", "--json").out)
    assert Path(written["out"]) == tmp_path / "mine" / "churnml.yaml"


def test_demo_leads_from_nothing_to_a_report(tmp_path: Path) -> None:
    shown = run("demo", "--out", tmp_path / "demo", "--customers", 300, "--json", "--lang", "zh")
    assert (shown.status, shown.noise) == (0, [])
    result = json.loads(shown.out)
    assert pq.read_table(result["scores"]).num_rows > 200
    page = Path(result["report"]).read_text(encoding="utf-8")
    assert 'lang="zh' in page
    assert "<svg" in page
    assert load_config(result["config"]).project == "simulated"


# --- two languages ----------------------------------------------------------------------------------------------------
def test_commands_speak_chinese(operator: Operator) -> None:
    config, target = operator.write(), operator.folder / "panel.parquet"
    shown = run("check", config, "--lang", "zh")
    assert all(word in shown.out for word in ("行数", "隔离", "警告", "数据不足以训练模型"))
    assert "用" in run("catalog", config, "--lang", "zh").out
    assert not CHINESE.search(run("catalog", config).out)
    assert "个日期" in run("features", config, "--as-of", "2024-03-01", "--out", target, "--lang", "zh").out
    assert "请填写" in run("init", operator.folder / "mine", "--lang", "zh").out


def test_every_sentence_says_the_same_facts_in_both_languages() -> None:
    for english, chinese in wording._SENTENCES.values():
        names = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, chinese)]
        assert names[0] == names[1], english
        assert CHINESE.search(chinese) or english == chinese or not re.search("[a-z]{3}", re.sub("{.*?}", "", english))
        assert not CHINESE.search(english)


# --- sources ----------------------------------------------------------------------------------------------------------
def _xlsx(tables: dict[str, pd.DataFrame], target: Path) -> None:
    """Write sheets as Excel would: numbers as floats, times as day numbers with a date style, texts as texts."""

    def cell(value: Any) -> str:
        if pd.isna(value):
            return "<c/>"
        if isinstance(value, pd.Timestamp):
            return f'<c s="1"><v>{(value - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)!r}</v></c>'
        if isinstance(value, float | int):
            return f"<c><v>{value!r}</v></c>"
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    ids = range(1, len(tables) + 1)
    sheets = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in zip(ids, tables, strict=True))
    links = "".join(
        f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in ids
    )
    with zipfile.ZipFile(target, "w") as book:
        book.writestr(
            "[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="r0" Type="{office}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{sheets}</sheets></workbook>'
        )
        style = f'<Relationship Id="s" Type="{office}/styles" Target="styles.xml"/>'
        book.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}">{links}{style}</Relationships>')
        formats = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
        book.writestr("xl/styles.xml", f'<styleSheet xmlns="{main}">{formats}</styleSheet>')
        for number, rows in zip(ids, tables.values(), strict=True):
            listed = [list(rows.columns), *rows.itertuples(index=False)]
            text = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in listed)
            book.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{text}</sheetData></worksheet>',
            )


THEIR_NAMES = {
    "customers": {"customer_id": "account no", "signed_up_at": "since"},
    "usage": {"used_at": "day", "data_mb": "流量"},
}


@pytest.fixture
def theirs() -> dict[str, pd.DataFrame]:
    """Two tables, named as the operator has them."""
    tables = small_tables()
    people = tables["customers"].assign(age=[30.0, 41.0, None, 28.0, 60.0, 33.0], region=[*"NESW", "O'Neill", None])
    return {
        "customers": people.rename(columns=THEIR_NAMES["customers"]),
        "usage": tables["usage"].rename(columns=THEIR_NAMES["usage"]),
    }


def _as_source(kind: str, name: str, tables: dict[str, pd.DataFrame], folder: Path) -> dict[str, Any]:
    rows = tables[name]
    match kind:
        case "parquet":
            rows.to_parquet(folder / f"{name}.parquet", index=False)
            return {"path": f"{name}.parquet"}
        case "parquet with the index of a frame":
            rows.set_axis(range(7, 7 + len(rows) * 2, 2)).to_parquet(folder / f"{name}.parquet", index=True)
            return {"path": f"{name}.parquet"}
        case "a folder of parquet":
            for part, number in enumerate((len(rows) // 2, len(rows))):
                (folder / name / str(part)).mkdir(parents=True)
                begin = 0 if not part else len(rows) // 2
                rows.iloc[begin:number].to_parquet(folder / name / str(part) / "rows.parquet", index=False)
            return {"path": name}
        case "csv":
            rows.to_csv(folder / f"{name}.csv", index=False)
            return {"path": f"{name}.csv"}
        case "csv.gz":
            rows.to_csv(folder / f"{name}.csv.gz", index=False)
            return {"path": f"{name}.csv.gz"}
        case "xlsx":
            _xlsx(tables, folder / "book.xlsx")
            return {"path": "book.xlsx", "sheet": name}
        case "duckdb":
            with duckdb.connect(str(folder / f"{name}.duckdb")) as con:
                con.register("rows", rows)
                con.execute(f"CREATE TABLE their_{name} AS SELECT * FROM rows")
            return {"path": f"{name}.duckdb", "table": f"their_{name}"}
        case "sqlite":
            con = sqlite3.connect(folder / f"{name}.sqlite")
            rows.to_sql(f"their {name}", con, index=False)
            con.close()
            return {"path": f"{name}.sqlite", "table": f"their {name}"}
        case "sql":
            rows.to_csv(folder / f"{name}.csv", index=False)
            kept = "{'account no': 'VARCHAR'}" if name == "customers" else "{'customer_id': 'VARCHAR'}"
            return {"sql": f"SELECT * FROM read_csv('{name}.csv', types = {kept}) WHERE true -- all of them"}
        case "arrow":
            return {"data": pa.Table.from_pandas(rows, preserve_index=False)}
        case _:
            return {"data": rows}


KINDS = (
    *("parquet with the index of a frame", "a folder of parquet", "csv", "csv.gz", "xlsx"),
    *("duckdb", "sqlite", "sql", "arrow", "pandas"),
)


@pytest.fixture(scope="module")
def panel_of_parquet(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, pd.DataFrame]], pd.DataFrame]:
    made: list[pd.DataFrame] = []

    def panel(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        if not made:
            made.append(_panel("parquet", tables, tmp_path_factory.mktemp("parquet")))
        return made[0]

    return panel


def _panel(kind: str, tables: dict[str, pd.DataFrame], folder: Path) -> pd.DataFrame:
    sources = {name: _as_source(kind, name, tables, folder) | {"columns": THEIR_NAMES[name]} for name in tables}
    for source in sources.values():
        if "path" in source:
            source["path"] = str(folder / source["path"])
        if "sql" in source:
            source["sql"] = source["sql"].replace("read_csv('", f"read_csv('{folder}/")
    return churnml.features(settings_of(folder, sources), "2024-05-15")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gives_the_same_panel(
    kind: str,
    theirs: dict[str, pd.DataFrame],
    tmp_path: Path,
    panel_of_parquet: Callable[[dict[str, pd.DataFrame]], pd.DataFrame],
) -> None:
    expected = panel_of_parquet(theirs)
    assert len(expected) == 5
    assert {"usage_data_mb_sum_30d", "account_age", "account_region", "account_segment"} <= set(expected.columns)
    pd.testing.assert_frame_equal(_panel(kind, theirs, tmp_path), expected)


def test_ids_with_leading_zeros_keep_them(tmp_path: Path) -> None:
    tables = small_tables()
    for name in ("customers", "usage"):
        tables[name].to_csv(tmp_path / f"{name}.csv", index=False)
    sources = {name: {"path": str(tmp_path / f"{name}.csv")} for name in ("customers", "usage")}
    panel = churnml.features(settings_of(tmp_path, sources), "2024-03-01")
    assert list(panel["customer_id"]) == ["0001", "0002", "0003", "0004", "0005", "0006"]
    assert (panel["usage_active_days_30d"] > 0).all()


def test_relative_paths_are_relative_to_the_configuration(
    operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    operator.sources["usage"] = {"sql": "SELECT * FROM read_parquet('usage.parquet')"}
    config = operator.write()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shown = run("features", config, "--as-of", "2024-03-01", "--out", "here.parquet", folder=elsewhere)
    assert shown.status == 0
    assert [item.name for item in elsewhere.iterdir()] == ["here.parquet"]
    assert (operator.folder / "state").is_dir()


def test_the_same_panel_comes_as_a_frame_and_as_a_file(operator: Operator) -> None:
    config, target = operator.write(), operator.folder / "panel.parquet"
    frame = churnml.features(config, ["2024-03-01", dt.date(2024, 4, 1), "2024-03-01"])
    written = churnml.features(config, ["2024-04-01", "2024-03-01"], out=target)
    assert written["dates"] == ["2024-03-01", "2024-04-01"]
    stored = pq.read_table(target).to_pandas(date_as_object=False)
    pd.testing.assert_frame_equal(frame, stored.astype({"as_of": frame["as_of"].dtype}))
    assert not frame.duplicated(["customer_id", "as_of"]).any()


# --- init -------------------------------------------------------------------------------------------------------------
def test_init_writes_a_configuration_whose_values_are_the_defaults(tmp_path: Path) -> None:
    written = load_config(churnml.init(tmp_path / "mine"))
    default = Config.model_validate({"tables": {"customers": {"path": "customers.csv"}}, "label": {}})
    assert written.model_dump() == default.model_dump()
    text = (tmp_path / "mine" / "churnml.yaml").read_text(encoding="utf-8")
    assert all(re.search(rf"^(# )?{name}:", text, re.MULTILINE) for name in Config.model_fields if name != "folder")
    assert all(f"{name}:" in text for name in TABLES)


def test_what_init_comments_out_loads_once_it_is_filled_in(tmp_path: Path) -> None:
    written = churnml.init(tmp_path / "mine")
    lines = written.read_text(encoding="utf-8").splitlines()
    given = [re.sub(r"^(\s*)# ( *\w+:.*)$", r"\1\2", line) for line in lines[5:]]
    given = [line for line in given if not re.match(r"\s*(path|url|sql):.*(\(|SELECT|://)", line)]
    written.write_text("\n".join(given), encoding="utf-8")
    config = load_config(written)
    assert set(config.tables.given()) == set(TABLES)
    assert config.training is not None
    assert config.tiers is not None
    assert config.campaign.budget == 20_000
    assert config.label.types == ("voluntary", "port_out")


def test_a_filled_in_configuration_of_init_gives_a_panel(tmp_path: Path) -> None:
    folder = churnml.init(tmp_path / "mine").parent
    tables = small_tables()
    tables["customers"].to_csv(folder / "customers.csv", index=False)
    shown = run("features", folder / "churnml.yaml", "--as-of", "2024-03-01", "--out", folder / "panel.parquet")
    assert (shown.status, pq.read_metadata(folder / "panel.parquet").num_rows) == (0, 6)


# --- the warnings of check --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> churnml.api.histories.CheckReport:  # type: ignore[name-defined]
    """40 of 140 leave from 15 March 2024 on; what gives it away, an innocent column, a gap, an early end."""
    leave, there = 40, 140
    ids = [f"C{number:03d}" for number in range(there)]
    gone = [pd.Timestamp("2024-03-20") + pd.Timedelta(hours=number) for number in range(leave)]
    people = pd.DataFrame(
        {
            "customer_id": ids,
            "signed_up_at": [pd.Timestamp("2022-05-01") + pd.Timedelta(days=number % 7) for number in range(there)],
            "churned_at": [*gone, *[pd.NaT] * (there - leave)],
            "churn_type": ["voluntary"] * leave + [None] * (there - leave),
            "status": ["closed"] * leave + ["open"] * (there - leave),
            "exit_score": [float(number % 5) for number in range(leave)] + [None] * (there - leave),
            "region": [("north", "south", "east")[number % 3] for number in range(there)],
            "luck": [float(number * 37 % 101) for number in range(there)],
        }
    )
    days = pd.date_range("2023-06-01", "2024-06-30", freq="2D")
    days = days[(days < "2023-10-10") | (days > "2023-11-08")]
    usage = pd.DataFrame(
        [(who, day, 5.0) for who in ids[:4] for day in days], columns=["customer_id", "used_at", "data_mb"]
    )
    rated = pd.date_range("2023-06-01", "2024-03-31", freq="2D")
    surveys = pd.DataFrame({"customer_id": "C000", "answered_at": rated, "score": 3})
    tables = {"customers": people, "usage": usage, "surveys": surveys}
    return churnml.check(settings_of(tmp_path_factory.mktemp("troubled"), tables))


def _messages(report: Any, table: str, column: str, lang: str = "en") -> list[str]:
    listed = report.warnings(lang)
    return [found["message"] for found in listed if (found["table"], found["column"]) == (table, column)]


def test_check_warns_of_a_column_whose_value_gives_the_outcome_away(troubled: Any) -> None:
    (message,) = _messages(troubled, "customers", "status")
    assert re.search(r"AUC 1\.000.* at 2024-03-01", message)
    assert "known_at" in message


def test_check_warns_of_a_column_whose_nulls_give_the_outcome_away(troubled: Any) -> None:
    (message,) = _messages(troubled, "customers", "exit_score")
    assert "empty" in message
    assert CHINESE.search(_messages(troubled, "customers", "exit_score", "zh")[0])


def test_check_warns_of_no_innocent_column(troubled: Any) -> None:
    warned = {found["column"] for found in troubled.warnings() if found["table"] == "customers"}
    assert warned == {"status", "exit_score"}


def test_check_warns_of_a_gap_in_time(troubled: Any) -> None:
    (message,) = _messages(troubled, "usage", "used_at")
    gap = re.search(r"from (\S+) to (\S+) \((\d+) days\)", message)
    assert gap
    assert dt.date(2023, 10, 8) <= dt.date.fromisoformat(gap[1]) <= dt.date(2023, 10, 10)
    assert dt.date(2023, 11, 8) <= dt.date.fromisoformat(gap[2]) <= dt.date(2023, 11, 10)
    assert (dt.date.fromisoformat(gap[2]) - dt.date.fromisoformat(gap[1])).days + 1 == int(gap[3])


def test_check_warns_of_a_table_that_ends_early(troubled: Any) -> None:
    (message,) = _messages(troubled, "surveys", "answered_at")
    assert "2024-03-31" in message
    assert re.search(r"9[01] days before the last row of usage", message)


@pytest.fixture(scope="module")
def leavers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """On 1 June and 1 December 2023: 72 and 40 leave within 30 days after the lead, 216 and 120 within 90."""
    summer = [pd.Timestamp("2023-06-15") + number * pd.Timedelta(hours=10) for number in range(350)]
    winter = [pd.Timestamp("2023-12-15") + number * pd.Timedelta(hours=18) for number in range(300)]
    gone = [*summer, *winter, *[pd.NaT] * 300]
    ids = [f"C{number:03d}" for number in range(len(gone))]
    people = pd.DataFrame({"customer_id": ids, "signed_up_at": pd.Timestamp("2022-01-01"), "churned_at": gone})
    training = {"first": "2023-06-01", "last": "2023-12-01", "every": "6mo"}
    return settings_of(tmp_path_factory.mktemp("leavers"), {"customers": people}, training=training)


def test_check_tells_how_many_churners_are_missing_and_which_horizon_would_do(leavers: dict[str, Any]) -> None:
    report = churnml.check(leavers | {"label": {"horizon_days": 30, "observed_until": "2025-01-01"}})
    assert not report.enough_to_train
    train, test, *more, longer, no_rule = [found["message"] for found in report.warnings() if found["table"] is None]
    assert train == "72 churners to train on, 200 are needed: 128 are missing"
    assert test == "40 churners to test on, 50 are needed: 10 are missing"
    assert "label.horizon_days: 90 " in longer
    assert "216 churners to train on, 120 to test on" in longer
    at_risk = 350 + 300 + 300 - 350  # in December all of the summer are gone
    months, customers = math.ceil(183 / (365.25 / 12) * (200 / 72 - 1)), math.ceil(at_risk * 200 / 72)
    assert no_rule.startswith("no simple rule is shown to beat chance")  # there is nothing but how long they are here
    assert more == [
        f"at the rate so far, {months} more months of history would give enough to train on",
        f"at the rate so far it takes {customers:,} customers at risk; there are {at_risk} at the test date",
    ]


def test_check_says_so_where_there_is_enough(leavers: dict[str, Any]) -> None:
    report = churnml.check(leavers | {"label": {"horizon_days": 90, "observed_until": "2025-01-01"}})
    assert report.enough_to_train
    assert report.warnings() == []


# --- nothing but the result on stdout ---------------------------------------------------------------------------------
def test_progress_goes_to_stderr_line_by_line_and_functions_are_silent(
    operator: Operator, capfd: pytest.CaptureFixture[str]
) -> None:
    config = operator.write()
    shown = run("features", config, "--as-of", "2024-03-01", "--out", operator.folder / "panel.parquet")
    assert shown.err.splitlines() == [
        "reading 1/3: customers",
        "reading 2/3: usage",
        "reading 3/3: bills",
        "features 1/1: 2024-03-01",
    ]
    assert shown.out.count("\n") == 1
    churnml.catalog(config)
    churnml.features(config, "2024-03-01", out=operator.folder / "panel.parquet")
    assert capfd.readouterr() == ("", "")


def test_a_command_runs_without_a_stderr(operator: Operator) -> None:
    shown = run("check", operator.write(), "--json", err="closed")
    assert shown.status == 0
    assert json.loads(shown.out)["tables"]["customers"]["rows"] == 6
