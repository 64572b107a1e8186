"""How near the churn model is to the best there could be: ``python benchmarks/truth.py``; writes results/truth.md.

Simulated operators, whose every customer's chance of leaving is known (docs/simulator.md). A model that learns from those
chances themselves, at the same dates and from the same features, is free of the luck in the labels: it shows what the
features allow.
"""

from __future__ import annotations

import argparse
import json
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
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupShuffleSplit

from churnml import load_config
from churnml.columns import AS_OF, CHURNED, CUSTOMER_ID
from churnml.config import Label
from churnml.evaluation.judge import OBSERVED, PREDICTED, figure
from churnml.evaluation.metrics import calibration_error, level
from churnml.models.columns_of import ModelColumns
from churnml.simulator import simulate
from churnml.tables.histories import open_histories
from churnml.training.data import TrainingData, gather
from churnml.training.fit import fit_churn

RESULTS = Path(__file__).parent / "results" / "truth.md"
CAUSES = ("voluntary", "port_out", "involuntary")
LARGE = {
    "objective": "cross_entropy",
    "metric": "cross_entropy",
    "learning_rate": 0.05,
    "num_leaves": 63,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.75,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 2,
    "seed": 0,
    "verbose": -1,
}


def true_chance(truth: Path, as_of: Any, label: Label) -> pd.Series:
    """Return the chance that each customer's label at a date is 1, given that it is not null, contacts as they were made."""
    at = pd.Timestamp(as_of)
    opens = at + pd.Timedelta(days=label.lead_days)
    closes = opens + pd.Timedelta(days=label.horizon_days)
    columns = [CUSTOMER_ID, "month", *(f"hazard_{cause}" for cause in CAUSES)]
    months = pd.concat(pd.read_parquet(file, columns=columns) for file in sorted(truth.glob("*/months.parquet")))
    pieces = pd.DataFrame({"begin": sorted({at, opens, *pd.date_range(at, closes, freq="MS")} - {closes})})
    pieces["days"] = (pieces["begin"].shift(-1, fill_value=closes) - pieces["begin"]) / pd.Timedelta(days=1)
    pieces["month"] = pieces["begin"].dt.to_period("M").dt.to_timestamp().astype(months["month"].dtype)
    rows = months.merge(pieces, on="month").sort_values([CUSTOMER_ID, "begin"], kind="stable")
    rate = rows[[f"hazard_{cause}" for cause in CAUSES]].sum(axis=1)
    wanted = rows[[f"hazard_{cause}" for cause in label.types or CAUSES]].sum(axis=1)
    used = rate * rows["days"]
    total = used.groupby(rows[CUSTOMER_ID]).cumsum()
    leaves = np.exp(-(total - used)) * wanted / rate * -np.expm1(-used)
    leaves = leaves.where(rows["begin"] >= opens, 0.0).groupby(rows[CUSTOMER_ID]).sum()
    stays = np.exp(-total.groupby(rows[CUSTOMER_ID]).last())
    return leaves / (leaves + stays)


def with_truth(rows: pd.DataFrame, truth: Path, label: Label) -> np.ndarray[Any, Any]:
    """Return the true chance of each row of a panel."""
    found = np.full(len(rows), np.nan)
    for day in rows[AS_OF].unique():
        here = (rows[AS_OF] == day).to_numpy()
        found[here] = true_chance(truth, day, label).reindex(rows.loc[here, CUSTOMER_ID]).to_numpy()
    if np.isnan(found).any():
        raise SystemExit(f"{np.isnan(found).sum()} rows have no truth")
    return found


def allowed(data: TrainingData, chance: np.ndarray[Any, Any], train: pd.DataFrame, test: pd.DataFrame) -> Any:
    """Predict the test rows by a large model that learned from the true chances of the train rows."""
    features = data.read(train)
    columns = ModelColumns.of(features)
    matrix = columns.matrix(features)
    split = GroupShuffleSplit(1, test_size=0.15, random_state=0).split(matrix, groups=train[CUSTOMER_ID])
    fit, judge = next(iter(split))
    whole = lgb.Dataset(matrix, chance, categorical_feature=columns.categorical, free_raw_data=False).construct()
    stop = lgb.early_stopping(50, verbose=False)
    parts = [whole.subset(sorted(part.tolist())) for part in (fit, judge)]
    booster = lgb.train(LARGE, parts[0], 3_000, valid_sets=[parts[1]], callbacks=[stop])
    return booster.predict(columns.matrix(data.read(test)), num_iteration=booster.best_iteration)


def expected_auc(chance: Any, predicted: Any) -> float:
    """Return the AUC over all the luck there could have been: each row left with its chance, and stayed with the rest."""
    outcome = np.repeat([1, 0], len(chance))
    return float(roc_auc_score(outcome, np.tile(predicted, 2), sample_weight=np.concatenate([chance, 1 - chance])))


def measured(folder: Path, customers: int, months: int, seed: int) -> dict[str, Any]:
    """Simulate an operator, train, and compare with its truth."""
    operator = folder / str(seed)
    simulate(operator, customers=customers, months=months, seed=seed)
    config = load_config(operator / "churnml.yaml")
    with open_histories(config) as histories:
        data = gather(histories)
    before, started = time.process_time(), time.perf_counter()
    trained = fit_churn(data, config, {}, seed=0)
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    train, test = (data.churn_rows(dates) for dates in (data.churn.train, data.churn.test))
    truth = operator / "truth"
    tested = trained.tested
    assert tested[CUSTOMER_ID].tolist() == test[CUSTOMER_ID].tolist()
    chance = with_truth(test, truth, config.label)
    best = allowed(data, with_truth(train, truth, config.label), train, test)
    predicted, observed = tested[PREDICTED].to_numpy(), tested[OBSERVED].to_numpy()
    ones = np.ones(len(chance))
    auc = figure(trained.evaluation, "auc")
    search = trained.bundle.models["churn_probability"].search_
    return {
        "seed": seed,
        "rows": len(train),
        "churners": int(train[CHURNED].sum()),
        "test": len(test),
        "left": int(observed.sum()),
        "auc": {
            "model": (auc.value, expected_auc(chance, predicted)),
            "logistic": (figure(trained.evaluation, "auc", "logistic").value, expected_auc(chance, tested["logistic"])),
            "best": (float(roc_auc_score(observed, best)), expected_auc(chance, best)),
            "truth": (float(roc_auc_score(observed, chance)), expected_auc(chance, chance)),
        },
        "interval": (auc.low, auc.high),
        "ece": calibration_error(chance, predicted, ones),
        "level": level(chance, predicted, ones),
        "told_level": figure(trained.evaluation, "level").value,
        "luck": float(observed.mean() / chance.mean()),
        "mean": float(chance.mean()),
        "search": {name: search[name] for name in ("capacity", "rounds", "calibration")},
        "cpu": cpu,
        "wall": wall,
    }


def report(runs: list[dict[str, Any]], customers: int, months: int) -> str:
    """Write the tables."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("lightgbm", "scikit-learn", "numpy"))
    mean = {name: np.mean([run["auc"][name] for run in runs], axis=0) for name in runs[0]["auc"]}
    gap = mean["best"] - mean["model"]
    lines = [
        "# The churn model against the truth",
        "",
        f"Simulated operators of {customers:,} customers and {months} months, tested at one date a whole outcome window later than"
        f" they were trained on; {os.cpu_count()} shared cores, {memory:.0f} GB, Python {platform.python_version()}, {versions}.",
        "",
        "AUC of the labels as they fell and, after the stroke, of the true chances (what it would be on average over all luck;"
        " far less noisy). *Best that the features allow*: a large LightGBM fitted to the true chances of the same rows.",
        "",
        "| seed | rows (churners) | test rows (left) | model | 95 % interval | logistic | best that the features allow | truth itself"
        " | best less model |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        told = {name: f"{found[0]:.4f} / {found[1]:.4f}" for name, found in run["auc"].items()}
        low, high = run["interval"]
        less = np.subtract(run["auc"]["best"], run["auc"]["model"])
        lines.append(
            f"| {run['seed']} | {run['rows']:,} ({run['churners']:,}) | {run['test']:,} ({run['left']:,}) | {told['model']} |"
            f" {low:.3f}-{high:.3f} | {told['logistic']} | {told['best']} | {told['truth']} | {less[0]:+.4f} / {less[1]:+.4f} |"
        )
    cells = {name: f"{found[0]:.4f} / {found[1]:.4f}" for name, found in mean.items()}
    lines += [
        f"| mean | | | {cells['model']} | | {cells['logistic']} | {cells['best']} | {cells['truth']} |"
        f" **{gap[0]:+.4f} / {gap[1]:+.4f}** |",
        "",
        "The probabilities against the true chances at the test date. *ECE*: mean distance of ten bins of equal mass. *Level*: mean"
        " probability over mean true chance. *Luck*: customers who left over the sum of their chances.",
        "",
        "| seed | mean true chance | ECE | level | level against the labels | luck | capacity, rounds, calibration | CPU s | wall s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        search = run["search"]
        lines.append(
            f"| {run['seed']} | {run['mean']:.4f} | {run['ece']:.4f} | {run['level']:.3f} | {run['told_level']:.3f} |"
            f" {run['luck']:.3f} | {search['capacity']}, {search['rounds']}, {search['calibration']} | {run['cpu']:.0f} |"
            f" {run['wall']:.0f} |"
        )
    means = {
        name: np.mean([run[name] for run in runs])
        for name in ("mean", "ece", "level", "told_level", "luck", "cpu", "wall")
    }
    lines.append(
        f"| mean | {means['mean']:.4f} | **{means['ece']:.4f}** | {means['level']:.3f} | {means['told_level']:.3f} |"
        f" {means['luck']:.3f} | | {means['cpu']:.0f} | {means['wall']:.0f} |"
    )
    verdicts = [
        f"{'held' if gap[1] <= 0.02 else 'missed'}: AUC within .02 of the best that the features allow ({gap[1]:.4f})",
        f"{'held' if means['ece'] <= 0.015 else 'missed'}: ECE at most .015 ({means['ece']:.4f})",
    ]
    return "\n".join([*lines, "", "Goals " + "; ".join(verdicts) + "."]) + "\n"


def main() -> None:
    """Measure each seed and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=18)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    runs = []
    for seed in given.seeds:
        with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
            runs.append(measured(Path(scratch), given.customers, given.months, seed))
        print(json.dumps(runs[-1]), flush=True)
    text = report(runs, given.customers, given.months)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
