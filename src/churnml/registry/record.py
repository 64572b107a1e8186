"""Trained models into MLflow: a run each, and a version of the registered model that is never without its verdict."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd

from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import scratch_folder
from churnml.registry.address import address_of
from churnml.registry.handed import Handed, read_handed
from churnml.registry.intact import DIGEST_TAG, digest
from churnml.registry.names import MODELS, VERDICT_TAG, registered, registered_name, versions_of
from churnml.registry.store import Store, experiment_id, opened
from churnml.state.who import user

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, LoggedModel, Run
    from mlflow.models.signature import ModelSignature

_PAGES = ("report.html", "report.zh.html", "model_card.html", "model_card.zh.html")
_FILES = ("facts.json", "verdict.json", "evaluation.csv", *_PAGES)
_NEEDED = ("churnml", "lightgbm", "numpy", "pandas", "scikit-learn")
_DIGEST = 36  # characters that MLflow takes
_EXAMPLE_TYPES = {"string": "object", "boolean": "object", "timestamp": "datetime64[ns]"}
_TYPES = {"int64": "long", "float64": "double", "string": "string", "boolean": "boolean", "timestamp": "datetime"}


@dataclass(frozen=True)
class Recorded:
    """A version of a registered model.

    Parameters
    ----------
    version : int
        Its number.
    run_id : str
        The run that it came from.
    """

    version: int
    run_id: str


def record(config: Config, folder: Path) -> dict[str, Recorded]:
    """Log and register what was trained; nothing is promoted by it.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    folder : Path
        Has a subfolder for each model (``churn``, ``value``) with ``model/``, ``facts.json``, ``verdict.json`` and,
        where they are there, ``evaluation.csv``, ``plots/``, and ``report`` and ``model_card`` as ``.html`` and
        ``.zh.html``.

    Returns
    -------
    dict of str to Recorded
        By model. What was recorded before under the same ``training_id`` is not recorded again.

    Raises
    ------
    ChurnmlError
        If the folder holds no model or a damaged one, or the store fails.
    """
    handed = [read_handed(folder / model) for model in MODELS if (folder / model).is_dir()]
    if not handed:
        raise ChurnmlError(f"{folder} holds no trained model", "train first", folder=str(folder))
    with opened(config) as store:
        return {one.model: _recorded(store, config, one) for one in handed}


def require_recordable(config: Config) -> None:
    """Raise where it is plain before any training that it could not be recorded.

    A server that does not answer is no reason: what is trained meanwhile is kept.

    Raises
    ------
    ChurnmlError
        If the project's name or the address cannot be used, or a store on this machine is damaged or of another version
        of MLflow.
    """
    registered_name(config, MODELS[0])
    address = address_of(config)
    if address.database and address.database.exists():
        with opened(config):
            pass


def trained_since(config: Config, model: str, moment: dt.datetime) -> int | None:
    """Return the newest version of a model that was trained after a moment, or None where there is none.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    model : str
        ``churn`` or ``value``.
    moment : datetime
        With its zone.

    Returns
    -------
    int or None
        The version.
    """
    with opened(config) as store:
        versions = versions_of(store, registered_name(config, model))
    trained = {number: version.tags.get("trained_at") for number, version in versions.items()}
    later = [number for number, at in trained.items() if at and dt.datetime.fromisoformat(at) > moment]
    return max(later, default=None)


def now(config: Config) -> str:
    """Return the present time in the project's zone, in ISO 8601 with its offset."""
    return dt.datetime.now(ZoneInfo(config.timezone)).isoformat(timespec="seconds")


def _recorded(store: Store, config: Config, handed: Handed) -> Recorded:
    name = registered_name(config, handed.model)
    for number, version in versions_of(store, name).items():
        if version.tags.get("training_id") == handed.training_id:
            return Recorded(number, version.run_id or "")
    tags = _provenance(config, handed)
    experiment = experiment_id(store, config.tracking.experiment)
    _close_killed(store, experiment, handed)
    run = store.client.create_run(
        experiment,
        run_name=f"{handed.model} {tags['recorded_at']}",
        tags=tags | {"mlflow.user": user(), "mlflow.source.name": "churnml"},
    )
    try:
        model = _logged(store, handed, run)
    except BaseException:
        with contextlib.suppress(Exception):  # what went wrong before matters more
            store.client.set_terminated(run.info.run_id, "FAILED")
        raise
    store.client.set_terminated(run.info.run_id)
    return _registered(store, name, model, run.info.run_id, tags)


def _close_killed(store: Store, experiment: str, handed: Handed) -> None:
    """End the runs of this training that a killed process left behind."""
    asked = f"tags.training_id = '{handed.training_id}' and attributes.status = 'RUNNING'"
    for run in store.client.search_runs([experiment], asked):
        if run.info.run_name.startswith(f"{handed.model} "):
            store.client.set_terminated(run.info.run_id, "KILLED")


def _provenance(config: Config, handed: Handed) -> dict[str, str]:
    verdict = json.dumps(handed.verdict.to_dict(), ensure_ascii=False)
    return handed.tags | {
        VERDICT_TAG: verdict,
        "passed": "yes" if handed.verdict.passed else "no",
        DIGEST_TAG: digest(handed.folder / "model", verdict),
        "recorded_by": user(),
        "recorded_at": now(config),
    }


def _logged(store: Store, handed: Handed, run: Run) -> LoggedModel:
    from mlflow.entities import LoggedModelOutput, Metric, Param

    client, run_id, at = store.client, run.info.run_id, int(time.time() * 1000)
    parameters = {name: str(value) for name, value in handed.parameters.items()}
    model = client.create_logged_model(run.info.experiment_id, handed.model, run_id, params=parameters)
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, at, 0, model_id=model.model_id) for name, value in handed.metrics.items()],
        params=[Param(name, value) for name, value in parameters.items()],
        synchronous=True,
    )
    client.log_inputs(run_id, _datasets(handed))
    for name in _FILES:
        if (handed.folder / name).is_file():
            client.log_artifact(run_id, str(handed.folder / name))
    if (handed.folder / "plots").is_dir():
        client.log_artifacts(run_id, str(handed.folder / "plots"), "plots")
    with scratch_folder() as scratch:
        _save(handed, model, scratch / "saved")
        client.log_model_artifacts(model.model_id, str(scratch / "saved"))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model


def _datasets(handed: Handed) -> list[DatasetInput]:
    """Return what the model was trained and tested on as MLflow's lineage shows it: counts, dates, and no rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    told, schema = handed.data, json.dumps({"mlflow_colspec": _signature(handed).inputs.to_dict()})
    source = json.dumps({"tags": {"mlflow.source.name": "churnml", "tables": told["tables"]}}, ensure_ascii=False)
    return [
        DatasetInput(
            Dataset(
                name=f"{told['name']}, {use}",
                digest=str(told["digest"])[:_DIGEST],
                source_type="code",  # there is no file to load: tables are turned into a panel
                source=source,
                schema=schema,
                profile=json.dumps(profile),
            ),
            [InputTag("mlflow.data.context", use)],
        )
        for use, profile in told["uses"].items()
    ]


def _save(handed: Handed, model: LoggedModel, target: Path) -> None:
    from mlflow import pyfunc
    from mlflow.models import Model

    described = Model(
        artifact_path=model.artifact_location,
        run_id=model.source_run_id,
        model_uuid=model.model_id,
        model_id=model.model_id,
    )
    pyfunc.save_model(
        str(target),
        loader_module="churnml.registry.loading",
        data_path=str(handed.folder / "model"),
        mlflow_model=described,
        signature=_signature(handed),
        input_example=_example(handed),
        pip_requirements=[f"{package}=={metadata.version(package)}" for package in _NEEDED],
    )


def _signature(handed: Handed) -> ModelSignature:
    """Return the signature; integers are never null in a panel, and a double is null where it is not a number."""
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(_TYPES[dtype], name, dtype in ("int64", "float64")) for name, dtype in handed.columns.items()
    ]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(_TYPES[dtype], name) for name, dtype in handed.outputs.items()]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _example(handed: Handed) -> pd.DataFrame:
    """Return the row of nobody, with the columns and types of the signature."""
    row = pd.DataFrame([handed.example]).reindex(columns=list(handed.columns))
    return row.astype({name: _EXAMPLE_TYPES.get(dtype, dtype) for name, dtype in handed.columns.items()})


def _registered(store: Store, name: str, model: LoggedModel, run_id: str, tags: dict[str, str]) -> Recorded:
    from mlflow.exceptions import MlflowException

    if registered(store, name) is None:
        try:
            store.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # somebody else was faster
                raise
    version = store.client.create_model_version(name, model.artifact_location, run_id, tags, model_id=model.model_id)
    return Recorded(int(version.version), run_id)
