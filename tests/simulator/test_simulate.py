"""What `simulate` writes, row by row."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from simulated import KEYS, TIMES, hashes, newest, read

from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.simulator import operator, simulate
from churnml.tables.histories import open_histories


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(tmp_path / name, customers=200, months=4, seed=seed)
    first, again, other = (hashes(tmp_path / name) for name in "abc")
    assert first == again
    assert all(first[file] != other[file] for file in first if file.endswith("usage.parquet"))


def test_the_bytes_do_not_depend_on_the_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(tmp_path / "now", customers=100, months=3, seed=1)
    monkeypatch.setattr(operator, "_today", lambda: datetime(2031, 5, 5))
    simulate(tmp_path / "later", customers=100, months=3, seed=1)
    assert hashes(tmp_path / "now") == hashes(tmp_path / "later")


def test_every_layout_is_there_and_the_configuration_is_valid(small: Path) -> None:
    assert sorted(item.name for item in small.iterdir()) == [
        "churnml.yaml",
        "simulation.json",
        "tables",
        "truth",
    ]
    assert [item.name for item in (small / "tables").iterdir()] == ["2023-01_2023-06"]
    config = load_config(small / "churnml.yaml")
    assert set(config.tables.given()) == set(TIMES)
    for path in (table["path"] for table in yaml.safe_load((small / "churnml.yaml").read_text())["tables"].values()):
        assert len(list(small.glob(path))) == 1


def test_training_dates_have_their_outcome_within_the_months(large: Path) -> None:
    dates = load_config(large / "churnml.yaml").training.dates()
    assert len(dates) >= 4
    assert pd.Timestamp(dates[-1]) + pd.Timedelta(days=90) <= pd.Timestamp("2024-04-01")


@pytest.mark.parametrize("table", TIMES)
def test_the_rows_pass_the_contracts_checks(large: Path, table: str) -> None:
    rows = read(large, table)
    assert len(rows)
    assert rows["customer_id"].isin(read(large, "customers")["customer_id"]).all()
    assert rows[TIMES[table]].notna().all()
    assert (rows[TIMES[table]] < pd.Timestamp("2024-04-01")).all()
    orders = (("billed_at", "paid_at"), ("opened_at", "resolved_at"), ("started_at", "ended_at"))
    for before, after in (*orders, ("signed_up_at", "churned_at"), ("resolved_at", "rated_at")):
        if after in rows:
            assert not (rows[after] < rows[before]).any()
    for score in ("satisfaction", "score"):
        if score in rows:
            assert rows[score].dropna().between(1, 5).all()
    if table in KEYS:
        assert not rows.duplicated([*KEYS[table], "known_at"]).any()
    for number in rows.select_dtypes("number"):
        assert np.isfinite(rows[number].dropna()).all()


@pytest.mark.parametrize("table", TIMES)
def test_nothing_is_written_that_is_known_only_after_the_end(small: Path, table: str) -> None:
    rows = read(small, table)
    plans = {"due_at", "promised_at", "contract_ends_at"}
    for column in set(rows.select_dtypes("datetime")) - plans:
        assert not (rows[column] >= pd.Timestamp("2023-07-01")).any(), column


def test_a_customer_who_comes_back_has_a_second_spell_after_the_first(large: Path) -> None:
    spells = newest(read(large, "customers"), "customers").sort_values(["customer_id", "signed_up_at"])
    before = spells.groupby("customer_id")["churned_at"].shift()
    again = spells["customer_id"].duplicated()
    assert again.sum() > 20
    assert (spells.loc[again, "signed_up_at"] > before[again]).all()


def test_departures_are_told_late_and_attributes_change_by_versions(large: Path) -> None:
    rows = read(large, "customers")
    gone = rows[rows["churned_at"].notna()]
    delay = (gone["known_at"] - gone["churned_at"]).dt.total_seconds() / 86_400
    assert delay.min() > 0
    assert delay.max() < 13
    assert (delay[gone["churn_type"] == "port_out"] > 6).mean() > 0.05
    assert set(gone["churn_type"]) == {"voluntary", "port_out", "involuntary"}
    changes = rows[rows["churned_at"].isna() & rows["known_at"].notna()]
    assert len(changes) > 100
    assert rows.loc[rows["segment"] == "key", "account_manager"].notna().all()


def test_some_usage_is_late_and_some_bills_are_corrected(large: Path) -> None:
    usage = pq.read_table(next(large.glob("tables/*/usage.parquet")), columns=["used_at", "known_at"]).to_pandas()
    assert usage["known_at"].notna().mean() == pytest.approx(0.02, abs=0.002)
    assert not (usage["known_at"] < usage["used_at"]).any()
    bills = read(large, "bills")
    assert bills["bill_id"].duplicated().mean() == pytest.approx(0.01, abs=0.002)
    twice = bills[bills["bill_id"].duplicated(keep=False)].sort_values(["bill_id", "known_at"])
    assert (twice.groupby("bill_id")["amount"].nunique() == 2).mean() > 0.95


def test_texts_are_plain_text_and_times_have_no_zone(small: Path) -> None:
    schema = pq.read_schema(next(small.glob("tables/*/usage.parquet")))
    assert str(schema.field("customer_id").type) == "string"
    assert str(schema.field("used_at").type) == "timestamp[us]"


def test_the_smallest_operator_can_be_simulated(tmp_path: Path) -> None:
    summary = simulate(tmp_path / "one", customers=1, months=1, seed=0)
    assert summary.customers == 1
    assert summary.last_day == "2023-01-31"


@pytest.mark.parametrize("wrong", [{"customers": 0}, {"months": 0}, {"seed": -1}])
def test_a_number_out_of_range_is_an_error(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ChurnmlError, match=f"{next(iter(wrong))} is"):
        simulate(tmp_path / "x", **wrong)


def test_months_beyond_today_are_refused_with_how_many_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "_today", lambda: datetime(2024, 2, 29))
    with pytest.raises(ChurnmlError, match="give at most 13"):
        simulate(tmp_path / "x", customers=10, months=14)
    assert not any(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(small: Path) -> None:
    before = hashes(small)
    with pytest.raises(ChurnmlError, match="not empty"):
        simulate(small, customers=10, months=1)
    assert hashes(small) == before


def test_a_run_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power is gone")

    monkeypatch.setattr(operator, "write_truth", fail)
    with pytest.raises(RuntimeError, match="power"):
        simulate(tmp_path / "x", customers=50, months=1)
    assert not any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*infer_string")  # ibis asks pandas for an old option
def test_the_packages_own_checks_accept_every_row(small: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small, tmp_path / "operator"))
    with open_histories(load_config(copy / "churnml.yaml")) as histories:
        assert set(histories.reports) == set(TIMES)
        for table, report in histories.reports.items():
            assert report.quarantined == 0, (table, report)
            assert report.accepted == len(read(small, table))
