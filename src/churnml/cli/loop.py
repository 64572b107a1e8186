"""The command that shows all of it."""

from __future__ import annotations

import click

from churnml.cli.options import common, show
from churnml.wording import Language, say


@click.command()
@click.option("--out", default="churnml-demo", show_default=True, help="The folder to make.")
@click.option("--customers", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@common
def demo(out: str, customers: int, seed: int, lang: Language, as_json: bool) -> None:
    """Show all of it on a simulated operator.

    Simulates histories, trains and tests models, scores everyone, draws up a first campaign, and writes a report.

    \b
    Example: churnml demo --out demo --customers 5000
    """
    from churnml.api import loop
    from churnml.reporting import summary_text

    made = loop.demo(out, customers=customers, seed=seed, lang=lang, progress=True)
    files = {"config": made.config, "report": made.report, "scores": made.scores}
    campaign = say("demo_campaign", lang, **files) if made.told.campaign else ""
    facts = {"campaign": campaign, "customer": made.customer, "as_of": made.told.as_of}
    facts["candidate"] = "" if made.told.campaign else " --candidate"
    text = f"{summary_text(made.told, lang)}\n\n{say('demo_end', lang, **files, **facts)}"
    show({name: str(file) for name, file in files.items()}, text, as_json=as_json)
