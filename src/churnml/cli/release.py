"""Commands about what the service answers from."""

from __future__ import annotations

from dataclasses import asdict

import click

from churnml.asof import parse_as_of
from churnml.cli.options import common, configured, show
from churnml.wording import Language, say


@click.command()
@click.argument("config")
@click.option("--as-of", "as_of", required=True, metavar="T", help="As-of date, such as 2024-03-01.")
@common
def publish(config: str, as_of: str, lang: Language, as_json: bool) -> None:
    """Put the scores of a day, and the models, where the service answers from.

    Takes scores of that day that are kept, or scores first. A service that runs goes over to them within seconds,
    without a dropped request.

    \b
    Example: churnml publish operator/churnml.yaml --as-of 2024-07-01
    """
    settings = configured(config)
    day = parse_as_of(as_of)
    from churnml.api import release

    published = asdict(release.publish(settings, day, progress=True))
    show(published, say("published", lang, **published), as_json=as_json)


@click.command()
@click.argument("config")
@click.option("--customer", required=True, metavar="ID", help="The customer_id.")
@common
def forget(config: str, customer: str, lang: Language, as_json: bool) -> None:
    """Remove a person from everything churnml keeps, and record that it was done.

    In audit and campaigns a random token takes their place, so that counts stay. Your own tables are yours: remove
    the person there first, or they come back with the next scores.

    \b
    Example: churnml forget operator/churnml.yaml --customer C00000042
    """
    settings = configured(config)
    from churnml.api import release

    forgotten = asdict(release.forget(settings, customer))
    show(forgotten, say("forgotten" if forgotten["token"] else "forgotten_nobody", lang, **forgotten), as_json=as_json)
