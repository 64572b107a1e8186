"""Commands from histories to features."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from churnml.asof import DAY, parse_as_of
from churnml.cli.options import common, configured, show
from churnml.wording import Language, say


@click.command()
@click.option("--out", help="The folder to make.")
@click.option("--continue", "continue_folder", metavar="DIR", help="Go on with this simulated operator instead.")
@click.option("--assignments", metavar="FILE", help="With --continue: who is treated with which offer (Parquet).")
@click.option("--customers", type=click.IntRange(min=1), default=20_000, show_default=True, help="At the start.")
@click.option("--months", type=click.IntRange(min=1), default=18, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@common
def simulate(lang: Language, as_json: bool, **arguments: Any) -> None:
    """Simulate an operator, or its next months.

    Writes its tables, with a churnml.yaml for them; the truth goes to DIR/truth/. The same seed gives the
    same bytes. With --continue, the following months are appended, under the assignments given.

    \b
    Example: churnml simulate --out operator --customers 2000 --seed 1
             churnml simulate --continue operator --assignments plan.parquet --months 3
    """
    from churnml.api import histories as api

    result = asdict(api.simulate(**arguments, progress=True))
    show(result, say("simulated", lang, months=arguments["months"], **result), as_json=as_json)


@click.command()
@click.argument("folder", metavar="DIR")
@common
def init(folder: str, lang: Language, as_json: bool) -> None:
    """Write a configuration to fill in.

    A commented churnml.yaml, in DIR, that maps your own tables onto ours.

    \b
    Example: churnml init operator
    """
    from churnml.api import histories as api

    written = api.init(folder)
    show({"out": str(written)}, say("init_written", lang, out=written), as_json=as_json)


@click.command()
@click.argument("config")
@common
def check(config: str, lang: Language, as_json: bool) -> None:
    """Tell what of your tables is usable.

    And what went to quarantine and why, what will hurt, and whether there is enough to train a model. Bad
    rows are written, as they came and with their reason, to quarantine/ in the state folder.

    \b
    Example: churnml check operator/churnml.yaml
    """
    settings = configured(config)
    from churnml.api import histories as api
    from churnml.printing import check_text

    report = api.check(settings, strict=False, progress=True)
    folder = settings.state_folder / "quarantine"
    show(report.to_dict(lang), check_text(report, folder, lang), as_json=as_json)
    report.refuse_too_many_bad(settings)


@click.command()
@click.argument("config")
@click.option(
    "--as-of",
    "as_of",
    multiple=True,
    required=True,
    metavar="T",
    help="As-of date, such as 2024-03-01; repeatable.",
)
@click.option("--out", required=True, help="The Parquet file to write; with --engine spark, the folder.")
@click.option("--labels", is_flag=True, help="Add churned and value, null where the outcome is not known.")
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True)
@common
def features(lang: Language, as_json: bool, **arguments: Any) -> None:
    """Make features of everyone at risk, as of dates.

    Only what was known before T is looked at. One row for each customer and date, keyed by customer_id and as_of.

    \b
    Example: churnml features operator/churnml.yaml --as-of 2024-03-01 --as-of 2024-04-01 --out panel.parquet --labels
    """
    settings = configured(arguments.pop("config"))
    dates = [parse_as_of(day) for day in arguments.pop("as_of")]
    future = [str(day) for day in dates if day > settings.now().date() + DAY]
    if future:
        click.echo(say("future", lang, dates=", ".join(future)), err=True)
    from churnml.api import histories as api

    written = api.features(settings, dates, **arguments, progress=True)
    show(written, say("panel_written", lang, **{**written, "dates": len(written["dates"])}), as_json=as_json)


@click.command()
@click.argument("config")
@click.option("--as-of", "as_of", metavar="T", help="As-of date; by default the latest whose outcome is known.")
@common
def audit(config: str, as_of: str | None, lang: Language, as_json: bool) -> None:
    """Look for features that see the future, and columns made from the outcome.

    What is known at T or later is rewritten; no feature of T may move.

    \b
    Example: churnml audit operator/churnml.yaml --as-of 2024-03-01
    """
    settings = configured(config)
    day = None if as_of is None else parse_as_of(as_of)
    from churnml.api import histories as api

    report = api.audit(settings, day, progress=True)
    told = report.to_dict(lang)
    lines = [say("audited" if report.passed else "audited_leaks", lang, features=report.features, as_of=report.as_of)]
    places = [".".join(filter(None, (found["table"], found["column"]))) for found in told["findings"]]
    lines += [
        f"  - {place}{': ' if place else ''}{found['message']}"
        for place, found in zip(places, told["findings"], strict=True)
    ]
    show(told, "\n".join(lines), as_json=as_json)


@click.command()
@click.argument("config")
@click.option("--html", help="A page to write, too: coverage, spread and stability of each feature.")
@click.option("--as-of", "as_of", multiple=True, metavar="T", help="Dates of the page; repeatable.")
@common
def catalog(config: str, html: str | None, as_of: tuple[str, ...], lang: Language, as_json: bool) -> None:
    """Explain every feature that your tables give.

    Its source, window, unit and type, what it means, and what to call it in plain words.

    \b
    Example: churnml catalog operator/churnml.yaml --lang zh
    """
    settings = configured(config)
    from churnml.api import histories as api
    from churnml.printing import catalog_text

    dates = [parse_as_of(day) for day in as_of]
    table = api.catalog(settings, html=html, as_of=dates, lang=lang, progress=True)
    show(json.loads(table.to_json(orient="records")), catalog_text(table, lang), as_json=as_json)
