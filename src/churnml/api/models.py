"""From features to scores: train, score, explain, promote, rollback."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, overload

import pandas as pd

from churnml.api.histories import AsOf, Engine, PathLike, folder_for_spark, refuse_to_overwrite
from churnml.asof import parse_as_of
from churnml.columns import CAUSE_PROBABILITIES, CHURN_PROBABILITY, CUSTOMER_ID, VALUE_TIER
from churnml.config import Config, ConfigLike, load_config
from churnml.errors import ChurnmlError
from churnml.evaluation.verdict import Verdict
from churnml.models.bundle import Bundle
from churnml.models.churn import ChurnClassifier
from churnml.models.hazard import STAYING
from churnml.registry import promotion
from churnml.registry.question import differences
from churnml.registry.record import Recorded, record, require_recordable, trained_since
from churnml.reporting.model_pages import write_model_pages
from churnml.scoring.daily import panel_at, scorers, warn_of_silence
from churnml.scoring.drivers import changed, drivers
from churnml.scoring.keep import keep_scores, keep_scores_of, write_scores
from churnml.scoring.reasons import ThemeEffects, reasons
from churnml.scoring.score import score_panel
from churnml.scoring.timeline import timeline
from churnml.tables.histories import open_histories
from churnml.tiering.spend import SPEND
from churnml.training import run
from churnml.training.data import gather
from churnml.wording import Language

ModelName = Literal["churn", "value"]
NAMES: tuple[ModelName, ...] = ("churn", "value")


@dataclass(frozen=True)
class ModelReport:
    """What became of one model that was trained.

    Attributes
    ----------
    version : int
        In the registry.
    promoted : bool
        Whether it scores customers from now on.
    verdict : Verdict
        Of the gates.
    metrics : dict of float
        Out of time, or by cross-validation where the tables are of one date.
    """

    version: int
    promoted: bool
    verdict: Verdict
    metrics: dict[str, float]


@dataclass(frozen=True)
class TrainReport:
    """What `train` came to.

    Attributes
    ----------
    models : dict of ModelReport
        ``churn``, and ``value`` where there are bills.
    training : Training or None
        The models and the rows that they were tested on; None where an earlier training was resumed.
    """

    models: dict[str, ModelReport]
    training: run.Training | None

    def to_dict(self, lang: Language = "en") -> dict[str, Any]:
        """Return the report as it is printed with ``--json``."""
        return {
            "models": {
                name: {
                    "version": model.version,
                    "promoted": model.promoted,
                    "verdict": _told(model.verdict, lang),
                    "metrics": model.metrics,
                }
                for name, model in self.models.items()
            }
        }


def _told(verdict: Verdict, lang: Language) -> dict[str, Any]:
    told = verdict.to_dict()
    messages = [gate.message(lang) for gate in verdict.gates]
    return told | {"gates": [{**gate, "message": text} for gate, text in zip(told["gates"], messages, strict=True)]}


def train(
    config: ConfigLike,
    as_of: AsOf | Iterable[AsOf] = (),
    *,
    seed: int = 0,
    resume: bool = False,
    progress: bool = False,
) -> TrainReport:
    """Train the models, test them out of time, register them, and promote those that the gates let pass.

    Where ``gates.approval`` is set, those wait for `promote` instead.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    as_of : date, text or several, optional
        As-of dates to train and test on, in place of those of the configuration.
    seed : int
        The same seed and histories give the same models.
    resume : bool
        Train nothing: register what an earlier training could not, because MLflow was not to be had.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    TrainReport
        Versions, verdicts, metrics; also where the gates refuse.

    Raises
    ------
    ChurnmlError
        If a date's outcome is not known, the histories are too short, there is one class only, or MLflow cannot be had
        (what was trained is kept, and `resume` registers it).
    """
    settings = load_config(config)
    dates = [parse_as_of(as_of)] if isinstance(as_of, str | dt.date) else [parse_as_of(day) for day in as_of]
    require_recordable(settings)
    if resume:
        return TrainReport(_register(settings, _waiting(settings, dates)), None)
    with open_histories(settings, progress=progress) as histories:
        data = gather(histories, dates, progress=progress)
    training = run.run(settings, data, seed=seed, progress=progress)
    return TrainReport(_register(settings, training.folder), training)


def _waiting(config: Config, dates: list[dt.date]) -> Path:
    """Return the training to register, unless it is none that should score from now on."""
    if dates:
        raise ChurnmlError("an earlier training has its dates", "leave --as-of out, or --resume")
    folder = run.unregistered(config)
    for name in (name for name in NAMES if (folder / name).is_dir()):
        facts = Bundle.load(folder / name / "model").facts
        differs = differences(config, name, facts)
        if differs:
            raise ChurnmlError(
                f"the training in {folder} answers another question than is asked now ({differs})",
                "put the configuration back, or remove that folder",
                file=str(folder),
            )
        newer = trained_since(config, name, dt.datetime.fromisoformat(facts["trained_at"]))
        if newer is not None:
            raise ChurnmlError(
                f"the training in {folder} is older than version {newer} of the {name} model, which is registered",
                "remove that folder",
                file=str(folder),
                version=newer,
            )
    return folder


def _register(config: Config, folder: Path) -> dict[str, ModelReport]:
    try:
        run.compared_now(config, folder)
        for name in (name for name in NAMES if (folder / name).is_dir()):
            write_model_pages(config, name, folder / name)
        recorded = record(config, folder)
        reports = {name: _settled(config, folder / name, found) for name, found in recorded.items()}
    except ChurnmlError as error:
        raise ChurnmlError(
            f"{error.problem}; what was trained is kept in {folder}",
            f"{error.remedy}; then churnml train CONFIG --resume registers it",
            **error.details,
        ) from error
    run.registered(folder)
    return reports


def _settled(config: Config, folder: Path, found: Recorded) -> ModelReport:
    verdict = Verdict.from_dict(json.loads((folder / "verdict.json").read_text(encoding="utf-8")))
    metrics = json.loads((folder / "facts.json").read_text(encoding="utf-8"))["metrics"]
    promoted = verdict.passed and not config.gates.approval
    if promoted:
        promotion.promote(config, folder.name, found.version, why="trained, and passed its gates")
    return ModelReport(found.version, promoted, verdict, metrics)


@overload
def score(
    config: ConfigLike,
    as_of: AsOf,
    *,
    out: PathLike | None = ...,
    candidate: bool = ...,
    engine: Literal["duckdb"] = ...,
    progress: bool = ...,
) -> pd.DataFrame: ...


@overload
def score(
    config: ConfigLike,
    as_of: AsOf,
    *,
    out: PathLike | None = ...,
    candidate: bool = ...,
    engine: Literal["spark"],
    progress: bool = ...,
) -> dict[str, Any]: ...


def score(
    config: ConfigLike,
    as_of: AsOf,
    *,
    out: PathLike | None = None,
    candidate: bool = False,
    engine: Engine = "duckdb",
    progress: bool = False,
) -> pd.DataFrame | dict[str, Any]:
    """Score everyone at risk as of a date.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    as_of : date or text
        The date.
    out : path, optional
        A Parquet file to write, too; Spark writes a folder, and nothing else.
    candidate : bool
        By the newest versions, promoted or not, to look at; such scores are not kept.
    engine : {"duckdb", "spark"}
        What computes features and scores; Spark in the session that is active (``pip install churnml[spark]``).
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    pandas.DataFrame or dict
        One row for each customer at risk: ``status``, ``churn_probability``, ``expected_value``, ``value_at_risk``,
        ``value_tier``, ``risk_band``, ``reasons``, ... (see docs/scores.md). Of Spark the counts: ``population``,
        ``scored``, ``not_scored``, ``out``.

    Raises
    ------
    ChurnmlError
        If there is no champion (the message says which gate refused), or nobody is at risk.
    """
    settings = load_config(config)
    if engine == "spark":
        day, folder = parse_as_of(as_of), folder_for_spark(out)
        return _score_on_spark(settings, day, folder, candidate=candidate, progress=progress)
    if out is not None:
        refuse_to_overwrite(settings, Path(out))
    models = scorers(settings, candidate=candidate)
    with open_histories(settings, progress=progress) as histories:
        day = parse_as_of(as_of)
        scores = score_panel(panel_at(histories, day, progress=progress), settings, *models, progress=progress)
    if not candidate:
        keep_scores(scores, settings)
    if out is not None:
        write_scores(scores, settings, Path(out))
    return scores


def _score_on_spark(config: Config, as_of: dt.date, out: str, *, candidate: bool, progress: bool) -> dict[str, Any]:
    from churnml.scoring.spark_scores import write_on_spark
    from churnml.snapshots.spark_panel import SparkPanel
    from churnml.tables.spark import open_on_spark

    models = scorers(config, candidate=candidate)
    with open_on_spark(config, progress=progress) as histories:
        warn_of_silence(histories, as_of)
        panel = SparkPanel(histories, [as_of], also=SPEND)
        frame, population = panel.frame_at(as_of)
        scored = write_on_spark(histories, frame, panel.schema, models, as_of, out)
    if not candidate and "://" not in out:
        keep_scores_of(Path(out), config, as_of)
    return {"population": population, "scored": scored, "not_scored": population - scored, "out": out}


def explain(
    config: ConfigLike,
    customer: str | None = None,
    as_of: AsOf | None = None,
    *,
    since: AsOf | None = None,
    candidate: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Explain one customer (score, reasons, recent history), or everyone (what drives departures, by group).

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    customer : str, optional
        The ``customer_id``; everyone by default.
    as_of : date or text
        The date; nothing that became known later is shown.
    since : date or text, optional
        An earlier date: what has changed since then, and why, is told, too.
    candidate : bool
        By the newest versions, promoted or not.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    dict
        Of one customer ``score`` (the columns of `score`), ``higher_than`` (the share of customers whose probability is
        lower) and ``history`` (for each table the latest rows, personal columns left out; usage by month); of everyone
        ``as_of`` and ``drivers`` (see `scoring.drivers.drivers`: by segment, tier and the likeliest cause, where there
        are such). With ``since`` also ``changed`` (see `scoring.drivers.changed`), with ``since`` in it.

    Raises
    ------
    ChurnmlError
        If no date is given, ``since`` is not before it, the customer is not at risk at the date, or there is no
        champion.
    """
    if as_of is None:
        raise ChurnmlError("no as-of date is given", "give one: --as-of 2024-03-01")
    settings = load_config(config)
    day, earlier = parse_as_of(as_of), parse_as_of(since) if since is not None else None
    if earlier is not None and earlier >= day:
        raise ChurnmlError(f"{earlier} is not before {day}", "let since be the earlier date", date=str(earlier))
    models = scorers(settings, candidate=candidate)
    churn = models[0].bundle.models[CHURN_PROBABILITY]
    assert isinstance(churn, ChurnClassifier)
    said = models[0].bundle.facts["features"]
    with open_histories(settings, progress=progress) as histories:
        panel = panel_at(histories, day, progress=progress)
        found: dict[str, Any]
        if customer is None:
            scores = score_panel(panel, settings, *models, progress=progress)
            effects = ThemeEffects.of(churn, panel[list(churn.columns_.kinds)], said)
            found = {"as_of": str(day), "drivers": drivers(effects, scores, _groups(panel, scores))}
        else:
            everyone = score_panel(panel, settings, *models, with_reasons=False)
            one = (everyone[CUSTOMER_ID] == str(customer)).to_numpy()
            if not one.any():
                raise _not_at_risk(str(customer), day)
            score = {name: _plain(value) for name, value in everyone[one].iloc[0].to_dict().items()}
            [score["reasons"]] = reasons(churn, panel.loc[one, models[0].bundle.columns], said, settings.sensitive)
            lower = everyone[CHURN_PROBABILITY] < everyone.loc[one, CHURN_PROBABILITY].iloc[0]
            found = {"score": score, "higher_than": float(lower.mean())}
            found["history"] = timeline(histories, str(customer), day)
        if earlier is not None:
            before = panel_at(histories, earlier, progress=progress)
            if customer is not None:
                before, panel = (part[part[CUSTOMER_ID] == str(customer)] for part in (before, panel))
                if before.empty:
                    raise _not_at_risk(str(customer), earlier)
            found["changed"] = {"since": str(earlier), **changed(churn, before, panel, said, settings.sensitive)}
        return found


def _groups(panel: pd.DataFrame, scores: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    groups = {"tier": scores[VALUE_TIER]}
    if scores[CAUSE_PROBABILITIES].notna().all():
        left = pd.DataFrame(scores[CAUSE_PROBABILITIES].tolist()).drop(columns=STAYING)
        groups["cause"] = left.idxmax(axis=1)
    if "account_segment" in panel:
        groups = {"segment": panel["account_segment"], **groups}
    return groups


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it: null for what is not there, a date as text."""
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return value if isinstance(value, list | dict) or not pd.isna(value) else None


def _not_at_risk(customer: str, as_of: dt.date) -> ChurnmlError:
    return ChurnmlError(
        f"customer {customer} is not at risk at {as_of}",
        "look at the id and the date",
        customer=customer,
        date=str(as_of),
    )


def promote(
    config: ConfigLike, model: ModelName, version: int | None = None, *, who: str | None = None, why: str | None = None
) -> dict[str, Any]:
    """Let a version score customers, if its gates let it pass.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    model : {"churn", "value"}
        Which model.
    version : int, optional
        The newest by default.
    who, why : str, optional
        Kept with the change; both are needed where ``gates.approval`` is set and the version was never champion.

    Returns
    -------
    dict
        ``model``, ``version``, ``previous``, ``who``, ``when``, ``why``.

    Raises
    ------
    ChurnmlError
        If the version does not exist, or a gate refuses it.
    """
    return asdict(promotion.promote(load_config(config), model, version, who=who, why=why))


def rollback(
    config: ConfigLike, model: ModelName, version: int | None = None, *, who: str | None = None, why: str | None = None
) -> dict[str, Any]:
    """Let the champion before score customers again.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    model : {"churn", "value"}
        Which model.
    version : int, optional
        The champion before by default.
    who, why : str, optional
        Kept with the change.

    Returns
    -------
    dict
        As `promote`.

    Raises
    ------
    ChurnmlError
        If there was no champion before.
    """
    return asdict(promotion.rollback(load_config(config), model, version, who=who, why=why))
