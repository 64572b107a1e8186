"""Running the package on operators drawn by Hypothesis, and comparing its numbers with the oracle's."""

import math
import os
from contextlib import contextmanager
from unittest import mock

import histories
import numpy as np
import oracle
import pandas as pd
from hypothesis import HealthCheck, Phase, settings

from churnml.config import Config, load_config
from churnml.snapshots.panel import Panel
from churnml.tables.histories import open_histories

# An example is a whole operator and takes some two seconds, so shrinking one takes longer than reading it;
# EXAMPLES=300 makes a night's work of it.
EXAMPLES = settings(
    max_examples=int(os.environ.get("EXAMPLES", "10")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def config_of(tables, settings, folder):
    """Return the configuration that says what the oracle's settings say."""
    label = ("mode", "types", "lead_days", "horizon_days", "active_days", "activity", "observed_until", "settle_days")
    return load_config(
        {
            "tables": histories.to_frames(tables),
            "timezone": settings.timezone,
            "personal": list(settings.personal),
            "quarantine": {"max_share": 1.0},
            "label": {name: getattr(settings, name) for name in label},
            "value": {"horizon_days": settings.value_horizon_days, "margin_rate": settings.margin_rate},
            "features": {"windows": list(settings.windows)},
            "state": {"folder": str(folder)},
        }
    )


@contextmanager
def opened(tables, settings, folder):
    """Open an operator at the moment that the settings call now."""
    now = mock.patch.object(Config, "now", return_value=settings.now)
    with now, open_histories(config_of(tables, settings, folder)) as found:
        yield found


def panel(found, as_of, *, labels=True):
    """Return the panel of one date, by customer."""
    return Panel(found, [as_of], labels=labels).to_pandas().set_index("customer_id")


def is_null(value):
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def agrees(got, expected):
    """Tell whether two values are the same: nulls alike, numbers to 1e-9, relative or absolute, whichever is larger."""
    if is_null(got) or is_null(expected):
        return is_null(got) and is_null(expected)
    if isinstance(expected, bool | np.bool_ | str):
        return got == expected
    return abs(got - expected) <= 1e-9 * max(1.0, abs(got), abs(expected))


def differences(got, expected):
    """List (customer, column, got, expected) wherever the panel and the oracle differ."""
    assert set(got.index) == set(expected), "not the same customers"
    return [
        (customer, name, got.loc[customer, name], value)
        for customer, row in expected.items()
        for name, value in row.items()
        if not agrees(got.loc[customer, name], value)
    ]


def expected_of(accepted, as_of, settings):
    """Return features and labels of everyone at risk, by the oracle."""
    features = oracle.features(accepted, as_of, settings)
    labels = oracle.labels(accepted, as_of, settings)
    return {customer: {**row, **labels[customer]} for customer, row in features.items()}
