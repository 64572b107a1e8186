"""How near the hazard model is to the truth: ``python benchmarks/hazard.py``; writes results/hazard.md.

Simulated operators, whose every customer's rate of leaving for each cause is known (docs/simulator.md). The model learns from what
was known at the test date, and says for everyone there the chance of having left for each cause by some days later.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churnml import HazardModel, load_config
from churnml.columns import AS_OF, CAUSE, CUSTOMER_ID, DURATION_DAYS
from churnml.models.hazard import STAYING
from churnml.simulator import simulate
from churnml.tables.histories import open_histories
from churnml.training.data import TrainingData, gather

RESULTS = Path(__file__).parent / "results" / "hazard.md"
CAUSES = ("involuntary", "port_out", "voluntary")


def true_incidence(truth: Path, as_of: Any, days: int) -> pd.DataFrame:
    """Return the chance that each customer leaves for each cause in so many days, contacts as they were made."""
    at = pd.Timestamp(as_of)
    closes = at + pd.Timedelta(days=days)
    rates = [f"hazard_{cause}" for cause in CAUSES]
    months = pd.concat(
        pd.read_parquet(file, columns=[CUSTOMER_ID, "month", *rates]) for file in sorted(truth.glob("*/months.parquet"))
    )
    pieces = pd.DataFrame({"begin": sorted({at, *pd.date_range(at, closes, freq="MS")} - {closes})})
    pieces["days"] = (pieces["begin"].shift(-1, fill_value=closes) - pieces["begin"]) / pd.Timedelta(days=1)
    pieces["month"] = pieces["begin"].dt.to_period("M").dt.to_timestamp().astype(months["month"].dtype)
    rows = months.merge(pieces, on="month").sort_values([CUSTOMER_ID, "begin"], kind="stable")
    rate = rows[rates].sum(axis=1)
    used = rate * rows["days"]
    before = used.groupby(rows[CUSTOMER_ID]).cumsum() - used
    leaves = (np.exp(-before) * -np.expm1(-used)).to_numpy()
    found = rows[rates].div(rate, axis=0).mul(leaves, axis=0)
    found.columns = list(CAUSES)
    return found.groupby(rows[CUSTOMER_ID]).sum()


def by_decile(true: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> float:
    """Return the mean absolute distance of mean prediction and mean truth over ten bins of equal size."""
    bins = np.array_split(np.argsort(predicted, kind="stable"), 10)
    return float(np.mean([abs(true[rows].mean() - predicted[rows].mean()) for rows in bins]))


def until(data: TrainingData, dates: list[Any], test: Any) -> pd.DataFrame:
    """Return the rows of some dates as they would have been watched at the test date."""
    rows = data.watched_rows(dates)
    room = (pd.Timestamp(test) - rows[AS_OF]) / pd.Timedelta(days=1)
    seen = rows[DURATION_DAYS] < room
    return rows.assign(**{DURATION_DAYS: rows[DURATION_DAYS].clip(upper=room), CAUSE: rows[CAUSE].where(seen)})


def measured(folder: Path, customers: int, months: int, test: str, horizons: list[int], seed: int, **given: Any) -> Any:
    """Simulate an operator, fit the dates before the test date, and compare with the truth."""
    operator = folder / str(seed)
    simulate(operator, customers=customers, months=months, seed=seed)
    config = load_config(operator / "churnml.yaml")
    with open_histories(config) as histories:
        day = pd.Timestamp(test).date()
        dates = [found.date() for found in pd.date_range("2023-07-01", test, freq="2MS") if found.date() < day]
        data = gather(histories, [*dates, day])
    rows, tested = until(data, dates, test), data.watched_rows([day])
    before, started = time.process_time(), time.perf_counter()
    label_days = config.label.lead_days + config.label.horizon_days
    model = HazardModel(label_days=label_days, random_state=0, **given)
    model.fit(data.read(rows), rows[DURATION_DAYS], rows[CAUSE], groups=rows[CUSTOMER_ID], as_of=rows[AS_OF])
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    features, found = data.read(tested), []
    for horizon in horizons:
        true = true_incidence(operator / "truth", test, horizon).loc[tested[CUSTOMER_ID]]
        predicted = model.cause_probabilities(features, horizon)
        true[STAYING] = 1 - true.sum(axis=1)
        for cause in (*CAUSES, STAYING):
            own, ours = true[cause].to_numpy(), predicted[cause].to_numpy()
            part = {"true": own.mean(), "predicted": ours.mean(), "distance": by_decile(own, ours)}
            rank = pd.Series(own).corr(pd.Series(ours), method="spearman")
            found.append({"seed": seed, "days": horizon, "cause": cause, **part, "rank": rank})
    facts = {"rows": len(rows), "test": len(tested), "cpu": cpu, "wall": wall, **model.search_}
    return pd.DataFrame(found), facts


def report(tables: dict[tuple[int, str], pd.DataFrame], facts: list[dict[str, Any]], customers: int) -> str:
    """Write the tables."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("lightgbm", "scikit-learn", "numpy"))
    lines = [
        "# The hazard model against the truth",
        "",
        f"Simulated operators of {customers:,} customers. The model learns from the dates before the test date, watched up to it; its"
        " cumulative incidences are compared with the true ones of everyone at risk at the test date.",
        f"{os.cpu_count()} shared cores, {memory:.0f} GB, Python {platform.python_version()}, {versions}.",
        "",
        "*Distance*: mean absolute distance of mean prediction and mean true chance over ten bins of equal size by prediction. *Rank*:"
        " Spearman's correlation with the truth. Means over the seeds; distance also as the largest of them.",
        "",
        "| months | test date | days | cause | true | predicted | distance | largest | rank |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    worst = 0.0
    for (months, test), table in tables.items():
        for (days, cause), own in table.groupby(["days", "cause"], sort=False):
            mean = own[["true", "predicted", "distance", "rank"]].mean()
            worst = max(worst, own["distance"].max() if cause != STAYING else 0.0)
            lines.append(
                f"| {months} | {test} | {days} | {cause} | {mean['true']:.4f} | {mean['predicted']:.4f} | {mean['distance']:.4f} |"
                f" {own['distance'].max():.4f} | {mean['rank']:.3f} |"
            )
    lines += [
        "",
        "| test date | seed | rows | leavers | capacity, rounds | levels | CPU s | wall s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in facts:
        levels = ", ".join(f"{name} {level:.3f}" for name, level in run["levels"].items())
        leavers = ", ".join(f"{name} {count:,}" for name, count in run["leavers"].items())
        lines.append(
            f"| {run['date']} | {run['seed']} | {run['rows']:,} | {leavers} | {run['capacity']}, {run['rounds']} | {levels} |"
            f" {run['cpu']:.0f} | {run['wall']:.0f} |"
        )
    held = "held" if worst <= 0.01 else "missed"
    lines += ["", f"Goal {held}: distance at most .01 for every cause, horizon and seed ({worst:.4f})."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure each seed, and the first one with far horizons, which ask for a year more; write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    tables, facts = {}, []
    near, far = (18, "2024-03-01", [30, 74, 120], given.seeds), (30, "2024-07-01", [74, 180, 365], given.seeds[:1])
    for months, test, horizons, seeds in (near, far):
        parts = []
        for seed in seeds:
            with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
                part, told = measured(Path(scratch), given.customers, months, test, horizons, seed)
            parts.append(part)
            facts.append({"date": test, "seed": seed, **told})
            print(part.to_string(), told, flush=True)
        tables[months, test] = pd.concat(parts)
    text = report(tables, facts, given.customers)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
