"""How good the value model is: ``python benchmarks/value.py``; writes results/value.md.

CDNOW, whose cohort decays: ranking, level and intervals beside what a specialist would try, within one period and out of time.
A simulated operator, out of time, with bills and costs: level and intervals.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

import churnml
from churnml import ValueRegressor
from churnml.evaluation.metrics import decile_mape, normalised_gini
from churnml.models.purchases import BetaGeometric

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY.parent / "shared" / "data" / "cdnow" / "CDNOW_master.txt"
RESULTS = Path(__file__).parent / "results" / "value.md"
FIRST = pd.Timestamp("1997-01-01")
WINDOWS = [30, 90, 180]
FOLDS = 5
Array = np.ndarray[Any, Any]


# --- CDNOW -----------------------------------------------------------------------------------------------------------


def purchases() -> pd.DataFrame:
    """Read every purchase: customer, day, discs, dollars."""
    rows = pd.read_csv(DATA, sep=r"\s+", dtype={"customer_id": str, "date": str})
    rows["date"] = pd.to_datetime(rows["date"], format="%Y%m%d")
    return rows


def week(number: int) -> pd.Timestamp:
    """Return the day on which so many weeks have passed."""
    return FIRST + pd.Timedelta(weeks=number)


def summed_up(rows: pd.DataFrame, at: int) -> pd.DataFrame:
    """Make recency, frequency and money of every customer known after some weeks."""
    day = week(at)
    known = rows[rows["date"] < day].sort_values("date", kind="stable")
    own = known.groupby("customer_id")
    found = pd.DataFrame(
        {
            "spend": own["dollar_value"].sum(),
            "orders": own["date"].nunique(),
            "discs": own["number_of_cds"].sum(),
            "spend_mean": own["dollar_value"].mean(),
            "spend_max": own["dollar_value"].max(),
            "spend_min": own["dollar_value"].min(),
            "spend_last": own["dollar_value"].last(),
            "days_since_last": (day - own["date"].max()).dt.days,
            "days_since_first": (day - own["date"].min()).dt.days,
        }
    )
    between = found["days_since_first"] - found["days_since_last"]
    found["order_rate"] = found["orders"] / found["days_since_first"]
    found["silent_share"] = found["days_since_last"] / found["days_since_first"]
    found["gap"] = between / (found["orders"] - 1).where(found["orders"] > 1)
    found["overdue"] = found["days_since_last"] / found["gap"].where(found["gap"] > 0)
    for days in WINDOWS:
        recent = known[known["date"] >= day - pd.Timedelta(days=days)].groupby("customer_id")
        found[f"spend_{days}d"] = recent["dollar_value"].sum().reindex(found.index, fill_value=0.0)
        found[f"orders_{days}d"] = recent.size().reindex(found.index, fill_value=0)
    return found


def brought(rows: pd.DataFrame, customers: pd.Index, begin: int, end: int) -> Array:
    """Return what each customer spends between two weeks."""
    later = rows[(rows["date"] >= week(begin)) & (rows["date"] < week(end))]
    return later.groupby("customer_id")["dollar_value"].sum().reindex(customers, fill_value=0.0).to_numpy()


def own_features(rows: pd.DataFrame, at: list[int]) -> dict[int, pd.DataFrame]:
    """Make churnml's features of the purchases, taken as bills and as usage."""
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        folder = Path(scratch)
        first = rows.groupby("customer_id")["date"].min().rename("signed_up_at")
        first.reset_index().to_parquet(folder / "customers.parquet")
        names = {"date": "billed_at", "dollar_value": "amount"}
        bills = rows.rename(columns=names).assign(bill_id=[f"{number:06d}" for number in range(len(rows))])
        bills[["bill_id", "customer_id", "billed_at", "amount"]].to_parquet(folder / "bills.parquet")
        usage = rows.rename(columns={"date": "used_at", "number_of_cds": "discs"}).assign(orders=1)
        usage[["customer_id", "used_at", "discs", "orders"]].to_parquet(folder / "usage.parquet")
        config = {
            "project": "cdnow",
            "timezone": "UTC",
            "currency": "USD",
            "tables": {name: {"path": str(folder / f"{name}.parquet")} for name in ("customers", "bills", "usage")},
            "label": {"mode": "inactive", "active_days": 600, "horizon_days": 182},
            "features": {"windows": [*WINDOWS, 365]},
        }
        days = [week(number).date() for number in at]
        panel = churnml.features(config, days)
    keys = ["customer_id", "as_of"]
    return {
        number: panel[pd.to_datetime(panel["as_of"]) == week(number)].set_index("customer_id").drop(columns=keys[1:])
        for number in at
    }


def history(found: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Return repeat purchases, days from the first to the last, and days since the first."""
    age = found["days_since_first"].to_numpy(dtype=float)
    return found["orders"].to_numpy(dtype=float) - 1, age - found["days_since_last"].to_numpy(dtype=float), age


def lightgbm_tweedie(train: pd.DataFrame, value: Array, test: pd.DataFrame) -> Array:
    """Predict by LightGBM's defaults with a Tweedie loss."""
    model = lgb.LGBMRegressor(objective="tweedie", n_jobs=1, verbose=-1, random_state=0)
    return np.asarray(model.fit(train.to_numpy(float), value).predict(test.to_numpy(float)))


def lightgbm_squares(train: pd.DataFrame, value: Array, test: pd.DataFrame) -> Array:
    """Predict by LightGBM's defaults."""
    model = lgb.LGBMRegressor(n_jobs=1, verbose=-1, random_state=0)
    return np.asarray(model.fit(train.to_numpy(float), value).predict(test.to_numpy(float)))


def beta_geometric(found: pd.DataFrame, model: BetaGeometric, days: int) -> Array:
    """Predict by the expected purchases and each customer's mean spend, drawn towards that of all."""
    orders, spend = found["orders"].to_numpy(float), found["spend"].to_numpy(float)
    mean = (spend + 3 * spend.sum() / orders.sum()) / (orders + 3)
    return model.expected(*history(found), days) * mean


def judged(value: Array, predicted: Array) -> dict[str, float]:
    """Return ranking and level."""
    one = np.ones(len(value))
    return {
        "gini": normalised_gini(value, predicted, one),
        "mape": decile_mape(value, predicted, one),
        "bias": float(predicted.sum() / value.sum() - 1),
    }


def covered(value: Array, predicted: Array, ends: Array) -> dict[str, float]:
    """Return the share of values that intervals hold, overall, in the best and in the worst tenth of the prediction."""
    held = (ends[:, 0] <= value) & (value <= ends[:, 1])
    tenth = pd.qcut(pd.Series(predicted).rank(method="first"), 10, labels=False).to_numpy()
    tenths = [held[tenth == number].mean() for number in range(10)]
    width = float(np.mean(ends[:, 1] - ends[:, 0]))
    return {"covered": float(held.mean()), "least": min(tenths), "most": max(tenths), "width": width}


def within(features: pd.DataFrame, found: pd.DataFrame, value: Array, repeats: int) -> pd.DataFrame:
    """Cross-validate within weeks 1-39 to 40-78: one row for each model and repeat, over all folds."""
    rows = []
    for repeat in range(repeats):
        names = ["ValueRegressor", "LightGBM, Tweedie", "LightGBM, squares"]
        unseen = {name: np.zeros(len(value)) for name in names}
        ends, seconds = np.zeros((len(value), 2)), []
        for fit, judge in StratifiedKFold(FOLDS, shuffle=True, random_state=repeat).split(features, value > 0):
            train, test = features.iloc[fit], features.iloc[judge]
            before = time.process_time()
            model = ValueRegressor(random_state=repeat).fit(train, value[fit])
            seconds.append(time.process_time() - before)
            unseen["ValueRegressor"][judge] = model.predict(test)
            ends[judge] = model.predict_interval(test, 0.9)
            unseen["LightGBM, Tweedie"][judge] = lightgbm_tweedie(train, value[fit], test)
            unseen["LightGBM, squares"][judge] = lightgbm_squares(train, value[fit], test)
        for name in names:
            more = {}
            if name == "ValueRegressor":
                more = {**covered(value, unseen[name], ends), "cpu": float(np.median(seconds))}
            rows.append({"name": name, "repeat": repeat, **judged(value, unseen[name]), **more})
    fixed = {
        "past spend": found["spend"].to_numpy() * value.sum() / found["spend"].sum(),
        "BG/NBD x mean spend": beta_geometric(found, BetaGeometric.fitted(*history(found)), 273),
    }
    rows += [{"name": name, "repeat": 0, **judged(value, predicted)} for name, predicted in fixed.items()]
    return pd.DataFrame(rows)


def later(
    features: dict[int, pd.DataFrame], found: dict[int, pd.DataFrame], value: dict[int, Array], repeats: int
) -> pd.DataFrame:
    """Train on weeks 1-26 to 27-52, score at week 52, compare with weeks 53-78."""
    rows = []
    forecast = BetaGeometric.fitted(*history(found[52]))  # of all that is known at week 52
    before, after = (float(forecast.expected(*history(found[number]), 182).sum()) for number in (26, 52))
    total = value[26].sum() * after / before
    for repeat in range(repeats):
        model = ValueRegressor(label_days=182, random_state=repeat).fit(features[26], value[26])
        models = {"ValueRegressor as trained": model, "ValueRegressor tied": model.tied(features[52], total)}
        for name, one in models.items():
            predicted = one.predict(features[52])
            ends = one.predict_interval(features[52], 0.9)
            more = covered(value[52], predicted, ends)
            rows.append({"name": name, "repeat": repeat, **judged(value[52], predicted), **more})
    fixed = {
        "LightGBM, Tweedie": lightgbm_tweedie(features[26], value[26], features[52]),
        "LightGBM, squares": lightgbm_squares(features[26], value[26], features[52]),
        "past spend": found[52]["spend"].to_numpy() * value[26].sum() / found[26]["spend"].sum(),
        "BG/NBD x mean spend": beta_geometric(found[52], forecast, 182),
    }
    rows += [{"name": name, "repeat": 0, **judged(value[52], predicted)} for name, predicted in fixed.items()]
    return pd.DataFrame(rows)


# --- the simulated operator ------------------------------------------------------------------------------------------


def operator(customers: int, months: int, seed: int) -> pd.DataFrame:
    """Train on a simulated operator's earlier dates and judge the last, by the value of its configuration."""
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        folder = Path(scratch) / "operator"
        churnml.simulate(folder, customers=customers, months=months, seed=seed)
        config = churnml.load_config(folder / "churnml.yaml")
        panel = churnml.features(config, config.training.dates(), labels=True)
    panel = panel[panel["value"].notna()].reset_index(drop=True)
    days = sorted(panel["as_of"].unique())
    horizon = config.value.horizon_days
    earlier = [day for day in days if pd.Timestamp(day) + pd.Timedelta(days=horizon) <= pd.Timestamp(days[-1])]
    names = [name for name in panel if name not in ("customer_id", "as_of", "churned", "value")]
    train, test = panel[panel["as_of"].isin(earlier)], panel[panel["as_of"] == days[-1]]
    before = time.process_time()
    model = ValueRegressor(label_days=horizon, random_state=0)
    model.fit(train[names], train["value"], groups=train["customer_id"], as_of=train["as_of"])
    cpu = time.process_time() - before
    value, predicted = test["value"].to_numpy(float), model.predict(test[names])
    ends = model.predict_interval(test[names], 0.9)
    row = {
        "name": f"seed {seed}",
        "repeat": 0,
        **judged(value, predicted),
        **covered(value, predicted, ends),
        "cpu": cpu,
    }
    return pd.DataFrame([{**row, "rows": len(train), "tested": len(test)}])


# --- the page --------------------------------------------------------------------------------------------------------

HEADS = {
    "gini": ("normalised Gini", "{:.4f}"),
    "mape": ("decile MAPE", "{:.3f}"),
    "bias": ("bias", "{:+.1%}"),
    "covered": ("90 % intervals hold", "{:.1%}"),
    "least": ("least of ten", "{:.1%}"),
    "most": ("most of ten", "{:.1%}"),
    "width": ("mean width", "{:.0f}"),
    "cpu": ("CPU s a fit", "{:.1f}"),
    "rows": ("rows trained on", "{:,.0f}"),
    "tested": ("tested on", "{:,.0f}"),
}


def table(runs: pd.DataFrame) -> list[str]:
    """Write means over repeats."""
    heads = {name: head for name, head in HEADS.items() if name in runs}
    lines = ["| | " + " | ".join(head for head, _ in heads.values()) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, found in runs.groupby("name", sort=False):
        means = found[list(heads)].mean()
        cells = ["" if np.isnan(means[head]) else form.format(means[head]) for head, (_, form) in heads.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def in_child(*arguments: Any) -> pd.DataFrame:
    """Simulate and train in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(operator, arguments)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("lightgbm", "scikit-learn", "pandas", "numpy"))
    lines = [
        "# The value model",
        "",
        f"{os.cpu_count()} shared cores, {memory:.0f} GB, Python {platform.python_version()}, {versions}. *Least*, *most of ten*: the"
        " tenths of the prediction whose values the intervals hold least and most often. Means over random states.",
        "",
    ]
    if DATA.is_file():
        rows = purchases()
        found = {number: summed_up(rows, number) for number in (26, 39, 52)}
        value = {at: brought(rows, found[at].index, at, to) for at, to in ((26, 52), (39, 78), (52, 78))}
        own = {at: table.loc[found[at].index] for at, table in own_features(rows, [26, 39, 52]).items()}
        numbers = [name for name, column in own[26].items() if len(column.unique()) > 1]
        own = {at: table[numbers].astype(float) for at, table in own.items()}
        for title, features in {"recency, frequency, money": found, "churnml's features": own}.items():
            lines += [f"## CDNOW, weeks 1-39 to 40-78: {title}", ""]
            lines += [
                f"{len(value[39]):,} customers, {FOLDS}-fold x {given.repeats}, {features[39].shape[1]} columns.",
                "",
            ]
            lines += table(within(features[39], found[39], value[39], given.repeats))
            lines += [f"## CDNOW out of time: {title}", ""]
            lines += [
                "Trained on weeks 1-26 to 27-52, scored at week 52, judged on 53-78. *Tied*: to the realised total of 27-52 x the decay"
                " that `BetaGeometric` of all purchases to week 52 sees between the two dates.",
                "",
            ]
            lines += table(later(features, found, value, given.repeats))
            print("\n".join(lines), flush=True)
    else:
        lines += ["CDNOW is not in ../shared/data beside the repository: left out.", ""]
    lines += ["## Simulated operators, out of time", ""]
    lines += [
        "2,000 customers, 24 months, value of 90 days, trained on the dates whose value was known at the last one, judged there.",
        "",
    ]
    lines += table(pd.concat([in_child(2_000, 24, seed) for seed in range(given.seeds)]))
    RESULTS.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
