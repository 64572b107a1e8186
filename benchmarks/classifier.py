"""`ChurnClassifier` beside its peers: ``python benchmarks/classifier.py``; writes results/classifier.md.

Cross-validated on the public data sets of one date; out of time on a wholesaler's histories (configs/online_retail.yaml); and on drawn
data such as operators have: 2 % who leave, many columns, a training sample of as many who leave as stay. Every model gets the same rows
and no tuning. CatBoost and XGBoost take part where they are installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from churnml.config import State, load_config
from churnml.evaluation.metrics import calibration_error, top_decile_lift
from churnml.models.churn import ChurnClassifier
from churnml.tables.histories import open_histories
from churnml.training.data import gather

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY.parent / "shared" / "data"
RESULTS = Path(__file__).parent / "results" / "classifier.md"
FOLDS = 5
Fit = Callable[[pd.DataFrame, np.ndarray], Any]


@dataclass(frozen=True)
class Problem:
    """A table and its label; with dates and customers, what is later than ``train`` is the test."""

    name: str
    columns: pd.DataFrame
    label: np.ndarray
    population_rate: float | None = None
    customers: np.ndarray | None = None
    as_of: np.ndarray | None = None
    label_days: int = 0
    train: int = 0  # rows

    @property
    def drawn(self) -> bool:
        """Whether one random state is enough."""
        return self.name.startswith("drawn")

    def splits(self, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return rows to fit on and to judge by."""
        if self.train:
            return iter([(np.arange(self.train), np.arange(self.train, len(self.label)))])
        return StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(self.columns, self.label)


def problems() -> Iterator[Problem]:
    """Read the public tables, and draw the others."""
    if DATA.is_dir():
        table = pd.read_csv(DATA / "telco_ibm_wa" / "Telco-Customer-Churn.csv").drop(columns="customerID")
        table["TotalCharges"] = pd.to_numeric(table["TotalCharges"], errors="coerce")
        yield Problem("telco_ibm_wa", table.drop(columns="Churn"), (table["Churn"] == "Yes").to_numpy(dtype=int))
        table = pd.read_csv(DATA / "mlc_churn" / "mlc_churn.csv")
        yield Problem("mlc_churn", table.drop(columns="churn"), (table["churn"] == "yes").to_numpy(dtype=int))
        table = pd.read_csv(DATA / "iranian_churn" / "Customer_Churn.csv").drop_duplicates(ignore_index=True)
        yield Problem("iranian_churn, duplicates dropped", table.drop(columns="Churn"), table["Churn"].to_numpy())
        yield wholesaler()
    yield Problem("drawn: 2 % leave, 20,000 rows", *drawn(20_000, 30, 0.02))
    yield Problem("drawn: wide, 6,000 rows x 300 columns", *drawn(6_000, 300, 0.1))
    yield Problem("drawn: adds up over 30 columns, 5,000 rows", *drawn_line(5_000, 30))
    columns, label = drawn(60_000, 30, 0.03)
    yield Problem("drawn: balanced sample, judged on the real mix of 3 %", columns, label, population_rate=0.03)


def wholesaler() -> Problem:
    """Make the panel that `churnml train` learns from and is tested on, of the gift wholesaler's histories."""
    with tempfile.TemporaryDirectory(prefix="churnml-bench-") as scratch:
        config = load_config(REPOSITORY / "configs" / "online_retail.yaml")
        with open_histories(config.model_copy(update={"state": State(folder=scratch)})) as histories:
            data = gather(histories)
    train, test = data.churn_rows(data.churn.train), data.churn_rows(data.churn.test)
    rows = pd.concat([train, test])
    columns = data.read(rows).reset_index(drop=True)
    columns = columns.drop(columns=[name for name in columns if columns[name].iloc[: len(train)].isna().all()])
    return Problem(
        "online_retail, out of time",
        columns,
        rows["churned"].to_numpy(dtype=int),
        customers=rows["customer_id"].to_numpy(),
        as_of=rows["as_of"].to_numpy(),
        label_days=data.churn.outcome_days,
        train=len(train),
    )


def drawn(rows: int, columns: int, rate: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw customers whose leaving depends on some columns, on two together, and on one of a thousand cities."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, columns))
    numbers[:, 1] = np.exp(numbers[:, 1])
    city = rng.integers(0, 1_000, rows)
    odds = numbers[:, 0] + 0.5 * numbers[:, 1] * (numbers[:, 2] > 0) - 0.7 * numbers[:, 3] * numbers[:, 4]
    odds = 1.2 * (odds + 0.6 * rng.normal(size=1_000)[city])
    low, high = -30.0, 30.0
    for _ in range(60):  # the constant that gives the rate
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(1 / (1 + np.exp(-odds - middle))) < rate else (low, middle)
    left = (rng.random(rows) < 1 / (1 + np.exp(-odds - low))).astype(int)
    frame = pd.DataFrame(numbers, columns=[f"measure_{number}" for number in range(columns)])
    frame[frame.columns[5]] = frame[frame.columns[5]].where(rng.random(rows) > 0.3)
    return frame.assign(city=pd.Series(city).astype(str)), left


def drawn_line(rows: int, columns: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw customers whose leaving adds up over all columns."""
    rng = np.random.default_rng(0)
    numbers, slopes = rng.normal(size=(rows, columns)), 0.6 * rng.normal(size=columns)
    left = rng.random(rows) < 1 / (1 + np.exp(1 - numbers @ slopes))
    return pd.DataFrame(numbers, columns=[f"measure_{number}" for number in range(columns)]), left.astype(int)


def time_of_a_fit() -> list[str]:
    """Measure what a fit takes, by rows: ours and LightGBM's, on the same columns; some of ours share a word."""
    lines = ["## CPU seconds of a fit", "", "| rows | LightGBM | churnml | fast |", "|---|---|---|---|"]
    for rows in (5_000, 20_000, 60_000, 250_000):
        columns, label = drawn(rows, 30, 0.03)
        columns.columns = [*(f"{'abcdef'[place // 5]}_minutes_{place}" for place in range(30)), "city"]
        columns = columns.rename(columns={f"a_minutes_{place}": f"a_charge_{place}" for place in range(5)})
        spent = []
        for name, model in list(models(None).items())[:3]:
            problem = Problem("", columns, label)
            everyone = np.arange(rows)
            spent.append(predicted(name, model, problem, everyone, everyone[:100])[1])
        ours, fast, theirs = spent
        lines.append(
            f"| {rows:,} | {theirs:.1f} | {ours:.1f} ({ours / theirs:.1f} x) | {fast:.1f} ({fast / theirs:.1f} x) |"
        )
        print(lines[-1], flush=True)
    return [*lines, ""]


def as_categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Return texts as pandas categories."""
    texts = frame.select_dtypes(["object", "str"]).columns
    return frame.astype(dict.fromkeys(texts, "category"))


def logistic() -> Any:
    """Return a logistic regression on scaled numbers and coded texts."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    codes = OneHotEncoder(handle_unknown="ignore", min_frequency=10)
    return make_pipeline(
        make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")),
            (codes, make_column_selector(dtype_exclude="number")),
        ),
        LogisticRegression(max_iter=2_000),
    )


def models(population_rate: float | None) -> dict[str, Any]:
    """Return what is compared: ours, then the peers with their defaults."""
    found: dict[str, Any] = {
        "churnml": ChurnClassifier(population_rate, random_state=0),
        "churnml, fast": ChurnClassifier(population_rate, effort="fast", random_state=0),
        "LightGBM": LGBMClassifier(verbose=-1, n_jobs=1, random_state=0),
        "HistGradientBoosting": HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0),
        "logistic": logistic(),
    }
    if find_spec("xgboost"):
        from xgboost import XGBClassifier

        found["XGBoost"] = XGBClassifier(enable_categorical=True, n_jobs=1, random_state=0)
    if find_spec("catboost"):
        from catboost import CatBoostClassifier

        found["CatBoost"] = CatBoostClassifier(verbose=False, thread_count=1, allow_writing_files=False, random_seed=0)
    return found


def predicted(name: str, model: Any, problem: Problem, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit one model; return its probabilities for the test rows, and the CPU seconds of the fit."""
    columns = (
        problem.columns if name.startswith(("churnml", "logistic", "CatBoost")) else as_categories(problem.columns)
    )
    if name == "HistGradientBoosting":  # which takes no category of more than 255 levels
        many = [column for column in columns.select_dtypes("category") if columns[column].nunique() > 255]
        columns = columns.assign(**{column: columns[column].cat.codes for column in many})
    fit, label = columns.iloc[train], problem.label[train]
    more: dict[str, Any] = {}
    if name.startswith("churnml") and problem.as_of is not None and problem.customers is not None:
        model.set_params(label_days=problem.label_days)
        more = {"groups": problem.customers[train], "as_of": problem.as_of[train]}
    if name == "CatBoost":
        texts = list(fit.select_dtypes(["object", "str"]).columns)
        columns = columns.fillna(dict.fromkeys(texts, "none"))
        fit, more = columns.iloc[train], {"cat_features": texts}
    before = time.process_time()
    model.fit(fit, label, **more)
    spent = time.process_time() - before
    found = model.predict_proba(columns.iloc[test])[:, 1]
    if problem.population_rate and not name.startswith("churnml"):  # the same correction for everyone
        odds = problem.population_rate / (1 - problem.population_rate) / (label.mean() / (1 - label.mean()))
        found = found * odds / (found * odds + 1 - found)
    return np.clip(found, 1e-6, 1 - 1e-6), spent


def compared(problem: Problem, seeds: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Judge every model on a problem; return a row of figures for each, and the losses of each fold, or out of time of each row."""
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        pooled: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for fold, (train, test) in enumerate(problem.splits(seed)):
            if problem.population_rate:  # as many who stay as leave
                rng = np.random.default_rng(seed)
                left = train[problem.label[train] == 1]
                train = np.concatenate([left, rng.choice(train[problem.label[train] == 0], len(left), replace=False)])
            for name, model in models(problem.population_rate).items():
                found, spent = predicted(name, model, problem, train, test)
                label = problem.label[test]
                pooled.setdefault(name, []).append((label, found))
                weight = np.ones(len(label))
                rows.append(
                    {
                        "model": name,
                        "seed": seed,
                        "fold": fold,
                        "AUC": roc_auc_score(label, found),
                        "log loss": log_loss(label, found),
                        "lift": top_decile_lift(label.astype(float), found, weight),
                        "CPU": spent,
                    }
                )
                print(problem.name, seed, fold, name, f"{rows[-1]['log loss']:.4f} {spent:.1f}", flush=True)
        for name, parts in pooled.items():
            label, found = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
            rows.append(
                {"model": name, "seed": seed, "ECE": calibration_error(label.astype(float), found, np.ones(len(label)))}
            )
    table = pd.DataFrame(rows)
    if problem.train:
        losses = {name: -np.log(np.where(label == 1, found, 1 - found)) for name, [(label, found)] in pooled.items()}
        return table.groupby("model", sort=False).mean(numeric_only=True).drop(columns=["seed", "fold"]), losses
    losses = {
        str(name): part.dropna(subset="log loss").sort_values(["seed", "fold"])["log loss"].to_numpy()
        for name, part in table.groupby("model")
    }
    return table.groupby("model", sort=False).mean(numeric_only=True).drop(columns=["seed", "fold"]), losses


def against(losses: dict[str, np.ndarray], *, folds: bool) -> tuple[str, float, float, float]:
    """Return the best peer, and the mean difference of ours from it with its interval over folds, or over customers.

    The variance over folds is corrected for those that share their training rows (Nadeau and Bengio, 2003).
    """
    peers = {name: found for name, found in losses.items() if not name.startswith("churnml")}
    best = min(peers, key=lambda name: float(peers[name].mean()))
    differences = losses["churnml"] - peers[best]
    spread = np.sqrt((1 / len(differences) + folds / (FOLDS - 1)) * differences.var(ddof=1))
    mean = float(differences.mean())
    return best, mean, mean - 2 * float(spread), mean + 2 * float(spread)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [
        name
        for name in ("lightgbm", "scikit-learn", "xgboost", "catboost")
        if find_spec(name.replace("scikit-learn", "sklearn"))
    ]
    lines = [
        "# The churn classifier beside its peers",
        "",
        f"{os.cpu_count()} cores (shared), {memory:.0f} GB, Python {platform.python_version()},"
        f" {', '.join(f'{name} {metadata.version(name)}' for name in versions)}.",
        "",
        f"Means of StratifiedKFold({FOLDS}, shuffle), random states 0 to {given.seeds - 1} (drawn data: 0 only); peers with their defaults, on the same rows and one thread. ECE of all"
        " folds together. CPU: of one fit, in times of LightGBM's.",
        "",
    ]
    if given.only in "fit":
        lines += time_of_a_fit()
    for problem in problems():
        if given.only not in problem.name:
            continue
        table, losses = compared(problem, 1 if problem.drawn or problem.train else given.seeds)
        table["CPU"] /= table.loc["LightGBM", "CPU"]
        lines += [
            f"## {problem.name}",
            "",
            "| | AUC | log loss | top-decile lift | ECE | CPU |",
            "|---|---|---|---|---|---|",
            *(
                f"| {name} | {row['AUC']:.4f} | {row['log loss']:.4f} | {row['lift']:.2f} | {row['ECE']:.4f} | {row['CPU']:.1f} |"
                for name, row in table.iterrows()
            ),
            "",
        ]
        best, mean, low, high = against(losses, folds=not problem.train)
        lines += [
            f"Log loss less that of the best peer, {best}: {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f}).",
            "",
        ]
        given.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
