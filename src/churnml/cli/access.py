"""Commands about access to the service."""

from __future__ import annotations

from typing import Any

import click

from churnml.cli.options import common, configured, show
from churnml.wording import Language, say

_name = click.option("--name", required=True, metavar="N", help="How the key is called.")


@click.group()
def keys() -> None:
    """Make, list and revoke keys to the service, and write who has read what with them."""


@keys.command()
@click.argument("config")
@_name
@click.option(
    "--role",
    required=True,
    type=click.Choice(["crm", "retention", "account_manager", "admin"]),
    help="What it opens: scores; lists without personal columns; own customers with them; everything.",
)
@click.option("--manager", metavar="ID", help="With --role account_manager: whose customers.")
@click.option("--expires", metavar="D", help="From when on it opens nothing, such as 2025-07-01.")
@common
def create(config: str, lang: Language, as_json: bool, **arguments: Any) -> None:
    """Make a key and print it, this once: what is kept is its hash.

    \b
    Example: churnml keys create operator/churnml.yaml --name crm --role crm --expires 2027-01-01
    """
    settings = configured(config)
    from churnml.api import access

    made = access.keys_create(settings, **arguments)
    click.echo(say("key_made", lang, name=made["name"], role=made["role"]), err=True)
    show(made, made["key"], as_json=as_json)


@keys.command("list")
@click.argument("config")
@common
def list_(config: str, lang: Language, as_json: bool) -> None:
    """List the keys that there ever were.

    \b
    Example: churnml keys list operator/churnml.yaml
    """
    settings = configured(config)
    from churnml.api import access
    from churnml.printing import keys_text

    listed = access.keys_list(settings)
    show({"keys": listed}, keys_text(listed, lang), as_json=as_json)


@keys.command()
@click.argument("config")
@_name
@common
def revoke(config: str, name: str, lang: Language, as_json: bool) -> None:
    """Take a key back: within seconds it opens nothing.

    \b
    Example: churnml keys revoke operator/churnml.yaml --name crm
    """
    settings = configured(config)
    from churnml.api import access

    revoked = access.keys_revoke(settings, name)
    show(revoked, say("key_revoked", lang, **revoked), as_json=as_json)


@keys.command()
@click.argument("config")
@click.option("--out", required=True, help="The file to write: .csv or .parquet.")
@click.option("--since", metavar="T", help="From when on, such as 2024-07-01.")
@click.option("--until", metavar="T", help="Before when.")
@common
def audit(config: str, out: str, lang: Language, as_json: bool, **arguments: Any) -> None:
    """Write who has read what of whom: a row for each customer of each request.

    \b
    Example: churnml keys audit operator/churnml.yaml --out july.csv --since 2024-07-01 --until 2024-08-01
    """
    settings = configured(config)
    from churnml.api import access

    written = access.keys_audit(settings, out, **arguments)
    show(written, say("list_written", lang, **written), as_json=as_json)
