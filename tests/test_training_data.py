"""The panel that models are trained on has a mark of its own."""

import numpy as np
import pandas as pd

from churnml.training.data import TrainingData


def marked(panel):
    return TrainingData(panel, [], None, None, []).hash


def test_the_mark_of_a_panel_stays_with_noise_in_the_last_bits_and_with_nothing_else():
    rng = np.random.default_rng(0)
    panel = pd.DataFrame({"customer_id": [f"c{n}" for n in range(500)], "a": rng.gamma(1, 100, 500), "b": np.nan})
    for seed in range(50):
        noise = 1 + np.random.default_rng(seed).normal(0, 1e-15, 500)
        assert marked(panel.assign(a=panel["a"] * noise)) == marked(panel)
    assert marked(panel.assign(a=panel["a"].where(panel.index != 7, panel["a"] * 1.01))) != marked(panel)
    assert marked(panel.assign(a=panel["a"].sample(frac=1, random_state=0).to_numpy())) != marked(panel)
    assert marked(panel.assign(b=0.0)) != marked(panel)
    assert marked(panel.assign(customer_id="x")) != marked(panel)
