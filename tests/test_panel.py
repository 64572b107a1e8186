"""Writing panels: whole or not at all, and a killed run goes on with the dates that are missing."""

import datetime as dt

import pandas as pd
import pytest

import churnml
from churnml.config import Config, Features, State
from churnml.snapshots.panel import Panel
from churnml.tables.histories import open_histories

DATES = [dt.date(2024, month, 1) for month in (1, 2, 3)]


class Killed(Exception):  # noqa: N818
    pass


@pytest.fixture
def config(simulated, tmp_path):
    return simulated.model_copy(
        update={"features": Features(windows=(30,)), "state": State(folder=str(tmp_path / "s"))}
    )


def write(config, target, monkeypatch, *, dies_at=None, labels=False):
    """Write the panel of all dates; return the dates that were computed."""
    computed, at = [], Panel._at

    def watched(self, as_of):
        if as_of == dies_at:
            raise Killed
        computed.append(as_of)
        return at(self, as_of)

    with monkeypatch.context() as patched, open_histories(config) as histories:
        patched.setattr(Panel, "_at", watched)
        Panel(histories, DATES, labels=labels).write(target)
    return computed


def test_a_killed_run_goes_on_with_the_missing_dates(config, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        write(config, tmp_path / "panel.parquet", monkeypatch, dies_at=DATES[2])
    assert not (tmp_path / "panel.parquet").exists()
    assert write(config, tmp_path / "panel.parquet", monkeypatch) == [DATES[2]]
    got = pd.read_parquet(tmp_path / "panel.parquet")
    expected = churnml.features(config, DATES)
    pd.testing.assert_frame_equal(got.assign(as_of=pd.to_datetime(got["as_of"])), expected, check_dtype=False)
    assert not any((config.state_folder / "panels").iterdir())


def test_what_was_kept_is_not_taken_for_something_else(config, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        write(config, tmp_path / "panel.parquet", monkeypatch, dies_at=DATES[1])
    assert write(config, tmp_path / "panel.parquet", monkeypatch, labels=True) == DATES
    other = config.model_copy(update={"features": Features(windows=(30, 60))})
    assert write(other, tmp_path / "panel.parquet", monkeypatch) == DATES


def test_the_rate_of_a_region_needs_no_other_table_than_customers(tmp_path):
    left = pd.Series([pd.Timestamp("2024-01-15"), pd.NaT, pd.NaT, pd.NaT])
    customers = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "signed_up_at": pd.Timestamp("2023-01-01"),
            "churned_at": left,
            "region": ["north", "north", "south", "south"],
        }
    )
    config = {
        "tables": {"customers": {"data": customers}},
        "label": {"mode": "terminated"},
        "state": {"folder": str(tmp_path)},
    }
    panel = churnml.features(Config.model_validate(config), DATES[1]).set_index("customer_id")
    rates = panel["surroundings_churn_rate_region_90d"]
    weight, whole = 200, 1 / 4
    assert rates.to_dict() == pytest.approx(
        {
            "b": (1 + weight * whole) / (2 + weight),
            "c": weight * whole / (2 + weight),
            "d": weight * whole / (2 + weight),
        }
    )
