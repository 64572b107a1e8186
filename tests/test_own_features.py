"""Features of the user's own: they get what ours get, and are told what is wrong with them."""

import datetime as dt
import re

import comparing
import numpy as np
import pandas as pd
import pytest
from ibis import _

import churnml
from churnml.errors import ChurnmlError
from churnml.feature_extraction.catalogue import catalogue
from churnml.feature_extraction.declare import Feature, Layout, Measure, Pool
from churnml.feature_extraction.own import own_features

AS_OF = "2024-03-01"
LAYOUT = Layout((7, 30), ("voice_minutes",), {}, frozenset({"usage", "bills"}))
HEAD = "from ibis import _\nfrom churnml.feature_extraction.declare import Feature, Measure, Pool, Turn\n"
WORDS = 'unit="", meaning="m", phrase_en="long calls", phrase_zh="长通话", theme="usage"'
GOOD = f"""{HEAD}
def features(layout):
    yield Feature("own_long_days", "usage", {{"value": Measure("count", where=_.voice_minutes > 30, window=60)}},
                  empty=0, dtype="int64", {WORDS})
    yield Feature("own_bills_per_minute", "bills",
                  {{"billed": Measure("sum", _.amount, window=90),
                   "minutes": Measure("sum", _.voice_minutes, window=90, source="usage")}},
                  formula=_.billed / _.minutes, {WORDS})
    yield Feature("own_region_spend", "bills", {{"billed": Measure("sum", _.amount, window=90)}},
                  pool=Pool(_.region, numerator=_.billed, denominator=(_.billed > 0).ifelse(1, 0), weight=0), {WORDS})
"""


def with_file(config, tmp_path, text):
    (tmp_path / "mine.py").write_text(text)
    features = config.features.model_copy(update={"python": str(tmp_path / "mine.py")})
    return config.model_copy(update={"features": features})


def test_own_features_are_in_panel_and_catalogue_and_equal_pandas(simulated, tmp_path):
    config = with_file(simulated, tmp_path, GOOD)
    names = ["own_long_days", "own_bills_per_minute", "own_region_spend"]
    listed = churnml.catalog(config)
    assert listed["name"].tolist()[-3:] == names
    assert listed["phrase_zh"].tolist()[-3:] == ["长通话"] * 3
    panel = churnml.features(config, AS_OF).set_index("customer_id")
    end = pd.Timestamp(AS_OF)
    tables = {}
    for name, event in (("usage", "used_at"), ("bills", "billed_at")):
        files = sorted(config.folder.glob(config.tables.given()[name].path))
        rows = pd.concat([pd.read_parquet(file) for file in files])
        known = rows["known_at"].fillna(rows[event]) < end if "known_at" in rows else True
        rows = rows[(rows[event] < end) & known]
        if name == "bills":  # a correction takes the place of what it corrects
            rows = rows.sort_values("known_at", na_position="first").drop_duplicates("bill_id", keep="last")
        tables[name] = rows
    usage, bills = tables["usage"], tables["bills"]
    long = usage[(usage["used_at"] >= end - pd.Timedelta(days=60)) & (usage["voice_minutes"] > 30)]
    expected = long.groupby("customer_id").size().reindex(panel.index, fill_value=0)
    assert panel["own_long_days"].tolist() == expected.tolist()
    billed = bills[bills["billed_at"] >= end - pd.Timedelta(days=90)].groupby("customer_id")["amount"].sum()
    minutes = usage[usage["used_at"] >= end - pd.Timedelta(days=90)].groupby("customer_id")["voice_minutes"].sum()
    ratio = (billed / minutes.replace(0, np.nan)).reindex(panel.index)
    assert all(comparing.agrees(*pair) for pair in zip(panel["own_bills_per_minute"], ratio, strict=True))
    mean = billed.reindex(panel.index).groupby(panel["account_region"]).mean().reindex(panel["account_region"])
    assert np.allclose(panel["own_region_spend"], mean)


def feature(**changed):
    words = {"name": '"own"', "source": '"usage"', "inputs": '{"value": Measure("count", window=7)}'} | changed
    given = ", ".join(f"{word}={text}" for word, text in words.items())
    return f"{HEAD}\ndef features(layout):\n    yield Feature({given}, {WORDS})\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("features = 3", "has no function features(layout)"),
        ("import nothing_like_it", "mine.py, line 1: ModuleNotFoundError"),
        ("def features(layout):\n    return 1 / 0", "mine.py, line 2: ZeroDivisionError"),
        ("def features(layout):\n    yield 3", "3 is no Feature"),
        (feature(inputs='{"value": Measure("count")}'), "looks back without end: give a window, of 730 days at most"),
        (
            feature(inputs='{"value": Measure("count", window=9_999)}'),
            "looks back 9999 days: usage is read 730 days back",
        ),
        (feature(inputs='{"value": Measure("count", window=7, until=-3)}'), "ends its window -3 days before T"),
        (feature(inputs='{"value": Measure("count", window=7, after=True)}'), "looks after a turn and has none"),
        (
            feature(inputs='{"value": Measure("last", _.x, window=7, turn=Turn("bills", 30))}'),
            "is taken by last around a turn",
        ),
        (
            feature(inputs='{"value": Measure("count", window=7, turn=Turn("bill", 30))}'),
            "has a turn of bill: use one of",
        ),
        (
            feature(inputs='{"value": Measure("count", window=7, turn=Turn("bills", -1))}'),
            "has a turn with the window -1",
        ),
        (feature(inputs='{"value": Measure("days", _.x, window=7)}'), "counts days of something else than used_at"),
        (feature(inputs="[3]"), "has inputs that are no mapping of Measure"),
        (feature(inputs='{"value": 3}'), "has inputs that are no mapping of Measure"),
        (feature(name='"Churned"'), "has the name of a column that every panel has"),
        (feature(frequent="3"), "keeps the frequent values of what is no text"),
        (feature(inputs='{"value": Measure("count", window=0.5)}'), "has the window 0.5: give whole days"),
        (feature(inputs='{"value": Measure("sum", window=7)}'), "an input value that has no value"),
        (feature(inputs='{"value": Measure("mode", _.x, window=7)}'), "is taken by mode: use one of sum"),
        (
            feature(inputs='{"value": Measure("count", at="kind", window=7)}'),
            "looks at kind, which is no time of usage",
        ),
        (feature(source='"calls"'), "has the source calls: use one of customers"),
        (feature(name='"my feature"'), "made of letters, digits and _"),
        (feature(dtype='"float"'), "has the dtype float: use one of"),
        (feature(worse='"more"'), "is worse more: use one of higher, lower"),
        (feature(phrase_nothing_en='"none"'), "has phrase_nothing that are not both texts"),
        (feature(phrase_negative_en='"a {}"', phrase_negative_zh='"b"'), "has phrase_negative without one {}"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ChurnmlError, match=re.escape(message)):
        own_features(tmp_path / "mine.py", LAYOUT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (feature(inputs='{"value": Measure("sum", _.minutes, window=7)}'), "own: usage has no column minutes"),
        (feature(formula="_.value + _.other"), "own: customers has no column other"),
        (
            feature(inputs='{"value": Measure("sum", _.voice_minutes.log2(), window=7)}'),
            "own: declarations cannot use .log2",
        ),
        (feature(name='"Usage_active_days_30D"'), "the name Usage_active_days_30D is taken"),
        (feature(formula="_.churn_type.isnull().ifelse(1, 0)"), "own: customers has no column churn_type"),
        (feature(formula='_.customer_id.isin(["a"]).ifelse(1, 0)'), "own: customers has no column customer_id"),
        (feature(formula="_.segment"), "own: a text is no float64"),
        (feature(formula="_.value % 3"), "own: declarations cannot use %"),
        (feature(formula="_.value ** 0.5"), "own: declarations cannot use ** but with a whole number from 1 to 4"),
        (feature(formula="_.value.cast('string')"), "own: declarations cannot use .cast with 'string'"),
        (feature(formula="_.segment.fill_null(3)"), "own: declarations cannot use fill_null of text and number"),
        (
            feature(inputs='{"value": Measure("min", _.segment, source="customers")}'),
            "own: the min of a text is none",
        ),
        (
            feature(inputs='{"value": Measure("count", where=_.voice_minutes, window=7)}'),
            "own: where is a number and no condition",
        ),
        (
            feature(inputs='{"value": Measure("count", where=_.used_at > "2024-01-01", window=7)}'),
            "own: declarations cannot use gt of time and text",
        ),
        (
            feature(inputs='{"value": Measure("count", where=_.used_at.truncate("M") == _.used_at, window=7)}'),
            "own: declarations cannot use .truncate with 'M', but D",
        ),
        (feature() + feature().split("\n", 3)[3].replace("def features", "def more"), None),
    ],
)
def test_what_no_engine_could_compute_is_told_before_anything_is_read(simulated, tmp_path, text, message):
    config = with_file(simulated, tmp_path, text)
    if message is None:
        assert "own" in churnml.catalog(config)["name"].tolist()
        return
    with pytest.raises(ChurnmlError, match=re.escape(message)):
        churnml.features(config, dt.date(2024, 3, 1))


def test_a_file_that_is_not_there_is_told(simulated, tmp_path):
    features = simulated.features.model_copy(update={"python": str(tmp_path / "none.py")})
    with pytest.raises(ChurnmlError, match=r"features\.python: there is no file .*none\.py"):
        churnml.catalog(simulated.model_copy(update={"features": features}))


@pytest.mark.parametrize(
    ("by", "more"),
    [
        (_.n, {}),
        (_.n > 1, {}),
        (None, {"dtype": "string", "frequent": 1, "empty": "none at all"}),
    ],
)
def test_what_is_looked_up_by_a_measure_is_the_same_alone_and_among_others(simulated, monkeypatch, by, more):
    inputs = {"n": Measure("count", window=365), "value": Measure("last", _.category, window=365)}
    pool = None if by is None else Pool(by, numerator=_.n, denominator=1, weight=1)
    words = {"unit": "", "meaning": "m", "phrase_en": "p", "phrase_zh": "p", "theme": "usage"}
    feature = Feature("own", "complaints", inputs, pool=pool, **more, **words)
    panels = []
    for listed in ([feature], [*catalogue(LAYOUT), feature]):
        monkeypatch.setattr("churnml.snapshots.panel.catalogue_of", lambda *_args, listed=listed: listed)
        panels.append(churnml.features(simulated, AS_OF)["own"])
    assert panels[0].notna().all()
    assert len(set(panels[0])) > 1
    assert panels[0].equals(panels[1])
