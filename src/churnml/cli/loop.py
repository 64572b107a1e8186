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

    Simulates histories, checks them, and makes features and labels as of three dates.

    \b
    Example: churnml demo --out demo --customers 5000
    """
    from churnml import api

    panel = api.demo(out, customers=customers, seed=seed, progress=True)
    config = panel.parent / "churnml.yaml"
    show(
        {"config": str(config), "panel": str(panel)},
        say("demo_end", lang, config=config, panel=panel),
        as_json=as_json,
    )
