"""The line under the trees: read from a matrix term by term, and taken where effects add up."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from churnml import ChurnClassifier
from churnml.models.line import Line


def matrix_of(rows=2_000, seed=0):
    """Numbers, numbers with nulls, codes with nulls, a constant and nothing."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(50, 20, (rows, 2))
    numbers[rng.random(rows) < 0.2, 1] = np.nan
    codes = rng.integers(0, 4, rows).astype(float)
    codes[rng.random(rows) < 0.1] = np.nan
    matrix = np.column_stack([numbers, codes, np.full(rows, 7.0), np.full(rows, np.nan)])
    odds = (
        0.04 * (numbers[:, 0] - 50) + np.where(np.isnan(numbers[:, 1]), 1.0, 0.0) + np.nan_to_num(codes, nan=-1) * 0.5
    )
    return matrix, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)


def test_a_line_is_the_regression_on_scaled_numbers_codes_and_nulls():
    matrix, target = matrix_of()
    line = Line.fitted(matrix, target, np.ones(len(target)), [2], seed=0)
    low, high = np.nanquantile(matrix[:, :2], [0.001, 0.999], axis=0)
    numbers = np.clip(matrix[:, :2], low, high)
    scaled = (numbers - np.nanmean(numbers, axis=0)) / np.nanstd(numbers, axis=0)
    columns = {"a": scaled[:, 0], "b": np.nan_to_num(scaled[:, 1]), "b_null": np.isnan(scaled[:, 1])}
    columns |= {f"code {code}": matrix[:, 2] == code for code in range(4)} | {"code_null": np.isnan(matrix[:, 2])}
    design = pd.DataFrame(columns).astype(float)
    peer = LogisticRegression(C=0.3, tol=1e-10, max_iter=10_000).fit(design, target)
    np.testing.assert_allclose(line(matrix), peer.decision_function(design), atol=1e-4)


def test_what_columns_add_sums_to_the_line_and_is_nothing_on_average():
    matrix, target = matrix_of()
    line = Line.fitted(matrix, target, np.ones(len(target)), [2], seed=0)
    added = line.contributions(matrix)
    np.testing.assert_allclose(line.intercept + added.sum(axis=1), line(matrix))
    there = ~np.isnan(matrix)
    means = [added[there[:, place], place].mean() for place in (0, 1, 2, 3)]
    np.testing.assert_allclose(means, 0, atol=1e-9)
    assert (added[:, 3:] == 0).all()


def test_a_line_read_back_gives_the_same_bits_also_beyond_what_it_has_seen():
    matrix, target = matrix_of()
    line = Line.fitted(matrix, target, np.ones(len(target)), [2], seed=0)
    again = Line.from_dict(json.loads(json.dumps(line.to_dict())))
    beyond = np.array([[1e12, -1e12, 9.0, 8.0, 1.0], [np.nan] * 5, [0.0, 0.0, 3.0, 7.0, np.nan]])
    assert (again(beyond) == line(beyond)).all()
    assert np.abs(line(beyond)).max() < 20


def test_rows_of_one_outcome_give_a_constant():
    matrix, _ = matrix_of(30)
    line = Line.fitted(matrix, np.ones(30), np.ones(30), [2], seed=0)
    np.testing.assert_allclose(1 / (1 + np.exp(-line(matrix))), 30.5 / 31)


def test_weights_stand_for_rows():
    matrix, target = matrix_of(600)
    weight = np.random.default_rng(1).integers(1, 4, 600)
    often = np.repeat(np.arange(600), weight)
    ends = {"_TAIL": 0.0}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in ends.items():
            patched.setattr(f"churnml.models.line.{name}", value)
        one = Line.fitted(matrix, target, weight.astype(float), [2], seed=0)
        other = Line.fitted(matrix[often], target[often], np.ones(len(often)), [2], seed=0)
    np.testing.assert_allclose(one(matrix), other(matrix), atol=1e-4)


def test_where_effects_add_up_over_many_columns_trees_stand_on_a_line():
    rng = np.random.default_rng(0)
    numbers, slopes = rng.normal(size=(3_000, 20)), 0.6 * rng.normal(size=20)
    left = (rng.random(3_000) < 1 / (1 + np.exp(1 - numbers @ slopes))).astype(int)
    frame = pd.DataFrame(numbers).add_prefix("c")
    model = ChurnClassifier(random_state=0).fit(frame[:2_000], left[:2_000])
    assert model.search_["capacity"] == "4 leaves over a line, given columns"
    peer = LogisticRegression().fit(numbers[:2_000], left[:2_000])
    truth = 1 / (1 + np.exp(1 - numbers[2_000:] @ slopes))
    ours, theirs = model.predict_proba(frame[2_000:])[:, 1], peer.predict_proba(numbers[2_000:])[:, 1]
    best = log_loss(left[2_000:], truth)
    assert log_loss(left[2_000:], ours) - best < 1.2 * (log_loss(left[2_000:], theirs) - best) + 0.002
