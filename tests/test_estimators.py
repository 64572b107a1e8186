"""Estimators keep scikit-learn's conventions: its own checks pass."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from churnml.models.churn import ChurnClassifier
from churnml.models.value import ValueRegressor


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("churnml.models.boosting.MAX_ROUNDS", 60)


@parametrize_with_checks([ChurnClassifier(effort="fast"), ValueRegressor()])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)
