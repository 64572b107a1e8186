"""Reasons: only what is not about as usual is told, in words that fit what it is."""

import numpy as np
import pandas as pd
import pytest

from churnml import ChurnClassifier
from churnml.scoring.reasons import reasons

SAID = [
    {"feature": "silence", "theme": "usage", "unit": "days", "usual": 40.0},
    {"feature": "ends_soon", "theme": "contract", "unit": "0 or 1", "usual": 0.0},
]
SAID = [saying | {"phrase_en": saying["feature"].replace("_", " "), "phrase_zh": "说明"} for saying in SAID]


@pytest.fixture(scope="module")
def model():
    """Leaving depends on silence above 39 days, and on the contract's end."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"silence": rng.integers(0, 80, 4_000), "ends_soon": rng.integers(0, 2, 4_000)})
    odds = -2.0 + 2 * (frame["silence"] >= 39) + 1.5 * frame["ends_soon"]
    return ChurnClassifier(effort="fast", random_state=0).fit(frame, rng.random(4_000) < 1 / (1 + np.exp(-odds)))


def told(model, silence, ends_soon):
    [found] = reasons(model, pd.DataFrame({"silence": [silence], "ends_soon": [ends_soon]}), SAID)
    return [(reason["text_en"], reason["text_zh"]) for reason in found]


def test_what_is_about_as_usual_is_no_reason_though_it_points_to_leaving(model):
    assert told(model, 60, 0) == [("Silence: 60 (usual: 40)", "说明：60（一般客户：40）")]
    assert told(model, 43, 0) == [("Silence: 43 (usual: 40)", "说明：43（一般客户：40）")]
    for silence in (39, 40, 41, 42):
        assert told(model, silence, 0) == []


def test_what_points_the_other_way_is_never_told(model):
    assert told(model, 0, 0) == []


def test_what_is_so_or_is_not_is_told_by_yes_and_no(model):
    assert told(model, 0, 1) == [("Ends soon: yes", "说明：是")]
