"""Training from histories to models that are judged and kept in a folder, from which they can be registered."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from churnml.columns import AS_OF, CHURN_PROBABILITY, CUSTOMER_ID, WEIGHT
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.evaluation.judge import ALL, MODEL, OBSERVED, PREDICTED, baselines_of
from churnml.evaluation.plots import calibration, gain_and_lift, value_by_decile
from churnml.evaluation.verdict import Verdict
from churnml.files import atomic_folder
from churnml.models.boosting import interruptible
from churnml.progress import track
from churnml.registry.champions import JUDGED
from churnml.registry.promotion import champion
from churnml.scoring.reasons import sayings
from churnml.training.data import TrainingData
from churnml.training.fit import Trained, fit_churn, fit_value
from churnml.training.gates import none_after_all
from churnml.training.rivals import rival_of

_ANYTHING = {"string": "unknown", "boolean": False, "timestamp": "2024-01-01"}


@dataclass(frozen=True)
class Training:
    """What one training came to.

    Attributes
    ----------
    id : str
        Tells it from every other.
    models : dict of Trained
        ``churn``, and ``value`` where there are bills.
    folder : Path
        Where it is kept until it is registered.
    """

    id: str
    models: dict[str, Trained]
    folder: Path


def run(config: Config, data: TrainingData, *, seed: int = 0, progress: bool = False) -> Training:
    """Train, judge, and keep.

    Parameters
    ----------
    config : Config
        The configuration.
    data : TrainingData
        What to train on (see `training.data.gather`).
    seed : int
        Of all that is drawn.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Training
        Kept in ``trained/`` of the state folder.

    Raises
    ------
    ChurnmlError
        If the state folder cannot be written.
    """
    now = dt.datetime.now(ZoneInfo(config.timezone))
    facts = _facts(config, data, now, seed)
    models: dict[str, Trained] = {}
    rivals = {name: rival_of(config, name) for name in ("churn", "value")}
    with ThreadPoolExecutor(2) as pool, interruptible():  # LightGBM leaves Python alone meanwhile
        work = {"churn": pool.submit(fit_churn, data, config, facts, rivals["churn"], seed=seed)}
        if data.value is not None:
            work["value"] = pool.submit(fit_value, data, config, facts, data.value, rivals["value"], seed=seed)
        for model in track(list(work), "training", show=progress):
            models[model] = work[model].result()
    training_id = f"{now:%Y%m%dT%H%M%S%f}-{facts['panel_hash'][:8]}"
    folder = _kept(config) / training_id
    _make(folder.parent)
    with atomic_folder(folder) as part:
        for name, trained in models.items():
            _write(part / name, trained, training_id, data.tables)
    return Training(training_id, models, folder)


def unregistered(config: Config) -> Path:
    """Return the newest training that could not be registered.

    Raises
    ------
    ChurnmlError
        If there is none.
    """
    folder = _kept(config)
    found = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    if not found:
        raise ChurnmlError(f"no training waits in {folder}", "leave --resume out to train", file=str(folder))
    return found[-1]


def compared_now(config: Config, folder: Path) -> None:
    """Let a training pass that could not ask MLflow for the champion, where there turns out to be none."""
    for name in (name for name in ("churn", "value") if (folder / name).is_dir()):
        file = folder / name / "verdict.json"
        verdict = Verdict.from_dict(json.loads(file.read_text(encoding="utf-8")))
        gates = tuple(none_after_all(gate) for gate in verdict.gates)
        if gates != verdict.gates and champion(config, name) is None:
            file.write_text(json.dumps(Verdict(name, gates).to_dict(), ensure_ascii=False), encoding="utf-8")


def registered(folder: Path) -> None:
    """Take away what was kept of a training, once MLflow has it."""
    shutil.rmtree(folder)


def _kept(config: Config) -> Path:
    return config.state_folder / "trained"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChurnmlError(f"{folder} cannot be made ({error.strerror})", "mend state.folder") from error


def _facts(config: Config, data: TrainingData, now: dt.datetime, seed: int) -> dict[str, Any]:
    label = config.label
    last = data.panel[data.panel[AS_OF] == data.panel[AS_OF].max()]
    return {
        "project": config.project,
        "trained_at": now.isoformat(timespec="seconds"),
        "churnml": metadata.version("churnml"),
        "config_hash": config.hash,
        "panel_hash": data.hash,
        "seed": seed,
        "label": label.model_dump(mode="json"),
        "value": config.value.model_dump(mode="json"),
        "has_value": data.value is not None,
        "features": sayings(data.features, last, config.currency, _learned(data)),
        "dtypes": {feature.name: feature.dtype for feature in data.features},
    }


def _learned(data: TrainingData) -> pd.DataFrame:
    """Return who left, by the features, of every date that the model is fitted on."""
    rows = data.churn_rows(data.churn.known)
    return pd.concat([rows, data.read(rows)], axis=1)


def _write(folder: Path, trained: Trained, training_id: str, tables: Mapping[str, Any] | None = None) -> None:
    """Write a model as the registry takes it: plain files, nothing of any one customer."""
    (folder / "model").mkdir(parents=True)
    (folder / "plots").mkdir()
    trained.bundle.save(folder / "model")
    if trained.judged is not None:
        (folder / "model" / JUDGED).mkdir()
        trained.judged.save(folder / "model" / JUDGED)
    facts = trained.bundle.facts
    evaluation = trained.evaluation
    own = evaluation[(evaluation["model"] == MODEL) & (evaluation["slice"] == ALL)].dropna(subset="value")
    handed = {
        "parameters": _parameters(trained),
        "metrics": dict(zip(own["metric"], own["value"], strict=True)),
        "tags": {
            "training_id": training_id,
            **{name: str(facts[name]) for name in ("config_hash", "panel_hash", "project", "churnml", "trained_at")},
            "train_dates": " ".join(map(str, trained.schedule.train)),
            "test_dates": " ".join(map(str, trained.schedule.test)),
            "out_of_time": str(trained.schedule.out_of_time).lower(),
        },
        "columns": {name: facts["dtypes"][name] for name in trained.bundle.columns},
        "outputs": dict.fromkeys(trained.bundle.outputs, "float64"),
        "data": _lineage(trained, tables or {}),
        "example": {
            saying["feature"]: _usual(saying, facts["dtypes"][saying["feature"]])
            for saying in facts["features"]
            if saying["feature"] in trained.bundle.columns
        },
    }
    (folder / "facts.json").write_text(json.dumps(handed, ensure_ascii=False), encoding="utf-8")
    (folder / "verdict.json").write_text(json.dumps(trained.verdict.to_dict(), ensure_ascii=False), encoding="utf-8")
    trained.evaluation.to_csv(folder / "evaluation.csv", index=False)
    trained.tested.drop(columns=CUSTOMER_ID).to_parquet(folder / "tested.parquet", index=False)
    for name, figure in _plots(trained).items():
        figure.savefig(folder / "plots" / f"{name}.png", dpi=120)


def _lineage(trained: Trained, tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a model was fitted and tested on, by counts and dates."""
    facts, tested = trained.bundle.facts, trained.tested
    fitted = {"dates": [str(day) for day in trained.schedule.known], "touched_by_campaigns": facts["touched"]}
    counts = {"rows": len(tested), "customers": int(tested[CUSTOMER_ID].nunique())}
    counts |= {"with_an_outcome": int((tested[OBSERVED] > 0).sum())}
    uses = {"training": fitted, "evaluation": {"dates": [str(day) for day in trained.schedule.test], **counts}}
    return {"name": f"{facts['project']} panel", "digest": facts["panel_hash"], "tables": tables, "uses": uses}


def _usual(saying: Mapping[str, Any], dtype: str) -> Any:
    """Return what stands in a row of nobody: the median of a number, else anything of the type."""
    usual = saying["middle"]
    if dtype == "int64":
        return round(usual or 0)
    return usual if dtype == "float64" else _ANYTHING[dtype]


def _parameters(trained: Trained) -> dict[str, Any]:
    found: dict[str, Any] = {
        "rows_as_of": " ".join(trained.bundle.facts["as_of"]),
        "seed": trained.bundle.facts["seed"],
    }
    for name, model in trained.bundle.models.items():
        for key, value in model.search_.items():
            found[f"{name}.{key}"] = value if isinstance(value, int | float | str) else json.dumps(value)
    return found


def _plots(trained: Trained) -> dict[str, Any]:
    tested = trained.tested
    observed, predicted = tested[OBSERVED].to_numpy(), tested[PREDICTED].to_numpy()
    weight = tested[WEIGHT].to_numpy() if WEIGHT in tested else None
    if CHURN_PROBABILITY not in trained.bundle.models:
        return {"value_by_decile": value_by_decile(observed, predicted, weight=weight)}
    scores = {"model": predicted, **{name: tested[name].to_numpy() for name in baselines_of(tested)}}
    return {
        "gain_and_lift": gain_and_lift(observed, scores, weight=weight),
        "calibration": calibration(observed, predicted, weight=weight),
    }
