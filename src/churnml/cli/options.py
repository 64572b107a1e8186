"""What every command has."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from churnml.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])


def common(command: Command) -> Command:
    """Add --json, --lang and --debug."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
        click.option("--lang", type=click.Choice(["en", "zh"]), default="en", help="Language of what people read."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
    ):
        command = option(command)
    return command


def configured(path: str) -> Config:
    """Read the configuration before anything that takes seconds to load."""
    from churnml.config import load_config

    return load_config(path)


def show(result: Any, text: str, *, as_json: bool) -> None:
    """Print a result on stdout, as JSON or as text."""
    click.echo(json.dumps(result, ensure_ascii=False, default=str) if as_json else text)
