"""Commands from features to scores."""

from __future__ import annotations

import json
from typing import Any

import click

from churnml.asof import parse_as_of
from churnml.cli.options import common, configured, show
from churnml.wording import Language, say

_as_of = click.option("--as-of", "as_of", required=True, metavar="T", help="As-of date, such as 2024-03-01.")
_candidate = click.option("--candidate", is_flag=True, help="By the newest models, promoted or not, to look at.")
_model = click.argument("model", type=click.Choice(["churn", "value"]), metavar="MODEL")
_version = click.argument("version", type=click.IntRange(min=1), required=False)
_who = click.option("--who", help="Who decided; the system's user by default.")
_why = click.option("--why", help="Kept with the change.")


@click.command()
@click.argument("config")
@click.option("--as-of", "as_of", multiple=True, metavar="T", help="Train on these dates instead; repeatable.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Register what an earlier run could not, because MLflow was not there.")
@common
def train(config: str, as_of: tuple[str, ...], seed: int, resume: bool, lang: Language, as_json: bool) -> None:
    """Train the churn and value models, and let the gates decide.

    Tests them on later dates than they learned from, beside simple rules; fits them again on every date whose
    outcome is known; logs and registers them in MLflow; promotes those that pass every gate.

    \b
    Example: churnml train operator/churnml.yaml
    """
    settings = configured(config)
    dates = [parse_as_of(day) for day in as_of]
    from churnml.api import models
    from churnml.printing import train_text

    report = models.train(settings, dates, seed=seed, resume=resume, progress=True)
    show(report.to_dict(lang), train_text(report, lang), as_json=as_json)


@click.command()
@click.argument("config")
@_as_of
@click.option("--out", required=True, help="The Parquet file to write; with --engine spark, the folder.")
@_candidate
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True)
@common
def score(lang: Language, as_json: bool, **arguments: Any) -> None:
    """Score everyone at risk, with reasons in plain words.

    By the promoted models: how likely each customer is to leave, what they would bring, and why they would leave.

    \b
    Example: churnml score operator/churnml.yaml --as-of 2024-07-01 --out scores.parquet
    """
    settings = configured(arguments.pop("config"))
    day = parse_as_of(arguments.pop("as_of"))
    from churnml.api import models

    scores = models.score(settings, day, **arguments, progress=True)
    if isinstance(scores, dict):
        result = scores
    else:
        scored = int((scores["status"] == "scored").sum())
        counts = {"population": len(scores), "scored": scored, "not_scored": len(scores) - scored}
        result = {**counts, "out": arguments["out"]}
    show(result, say("scored", lang, **result), as_json=as_json)


@click.command()
@click.argument("config")
@click.option("--customer", metavar="ID", help="The customer_id; everyone by default.")
@_as_of
@click.option("--since", metavar="T", help="An earlier date: tell what has changed since then, and why.")
@_candidate
@common
def explain(
    config: str, customer: str | None, as_of: str, since: str | None, candidate: bool, lang: Language, as_json: bool
) -> None:
    """Explain one customer, or what drives departures among everyone.

    One customer: score, reasons, recent history. Everyone: first reasons by segment, tier and likeliest cause.
    Personal columns are not shown, nor anything that became known at T or later.

    \b
    Example: churnml explain operator/churnml.yaml --customer C00000042 --as-of 2024-07-01 --lang zh
    """
    settings = configured(config)
    day, earlier = parse_as_of(as_of), None if since is None else parse_as_of(since)
    from churnml.api import models
    from churnml.printing import explain_text

    found = models.explain(settings, customer, day, since=earlier, candidate=candidate, progress=True)
    show(found, "" if as_json else explain_text(found, settings.currency, lang), as_json=as_json)


@click.command()
@click.argument("config")
@_model
@_version
@_who
@_why
@common
def promote(config: str, lang: Language, as_json: bool, **arguments: Any) -> None:
    """Let a version of MODEL (churn or value) score customers.

    Only what passed its gates can be promoted. Without VERSION, the newest.

    \b
    Example: churnml promote operator/churnml.yaml churn 3 --why "agreed with the retention team"
    """
    settings = configured(config)
    from churnml.api import models

    _show_change(models.promote(settings, **arguments), lang, as_json=as_json)


@click.command()
@click.argument("config")
@_model
@_version
@_who
@_why
@common
def rollback(config: str, lang: Language, as_json: bool, **arguments: Any) -> None:
    """Let the version of MODEL before score customers again.

    \b
    Example: churnml rollback operator/churnml.yaml churn --why "too many calls about prices"
    """
    settings = configured(config)
    from churnml.api import models

    _show_change(models.rollback(settings, **arguments), lang, as_json=as_json)


def _show_change(change: dict[str, Any], lang: Language, *, as_json: bool) -> None:
    facts = {**change, "model": say(f"model_{change['model']}", lang), "previous": change["previous"] or "-"}
    key = "not_moved" if change["previous"] == change["version"] else "moved"
    show(json.loads(json.dumps(change)), say(key, lang, **facts), as_json=as_json)
