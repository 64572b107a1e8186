"""The model that scores: the champion, or the newest version to look at."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import Verdict
from churnml.files import scratch_folder
from churnml.registry.intact import intact_folder
from churnml.registry.names import champion_of, refusals, registered, registered_name, verdict_of, versions_of
from churnml.registry.promotion import never_asked, waits_for_approval, was_champion
from churnml.registry.store import Store, opened

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from churnml.models.bundle import Bundle

JUDGED = "judged"  # the folder, within a version's own, of the model that was tested in its place


@dataclass(frozen=True)
class Loaded:
    """A version that can predict.

    Parameters
    ----------
    version : int
        Its number.
    bundle : Bundle
        What predicts.
    verdict : Verdict
        What its gates say.
    trained_at : datetime
        When it was registered, in the project's zone.
    judged : Bundle or None
        The model that was tested in its place, where it was asked for and kept.
    metrics : dict of float
        How well it did in its test.
    dates : dict of list of str
        The ``train`` and ``test`` dates.
    """

    version: int
    bundle: Bundle
    verdict: Verdict
    trained_at: dt.datetime
    judged: Bundle | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    dates: dict[str, list[str]] = field(default_factory=dict)


def load(config: Config, model: str, *, candidate: bool = False, judged: bool = False) -> Loaded:
    """Load the champion.

    Parameters
    ----------
    config : Config
        Names the project and the store.
    model : str
        ``churn`` or ``value``.
    candidate : bool
        Load the newest version, promoted or not, to look at.
    judged : bool
        Load the model that was tested in its place, too.

    Returns
    -------
    Loaded
        Files that lie on this machine's disks are read where they are.

    Raises
    ------
    ChurnmlError
        If there is no champion (and why), or its files are missing or damaged.
    """
    from churnml.models.bundle import Bundle

    name = registered_name(config, model)
    with scratch_folder() as scratch:
        with opened(config) as store:
            version, verdict = _chosen(config, store, name, model, candidate)
            folder = intact_folder(store, version, model, scratch)
            run = store.client.get_run(version.run_id).data if version.run_id else None
        trained_at = dt.datetime.fromtimestamp(version.creation_timestamp / 1000, ZoneInfo(config.timezone))
        twin = folder / JUDGED
        tested = Bundle.load(twin) if judged and twin.is_dir() else None
        metrics = dict(run.metrics) if run else {}
        dates = {use: run.tags.get(f"{use}_dates", "").split() if run else [] for use in ("train", "test")}
        return Loaded(int(version.version), Bundle.load(folder), verdict, trained_at, tested, metrics, dates)


def _chosen(config: Config, store: Store, name: str, model: str, candidate: bool) -> tuple[ModelVersion, Verdict]:
    versions = versions_of(store, name)
    if not versions:
        raise ChurnmlError(f"no {model} model was trained yet", "run churnml train CONFIG first", model=model)
    newest = versions[max(versions)]
    if candidate:
        return newest, verdict_of(newest, model)
    champion = champion_of(registered(store, name))
    if champion is None:
        raise _no_champion(config, newest, model)
    if champion not in versions:
        raise ChurnmlError(
            f"version {champion}, the champion of the {model} model, was deleted in MLflow",
            f"churnml promote CONFIG {model} VERSION",
            model=model,
            version=champion,
        )
    verdict = verdict_of(versions[champion], model)
    if not verdict.passed:
        raise ChurnmlError(
            f"version {champion} was made champion of the {model} model outside of churnml, and its gates refuse it: "
            f"{refusals(verdict)}",
            f"churnml promote CONFIG {model} VERSION",
            model=model,
            version=champion,
            gates=[gate.name for gate in verdict.refusing],
        )
    if (config.gates.approval or verdict.missing) and not was_champion(store, name, champion):
        raise never_asked(verdict, model, champion) if verdict.missing else waits_for_approval(model, champion)
    return versions[champion], verdict


def _no_champion(config: Config, newest: ModelVersion, model: str) -> ChurnmlError:
    verdict, number = verdict_of(newest, model), int(newest.version)
    if verdict.passed and config.gates.approval:
        return waits_for_approval(model, number)
    if verdict.passed:
        return ChurnmlError(
            f"there is no champion of the {model} model: version {number} passed its gates, but was not promoted",
            f"churnml promote CONFIG {model} {number}",
            model=model,
            version=number,
        )
    return ChurnmlError(
        f"there is no champion of the {model} model: version {number} was refused: {refusals(verdict)}",
        "mend that and train again, or look at its scores with score --candidate",
        model=model,
        version=number,
        gates=[gate.name for gate in verdict.refusing],
    )
