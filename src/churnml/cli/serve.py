"""The command that starts the service."""

from __future__ import annotations

import click

from churnml.cli.options import configured


@click.command()
@click.argument("config")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=3000, show_default=True)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def serve(config: str, host: str, port: int) -> None:
    """Answer other systems over HTTP: scores, customers, campaign lists.

    From what churnml publish made, to those who have a key (churnml keys create). Ctrl-C or SIGTERM ends it: what
    runs is finished, within 15 seconds.

    \b
    Example: churnml serve operator/churnml.yaml --port 3000
    """
    configured(config)
    from churnml.api.serve import serve as become

    become(config, host=host, port=port)
