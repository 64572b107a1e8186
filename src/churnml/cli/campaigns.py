"""Commands from scores to lists."""

from __future__ import annotations

from typing import Any

import click

from churnml.asof import parse_as_of
from churnml.cli.options import common, configured, show
from churnml.wording import Language, say

_name = click.option("--name", required=True, metavar="ID", help="The campaign.")


@click.group()
def campaign() -> None:
    """Draw up campaigns, and write their lists."""


@campaign.command("open")
@click.argument("config")
@_name
@click.option("--as-of", "as_of", required=True, metavar="T", help="As-of date, such as 2024-07-01.")
@click.option("--budget", type=float, help="What the offers may cost together; campaign.budget by default.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@common
def open_(config: str, as_of: str, lang: Language, as_json: bool, **arguments: Any) -> None:
    """Decide whom to contact with which offer, within budget and capacity.

    By expected profit. A random share of those selected is left alone: comparing with them shows whether it paid.

    \b
    Example: churnml campaign open operator/churnml.yaml --name july --as-of 2024-07-01 --budget 20000
    """
    settings = configured(config)
    day = parse_as_of(as_of)
    from churnml.api import campaigns

    opened = campaigns.campaign_open(settings, as_of=day, **arguments, progress=True)
    text = say("opened", lang, **opened.summary, currency=settings.currency)
    explored = opened.explored
    if explored:
        text += f"\n{say('opened_explored', lang, **explored, currency=settings.currency)}"
    if not opened.summary["treated"]:
        text += f"\n{say('opened_control_only' if opened.summary['control'] else 'report_no_treated', lang)}"
    show(opened.summary, text, as_json=as_json)


@campaign.command()
@click.argument("config")
@_name
@click.option("--out", required=True, help="The file to write: .parquet, .csv or .xlsx.")
@common
def assignments(config: str, name: str, out: str, lang: Language, as_json: bool) -> None:
    """Write who is in which arm, with offer and propensity: everyone once.

    \b
    Example: churnml campaign assignments operator/churnml.yaml --name july --out july.parquet
    """
    settings = configured(config)
    from churnml.api import campaigns

    written = campaigns.campaign_assignments(settings, name, out)
    show(written, say("list_written", lang, **written), as_json=as_json)


@campaign.command()
@click.argument("config")
@_name
@click.option("--out", required=True, help="The file to write: .csv, .xlsx or .parquet.")
@click.option(
    "--role",
    type=click.Choice(["retention", "account_manager", "admin"]),
    default="retention",
    show_default=True,
    help="Who it is for: personal columns are for admin, and for account managers of their own customers.",
)
@click.option("--manager", metavar="ID", help="With --role account_manager: whose customers.")
@common
def export(config: str, name: str, out: str, lang: Language, as_json: bool, **arguments: Any) -> None:
    """Write the call list: whom to contact, key accounts first, with reasons.

    \b
    Example: churnml campaign export operator/churnml.yaml --name july --out calls.xlsx --lang zh
    """
    settings = configured(config)
    from churnml.api import campaigns

    written = campaigns.campaign_export(settings, name, out, lang=lang, **arguments)
    show(written, say("list_written", lang, **written), as_json=as_json)
