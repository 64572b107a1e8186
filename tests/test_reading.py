"""Values are read once: times to wall-clock time, numbers to numbers, and what cannot be read is said to be so."""

import datetime as dt
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.tables.doubtful import doubtful
from churnml.tables.histories import open_histories

CUSTOMERS = pd.DataFrame({"customer_id": ["a"], "signed_up_at": [pd.Timestamp("2020-01-01")]})


def opened(tmp_path, timezone="UTC", **tables):
    tables = {"customers": CUSTOMERS, **tables}
    settings = {"quarantine": {"max_share": 1}, "state": {"folder": str(tmp_path / "state")}}
    return open_histories(load_config({"tables": tables, "label": {}, "timezone": timezone, **settings}))


def rows_of(histories, table):
    return histories.newest(table).to_pyarrow().to_pylist()


def bills(**columns):
    length = len(next(iter(columns.values())))
    fixed = {"bill_id": range(length), "customer_id": ["a"] * length, "amount": [1.0] * length}
    return pa.table({**{name: list(values) for name, values in fixed.items()}, **columns})


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("2024-03-01", "2024-03-01 00:00:00"),
        ("2024-03-01T10:20", "2024-03-01 10:20:00"),
        ("2024-03-01T10:20:30", "2024-03-01 10:20:30"),
        ("2024-03-01 10:20:30.1234569", "2024-03-01 10:20:30.123456"),
        ("2024-03-01T10:20:30.999999999", "2024-03-01 10:20:30.999999"),
        ("2024-03-01T10:20:30Z", "2024-03-01 18:20:30"),
        ("2024-03-01T10:20Z", "2024-03-01 18:20:00"),
        ("2024-03-01T10:20:30+02:00", "2024-03-01 16:20:30"),
        ("2024-03-01T10:20:30.5 +0200", "2024-03-01 16:20:30.5"),
        ("2024-03-01 10:20:30-05", "2024-03-01 23:20:30"),
        ("2023-12-31T23:59:59.9999999-01:00", "2024-01-01 08:59:59.999999"),
    ],
)
def test_text_becomes_wall_clock_time(text, wall, tmp_path):
    with opened(tmp_path, "Asia/Shanghai", bills=bills(billed_at=[text])) as histories:
        assert rows_of(histories, "bills")[0]["billed_at"] == pd.Timestamp(wall).to_pydatetime()


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2024-02-30",
        "31/12/2024 10:00",
        "infinity",
        "2024-03-01T25:00:00",
        "5",
        "2024-03-01 10:00:00 UTC",
        "epoch",
    ],
)
def test_text_that_is_no_time_goes_to_quarantine(text, tmp_path):
    with opened(tmp_path, bills=bills(billed_at=["2024-03-01", text])) as histories:
        assert histories.reports["bills"].reasons == {"unreadable billed_at": 1}
    assert pd.read_parquet(tmp_path / "state/quarantine/bills.parquet")["billed_at"].tolist() == [text]


def test_nanoseconds_are_cut_not_rounded(tmp_path):
    almost = pa.array([1704067199999999999], pa.timestamp("ns"))
    with opened(tmp_path, bills=bills(billed_at=almost)) as histories:
        assert rows_of(histories, "bills")[0]["billed_at"] == dt.datetime(2023, 12, 31, 23, 59, 59, 999999)


def test_order_of_aware_times_is_that_of_instants(tmp_path):
    """In the hour that a zone has twice, a payment may come before its bill by the clock on the wall."""
    zone = pa.timestamp("us", "Europe/Berlin")
    billed = pa.array([dt.datetime(2023, 10, 29, 0, 50, tzinfo=dt.UTC)] * 2).cast(zone)  # 02:50 summer time
    paid = pa.array([dt.datetime(2023, 10, 29, 1, 10, tzinfo=dt.UTC), dt.datetime(2023, 10, 29, 0, 49, tzinfo=dt.UTC)])
    with opened(tmp_path, "Europe/Berlin", bills=bills(billed_at=billed, paid_at=paid.cast(zone))) as histories:
        assert histories.reports["bills"].reasons == {"paid_at before billed_at": 1}
        (row,) = rows_of(histories, "bills")
    assert (row["billed_at"], row["paid_at"]) == (dt.datetime(2023, 10, 29, 2, 50), dt.datetime(2023, 10, 29, 2, 10))


@pytest.mark.parametrize(
    ("text", "reason"), [("12,5", "unreadable"), ("x", "unreadable"), ("nan", "not finite"), ("-inf", "not finite")]
)
def test_text_that_is_no_finite_number_goes_to_quarantine(text, reason, tmp_path):
    table = bills(billed_at=["2024-03-01"] * 2).set_column(2, "amount", [["7.5", text]])
    with opened(tmp_path, bills=table) as histories:
        assert histories.reports["bills"].reasons == {f"{reason} amount": 1}
        assert [row["amount"] for row in rows_of(histories, "bills")] == [7.5]


def test_nan_is_null_in_pandas_and_not_finite_in_arrow(tmp_path):
    usage = pd.DataFrame({"customer_id": ["a"], "used_at": [pd.Timestamp("2024-01-01")], "data_mb": [float("nan")]})
    with opened(tmp_path, usage=usage) as histories:
        assert histories.reports["usage"].accepted == 1
    arrow = pa.table({"customer_id": ["a"], "used_at": usage["used_at"], "data_mb": pa.array([float("nan")])})
    with opened(tmp_path, usage=arrow) as histories:
        assert histories.reports["usage"].reasons == {"not finite data_mb": 1}


def test_whole_floats_are_ids_without_a_fraction(tmp_path):
    customers = CUSTOMERS.assign(customer_id=[12345.0])
    with opened(tmp_path, customers=customers) as histories:
        assert rows_of(histories, "customers")[0]["customer_id"] == "12345"


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([{"x": 1}]), pa.array([5])])
def test_a_type_that_is_no_time_is_an_error_that_names_the_column(column, tmp_path):
    with (
        pytest.raises(ChurnmlError, match=r"table bills: the column billed_at holds .* a time is needed"),
        opened(tmp_path, bills=bills(billed_at=column)),
    ):
        pass


def test_numbers_are_found_in_files_without_types(tmp_path):
    (tmp_path / "usage.csv").write_text(
        "customer_id,used_at,data_mb,cell,code,note\na,2024-01-01,1.5,7,0012,x\na,2024-01-02,oops,8,0013,5\n"
        "a,2024-01-03,,9,0014,y\na,2024-01-04,2.5,9,0014,z\n"
    )
    with opened(tmp_path, usage={"path": str(tmp_path / "usage.csv")}) as histories:
        assert histories.extras["usage"] == {"data_mb": "number", "cell": "number", "code": "text", "note": "text"}
        assert histories.reports["usage"].reasons == {"unreadable data_mb": 1}


def test_unchanged_usage_is_not_counted_again_but_changed_usage_is(tmp_path):
    path = tmp_path / "usage.parquet"
    usage = pa.table({"customer_id": ["a"] * 3, "used_at": [dt.datetime(2024, 1, day) for day in (1, 2, 3)]})
    pq.write_table(usage, path)
    pq.write_table(pa.Table.from_pandas(CUSTOMERS), tmp_path / "customers.parquet")
    tables = {"usage": {"path": str(path)}, "customers": {"path": str(tmp_path / "customers.parquet")}}
    with opened(tmp_path, **tables) as histories:
        first = histories.reports["usage"]
    assert "usage" in (tmp_path / "state/unchanged.json").read_text()
    with opened(tmp_path, **tables) as histories:
        assert histories.reports["usage"] == first
    pq.write_table(usage.set_column(0, "customer_id", [["a", "b", None]]), path)
    for _ in range(2):
        with opened(tmp_path, **tables) as histories:
            assert histories.reports["usage"].reasons == {"null customer_id": 1, "unknown customer": 1}
            assert len(rows_of(histories, "usage")) == 1


def test_booleans_and_times_are_found_in_files_without_types(tmp_path):
    (tmp_path / "customers.csv").write_text(
        "customer_id,signed_up_at,vip,born,mixed,code\na,2020-01-01,true,1980-05-01,1980-05-01,2024-01\n"
        "b,2020-01-01,FALSE,1990-01-01,true,2024-02\nc,2020-01-01,,,x,2024-03\n"
    )
    with opened(tmp_path, customers={"path": str(tmp_path / "customers.csv")}) as histories:
        kinds = {"segment": "text", "vip": "boolean", "born": "time", "mixed": "text", "code": "text"}
        assert histories.extras["customers"] == kinds
        first = min(rows_of(histories, "customers"), key=lambda row: row["customer_id"])
        assert (first["vip"], first["born"]) == (True, dt.datetime(1980, 5, 1))


def test_numbers_with_decimal_commas_are_told_of(tmp_path):
    (tmp_path / "usage.csv").write_text("customer_id;used_at;data_mb;cell\na;2024-01-01;1,5;x\na;2024-01-02;2,25;y\n")
    usage = {"path": str(tmp_path / "usage.csv")}
    with opened(tmp_path, usage=usage) as histories:
        assert [(found.column, found.key) for found in doubtful(histories)] == [("data_mb", "no_number")]


def test_a_column_called_as_ours_is_only_inside_does_no_harm(tmp_path):
    customers = CUSTOMERS.assign(_raw="mine", reason="theirs", _good=1)
    with opened(tmp_path, customers=customers) as histories:
        assert rows_of(histories, "customers")[0]["_raw"] == "mine"
        assert histories.extras["customers"].keys() >= {"_raw", "reason", "_good"}


def test_the_end_of_time_is_a_time(tmp_path):
    customers = CUSTOMERS.assign(churned_at="9999-12-31")
    with opened(tmp_path, customers=customers) as histories:
        assert rows_of(histories, "customers")[0]["churned_at"] == dt.datetime(9999, 12, 31)


def test_a_column_that_differs_from_ours_in_case_is_told(tmp_path):
    with (
        pytest.raises(ChurnmlError, match=r"the column Segment differs from ours only in case: map it"),
        opened(tmp_path, customers=CUSTOMERS.assign(Segment="key")),
    ):
        pass


def test_usage_that_was_exchanged_under_the_same_time_is_counted_again(tmp_path):
    path = tmp_path / "usage.csv"
    pq.write_table(pa.Table.from_pandas(CUSTOMERS), tmp_path / "customers.parquet")
    tables = {"usage": {"path": str(path)}, "customers": {"path": str(tmp_path / "customers.parquet")}}
    path.write_text("customer_id,used_at,data_mb\na,2024-01-01,1\na,2024-01-02,2\n")
    with opened(tmp_path, **tables) as histories:
        assert histories.reports["usage"].accepted == 2
    before = path.stat()
    path.write_text("customer_id,used_at,data_mb\na,2024-01-01,1\nz,2024-01-02,x\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with opened(tmp_path, **tables) as histories:
        assert histories.reports["usage"].accepted == 1


def test_days_before_1970_are_counted_too(tmp_path):
    import churnml

    customers = CUSTOMERS.assign(signed_up_at=pd.Timestamp("1960-01-01"))
    days = ["1969-12-25", "1969-12-31", "1969-12-31", "1970-01-02"]
    usage = pd.DataFrame({"customer_id": "a", "used_at": pd.to_datetime(days)})
    config = {"tables": {"customers": customers, "usage": usage}, "label": {}, "state": {"folder": str(tmp_path)}}
    assert churnml.features(config, "1970-01-15")["usage_active_days_30d"].tolist() == [3]
