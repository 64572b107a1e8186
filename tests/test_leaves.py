"""Dates, configuration, files: what every room stands on."""

import datetime as dt
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.asof import dates_between, parse_as_of
from churnml.config import load_config
from churnml.errors import ChurnmlError
from churnml.files import atomic_file, atomic_folder

LEAST = {"tables": {"customers": {"path": "customers.csv"}}, "label": {}}


@pytest.mark.parametrize("text", ["2024-03-01", "2024-03-01T00:00:00", dt.date(2024, 3, 1), dt.datetime(2024, 3, 1)])
def test_an_as_of_date_is_the_start_of_its_day(text):
    assert parse_as_of(text) == dt.date(2024, 3, 1)


@pytest.mark.parametrize("text", ["2024-03-01T10:00", "2024-03-01T00:00:00+08:00", "March", "2024-02-30", "0001-01-01"])
def test_what_is_no_as_of_date_is_refused(text):
    with pytest.raises(ChurnmlError, match="date"):
        parse_as_of(text)


@given(
    st.dates(dt.date(1990, 1, 1), dt.date(2030, 1, 1)),
    st.integers(0, 900),
    st.sampled_from(["1d", "10d", "3w", "1mo", "5mo"]),
)
def test_dates_go_up_from_the_first_and_never_past_the_last(first, days, every):
    last = first + dt.timedelta(days=days)
    dates = dates_between(first, last, every)
    assert dates[0] == first
    assert dates == sorted(set(dates))
    assert dates[-1] <= last
    assert all(day.day in (first.day, 28, 29, 30) for day in dates if "mo" in every)


def test_the_last_day_of_a_month_stays_the_last_of_shorter_ones():
    months = [dt.date(2024, 1, 31), dt.date(2024, 2, 29), dt.date(2024, 3, 31), dt.date(2024, 4, 30)]
    assert dates_between(dt.date(2024, 1, 31), dt.date(2024, 5, 30), "1mo") == months


def test_paths_are_relative_to_the_file_wherever_one_works(tmp_path, monkeypatch):
    (tmp_path / "churnml.yaml").write_text("tables: {customers: {path: c.csv}}\nlabel: {}\n")
    monkeypatch.chdir("/")
    assert load_config(tmp_path / "churnml.yaml").path("c.csv") == tmp_path / "c.csv"


def test_environment_variables_are_taken_in(monkeypatch):
    monkeypatch.setenv("OPERATOR", "north")
    assert load_config({**LEAST, "project": "${OPERATOR}-x"}).project == "north-x"


def test_the_hash_changes_with_any_value():
    hashes = {load_config({**LEAST, "value": {"horizon_days": days}}).hash for days in (90, 91, 90)}
    assert len(hashes) == 2


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_config(LEAST).project = "other"


def write_half(target):
    with atomic_file(target) as part:
        part.write_text("half")
        raise RuntimeError("half way")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "out.txt"
    with pytest.raises(RuntimeError, match="half way"):
        write_half(target)
    assert list(tmp_path.iterdir()) == []
    with atomic_file(target) as part:
        part.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_not_made_where_there_is_something(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ChurnmlError, match="not empty"), atomic_folder(tmp_path):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_killed_run_left_is_taken_away_by_the_next(tmp_path):
    killed = (
        "import os, sys; from pathlib import Path; from churnml.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as part:\n    part.write_text('half'); os.kill(os.getpid(), 9)"
    )
    target = tmp_path / "out.txt"
    done = subprocess.run([sys.executable, "-c", killed, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_file(target) as part:
        part.write_text("whole")
    assert list(tmp_path.iterdir()) == [target]


def test_another_runs_part_is_left_alone(tmp_path):
    other = tmp_path / f".out.txt.{os.getppid()}.0123abcd.part"
    other.write_text("in work")
    with atomic_file(tmp_path / "out.txt") as part:
        part.write_text("whole")
    assert other.exists()
