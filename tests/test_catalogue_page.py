"""The catalogue's page: every feature, its coverage, spread and shift."""

import re

import numpy as np
import pandas as pd
import pytest

import churnml
from churnml.reporting.catalogue_page import shift


def test_the_page_tells_of_every_feature_and_asks_nothing_of_the_network(simulated, tmp_path):
    page = tmp_path / "catalogue.html"
    listed = churnml.catalog(simulated, html=page, as_of=["2023-10-01", "2024-03-01"], lang="zh")
    text = page.read_text(encoding="utf-8")
    by_theme = listed.sort_values(
        "theme", kind="stable", key=lambda column: column.map(list(dict.fromkeys(column)).index)
    )
    assert re.findall(r"<code>(.*?)</code>", text) == by_theme["name"].tolist()
    assert all(phrase in text for phrase in listed["phrase_zh"])
    assert "2023-10-01, 2024-03-01" in text
    assert not re.search(r"(src|href)=|https?:|@import|url\(", text)
    panel = churnml.features(simulated, "2024-03-01")
    coverage = round(100 * panel["complaints_days_since_last"].notna().mean())
    row = text[text.index("<code>complaints_days_since_last<") :]
    assert f"{coverage} %" in row[: row.index("</tr>")]


def test_a_column_that_stays_does_not_shift_and_one_that_moves_does():
    draws = np.random.default_rng(0)
    first = pd.Series(draws.normal(size=5_000))
    assert shift(first, first) == 0
    assert shift(first, pd.Series(draws.normal(size=5_000))) < 0.1
    assert 0.3 < shift(first, first + 2) <= 1
    assert shift(first, first.mask(first > 0)) > 0.3
    assert shift(pd.Series(["a", None] * 50), pd.Series(["b", None] * 50)) == pytest.approx(0.5**0.5)
