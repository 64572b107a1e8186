"""The whole loop on a simulated operator, and the report that it ends with."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from churnml.api.campaigns import campaign_open
from churnml.api.histories import PathLike, simulate
from churnml.api.models import ModelName, TrainReport, score, train
from churnml.asof import DAY
from churnml.campaigns.opening import Opened
from churnml.columns import CHURN_PROBABILITY, CUSTOMER_ID
from churnml.config import Config, load_config
from churnml.population import at_risk
from churnml.reporting import Proposal, Report, TrainedModel, write_report
from churnml.tables.histories import Histories, open_histories
from churnml.wording import Language

_CAMPAIGN = "first"


@dataclass(frozen=True)
class Demo:
    """What the demonstration left.

    Attributes
    ----------
    config : Path
        The configuration, to go on with.
    report : Path
        The HTML report.
    scores : Path
        The scores.
    told : Report
        What the report is made from.
    """

    config: Path
    report: Path
    scores: Path
    told: Report

    @property
    def customer(self) -> str:
        """Whom to look at first: who leads the list, or else the highest risk."""
        campaign, scores = self.told.campaign, self.told.scores
        if campaign is not None and (campaign.assignments["arm"] == "treated").any():
            return str(campaign.assignments["customer_id"].iloc[0])
        return str(scores.sort_values(CHURN_PROBABILITY, ascending=False)[CUSTOMER_ID].iloc[0])


def demo(
    out: PathLike = "churnml-demo",
    *,
    customers: int = 20_000,
    seed: int = 0,
    lang: Language = "en",
    progress: bool = False,
) -> Demo:
    """Show the whole loop on a simulated operator: train, score, draw up a campaign, report.

    Where a gate refuses a model (so few customers tell little), the report shows what the newest models say, and there
    is no campaign.

    Parameters
    ----------
    out : path
        The folder to make.
    customers : int
        Customers at the start.
    seed : int
        The same seed gives the same operator, models and list.
    lang : {"en", "zh"}
        Language of the report.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Demo
        Where to look.

    Raises
    ------
    ChurnmlError
        If the folder holds something, or there are too few customers to train at all.
    """
    folder = Path(out)
    there = folder.exists()
    simulate(folder, customers=customers, seed=seed, progress=progress)
    try:
        return _shown(folder, seed=seed, lang=lang, progress=progress)
    except BaseException:  # nothing half-done: an interrupted demonstration can be made again
        shutil.rmtree(folder, ignore_errors=True)
        if there:
            folder.mkdir(exist_ok=True)
        raise


def _shown(folder: Path, *, seed: int, lang: Language, progress: bool) -> Demo:
    config = load_config(folder / "churnml.yaml")
    trained = train(config, seed=seed, progress=progress)
    with open_histories(config) as histories:
        as_of = _day_after(histories)
        segments = _segments(histories, as_of)
    files = folder / "report.html", folder / "scores.parquet"
    usable = all(model.promoted for model in trained.models.values())
    scores = score(config, as_of, out=files[1], candidate=not usable, progress=progress)
    opened = campaign_open(config, _CAMPAIGN, as_of, seed=seed) if usable else None
    told = report_of(config, as_of, trained, scores, opened, segments, shown=str(folder / "churnml.yaml"))
    write_report(told, files[0], lang)
    return Demo(folder / "churnml.yaml", *files, told)


def report_of(
    config: Config,
    as_of: dt.date,
    trained: TrainReport,
    scores: pd.DataFrame,
    opened: Opened | None,
    segments: pd.Series[str],
    *,
    shown: str,
) -> Report:
    """Put together what a report is made from."""
    models = {name: _model(trained, name) for name in ("churn", "value") if name in trained.models}
    facts = trained.training.models["churn"].bundle.facts if trained.training else {"features": []}
    return Report(
        project=config.project,
        currency=config.currency,
        as_of=as_of,
        lead_days=config.label.lead_days,
        horizon_days=config.label.horizon_days,
        value_horizon_days=config.value.horizon_days,
        churn=models["churn"],
        value=models.get("value"),
        scores=scores,
        segments=segments,
        key_tiers=config.tiers.first.key if config.tiers else (),
        campaign=None if opened is None else Proposal(opened.assignments, opened.summary, config.campaign.offers),
        risk_bands=config.risk_bands,
        phrases={said["feature"]: (said["phrase_en"], said["phrase_zh"]) for said in facts["features"]},
        config=shown,
        next_steps=("export", "explain"),
    )


def _model(trained: TrainReport, name: ModelName) -> TrainedModel:
    assert trained.training is not None
    fitted, registered = trained.training.models[name], trained.models[name]
    return TrainedModel(
        version=str(registered.version),
        promoted=registered.promoted,
        trained_on=tuple(fitted.schedule.train),
        tested_on=tuple(fitted.schedule.test),
        out_of_time=fitted.schedule.out_of_time,
        tested=fitted.tested,
        evaluation=fitted.evaluation,
        verdict=fitted.verdict,
        touched=fitted.bundle.facts["touched"],
    )


def _day_after(histories: Histories) -> dt.date:
    """Return the first day that the histories know nothing of."""
    latest = [moment for table in ("usage", "bills") if (moment := histories.last_event(table)) is not None]
    return (max(latest) + DAY).date()


def _segments(histories: Histories, as_of: dt.date) -> pd.Series[str]:
    customers = at_risk(histories, as_of)
    frame: pd.DataFrame = customers.select(CUSTOMER_ID, "segment").to_pyarrow().to_pandas()
    return frame.set_index(CUSTOMER_ID)["segment"]
