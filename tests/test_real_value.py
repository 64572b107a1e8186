"""The value model on CDNOW, whose cohort decays, with the features of benchmarks/value.py."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold

from churnml import ValueRegressor

REPOSITORY = Path(__file__).parent.parent
DATA = REPOSITORY.parent / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not (DATA / "cdnow").is_dir(), reason="the public data set cdnow is not in ../shared/data beside the repository"
)


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_value", REPOSITORY / "benchmarks" / "value.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cohort(bench):
    rows = bench.purchases()
    found = {week: bench.summed_up(rows, week) for week in (26, 39, 52)}
    spans = {26: 52, 39: 78, 52: 78}
    return found, {week: bench.brought(rows, found[week].index, week, end) for week, end in spans.items()}


def test_within_a_period_the_order_the_level_and_the_intervals_are_right(bench, cohort):
    found, value = cohort
    features, brought = found[39], value[39]
    predicted, ends = np.zeros(len(brought)), np.zeros((len(brought), 2))
    for fit, judge in KFold(3, shuffle=True, random_state=0).split(features):
        model = ValueRegressor(random_state=0).fit(features.iloc[fit], brought[fit])
        predicted[judge] = model.predict(features.iloc[judge])
        ends[judge] = model.predict_interval(features.iloc[judge])
    figures = bench.judged(brought, predicted)
    assert figures["gini"] > 0.715
    assert abs(figures["bias"]) < 0.03
    held = bench.covered(brought, predicted, ends)
    assert 0.88 < held["covered"] < 0.92
    assert held["least"] > 0.85
    assert held["most"] < 0.95


def test_out_of_time_a_forecast_that_knows_decay_sets_the_level(bench, cohort):
    found, value = cohort
    figures = bench.later(found, found, value, 1).set_index("name")
    assert figures.loc["ValueRegressor tied", "gini"] > 0.755
    assert abs(figures.loc["ValueRegressor tied", "bias"]) < 0.06
    assert figures.loc["ValueRegressor as trained", "bias"] > 0.15
    assert 0.87 < figures.loc["ValueRegressor tied", "covered"] < 0.93
