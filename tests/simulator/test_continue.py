"""What `continue_simulation` appends, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from simulated import KEYS, TIMES, assign, hashes, newest, read

from churnml.errors import ChurnmlError
from churnml.simulator import continue_simulation, operator, simulate

NEW = "2023-07_2023-08"


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "operator"))


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    return assign(tmp_path / "nobody.parquet", ["C00000001"], ["not_selected"], [None])


def test_a_period_is_added_and_nothing_else_changes(copy: Path, nobody: Path) -> None:
    before = hashes(copy)
    summary = continue_simulation(copy, nobody, months=2)
    after = hashes(copy)
    assert {file: after[file] for file in before} == before
    added = {str(Path(file).parent) for file in after if file not in before}
    assert added == {f"tables/{NEW}", f"truth/{NEW}"}
    assert (summary.first_day, summary.last_day) == ("2023-07-01", "2023-08-31")


def test_a_continued_operator_is_the_one_simulated_at_once(copy: Path, nobody: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "at_once", customers=600, months=8, seed=5)
    continue_simulation(copy, nobody, months=1)
    continue_simulation(copy, nobody, months=1)
    for table in TIMES:
        pd.testing.assert_frame_equal(
            newest(read(copy, table), table), newest(read(tmp_path / "at_once", table), table)
        )
    truth = read(copy, "departures", kind="truth").sort_values("churned_at", ignore_index=True)
    expected = read(tmp_path / "at_once", "departures", kind="truth").sort_values("churned_at", ignore_index=True)
    pd.testing.assert_frame_equal(truth, expected)


@pytest.mark.parametrize("table", KEYS)
def test_a_correction_is_known_later_than_what_it_corrects_and_within_its_period(
    copy: Path, nobody: Path, table: str
) -> None:
    continue_simulation(copy, nobody, months=2)
    old, new = read(copy, table, "2023-01*"), read(copy, table, NEW)
    corrections = new[new["known_at"].notna()]
    assert (
        corrections["known_at"].between(pd.Timestamp("2023-07-01"), pd.Timestamp("2023-09-01"), inclusive="left").all()
    )
    assert new.merge(old[KEYS[table]], on=KEYS[table])["known_at"].notna().all()
    assert len(new.merge(old[KEYS[table]], on=KEYS[table]))
    assert not pd.concat([old, new]).duplicated([*KEYS[table], "known_at"]).any()


def test_treated_and_control_become_contacts_and_other_arms_nothing(copy: Path, tmp_path: Path) -> None:
    ids = [f"C{k:08d}" for k in range(400)]
    arms = ["treated"] * 200 + ["control"] * 100 + ["not_selected"] * 60 + ["excluded"] * 40
    offers = ["call_10off"] * 300 + [None] * 100
    continue_simulation(copy, assign(tmp_path / "a.parquet", ids, arms, offers), months=2)
    rows = read(copy, "contacts", NEW).set_index("customer_id")
    assert rows["arm"].value_counts().to_dict() == {"treated": 200, "control": 100}
    assert (rows["assigned_at"] == pd.Timestamp("2023-07-01")).all()
    assert (rows["propensity"] == 0.9).all()
    assert (rows["campaign_id"] == "spring").all()
    treated, control = rows[rows["arm"] == "treated"], rows[rows["arm"] == "control"]
    assert control[["contacted_at", "accepted_at", "cost"]].isna().all(axis=None)
    reached = treated["contacted_at"].notna()
    assert 0.4 < reached.mean() < 0.9
    assert (treated.loc[reached, "cost"] == 15).all()
    assert treated.loc[~reached, ["accepted_at", "cost"]].isna().all(axis=None)
    assert not (treated["accepted_at"] < treated["contacted_at"]).any()
    assert treated["accepted_at"].notna().sum() > 10


def test_an_accepted_discount_shows_in_the_bills(copy: Path, small: Path, nobody: Path, tmp_path: Path) -> None:
    without = Path(shutil.copytree(small, tmp_path / "without"))
    continue_simulation(without, nobody, months=2)
    ids = [f"C{k:08d}" for k in range(600)]
    everyone = assign(tmp_path / "a.parquet", ids, ["treated"] * 600, ["sms_10off"] * 600)
    continue_simulation(copy, everyone, months=2)
    accepted = read(copy, "contacts", NEW).set_index("customer_id")["accepted_at"].dropna()
    bills = [newest(read(folder, "bills", NEW), "bills").set_index("bill_id") for folder in (copy, without)]
    both = bills[0].join(bills[1]["amount"].rename("full"), how="inner")
    both = both[(both["billed_at"] >= pd.Timestamp("2023-08-01")) & (both["full"] > 5)]
    taken = both[both["customer_id"].map(accepted) < both["billed_at"]]
    assert len(taken) > 30
    assert (taken["amount"] / taken["full"]).between(0.80, 0.91).mean() > 0.9
    rest = both[both["customer_id"].map(accepted).isna()]
    assert (rest["amount"] == rest["full"]).mean() > 0.97


def test_the_truth_is_never_read(copy: Path, small: Path, nobody: Path, tmp_path: Path) -> None:
    blind = Path(shutil.copytree(small, tmp_path / "blind"))
    shutil.rmtree(blind / "truth")
    for folder in (copy, blind):
        continue_simulation(folder, nobody, months=2)
    assert hashes(copy / "tables") == hashes(blind / "tables")


def test_a_killed_run_leaves_nothing_visible_and_the_next_one_works(
    copy: Path, small: Path, nobody: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(small, tmp_path / "other"))
    script = (
        "import os, sys, pathlib; from churnml.simulator import operator\n"
        "operator.write_truth = lambda *_, **__: os._exit(9)\n"
        "operator.continue_simulation(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), months=1)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(copy), str(nobody)], check=False)
    assert done.returncode == 9
    assert any(copy.glob(".*.part"))
    assert [item.name for item in (copy / "tables").iterdir()] == ["2023-01_2023-06"]
    (copy / "truth" / "2023-07_2023-07").mkdir()  # as if killed between the two renames
    (copy / "next").mkdir()  # as if killed after them
    for folder in (copy, other):
        continue_simulation(folder, nobody, months=2)
    assert hashes(copy) == hashes(other)
    assert sorted(item.name for item in copy.iterdir()) == sorted(item.name for item in other.iterdir())


def test_another_run_on_the_same_folder_is_refused(copy: Path, nobody: Path) -> None:
    (copy / f".next.{os.getppid()}.0123abcd.part").mkdir()
    with pytest.raises(ChurnmlError, match="another run"):
        continue_simulation(copy, nobody, months=1)


def test_a_users_own_offer_works(copy: Path, tmp_path: Path) -> None:
    config = copy / "churnml.yaml"
    text = config.read_text(encoding="utf-8").replace(
        "  offers:",
        "  offers:\n    - {id: letter, channel: pigeon, cost: 3, discount: 0.2, discount_days: 60}\n   ",
        1,
    )
    config.write_text(text, encoding="utf-8")
    ids = [f"C{k:08d}" for k in range(100)]
    continue_simulation(copy, assign(tmp_path / "a.parquet", ids, ["treated"] * 100, ["letter"] * 100), months=1)
    assert read(copy, "contacts", "2023-07*")["contacted_at"].notna().mean() > 0.5
    config.write_text(text.replace("id: letter", "id: note"), encoding="utf-8")
    nobody = assign(tmp_path / "n.parquet", [], [], [])
    continue_simulation(copy, nobody, months=1)  # what was promised does not depend on today's offers


@pytest.mark.parametrize(
    ("ids", "offer", "match"),
    [
        (["C00000001"], "gold_watch", "does not have the offer 'gold_watch'"),
        (["C09999999"], "call", "does not have .*C09999999"),
        (["nobody"], "call", "does not have .*nobody"),
        (["C00000001", "C00000001"], "call", "more than once"),
        (["C00000001"], None, "without an offer_id"),
    ],
)
def test_wrong_assignments_are_refused(
    copy: Path, tmp_path: Path, ids: list[str], offer: str | None, match: str
) -> None:
    before = hashes(copy)
    file = assign(tmp_path / "a.parquet", ids, ["treated"] * len(ids), [offer] * len(ids))
    with pytest.raises(ChurnmlError, match=match):
        continue_simulation(copy, file, months=1)
    assert hashes(copy) == before


def test_missing_or_unreadable_assignments_are_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ChurnmlError, match="does not exist"):
        continue_simulation(copy, tmp_path / "none.parquet", months=1)
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ChurnmlError, match="not a Parquet file"):
        continue_simulation(copy, tmp_path / "text.parquet", months=1)
    pq.write_table(pa.table({"customer_id": ["C00000001"]}), tmp_path / "few.parquet")
    with pytest.raises(ChurnmlError, match="no column campaign_id, arm, offer_id, propensity"):
        continue_simulation(copy, tmp_path / "few.parquet", months=1)


def test_a_folder_that_is_no_simulation_is_refused(tmp_path: Path, nobody: Path) -> None:
    with pytest.raises(ChurnmlError, match="is not a simulation"):
        continue_simulation(tmp_path, nobody, months=1)


def test_contacts_that_were_removed_are_missed(copy: Path, nobody: Path) -> None:
    (copy / "tables" / "2023-01_2023-06" / "contacts.parquet").unlink()
    with pytest.raises(ChurnmlError, match=r"contacts\.parquet cannot be read"):
        continue_simulation(copy, nobody, months=1)


def test_months_beyond_today_are_refused(copy: Path, nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "_today", lambda: datetime(2023, 9, 1))
    with pytest.raises(ChurnmlError, match="give at most 2"):
        continue_simulation(copy, nobody, months=3)
