"""Two simulated operators: a small one to look at row by row, a larger one to measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from churnml.simulator import simulate


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 customers, 6 months; never changed by a test."""
    out = tmp_path_factory.mktemp("small") / "operator"
    simulate(out, customers=600, months=6, seed=5)
    return out


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12,000 customers, 15 months; never changed by a test."""
    out = tmp_path_factory.mktemp("large") / "operator"
    simulate(out, customers=12_000, months=15, seed=8)
    return out
